"""Agreeing with this account's other devices: settings and contacts, own texts and calls, what was heard.

    a contact or control changes here --diff against the records--> own-records --mail--> the other devices
    a text is written, a call made or taken here -----> own-text, own-call, in the same transaction
    a voice message is spoken here -------------------> own-voice, once a copy is at the server (`own_voices`)
    something was sent, delivered, heard ------------> own-marks
    once a day, and after a gap: a digest of all records; who has another one sends everything

Records merge the same in any order (`conversations.agreement`). Messages of before a device was linked are not copied.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

import msgspec

from callbox.app.core import Core
from callbox.app.own_devices import OwnDevices
from callbox.app.people import People
from callbox.app.post import Post
from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.conversations import agreement
from callbox.conversations.agreement import Agreement
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.items import BlobKey, CallItem, Item, TextItem, VoiceItem, is_unread
from callbox.conversations.stores import Delete, Put, Write
from callbox.wire.bodies import Body, OwnCall, OwnMarks, OwnRecord, OwnRecords, OwnText, OwnVoice
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Welcome

AHEAD = "marks_ahead"
MOST_AHEAD = 256
MOST_MARKS = 100  # in one letter
DIGEST_EVERY_S = 24 * 3600.0
TELL_SERVER_AFTER_S = 3.0  # what the other devices decided meanwhile comes first
NO_DEVICE_TOLD = frozenset({Reason.ANSWERED_ELSEWHERE, Reason.DECLINED_ELSEWHERE, Reason.TAKEN, Reason.BLOCKED})
SPOKEN_MARKS = ("queued", "sent", "delivered", "heard")
NO_SOUND = "its sound is on the box where it was spoken"
TOLD_UNANSWERED = frozenset({Reason.DECLINED})


class Agreeing:
    """Both directions of it. Without other devices nothing is recorded or sent."""

    def __init__(
        self,
        core: Core,
        own: OwnDevices,
        people: People,
        post: Post,
        records: Mapping[str, bytes],
        ahead: Iterable[str],
    ) -> None:
        self._core = core
        self._own = own
        self._people = people
        self._post = post
        self._agreement = Agreement(core.identity.device, records, core.identity.account_public)
        self._ahead: OrderedDict[str, None] = OrderedDict((key, None) for key in ahead)
        self._marks: dict[str, tuple[bytes, list[bytes]]] = {}  # of this event: mark -> its letter, and of what
        self._taking = False
        self._seen: tuple[int, Controls | None] = (-1, None)
        self._names: frozenset[str] = self._agreement.names()
        self._digest_at: Instant | None = None
        self._digest_now = False
        self._welcome: tuple[Instant, Welcome] | None = None
        self.on_calls: Callable[[bool], None] = lambda enabled: None
        post.threads.on_change = self._item_changed

    def all(self) -> list[OwnRecord]:
        """Return every record, for a backup."""
        return self._agreement.all()

    # --- in time ------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When the server is to be told what holds here."""
        return self._welcome[0] if self._welcome is not None else None

    def session_up(self, welcome: Welcome) -> None:
        """Tell the server what it does not know of permissions: at once, or after what siblings decided has come."""
        if not self._own.others:
            self._people.session_up(welcome)
            return
        self._welcome = (self._core.now + TELL_SERVER_AFTER_S, welcome)
        if self._digest_at is None or self._core.now - self._digest_at >= DIGEST_EVERY_S:
            self._digest_now = True

    def session_lost(self) -> None:
        """Nobody to tell."""
        self._welcome = None

    def compare(self) -> None:
        """Something may have been missed: compare all records with the other devices soon."""
        self._digest_now = True

    def joined(self, record: DeviceRecord) -> None:
        """A device is new here: it gets everything that is agreed."""
        self._note_changes()
        self._send_all(self._agreement.digest())

    def tick(self) -> None:
        """Send on what changed during this event."""
        if self._welcome is not None and self._core.now >= self._welcome[0]:
            welcome, self._welcome = self._welcome[1], None
            self._people.session_up(welcome)
        if not self._own.others:
            self._marks.clear()
            self._bury_alone()
            return
        self._note_changes()
        if self._marks:
            self._marks.clear()
            self._core.commit([], then=self._post.pump)
        if self._digest_now and self._core.link.up:
            self._digest_now, self._digest_at = False, self._core.now
            self._send(OwnRecords((), self._agreement.digest()))

    # --- what changed here --------------------------------------------------------------------------------------

    def _note_changes(self) -> None:
        """Compare contacts and controls with the records; what differs was changed by this device's person."""
        people = self._people
        now = (people.revision, people.controls)
        if now == self._seen:
            return
        self._seen = now
        changed: list[OwnRecord] = []
        writes: list[Write] = []

        def note(key: str, value: bytes, default: bytes) -> None:
            known = self._agreement.get(key)
            if known is None and value == default:
                return
            if known is not None and key.endswith("/keys") and not agreement.is_decided(value):
                return
            records, written = self._agreement.set(key, value)
            changed.extend(records)
            writes.extend(written)

        names = frozenset(contact.name for contact in people.all())
        for contact in people.all():
            defaults = agreement.default_fields(contact.name)
            for name, value in agreement.contact_fields(contact).items():
                note(f"contact/{contact.name}/{name}", value, defaults[name])
        for gone in sorted(self._names - names):
            records, written = self._agreement.bury(gone)
            changed.extend(records)
            writes.extend(written)
        self._names = names
        defaults = agreement.controls_fields(Controls())
        for name, value in agreement.controls_fields(people.controls).items():
            note(f"controls/{name}", value, defaults[name])
        if changed:
            for portion in agreement.letters(changed):
                writes += self._letter(OwnRecords(portion))
            self._core.commit(writes, then=self._post.pump)

    def _bury_alone(self) -> None:
        """The other boxes were given up: what is on record of an erased contact goes all the same."""
        if self._names and self._people.revision != self._seen[0]:
            self._seen = (self._people.revision, None)  # another device that comes later gets everything
            gone = self._names - {contact.name for contact in self._people.all()}
            self._names -= gone
            writes = [write for name in sorted(gone) for write in self._agreement.bury(name)[1]]
            if writes:
                self._core.commit(writes)

    def _item_changed(self, before: Item | None, after: Item) -> list[Write]:
        """An item of a thread is new or has changed; what other devices should know goes with it."""
        if self._taking or not self._own.others:
            return []
        if before is None:
            return self._ahead_of(after) or self._told(after)
        if isinstance(after, TextItem | VoiceItem) and after.outgoing:
            if isinstance(before, TextItem | VoiceItem) and before.state != after.state:
                return self._mark(after.state, after.id)
        elif is_unread(before) and not is_unread(after):
            return self._mark("heard", after.id)
        return []

    def _mark(self, mark: str, item_id: bytes) -> list[Write]:
        """Put a mark into this event's letter of marks, in the transaction that stores the mark here."""
        if mark not in ("sent", "delivered", "heard"):
            return []
        message_id, ids = self._marks.get(mark, (b"", []))
        if not self._post.is_fresh(message_id) or len(ids) >= MOST_MARKS:
            message_id, ids = self._core.chance.token(16), []
        self._marks[mark] = (message_id, [*ids, item_id])
        body = OwnMarks((*ids, item_id), mark)  # type: ignore[arg-type]  # one of the three
        return self._post.letters_to(self._core.identity.account, body, message_id)

    def _told(self, item: Item) -> list[Write]:
        if isinstance(item, TextItem) and item.outgoing:
            return self._letter(OwnText(item.id, item.contact, item.text, item.ready_made))
        if isinstance(item, CallItem) and (item.outgoing or item.answered or item.reason in TOLD_UNANSWERED):
            line = (item.id, item.contact, item.outgoing, item.reason.value, item.answered, item.duration_s, item.knock)
            return self._letter(OwnCall(*line))
        return []

    def _ahead_of(self, item: Item) -> list[Write]:
        """Another device's person heard this before it came here."""
        if not is_unread(item) or item.id.hex() not in self._ahead:
            return []
        del self._ahead[item.id.hex()]
        self._taking = True
        try:
            return [*self._post.threads.heard([item.id]), Delete(AHEAD, item.id.hex())]
        finally:
            self._taking = False

    # --- letters --------------------------------------------------------------------------------------------------

    def _letter(self, body: Body) -> list[Write]:
        return self._post.letters_to(self._core.identity.account, body)

    def _send(self, body: Body) -> None:
        self._core.commit(self._letter(body), then=self._post.pump)

    def _send_all(self, digest: bytes) -> None:
        portions = agreement.letters(self._agreement.all())
        for portion in portions[:-1]:
            self._send(OwnRecords(portion))
        self._send(OwnRecords(portions[-1], digest))

    # --- what came from another device ----------------------------------------------------------------------------

    def take(self, body: Body) -> list[Write]:
        """Take a letter of one of our own devices; returns the writes that belong to it."""
        self._taking = True
        try:
            match body:
                case OwnRecords(records=records, summary=digest):
                    return self._merge(records, digest)
                case OwnText():
                    threads = self._post.threads
                    if threads.get(body.message_id) is not None:
                        return []
                    _, writes = threads.text_written(
                        body.message_id, body.contact, body.text, self._core.wall_ms, body.ready_made
                    )
                    return writes
                case OwnVoice():
                    return self._voice(body)
                case OwnCall():
                    return self._call(body)
                case OwnMarks(messages=messages, mark=mark):
                    return self._marked(messages, mark)
        finally:
            self._taking = False
        return []

    def _voice(self, body: OwnVoice) -> list[Write]:
        sound, blob = body.sound, None
        if sound is not None and sound.codec == "ogg-opus" and sound.blob:
            blob = BlobKey(sound.key, sound.digest, sound.parts, sound.blob)
        state = body.mark if body.mark in SPOKEN_MARKS else "sent"
        item = VoiceItem(
            body.message_id,
            body.contact,
            True,
            self._core.wall_ms,
            body.duration_ms,
            state,  # type: ignore[arg-type]  # one of SPOKEN_MARKS
            body.message_id,  # its letter is another box's affair; that there is one keeps this one from sending
            blob,
            "" if blob is not None else NO_SOUND,
        )
        return self._post.threads.voice_elsewhere(item)

    def _call(self, body: OwnCall) -> list[Write]:
        try:
            reason = Reason(body.reason)
        except ValueError:
            reason = Reason.FAILED  # of a later version
        if not body.answered and not body.outgoing and reason is Reason.DECLINED:
            reason = Reason.DECLINED_ELSEWHERE
        line = CallItem(
            body.call_id,
            body.contact,
            body.outgoing,
            self._core.wall_ms,
            reason,
            body.answered,
            max(0.0, body.duration_s),
            ("on another device",),
            body.knock,
        )
        return self._post.threads.call_elsewhere(line)

    def _marked(self, messages: Iterable[bytes], mark: str) -> list[Write]:
        threads, writes = self._post.threads, list[Write]()
        for item_id in messages:
            item = threads.get(item_id)
            if item is None:
                writes += self._note_ahead(item_id) if mark == "heard" else []
            elif item.outgoing:
                writes += threads.mark([item_id], mark)  # type: ignore[arg-type]  # sent, delivered or heard
            elif mark == "heard":
                writes += threads.heard([item_id])
        return writes

    def _note_ahead(self, item_id: bytes) -> list[Write]:
        self._ahead[item_id.hex()] = None
        writes: list[Write] = [Put(AHEAD, item_id.hex(), b"")]
        while len(self._ahead) > MOST_AHEAD:
            writes.append(Delete(AHEAD, self._ahead.popitem(last=False)[0]))
        return writes

    def _merge(self, records: Iterable[OwnRecord], digest: bytes) -> list[Write]:
        self._note_changes()  # ours first, so that what came is not taken for it
        asked = not records and bool(digest)
        taken, writes = self._agreement.merge(records)
        writes += self._apply(taken)
        self._seen = (self._people.revision, self._people.controls)
        self._names = frozenset(contact.name for contact in self._people.all())
        self._mend()
        if digest and digest != self._agreement.digest():
            self._send_all(self._agreement.digest() if asked else b"")
        return writes

    def _apply(self, taken: Iterable[OwnRecord]) -> list[Write]:
        """Bring contacts and controls to what the records say."""
        people, writes = self._people, list[Write]()
        contacts: dict[str, dict[str, bytes]] = {}
        controls: dict[str, bytes] = {}
        for record in taken:
            where, _, rest = record.key.partition("/")
            if where == "controls":
                controls[rest] = record.value
            elif where == "gone":
                erased = (contact.name for contact in people.all() if self._agreement.grave(contact.name) == record.key)
                contacts.update({name: {} for name in erased})
            elif where == "contact":
                name, _, field = rest.rpartition("/")
                contacts.setdefault(name, {})[field] = record.value
        for name, fields in contacts.items():
            writes += self._apply_contact(name, fields)
        if controls:
            before = people.controls
            writes += people.agreed_controls(agreement.with_controls(before, controls))
            if people.controls.calls_enabled != before.calls_enabled:
                self.on_calls(people.controls.calls_enabled)
        return writes

    def _apply_contact(self, name: str, fields: Mapping[str, bytes]) -> list[Write]:
        people = self._people
        there = self._agreement.get(f"contact/{name}/there")
        if there is None or there.value != b"1":
            return people.agreed_gone(name)
        known = people.get(name)
        if known is None or known.permission == "request":  # whatever is on record of it counts, not only what is new
            fields = {
                record.key.rpartition("/")[2]: record.value
                for record in self._agreement.all()
                if record.key.startswith(f"contact/{name}/")
            }
        base = known if known is not None else Contact(name)
        if base.permission == "request" and "permission" not in fields:
            base = msgspec.structs.replace(base, permission="message")
        return people.agreed(agreement.with_fields(base, fields))

    def _mend(self) -> None:
        """Two contacts cannot have one dial button: the one whose record is older gives it up, everywhere alike."""
        owners: dict[int, Contact] = {}
        for contact in sorted(self._people.all(), key=self._dial_stamp, reverse=True):
            if contact.dial is None:
                continue
            if contact.dial in owners:
                self._core.commit(self._people.agreed(msgspec.structs.replace(contact, dial=None)))
                self._seen = (-1, None)  # noted as our change, which the other devices make, too
            else:
                owners[contact.dial] = contact

    def _dial_stamp(self, contact: Contact) -> tuple[int, str, str]:
        record = self._agreement.get(f"contact/{contact.name}/dial")
        return (record.counter, record.device, contact.name) if record is not None else (0, "", contact.name)
