"""The post desk: texts and marks on their way out, and the thread that a person sees.

Exactly once to the person, our half of it: the letter and the ratchet that sealed it are on disk before the letter
leaves, the same ciphertext is submitted until the server has it, and it is kept until its device says "delivered".

    write -> thread + outbox (queued) -> sealed -> [on disk] -> submitted -> accepted -> delivered -> gone
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from callbox.app.core import Core
from callbox.app.directory import CLAIM_AGAIN_S, Directory
from callbox.app.facts import item_facts
from callbox.app.inbox import CallLetter, Inbox
from callbox.app.people import People
from callbox.app.saved import Saved
from callbox.audio.facts import Play
from callbox.audio.tones import Tone
from callbox.base.errors import CallboxError, WrongUse
from callbox.base.time import TRUSTED_AFTER_MS, Instant, earliest
from callbox.calls.effects import QueueMissedNotice, RecordCall
from callbox.conversations.admission import TextWelcome
from callbox.conversations.items import CallItem, Item, VoiceItem
from callbox.conversations.outbox import TABLE, Letter, Outbox
from callbox.conversations.retention import Retention, expired
from callbox.conversations.stores import DeleteItem, Write
from callbox.conversations.threads import Threads
from callbox.wire.bodies import Body, Heard, MissedCall, Text
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Accepted, Denied, Envelope, ServerMessage, Submit

LETTER_TTL_S = 30 * 24 * 3600
MAX_TEXT_BYTES = 40_000
SEEK_AGAIN_S = CLAIM_AGAIN_S + 1.0
HAND_OVER_EVERY_S = 24 * 3600.0  # what nobody confirmed: a server's card may have lost what it said was safe

StoredClass = Literal["mail", "receipt"]
_bodies = msgspec.msgpack.Decoder(Body)


class Post:
    """Letters of class mail and receipt, and the threads they belong to."""

    def __init__(self, core: Core, people: People, directory: Directory, saved: Saved) -> None:
        self._core = core
        self._people = people
        self._directory = directory
        self.threads = Threads(saved.store.items(limit=100_000))
        self._outbox = Outbox(saved.store.load(TABLE))
        self._unsaved: set[str] = set()  # sealed, and not on disk yet
        self._reaching: set[str] = set()
        self._sought: dict[str, Instant] = {}  # device without a session -> when to look for one again
        self._hand_over_at: Instant | None = None
        self.on_hand_over: Callable[[], None] = lambda: None
        self.inbox = Inbox(core, people, directory, self.threads, self._outbox, saved)
        self.inbox.on_text = self._text_came
        self.inbox.pump = self.pump

    @property
    def last_contact(self) -> str | None:
        """Whose conversation was last: whom the talk button calls back. Never a stranger who only wrote."""
        return self.threads.last_contact(self._people.is_taken_in)

    @property
    def unread(self) -> int:
        """How many messages and missed calls the person has not seen."""
        return len(self.threads.unread())

    @property
    def deadline(self) -> Instant | None:
        """When something waits for time alone."""
        return earliest(self._outbox.deadline, self.inbox.deadline, self._hand_over_at, *self._sought.values())

    # --- what a person says ------------------------------------------------------------------------------------

    def write(self, contact: str, text: str, ready_made: bool = False) -> dict[str, Any]:
        """Queue a text for every device of a contact. Raises WrongUse for what cannot be a text."""
        known = self._people.get(contact)
        if known is None or known.permission == "blocked":
            raise self._people.no_contact(contact)
        if not text.strip():
            raise WrongUse("There is nothing to send.")
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise WrongUse(
                "This message is too long.", f"It may have up to {MAX_TEXT_BYTES} bytes; split it into parts."
            )
        if self._core.ledger.full:
            raise CallboxError("The box cannot store any more messages now.", self._core.ledger.fault or "")
        message_id = self._core.chance.token(16)
        item, writes = self.threads.text_written(message_id, known.name, text, self._core.wall_ms, ready_made)
        self.queue(message_id, known.name, "mail", Text(text, ready_made), writes)
        return {"ok": True, "id": message_id.hex(), "contact": known.name, "state": item.state}

    def ready_text(self, contact: str) -> None:
        """Send the text that stands ready for declined calls."""
        self.write(contact, self._core.settings.calls.ready_text, ready_made=True)

    def state_of(self, message_id: bytes) -> str | None:
        """Return queued, sent, delivered, heard or unsent."""
        item = self.threads.get(message_id)
        return getattr(item, "state", None)

    def messages(self, contact: str | None, last: int, read: bool) -> dict[str, Any]:
        """Return the newest items, oldest first, and mark them as read if asked to."""
        items = self.threads.items(contact, limit=last)
        facts = [item_facts(item) for item in reversed(items)]
        if read:
            self.heard(items)
        return {"ok": True, "items": facts}

    def why(self, limit: int = 10) -> dict[str, Any]:
        """Return the newest calls that did not ring, each with its chain of reasons."""
        return {"ok": True, "items": [item_facts(item) for item in self.threads.why(limit)]}

    def heard(self, items: list[Item]) -> None:
        """The person heard or read these: they blink no more, and their senders learn of it. Strangers do not."""
        unread = [item for item in self.threads.unread() if item in items]
        self._core.commit(self.threads.heard(item.id for item in unread))
        for item in unread:
            if not isinstance(item, CallItem) and self._people.is_taken_in(item.contact):
                self.queue(self._core.chance.token(16), item.contact, "receipt", Heard((item.id,), "heard"), [])

    def delete(self, item_id: bytes) -> None:
        """Delete an item of a thread, here and for good. What has not left yet is never sent."""
        item = self.threads.get(item_id)
        letter = item.letter if isinstance(item, VoiceItem) else item_id
        self._core.commit([*self.threads.drop([DeleteItem(item_id)]), *self._outbox.withdrawn(letter)])

    def forget(self, contact: str) -> list[Write]:
        """Destroy a thread, its key first, and whatever of it or for its contact waits to be sent."""
        return [*self.threads.forget(contact), *self._outbox.without_account(contact)]

    @property
    def waiting(self) -> int:
        """How many letters are on their way."""
        return len(self._outbox)

    # --- calls in the thread -----------------------------------------------------------------------------------

    def call_recorded(self, call: RecordCall) -> None:
        """Write the line of a call that is over."""
        _, writes = self.threads.call_ended(
            call.call_id,
            call.contact,
            outgoing=call.outgoing,
            at_ms=self._core.wall_ms,
            reason=call.reason,
            answered=call.answered,
            duration_s=call.duration_s,
            chain=call.chain,
            knock=call.knock,
        )
        if writes:
            self._core.commit(writes)

    def missed_call(self, notice: QueueMissedNotice) -> None:
        """Tell the far end, sealed, that it missed this call."""
        body = MissedCall(notice.call_id, notice.rang_ms, notice.knock)
        self.queue(self._core.chance.token(16), notice.contact, "mail", body, [])

    # --- on the way --------------------------------------------------------------------------------------------

    def session_up(self) -> None:
        """There is a session: send what waits."""
        self._hand_over_at = self._hand_over_at or self._core.now + HAND_OVER_EVERY_S
        self.pump()

    def session_lost(self) -> None:
        """Nothing that is under way will be answered: it is sent again in the next session."""
        self._outbox.link_lost()
        self._reaching.clear()
        self._sought.clear()
        self.inbox.session_lost()

    def device_gone(self, device: str) -> None:
        """A device was given up by its account: what it did not take goes to the account's others."""
        self._core.commit(self._outbox.readdress(device), then=self.pump)

    def confirmed(self, account: str) -> None:
        """A person confirmed the key of a contact: what waited for that may go, also what a lost box did not take."""
        self._reaching.discard(account)
        for record in self._directory.given_up(account):
            self._core.commit(self._outbox.readdress(record.device))
        self.pump()

    def devices_changed(self, account: str) -> None:
        """An account has other devices, or keys where it had none: what waited for that tries again."""
        self._reaching.discard(account)
        known = {record.device for record in self._directory.devices(account)}
        self._sought = {device: due for device, due in self._sought.items() if device not in known}
        if self._outbox.waits_for(account):
            self._reach(account)
        elif self._people.is_taken_in(account):
            self._directory.refresh(account)  # or the next text would pass its new device by
        self.pump()

    def is_fresh(self, message_id: bytes) -> bool:
        """Say whether a body may still be put anew."""
        return self._outbox.is_fresh(message_id)

    def resubmit(self) -> None:
        """The server may have forgotten what it took from us."""
        self._core.commit(self._outbox.resubmit(), then=self.pump)

    def letters_to(self, account: str, body: Body, message_id: bytes | None = None) -> list[Write]:
        """Return the writes that queue a body for every device of an account; call `pump` once they are stored.

        `message_id`: of letters that are not sealed yet (`is_fresh`), which get this body instead.
        """
        devices = [record.device for record in self._directory.devices(account)]
        encoded = msgspec.msgpack.encode(body)
        message_id = message_id or self._core.chance.token(16)
        return self._outbox.queue(message_id, account, "mail", encoded, self._core.wall_ms, devices)[1]

    def tick(self) -> None:
        """Retry what was refused."""
        now = self._core.now
        self.inbox.tick()
        if self._hand_over_at is not None and now >= self._hand_over_at:
            self._hand_over_at = now + HAND_OVER_EVERY_S
            self.resubmit()
            self.on_hand_over()
        if self._outbox.deadline is not None and now >= self._outbox.deadline:
            self._outbox.tick(now)
            self.pump()
        if any(due <= now for due in self._sought.values()):
            self._sought = {device: due for device, due in self._sought.items() if due > now}
            self.pump()

    def pump(self) -> None:
        """Move every letter as far as it goes now."""
        if not self._core.link.up:
            return
        for account in self._outbox.unaddressed():
            self._reach(account)
        for letter in self._outbox.sealable():
            self._seal(letter)
        for letter in self._outbox.submittable(self._core.now):
            if letter.key not in self._unsaved:
                self._submit(letter)

    def queue(self, message_id: bytes, account: str, cls: StoredClass, body: Body, writes: Sequence[Write]) -> None:
        """Take a body for every device of an account, with what is to be stored in the same transaction."""
        devices = [record.device for record in self._directory.devices(account)]
        encoded = msgspec.msgpack.encode(body)
        earlier = self._outbox.addressed(account, devices)  # what waited for the devices goes before it
        _, queued = self._outbox.queue(message_id, account, cls, encoded, self._core.wall_ms, devices)
        self._core.commit([*writes, *earlier, *queued], then=self.pump)

    def _reach(self, account: str) -> None:
        """Find an account's devices and a session with each, then address what waits for it."""
        if account in self._reaching:
            return
        self._reaching.add(account)

        def reached(records: list[DeviceRecord]) -> None:
            self._reaching.discard(account)
            self._core.commit(self._outbox.addressed(account, [record.device for record in records]), then=self.pump)

        def failed(why: str) -> None:
            if why != "offline":  # stays in `_reaching`: asked again in the next session
                self._core.warn(f"letters to {account} wait: {why}")

        self._directory.reach(account, "mail", reached, failed)

    def _seal(self, letter: Letter) -> None:
        core = self._core
        record = self._directory.record(letter.to_account, letter.to_device)
        if record is not None and not self._directory.may_write(record):
            return  # until its key is confirmed
        if record is None or not core.sessions.has(letter.to_device, "mail"):
            if letter.to_device not in self._sought:
                self._sought[letter.to_device] = core.now + SEEK_AGAIN_S
                self._reach(letter.to_account)
            return
        envelope = core.seal(record, letter.cls, _bodies.decode(letter.body), LETTER_TTL_S, letter.message_id)
        writes = self._outbox.sealed(letter, envelope.olm_type, envelope.ciphertext)

        def stored() -> None:
            self._unsaved.discard(letter.key)
            self.pump()

        self._unsaved.add(letter.key)
        core.commit(writes, then=stored)

    def _submit(self, letter: Letter) -> None:
        core = self._core
        self._outbox.submitted(letter)
        envelope = Envelope(
            cls=letter.cls,
            message_id=letter.message_id,
            from_account=core.identity.account,
            from_device=core.identity.device,
            to_account=letter.to_account,
            to_device=letter.to_device,
            ttl_s=LETTER_TTL_S,
            olm_type=0 if letter.olm_type == 0 else 1,
            ciphertext=letter.ciphertext,
        )

        def answered(message: ServerMessage | None) -> None:
            if isinstance(message, Accepted):
                writes = self._outbox.accepted(letter)
                core.commit([*writes, *self.threads.mark([letter.message_id], "sent")], then=self.pump)
            elif isinstance(message, Denied):
                self._refused(letter, message)

        core.request(lambda number: Submit(number, envelope), answered)

    def _refused(self, letter: Letter, denied: Denied) -> None:
        given_up, writes = self._outbox.refused(letter, denied.why, self._core.now, denied.retry_after_s)
        if given_up:
            writes = [*writes, *self.threads.unsent(letter.message_id, denied.why)]
            self._core.warn(f"a letter to {letter.to_account} was refused for good: {denied.why}")
        self._core.commit(writes, then=self.pump)

    # --- what came ---------------------------------------------------------------------------------------------

    def delivered(self, envelope: Envelope) -> None:
        """Take a letter that the server brought."""
        self.inbox.delivered(envelope)

    @property
    def on_call_letter(self) -> CallLetter:
        """Where letters of calls go, opened."""
        return self.inbox.on_call_letter

    @on_call_letter.setter
    def on_call_letter(self, receive: CallLetter) -> None:
        self.inbox.on_call_letter = receive

    def _text_came(self, welcome: TextWelcome) -> None:
        """A text is safe here: tell the person."""
        if welcome in ("read", "request"):
            self._core.emit(Play(Tone.MESSAGE, False))

    def retire(self, keep: Retention) -> None:
        """Let go of what is too old; an untrusted clock deletes nothing."""
        now_ms = self._core.wall_ms
        writes = self.threads.drop(expired(self.threads.items(limit=1_000_000), now_ms, TRUSTED_AFTER_MS, keep))
        gone, outbox_writes = self._outbox.expired(now_ms, TRUSTED_AFTER_MS)
        unsent = [write for letter in gone for write in self.threads.unsent(letter.message_id, "expired")]
        writes = [*writes, *outbox_writes, *unsent, *self.inbox.seen.expired(now_ms, TRUSTED_AFTER_MS)]
        if writes:
            self._core.commit(writes)
