"""`Admission`: whether and how an incoming call may make itself known, with the chain of reasons for `callbox why`.

Decided by `conversations.admission`, acted on by `calls`: the two rooms share only this value.
"""

from dataclasses import dataclass
from typing import Literal

from callbox.base.reasons import Reason


@dataclass(frozen=True, slots=True)
class Admission:
    """ring: sound and light; light: a knock; silent: seems to ring, for the caller; refuse: the caller is told."""

    act: Literal["ring", "light", "silent", "refuse"]
    reason: Reason | None = None
    chain: tuple[str, ...] = ()
