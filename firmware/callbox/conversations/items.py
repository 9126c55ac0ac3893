"""What a thread consists of: texts and call lines. Stored as they are, so fields may be added but never change."""

from typing import Literal, TypeAlias

import msgspec

from callbox.base.reasons import Reason

TextState = Literal["queued", "sent", "delivered", "heard", "unsent"]
"""Ours: queued here, sent (safe at the server), delivered (safe on a device), heard (by the person), or unsent for
good. Theirs: delivered (here, unread) or heard."""


class TextItem(msgspec.Struct, frozen=True, tag="text"):
    """A text message, theirs or ours."""

    id: bytes  # the letter's message id, 16 bytes
    contact: str
    outgoing: bool
    at_ms: int  # this box's wall time when it was written or arrived
    text: str
    state: TextState
    ready_made: bool = False
    problem: str = ""  # why it is unsent, as the server said it


class CallItem(msgspec.Struct, frozen=True, tag="call"):
    """The line that a call leaves in its thread: what became of it, and why."""

    id: bytes  # the call id, 16 bytes
    contact: str
    outgoing: bool
    at_ms: int
    reason: Reason
    answered: bool
    duration_s: float
    chain: tuple[str, ...] = ()  # why it did not ring, for `callbox why`
    knock: bool = False
    heard: bool = True  # False: a missed call that its person does not know of yet


Item: TypeAlias = TextItem | CallItem


def is_unread(item: Item) -> bool:
    """Say whether the message light blinks for it."""
    if isinstance(item, TextItem):
        return not item.outgoing and item.state == "delivered"
    return not item.heard
