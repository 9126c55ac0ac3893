"""Agreeing with this account's other devices on settings and contacts.

    a contact or control changes here --diff against the records--> own-records --mail--> the other devices
    once a day, and after a gap: a digest of all records; who has another one sends everything

Records merge the same in any order (`conversations.agreement`).
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from callbox.app.core import Core
from callbox.app.own_devices import OwnDevices
from callbox.app.people import People
from callbox.app.post import Post
from callbox.base.time import Instant
from callbox.conversations import agreement
from callbox.conversations.agreement import Agreement
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.stores import Write
from callbox.wire.bodies import Body, OwnRecord, OwnRecords
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Welcome

DIGEST_EVERY_S = 24 * 3600.0
TELL_SERVER_AFTER_S = 3.0  # what the other devices decided meanwhile comes first


class Agreeing:
    """Both directions of it. Without other devices nothing is recorded or sent."""

    def __init__(self, core: Core, own: OwnDevices, people: People, post: Post, records: Mapping[str, bytes]) -> None:
        self._core = core
        self._own = own
        self._people = people
        self._post = post
        self._agreement = Agreement(core.identity.device, records, core.identity.account_public)
        self._seen: tuple[int, Controls | None] = (-1, None)
        self._names: frozenset[str] = self._agreement.names()
        self.begun = own.holds_key or bool(self._agreement.all())  # False: siblings know contacts that we do not
        self._digest_at: Instant | None = None
        self._digest_now = False
        self._welcome: tuple[Instant, Welcome] | None = None
        self.on_calls: Callable[[bool], None] = lambda enabled: None

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
            self._bury_alone()
            return
        self._note_changes()
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

    def take(self, body: OwnRecords) -> list[Write]:
        """Take the records of one of our own devices; returns the writes that belong to them."""
        records, digest = body.records, body.summary
        self._note_changes()  # ours first, so that what came is not taken for it
        asked = not records and bool(digest)
        taken, writes = self._agreement.merge(records)
        writes += self._apply(taken)
        self._seen = (self._people.revision, self._people.controls)
        self._names = frozenset(contact.name for contact in self._people.all())
        self._mend()
        self.begun = self.begun or (bool(digest) and (bool(records) or digest == self._agreement.digest()))
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
