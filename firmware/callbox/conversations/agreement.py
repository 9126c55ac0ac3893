"""How the devices of one account come to agree on contacts and controls, whatever the order in which they hear of it.

Each field of each contact, and each control, is a record of its own: key, value and a stamp (counter, device). A device
that changes one takes a counter above all that it has seen; of two values for a key the one with the higher stamp
counts. Merging is therefore the same in any order, any number of times.

    contact/NAME/there        "1"
    contact/NAME/keys         which key is theirs, and whether a person vouched for it
    contact/NAME/FIELD        every other field
    gone/HASH                 a contact that was erased: whatever is older of the one whose name has this hash is void
    controls/FIELD

A field at its default, never touched, has no record: so a new device brings no defaults of its own along. Keys that
this version does not know are kept and passed on.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.stores import Delete, Put, Write, read_rows
from callbox.wire.bodies import OwnRecord

TABLE = "own_records"
LETTER_BYTES = 24_000
MOST_RECORDS = 50_000
MOST_COUNTER = 2**62
GRAVE_DIGITS = 32
KEY_FIELDS = ("account_key", "verified", "carded", "fingerprint", "former_keys")
_LOCAL_FIELDS = frozenset({"name", "changed_key"})  # what this device itself met; it does not travel
_encode = msgspec.msgpack.Encoder(order="deterministic").encode
Fields = dict[str, bytes]


class Agreement:
    """All records of this device. Every change returns its writes."""

    def __init__(self, device: str, loaded: Mapping[str, bytes], account_key: bytes = b"") -> None:
        self._device = device
        self._account_key = account_key
        self._records = read_rows(OwnRecord, TABLE, loaded.items())
        self._counter = max((record.counter for record in self._records.values()), default=0)

    def get(self, key: str) -> OwnRecord | None:
        return self._records.get(key)

    def all(self) -> list[OwnRecord]:
        """Return every record, by key."""
        return [self._records[key] for key in sorted(self._records)]

    def digest(self) -> bytes:
        """Return 32 bytes that are the same on two devices exactly when their records are."""
        return hashlib.sha256(_encode(self.all())).digest()

    def set(self, key: str, value: bytes) -> tuple[list[OwnRecord], list[Write]]:
        """This device's person set a value. Nothing, if it is the same."""
        known = self._records.get(key)
        if known is not None and known.value == value:
            return [], []
        self._counter += 1
        record = OwnRecord(key, value, self._counter, self._device)
        return [record], self._keep(record)

    def names(self) -> frozenset[str]:
        """Return the contacts that are on record, whole or as an earlier version left those that it erased."""
        return frozenset(_name_in(key) for key in self._records if key.endswith("/there"))

    def grave(self, name: str) -> str:
        """Return the key that stands for an erased contact. It holds no name; who guesses one can tell."""
        salted = b"CALLBOX1 gone" + self._account_key + name.encode()
        return "gone/" + hashlib.sha256(salted).hexdigest()[:GRAVE_DIGITS]

    def bury(self, name: str) -> tuple[list[OwnRecord], list[Write]]:
        """A contact was erased here: all that is on record of it goes. Nothing, if there is nothing."""
        if not any(_name_in(key) == name for key in self._records):
            return [], []
        self._counter += 1
        record = OwnRecord(self.grave(name), b"1", self._counter, self._device)
        return [record], [*self._keep(record), *self._clear()]

    def _is_void(self, record: OwnRecord) -> bool:
        """A field lives as its contact does: what another device changed while this one erased it does not stay."""
        name = _name_in(record.key)
        grave = self._records.get(self.grave(name)) if name else None
        if grave is None:
            return False
        there = record if record.key.endswith("/there") else self._records.get(f"contact/{name}/there")
        return there is None or _stamp(there) < _stamp(grave) or _stamp(record) < _stamp(grave)

    def _clear(self) -> list[Write]:
        if not any(key.startswith("gone/") for key in self._records):
            return []
        void = [key for key, record in self._records.items() if self._is_void(record)]
        for key in void:
            del self._records[key]
        return [Delete(TABLE, key) for key in void]

    def merge(self, records: Iterable[OwnRecord]) -> tuple[list[OwnRecord], list[Write]]:
        """Take another device's records; return those that count now."""
        taken: list[OwnRecord] = []
        for record in records:
            known = self._records.get(record.key)
            if record.counter > MOST_COUNTER or (known is None and len(self._records) >= MOST_RECORDS):
                continue
            if known is None or _stamp(known) < _stamp(record):
                taken.append(record)
                self._records[record.key] = record
            self._counter = max(self._counter, record.counter)
        void = self._clear()
        taken = [record for record in taken if record.key in self._records]
        return taken, [*(_put(record) for record in taken), *void]

    def _keep(self, record: OwnRecord) -> list[Write]:
        self._records[record.key] = record
        return [_put(record)]


def _put(record: OwnRecord) -> Put:
    return Put(TABLE, record.key, msgspec.msgpack.encode(record))


def _name_in(key: str) -> str:
    """Return which contact a key is about, "" for any other key."""
    where, _, rest = key.partition("/")
    return rest.rpartition("/")[0] if where == "contact" else ""


def _stamp(record: OwnRecord) -> tuple[int, str, bytes]:
    """The value decides last: a device that was restored may have used a counter twice."""
    return record.counter, record.device, record.value


def letters(records: Iterable[OwnRecord]) -> list[tuple[OwnRecord, ...]]:
    """Return records in portions that fit a letter; at least one portion, perhaps empty.

    First whether a contact is there at all, for without that its fields are not taken once it was erased.
    """
    records = sorted(records, key=lambda record: not record.key.endswith("/there"))
    portions: list[list[OwnRecord]] = [[]]
    size = 0
    for record in records:
        taken = len(msgspec.msgpack.encode(record))
        if portions[-1] and size + taken > LETTER_BYTES:
            portions.append([])
            size = 0
        portions[-1].append(record)
        size += taken
    return [tuple(portion) for portion in portions]


# --- contacts and controls as fields --------------------------------------------------------------------------


class Keys(msgspec.Struct, frozen=True):
    """Which account key a contact has. Stays together: half of it would be wrong."""

    account_key: bytes | None = None
    verified: bool = False
    carded: bool = False
    fingerprint: str = ""
    former_keys: tuple[bytes, ...] = ()

    @property
    def decided(self) -> bool:
        """Whether a person said something about it; otherwise it is only the first key that came along."""
        return self.verified or self.carded or bool(self.former_keys)


def keys_of(contact: Contact) -> Keys:
    return Keys(**{name: getattr(contact, name) for name in KEY_FIELDS})


def is_decided(keys: bytes) -> bool:
    """Say whether a person said something about these encoded keys."""
    return msgspec.msgpack.decode(keys, type=Keys).decided


def contact_fields(contact: Contact) -> Fields:
    """Return what travels of a contact, by the last part of its keys. A mere request is nobody's decision: nothing."""
    if contact.permission == "request":
        return {}
    plain = {
        name: _encode(getattr(contact, name))
        for name in Contact.__struct_fields__
        if name not in _LOCAL_FIELDS and name not in KEY_FIELDS
    }
    return {"there": b"1", **plain, "keys": _encode(keys_of(contact))}


def default_fields(name: str) -> Fields:
    """Return what a contact has of whom nothing is known."""
    return {**contact_fields(Contact(name)), "there": b"0"}


def with_fields(contact: Contact, fields: Mapping[str, bytes]) -> Contact:
    """Return a contact with what came of it; what this version cannot read changes nothing."""
    for name, value in fields.items():
        try:
            if name == "keys":
                contact = _with_keys(contact, msgspec.msgpack.decode(value, type=Keys))
            elif name in Contact.__struct_fields__ and name not in _LOCAL_FIELDS and name not in KEY_FIELDS:
                whole = {**msgspec.structs.asdict(contact), name: msgspec.msgpack.decode(value)}
                contact = msgspec.convert(whole, Contact)
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError, TypeError):
            continue
    return contact


def _with_keys(contact: Contact, keys: Keys) -> Contact:
    """What a person vouched for counts everywhere. A first key that came along never displaces another one."""
    if keys.account_key != contact.account_key:
        if not keys.decided and (contact.account_key is not None or contact.carded):
            return contact
        met = contact.changed_key or contact.account_key
        known = met is None or met == keys.account_key or met in keys.former_keys
        contact = msgspec.structs.replace(contact, changed_key=None if known else met)
    elif not keys.decided and keys_of(contact).decided:
        return contact
    return msgspec.structs.replace(contact, **{name: getattr(keys, name) for name in KEY_FIELDS})


def controls_fields(controls: Controls) -> Fields:
    """Return every control, by name."""
    return {name: _encode(getattr(controls, name)) for name in Controls.__struct_fields__}


def with_controls(controls: Controls, fields: Mapping[str, bytes]) -> Controls:
    """Return controls with what came of them; what this version cannot read changes nothing."""
    for name, value in fields.items():
        try:
            if name in Controls.__struct_fields__:
                whole = {**msgspec.structs.asdict(controls), name: msgspec.msgpack.decode(value)}
                controls = msgspec.convert(whole, Controls)
        except (msgspec.ValidationError, msgspec.DecodeError, ValueError, TypeError):
            continue
    return controls
