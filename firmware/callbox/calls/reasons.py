"""What happened (`Reason`, known here) and what the other side is told of it (`Told`): one table each way.

`TOLD` says what leaves this box when *it* ends or refuses a call. None: nothing is sent, because the other side
knows already, or because silence is the point (a block looks like a box that is switched off).
"""

from collections.abc import Mapping
from types import MappingProxyType

from callbox.base.reasons import Reason
from callbox.wire.told import Told

TOLD: Mapping[Reason, Told | None] = MappingProxyType(
    {
        Reason.HUNG_UP: Told.HUNG_UP,
        Reason.DECLINED: Told.DECLINED,
        Reason.BUSY: Told.BUSY,
        Reason.NO_ANSWER: Told.NO_ANSWER,
        Reason.CANCELLED: Told.HUNG_UP,
        Reason.ANSWERED_ELSEWHERE: None,  # the caller itself said so
        Reason.DECLINED_ELSEWHERE: None,
        Reason.CALLS_DISABLED: Told.NOT_ACCEPTING,
        Reason.QUIET: Told.UNAVAILABLE,
        Reason.SILENCED: Told.NO_ANSWER,  # after the full ring, as if nobody were home
        Reason.KNOCKED: Told.NO_ANSWER,
        Reason.BLOCKED: None,
        Reason.NOT_ALLOWED: Told.NOT_ACCEPTING,
        Reason.UNREACHABLE: None,
        Reason.REPLACED: Told.HUNG_UP,
        Reason.TAKEN: None,  # the other call of a glare goes on instead
        Reason.LOST: Told.FAILED,
        Reason.KEY_CHANGED: Told.UNAVAILABLE,
        Reason.FAILED: Told.FAILED,
    }
)

REASON: Mapping[Told, Reason] = MappingProxyType(
    {
        Told.DECLINED: Reason.DECLINED,
        Told.BUSY: Reason.BUSY,
        Told.NO_ANSWER: Reason.NO_ANSWER,
        Told.UNAVAILABLE: Reason.UNREACHABLE,  # why they cannot be reached now is theirs to know
        Told.NOT_ACCEPTING: Reason.CALLS_DISABLED,
        Told.HUNG_UP: Reason.HUNG_UP,
        Told.FAILED: Reason.FAILED,
    }
)

DENIED: Mapping[str, Reason] = MappingProxyType(
    {
        "not-allowed": Reason.NOT_ALLOWED,
        "calls-disabled": Reason.CALLS_DISABLED,
        "busy": Reason.BUSY,
        "no-such-account": Reason.UNREACHABLE,
    }
)

WORTH_A_NOTICE = frozenset(
    {
        Reason.NO_ANSWER,
        Reason.UNREACHABLE,
        Reason.CANCELLED,
        Reason.BUSY,
        Reason.CALLS_DISABLED,
        Reason.NOT_ALLOWED,
        Reason.FAILED,
    }
)
"""Ends of an unanswered outgoing call after which this box sends its own sealed missed-call notice.

Nobody took it, or the server refused it. Not after a decline (their thread has it), nor a changed key (to whom?).
A caller cannot know of a block, so it queues the same notice as for a box that is switched off.
"""


def reason_of(told: Told) -> Reason:
    """Return what this box notes when the other side says `told`."""
    return REASON[told]


def reason_of_denial(why: str, told: Told | None) -> Reason:
    """Return what this box notes when the server refused the offer for `why` (see `wire.signals.DeniedWhy`)."""
    if why in DENIED:
        return DENIED[why]
    return Reason.FAILED if told is None else REASON[told]
