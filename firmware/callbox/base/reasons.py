"""`Reason`: why a call ended or did not ring, as this box knows it. A closed list for log, thread and speech.

What the other side is told is coarser (`wire.told.Told`); `calls.reasons` joins the two in one table.
"""

from enum import StrEnum


class Reason(StrEnum):
    HUNG_UP = "hung_up"
    DECLINED = "declined"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    DECLINED_ELSEWHERE = "declined_elsewhere"
    CALLS_DISABLED = "calls_disabled"
    QUIET = "quiet"
    SILENCED = "silenced"
    KNOCKED = "knocked"
    BLOCKED = "blocked"
    NOT_ALLOWED = "not_allowed"
    UNREACHABLE = "unreachable"
    REPLACED = "replaced"
    TAKEN = "taken"
    LOST = "lost"
    KEY_CHANGED = "key_changed"
    FAILED = "failed"
