"""Threads: every text, voice message and call of every contact, in the order in which this box came to know of them.

Order is arrival, never a date: a Pi may boot in 1970. Marks only go up: a late "delivered" does not undo "heard".
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from callbox.base.reasons import Reason
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.items import (
    BlobKey,
    CallItem,
    Item,
    TextItem,
    TextState,
    VoiceItem,
    VoiceState,
    is_coming,
    is_unread,
)
from callbox.conversations.stores import DeleteItem, ForgetThread, PutItem, Write

_ORDER: tuple[TextState, ...] = ("queued", "unsent", "sent", "delivered", "heard")
_KNOWN_OF = frozenset(
    {
        Reason.SILENCED,  # its person chose not to be told
        Reason.DECLINED,
        Reason.DECLINED_ELSEWHERE,
        Reason.ANSWERED_ELSEWHERE,
        Reason.REPLACED,
        Reason.TAKEN,
        Reason.NOT_ALLOWED,
    }
)


class Threads:
    """The loaded items of all contacts. `loaded` comes newest first, as a store gives it."""

    def __init__(self, loaded: Iterable[Item] = ()) -> None:
        self._items: dict[bytes, Item] = {item.id: item for item in reversed(list(loaded))}
        self.on_change: Callable[[Item | None, Item], list[Write]] = lambda before, after: []
        voices = (item for item in self._items.values() if isinstance(item, VoiceItem))
        self._named_by = {item.letter: item.id for item in voices if item.letter}
        self._unread: list[Item] | None = None  # asked for at every event of the box, and seldom another

    def get(self, item_id: bytes) -> Item | None:
        return self._items.get(item_id)

    def items(self, contact: str | None = None, limit: int = 100) -> list[Item]:
        """Return the newest items, newest first."""
        found = (item for item in reversed(self._items.values()) if contact in (None, item.contact))
        return [item for item, _ in zip(found, range(limit), strict=False)]

    def unread(self) -> list[Item]:
        """Return what blinks the message light, oldest first."""
        if self._unread is None:
            self._unread = [item for item in self._items.values() if is_unread(item)]
        return list(self._unread)

    def heard_from(self, contact: str) -> bool:
        """Say whether anything ever came from a contact."""
        return any(item.contact == contact and not item.outgoing for item in self._items.values())

    def last_contact(self, counts: Callable[[str], bool]) -> str | None:
        """Return whom the newest item is with, among those who count: whom the talk button calls."""
        return next((item.contact for item in reversed(self._items.values()) if counts(item.contact)), None)

    def why(self, limit: int = 1) -> list[CallItem]:
        """Return the newest calls that came in and did not ring as usual, newest first, each with its chain."""
        calls = (item for item in reversed(self._items.values()) if isinstance(item, CallItem))
        held_back = (call for call in calls if not call.outgoing and not call.answered and call.chain)
        return [call for call, _ in zip(held_back, range(limit), strict=False)]

    # --- texts ---------------------------------------------------------------------------------------------

    def text_written(
        self, item_id: bytes, contact: str, text: str, at_ms: int, ready_made: bool = False
    ) -> tuple[TextItem, list[Write]]:
        """Our person said something; the outbox has it."""
        item = TextItem(item_id, contact, True, at_ms, text, "queued", ready_made)
        return item, self._keep(item)

    def text_received(
        self, item_id: bytes, contact: str, text: str, at_ms: int, ready_made: bool = False, problem: str = ""
    ) -> tuple[TextItem | None, list[Write]]:
        """A contact said something. None when it is here already. `problem`: why it may not be from them."""
        if item_id in self._items:
            return None, []
        item = TextItem(item_id, contact, False, at_ms, text, "delivered", ready_made, problem)
        return item, self._keep(item)

    def mark(self, item_ids: Iterable[bytes], state: TextState, contact: str | None = None) -> list[Write]:
        """Raise what we said to `state`; unknown messages and those that are further already stay.

        `contact`: who says so: marks for messages to anyone else are ignored. The letter that names a voice message
        raises it to `sent` at most: it is delivered once its sound is.
        """
        writes: list[Write] = []
        for item_id in item_ids:
            item = self._said(item_id)
            if item is None or contact not in (None, item.contact) or (item_id != item.id and state != "sent"):
                continue
            if _ORDER.index(item.state) < _ORDER.index(state):
                writes += self._keep(_raised(item, state))
        return writes

    def unsent(self, item_id: bytes, problem: str) -> list[Write]:
        """Give a message up, unless it reached some device of the contact."""
        item = self._said(item_id)
        if item is None or item.state != "queued":
            return []
        return self._keep(msgspec.structs.replace(item, state="unsent", problem=problem))

    def _said(self, item_id: bytes) -> TextItem | VoiceItem | None:
        """Return a message of ours by its id, or by that of the letter that names it."""
        item = self._items.get(item_id) or self._items.get(self._named_by.get(item_id, b""))
        return item if isinstance(item, TextItem | VoiceItem) and item.outgoing else None

    def heard(self, item_ids: Iterable[bytes]) -> list[Write]:
        """Our person heard or read these: they blink no more."""
        writes: list[Write] = []
        for item_id in item_ids:
            item = self._items.get(item_id)
            if item is None or not is_unread(item):
                continue
            if isinstance(item, CallItem):
                writes += self._keep(msgspec.structs.replace(item, heard=True))
            else:
                writes += self._keep(msgspec.structs.replace(item, state="heard"))
        return writes

    # --- voice messages ------------------------------------------------------------------------------------

    def voice_spoken(
        self, item_id: bytes, contact: str, duration_ms: int, at_ms: int, blob: BlobKey
    ) -> tuple[VoiceItem, list[Write]]:
        """Our person spoke; the sound is stored with these writes, and waits to be sent."""
        item = VoiceItem(item_id, contact, True, at_ms, duration_ms, "queued", b"", blob)
        return item, self._keep(item)

    def voice_named(self, item_id: bytes, letter: bytes) -> list[Write]:
        """The sound is at the server; a letter that names it is queued with these writes."""
        item = self._items.get(item_id)
        if not isinstance(item, VoiceItem):
            return []
        self._named_by[letter] = item_id
        return self._keep(msgspec.structs.replace(item, letter=letter))

    def voice_coming(
        self, item_id: bytes, contact: str, duration_ms: int, at_ms: int, blob: BlobKey, problem: str = ""
    ) -> tuple[VoiceItem | None, list[Write]]:
        """A contact spoke; the sound is to be fetched. None when the message is here already."""
        if item_id in self._items:
            return None, []
        item = VoiceItem(item_id, contact, False, at_ms, duration_ms, "coming", b"", blob, problem)
        return item, self._keep(item)

    def voice_elsewhere(self, item: VoiceItem) -> list[Write]:
        """Our person spoke on another box; the sound is to be fetched unless it has no blob."""
        known = self._items.get(item.id)
        if isinstance(known, VoiceItem):
            item = msgspec.structs.replace(known, blob=item.blob, silent=item.silent)
        return self._keep(item)

    def voice_came(self, item_id: bytes, duration_ms: int) -> list[Write]:
        """The sound is here, stored with these writes: it blinks, and nothing of the blob is needed any more."""
        return self._fetched(item_id, "delivered", duration_ms=duration_ms)

    def voice_lost(self, item_id: bytes, problem: str) -> list[Write]:
        """The sound will not come."""
        item = self._items.get(item_id)
        ours = item is not None and item.outgoing
        return self._fetched(item_id, "lost", silent=True) if ours else self._fetched(item_id, "lost", problem=problem)

    def voices(self, state: VoiceState) -> list[VoiceItem]:
        """Return the voice messages in this state, oldest first."""
        return [item for item in self._items.values() if isinstance(item, VoiceItem) and item.state == state]

    def coming(self) -> list[VoiceItem]:
        """Return the voice messages whose sound is to be fetched, oldest first."""
        return [item for item in self._items.values() if isinstance(item, VoiceItem) and is_coming(item)]

    def _fetched(self, item_id: bytes, state: VoiceState, **fields: Any) -> list[Write]:
        """The fetching of a sound is over. How far one of ours has come is another matter."""
        item = self._items.get(item_id)
        if not isinstance(item, VoiceItem) or not is_coming(item):
            return []
        fields["state"] = item.state if item.outgoing else state
        return self._keep(msgspec.structs.replace(item, blob=None, **fields))

    # --- calls ---------------------------------------------------------------------------------------------

    def call_ended(
        self,
        call_id: bytes,
        contact: str,
        *,
        outgoing: bool,
        at_ms: int,
        reason: Reason,
        answered: bool,
        duration_s: float = 0.0,
        chain: tuple[str, ...] = (),
        knock: bool = False,
    ) -> tuple[CallItem | None, list[Write]]:
        """Write the line of a call, once per call. None, and nothing is written, for a blocked caller's."""
        if reason is Reason.BLOCKED and not outgoing:
            return None, []
        known = self._items.get(call_id)
        if isinstance(known, CallItem):
            return known, []
        heard = outgoing or answered or reason in _KNOWN_OF
        item = CallItem(call_id, contact, outgoing, at_ms, reason, answered, duration_s, chain, knock, heard)
        return item, self._keep(item)

    def missed_noticed(
        self, call_id: bytes, contact: Contact, controls: Controls, at_ms: int, *, knock: bool
    ) -> tuple[CallItem | None, list[Write]]:
        """The caller's sealed notice of a call that this box may never have seen. None when there is no new line.

        Why it was not seen is told as far as this box can tell now: its controls may have changed meanwhile.
        """
        if call_id in self._items or contact.permission in ("blocked", "request"):
            return None, []
        reason, chain = _why_unseen(contact, controls)
        return self.call_ended(
            call_id, contact.name, outgoing=False, at_ms=at_ms, reason=reason, answered=False, chain=chain, knock=knock
        )

    # --- what happened on another device of ours -----------------------------------------------------------

    def call_elsewhere(self, item: CallItem) -> list[Write]:
        """Take the line of a call that another device made or took: it knows more of it than we, who missed it."""
        known = self._items.get(item.id)
        if isinstance(known, CallItem) and (known.answered or not item.answered):
            return self.heard([item.id])
        return self._keep(item)

    # --- going away ----------------------------------------------------------------------------------------

    def drop(self, writes: Iterable[Write]) -> list[Write]:
        """Follow what retention decided (see `retention`), and return it, to be committed."""
        done, self._unread = list(writes), None
        for write in done:
            if isinstance(write, DeleteItem):
                self._items.pop(write.id, None)
            elif isinstance(write, PutItem) and write.item.id in self._items:
                self._items[write.item.id] = write.item
        return done

    def forget(self, contact: str) -> list[Write]:
        """Destroy everything said with a contact."""
        self._items = {item_id: item for item_id, item in self._items.items() if item.contact != contact}
        self._unread = None
        return [ForgetThread(contact)]

    def _keep(self, item: Item) -> list[Write]:
        before = self._items.get(item.id)
        self._items[item.id], self._unread = item, None
        return [PutItem(item), *self.on_change(before, item)]


def _raised(item: TextItem | VoiceItem, state: TextState) -> TextItem | VoiceItem:
    """Return a message of ours in a later state; what is on a device needs its key here no more."""
    if isinstance(item, VoiceItem) and state in ("delivered", "heard") and not is_coming(item):
        return msgspec.structs.replace(item, state=state, blob=None)
    return msgspec.structs.replace(item, state=state)


def _why_unseen(contact: Contact, controls: Controls) -> tuple[Reason, tuple[str, ...]]:
    if contact.permission == "message":
        return Reason.NOT_ALLOWED, ("may send messages, not ring",)
    if not controls.calls_enabled:
        return Reason.CALLS_DISABLED, ("calls are disabled", "the server refused the call")
    if contact.silenced:
        return Reason.SILENCED, ("calls are enabled", "silenced")
    return Reason.UNREACHABLE, ("calls are enabled", "this box was not reached")
