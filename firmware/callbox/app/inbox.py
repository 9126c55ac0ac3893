"""Letters that come: opened, checked, stored, and only then acknowledged.

Exactly once to the person, the receiving half: what a letter says, the ratchet that opened it and its id are one
transaction; the acknowledgement goes to the server after it, and the "delivered" mark to the sender.

A letter of a device that is not known yet waits, with all that come after it from there, until its record is fetched.
"""

from collections import deque
from collections.abc import Callable

import msgspec

from callbox.app.core import Core
from callbox.app.directory import Directory
from callbox.app.people import People
from callbox.app.saved import Saved
from callbox.base.time import Instant, earliest
from callbox.conversations.admission import TextWelcome, welcome_text
from callbox.conversations.items import BlobKey
from callbox.conversations.outbox import Outbox
from callbox.conversations.seen import TABLE as SEEN
from callbox.conversations.seen import Seen
from callbox.conversations.stores import Write
from callbox.conversations.threads import Threads
from callbox.crypto.errors import NoSession, NoSuchPrekey, NotTried, Undecryptable, Untrusted
from callbox.crypto.letters import open_letter, session_class
from callbox.crypto.sessions import FAILURE_WINDOW_S
from callbox.wire.bodies import (
    Body,
    DeviceList,
    Heard,
    Inner,
    MissedCall,
    OwnCall,
    OwnMarks,
    OwnRecords,
    OwnText,
    OwnVoice,
    OwnVoiceWanted,
    Probe,
    Text,
    VoiceMessage,
)
from callbox.wire.names import is_valid_name
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Acknowledge, ClaimPrekeys, Devices, Envelope, ServerMessage

MAX_HELD = 64  # letters of one device that wait for its record
MAX_SENDERS_HELD = 32
MAX_EARLY = 16  # letters; more would fill the window in which the contacts come
EARLY_S = 600.0
MAX_REQUESTS = 32  # strangers who wait for an answer; what more of them write is dropped
UNCONFIRMED = "from a new box that is not confirmed"
CALL_LETTERS_REMEMBERED = 256
MAX_TOLD_AGAIN = 1024

CallLetter = Callable[[Inner, DeviceRecord], None]


class Inbox:
    """Opens envelopes; a pure part of the post desk."""

    def __init__(
        self, core: Core, people: People, directory: Directory, threads: Threads, outbox: Outbox, saved: Saved
    ) -> None:
        self._core = core
        self._people = people
        self._directory = directory
        self._threads = threads
        self._outbox = outbox
        self.seen = Seen(saved.store.load(SEEN))
        self._call_letters: deque[tuple[str, bytes]] = deque(maxlen=CALL_LETTERS_REMEMBERED)
        self._held: dict[tuple[str, str], deque[Envelope]] = {}
        self._renewing: set[tuple[str, str]] = set()
        self._early: dict[tuple[str, str], Instant] = {}  # of `_held`: until when they wait for the contacts
        self.knows_contacts: Callable[[], bool] = lambda: True
        self._told_again: set[tuple[str, bytes]] = set()
        self._not_tried: dict[str, tuple[Instant, DeviceRecord]] = {}  # device -> when to ask for its letters again
        self.on_own: Callable[[str, Body], list[Write]] = lambda account, body: []
        self.on_call_letter: CallLetter = lambda inner, record: None
        self.on_offer_again: Callable[[DeviceRecord], None] = lambda record: None
        self.on_call_session: Callable[[str], None] = lambda account: None
        self.on_text: Callable[[TextWelcome], None] = lambda welcome: None
        self.on_voice: Callable[[], None] = lambda: None
        self.on_no_such_prekey: Callable[[], None] = lambda: None
        self.pump: Callable[[], None] = lambda: None

    def delivered(self, envelope: Envelope) -> None:
        """Take an envelope from the server."""
        sender = (envelope.from_account, envelope.from_device)
        if not is_valid_name(envelope.from_account):
            self._core.complain("the server delivered a letter of an impossible name; dropped")
            self._acknowledge(envelope)
            return
        held = self._held.get(sender)
        if held is not None:
            if len(held) < MAX_HELD:
                held.append(envelope)
            return
        if len(self._held) >= MAX_SENDERS_HELD:
            return  # not acknowledged, so it comes again
        self._held[sender] = deque([envelope])
        if envelope.cls == "mail" and self._may_be_a_contact(envelope.from_account):
            self._early[sender] = self._core.now + EARLY_S
        else:
            self._look_up(sender)

    def _may_be_a_contact(self, account: str) -> bool:
        """A box that was just linked takes nobody for a stranger before its siblings told it who is none."""
        own = account == self._core.identity.account
        return not own and not self.knows_contacts() and self._people.get(account) is None

    def _look_up(self, sender: tuple[str, str]) -> None:
        self._directory.look_up(
            *sender, lambda record: self._open_held(sender, record), lambda: self._held.pop(sender, None)
        )

    def _take_early(self) -> None:
        """Open what waited for the contacts, once they are here, or never come."""
        many = sum(len(self._held[sender]) for sender in self._early) > MAX_EARLY
        for sender, until in list(self._early.items()):
            if many or self.knows_contacts() or until <= self._core.now:
                del self._early[sender]
                self._look_up(sender)

    @property
    def deadline(self) -> Instant | None:
        """When a device is to be asked for what was not even tried, or early letters wait no more."""
        return earliest(*(due for due, _ in self._not_tried.values()), *self._early.values())

    def tick(self) -> None:
        """After a flood of letters that did not open: a probe has the sender seal anew what we did not confirm."""
        self._take_early()
        for device, (due, record) in list(self._not_tried.items()):
            if due <= self._core.now:
                del self._not_tried[device]
                if self._core.sessions.has(device, "mail") and self._directory.may_write(record):
                    self._directory.probe(record, "mail")

    def session_lost(self) -> None:
        """Unanswered look-ups are over; the server delivers again what was not acknowledged."""
        self._held.clear()
        self._early.clear()
        self._renewing.clear()
        self._told_again.clear()

    def _open_held(self, sender: tuple[str, str], record: DeviceRecord | None) -> None:
        for envelope in self._held.pop(sender, ()):
            if record is None:
                self._core.complain(f"a letter of {sender[0]} is from a device that its account does not have; dropped")
                self._acknowledge(envelope)
            elif self._directory.meet(record) == "former":
                self._core.complain(f"a letter of {sender[0]} is from a box that was given up for a new one; dropped")
                self._acknowledge(envelope)
            else:
                self._open(envelope, record)

    def _open(self, envelope: Envelope, record: DeviceRecord) -> None:
        core = self._core
        if envelope.cls != "call" and (envelope.from_device, envelope.message_id) in self.seen:
            self._seen_again(envelope, record)
            return
        if envelope.cls == "call":
            letter = (envelope.from_device, envelope.message_id)
            if letter in self._call_letters:
                self.on_offer_again(record)  # the server hands a live offer out again to a box that reconnects
                return
            self._call_letters.append(letter)
        try:
            inner = open_letter(core.sessions, core.identity, record, envelope, core.now)
        except Undecryptable as error:
            core.complain(f"a letter of {record.account} does not open: {error}")
            self._acknowledge(envelope)
            if isinstance(error, NoSuchPrekey):
                self.on_no_such_prekey()
            if isinstance(error, NotTried) and envelope.cls != "call" and len(self._not_tried) < MAX_SENDERS_HELD:
                self._not_tried.setdefault(record.device, (core.now + FAILURE_WINDOW_S, record))
            self._renew(record, envelope)
        except Untrusted as error:
            core.complain(f"a letter said to be of {record.account} was refused: {error}")
            core.commit([], then=lambda: self._acknowledge(envelope))
        else:
            if envelope.cls == "call":
                core.commit([], urgent=True)
                self.on_call_letter(inner, record)
            else:
                self._store(envelope, inner, record)

    def _seen_again(self, envelope: Envelope, record: DeviceRecord) -> None:
        """A letter that is here already: its acknowledgement was lost, or the server was restored from a backup.

        Then our "delivered" may be lost too, and the sender waits for it: say it once more, once per session.
        """
        letter = (envelope.from_device, envelope.message_id)
        known = self._people.get(record.account)
        silent = known is not None and known.permission == "blocked"
        told = silent or letter in self._told_again or len(self._told_again) >= MAX_TOLD_AGAIN
        if envelope.cls == "mail" and not told:
            self._told_again.add(letter)
            self._core.commit(self._delivered(envelope.message_id, record), then=self.pump)
        self._acknowledge(envelope)

    def _delivered(self, message_id: bytes, record: DeviceRecord) -> list[Write]:
        """Queue the mark for a letter of this device."""
        core, receipt = self._core, msgspec.msgpack.encode(Heard((message_id,), "delivered"))
        token, device = core.chance.token(16), [record.device]
        return self._outbox.queue(token, record.account, "receipt", receipt, core.wall_ms, device)[1]

    def _store(self, envelope: Envelope, inner: Inner, record: DeviceRecord) -> None:
        core, account = self._core, record.account
        writes: list[Write] = list(self.seen.note(record.device, inner.message_id, core.wall_ms))
        confirmed, welcome = self._people.confirmed(record), self._welcome(inner, record)
        problem = UNCONFIRMED if not confirmed and self._people.get(account) is not None else ""
        match inner.body:
            case Text() if welcome != "drop":
                writes += self._text(inner, inner.body, record, problem)
            case VoiceMessage() if welcome != "drop":
                writes += self._voice(inner.body, account, problem)
            case Heard(messages=messages, mark=mark):
                writes += self._outbox.delivered(record.device, messages)
                writes += self._threads.mark(messages, mark, account) if confirmed else []
            case MissedCall(call_id=call_id, knock=knock):
                contact = self._people.get(account)
                if contact is not None and confirmed:
                    _, missed = self._threads.missed_noticed(
                        call_id, contact, self._people.controls, core.wall_ms, knock=knock
                    )
                    writes += missed
            case DeviceList() | OwnRecords() | OwnText() | OwnVoice() | OwnVoiceWanted() | OwnCall() | OwnMarks():
                writes += self.on_own(account, inner.body)
            case Probe():
                writes += self._outbox.reseal(record.device)
        if envelope.cls == "mail" and welcome != "drop":  # to whom we drop, we look switched off
            writes += self._delivered(inner.message_id, record)

        def stored() -> None:
            self._acknowledge(envelope)
            if isinstance(inner.body, Text) and welcome != "drop":
                self.on_text(welcome)
            elif isinstance(inner.body, VoiceMessage | OwnVoice | OwnVoiceWanted):
                self.on_voice()
            self.pump()

        core.commit(writes, then=stored)

    def _welcome(self, inner: Inner, record: DeviceRecord) -> TextWelcome:
        """Decide what becomes of a letter's text; other letters are read, unless they come from somebody blocked."""
        people, contact = self._people, self._people.get(record.account)
        if isinstance(inner.body, VoiceMessage):  # a stranger's one request is a text
            return "quietly" if people.is_taken_in(record.account) else "drop"
        if not isinstance(inner.body, Text):
            return "drop" if contact is not None and contact.permission == "blocked" else "read"
        size = len(inner.body.text.encode())
        only_contacts = self._core.settings.family.only_contacts
        welcome = welcome_text(contact, people.controls, people.minute_of_week, size, only_contacts=only_contacts)
        return "drop" if welcome == "request" and people.requests >= MAX_REQUESTS else welcome

    def _text(self, inner: Inner, body: Text, record: DeviceRecord, problem: str) -> list[Write]:
        people, core = self._people, self._core
        writes = people.requested(record) if people.get(record.account) is None else []
        _, kept = self._threads.text_received(
            inner.message_id, record.account, body.text, core.wall_ms, body.ready_made, problem
        )
        return [*writes, *kept]

    def _voice(self, body: VoiceMessage, account: str, problem: str) -> list[Write]:
        key = BlobKey(body.key, body.digest, body.parts)
        _, kept = self._threads.voice_coming(body.blob, account, body.duration_ms, self._core.wall_ms, key, problem)
        if body.codec != "ogg-opus":
            kept += self._threads.voice_lost(body.blob, "it is of a kind that this version cannot play")
        return kept

    def _acknowledge(self, envelope: Envelope) -> None:
        if envelope.cls != "call":
            self._core.say(Acknowledge(((envelope.from_device, envelope.message_id),)))

    # --- a wedged session ----------------------------------------------------------------------------------------

    def _renew(self, record: DeviceRecord, envelope: Envelope) -> None:
        """Make the session anew, at most once an hour, and say so by a probe: the sender then seals again."""
        core = self._core
        cls = session_class(envelope.cls)
        slot = (record.device, cls)
        if slot in self._renewing or not core.sessions.may_renew(record.device, cls, core.now):
            return
        self._renewing.add(slot)

        def claimed(message: ServerMessage | None) -> None:
            self._renewing.discard(slot)
            entry = None
            if isinstance(message, Devices):
                entry = next((one for one in message.devices if one.key and self._directory.is_of(one, record)), None)
            if entry is None or entry.key is None:
                return
            try:
                core.sessions.renew(record, cls, entry.key, core.now)
            except (NoSession, Untrusted) as error:
                core.warn(f"the session with {record.account} could not be made anew: {error}")
                return
            self._directory.probe(record, cls)
            if cls == "call":
                self.on_call_session(record.account)

        core.request(lambda number: ClaimPrekeys(number, record.account, (record.device,)), claimed)
