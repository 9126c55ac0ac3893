"""`Told`: everything that the other side of a call can learn about why it did not go on. A closed list.

The local truth (`calls.reasons.Reason`) is finer; one table there maps it to these words.
"""

from enum import StrEnum


class Told(StrEnum):
    DECLINED = "declined"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    UNAVAILABLE = "unavailable"
    NOT_ACCEPTING = "not_accepting"
    HUNG_UP = "hung_up"
    FAILED = "failed"
