"""What a thread consists of: texts, voice messages and call lines.

Stored as they are, so fields may be added but never change.
"""

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


VoiceState = Literal["queued", "sent", "coming", "delivered", "heard", "unsent", "lost"]
"""As of texts. Theirs begin as `coming` until their sound is here; `lost`: it never will be. Ours are `sent` when the
letter that names them is safe at the server, `delivered` when the sound is on a device."""


NO_SOUND = "its sound is on the box where it was spoken"


class BlobKey(msgspec.Struct, frozen=True):
    """How the sealed sound of a voice message lies at the server, and its key; kept only while it is on its way."""

    key: bytes
    digest: bytes
    parts: int
    at: bytes = b""  # its number at the server, where that is not the item's: a copy for our own other boxes


class VoiceItem(msgspec.Struct, frozen=True, tag="voice"):
    """A voice message, theirs or ours. Its sound, Ogg Opus, lies in the store under the same id."""

    id: bytes  # the blob's number at the server, 16 bytes
    contact: str
    outgoing: bool
    at_ms: int  # this box's wall time when it was spoken or arrived
    duration_ms: int
    state: VoiceState
    letter: bytes = b""  # message id of the letter that names it; b"": not written yet
    blob: BlobKey | None = None
    problem: str = ""
    silent: bool = False  # ours, from another box of ours: its sound did not get here


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


Item: TypeAlias = TextItem | VoiceItem | CallItem


def is_coming(item: Item | None) -> bool:
    """Say whether the sound of this item is still to be fetched: of a message to us, or of our own from another box."""
    if not isinstance(item, VoiceItem):
        return False
    return item.state == "coming" or (item.blob is not None and item.blob.at != b"")


def sound_is_here(item: VoiceItem) -> bool:
    """Say whether what is stored of it is its whole sound, not sealed parts or nothing."""
    return not is_coming(item) and item.state != "lost" and not item.silent


def trouble_with(item: VoiceItem) -> str:
    """Return what is wrong with a voice message, or nothing."""
    return ", ".join(filter(None, (item.problem, NO_SOUND if item.silent else "")))


def is_unread(item: Item) -> bool:
    """Say whether the message light blinks for it."""
    if isinstance(item, TextItem | VoiceItem):
        return not item.outgoing and item.state == "delivered"
    return not item.heard
