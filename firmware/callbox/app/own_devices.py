"""The devices of this account: which there are, signing further ones, giving some up.

Whoever holds the account's key (its first box, or one restored from the backup) signs records; every device keeps those
of all the others, and puts to the server what it lacks: after a restore of its backup it may have forgotten a device,
or that one was given up. Contacts hear of a change from the server and, sealed, from the box that made it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from callbox.app.core import Core
from callbox.app.directory import Directory
from callbox.base.errors import CallboxError, WrongUse
from callbox.conversations.stores import Put
from callbox.crypto.errors import Untrusted
from callbox.crypto.records import verify_record
from callbox.wire.bodies import DeviceList
from callbox.wire.records import DeviceRecord, SignedRecord
from callbox.wire.signals import Accepted, Denied, Devices, FetchDevices, PutRecord, ServerMessage

TABLE = "own_devices"
MOST_UNHEARD = 3
REVOKED_PUT = 8  # as many as the server tells of

_signed = msgspec.msgpack.Decoder(SignedRecord)


class OwnDevices:
    """Records of this account's other devices, given-up ones too, each with its signatures."""

    def __init__(self, core: Core, directory: Directory, saved: Mapping[str, bytes]) -> None:
        self._core = core
        self._directory = directory
        self._known: dict[str, tuple[DeviceRecord, SignedRecord]] = {}
        self._putting: set[str] = set()
        self._unheard = 0
        self.on_joined: Callable[[DeviceRecord], None] = lambda record: None
        self.tell_contacts: Callable[[DeviceList], None] = lambda body: None
        for value in saved.values():
            signed = _signed.decode(value)
            record = verify_record(signed, core.identity.account_public)
            self._known[record.device] = (record, signed)
        directory.on_own = self._seen
        directory.told(core.identity.account, [signed for _, signed in self._known.values()])

    @property
    def holds_key(self) -> bool:
        """Whether the account's key is here."""
        return bool(self._core.identity.account_seed)

    @property
    def others(self) -> list[DeviceRecord]:
        """The account's other devices that are not given up."""
        return [record for record, _ in self._known.values() if not record.revoked]

    @property
    def put(self) -> bool:
        """Whether the server has taken everything that was put to it."""
        return not self._putting

    def kept(self) -> dict[str, bytes]:
        """Return all records, this device's own too: what a backup takes along."""
        own = self._core.identity
        signed = {own.device: own.record, **{device: kept for device, (_, kept) in self._known.items()}}
        return {device: msgspec.msgpack.encode(record) for device, record in signed.items()}

    def listed(self) -> list[dict[str, Any]]:
        """Return this and all other devices as facts, oldest first."""
        own = self._core.identity.device_record
        records = [own, *(record for record, _ in self._known.values())]
        return [
            {
                "device": record.device,
                "kind": record.kind,
                "created_ms": record.created_ms,
                "this": record.device == own.device,
                "revoked": record.revoked,
            }
            for record in sorted(records, key=lambda record: (record.created_ms, record.device))
        ]

    # --- what a person decides --------------------------------------------------------------------------------

    def link(self, record: bytes, by_device: bytes) -> DeviceRecord:
        """Sign a new device. Raises WrongUse where the account's key is not here."""
        signed = self._core.identity.sign_device(record, by_device)
        linked = verify_record(signed, self._core.identity.account_public)
        self._change(linked, signed)
        return linked

    def revoke(self, device: str) -> dict[str, Any]:
        """Give up a device, named by its id or the beginning of it. Raises WrongUse."""
        if device == self._core.identity.device:
            raise WrongUse("This is the box you are asking.", "Revoke it from another box, or: callbox erase")
        found = [name for name in self._known if device and name.startswith(device.lower())]
        if len(found) != 1:
            raise WrongUse(
                f"{'Several devices begin' if found else 'No device begins'} with {device!r}.",
                "`callbox devices` lists them.",
            )
        record, _ = self._known[found[0]]
        if not record.revoked:
            signed = self._core.identity.revoke(record)
            self._change(verify_record(signed), signed)
        return {"ok": True, "device": record.device}

    def _change(self, record: DeviceRecord, signed: SignedRecord) -> None:
        self._directory.told(record.account, [signed])
        self._put(record, signed)
        self.tell_contacts(DeviceList((signed,)))

    # --- what the server knows ----------------------------------------------------------------------------------

    def session_up(self) -> None:
        """Compare what the server knows with what holds here. A box without siblings asks nothing."""
        self._putting.clear()
        if self._known or not self.holds_key:
            self.look()

    def look(self) -> None:
        """Ask the server for this account's devices: take what is new there, put what it lacks."""
        account = self._core.identity.account

        def answered(message: ServerMessage | None) -> None:
            if not isinstance(message, Devices):
                self._core.put_off(message, self.look)
                return
            entries = [entry.record for entry in message.devices]
            self._directory.told(account, entries)
            self._put_missing(entries)

        self._core.request(lambda number: FetchDevices(number, account), answered)

    def _put_missing(self, entries: list[SignedRecord]) -> None:
        theirs: dict[str, int] = {}
        for entry in entries:
            try:
                record = verify_record(entry, self._core.identity.account_public)
            except Untrusted:
                continue
            theirs[record.device] = record.sequence
        gone = [device for device, (record, _) in self._known.items() if record.revoked]
        for device, (record, signed) in self._known.items():
            if theirs.get(device, -1) < record.sequence and device not in gone[:-REVOKED_PUT]:
                self._put(record, signed)

    def _put(self, record: DeviceRecord, signed: SignedRecord) -> None:
        device = record.device
        self._putting.add(device)
        if self._unheard >= MOST_UNHEARD:
            return  # a server of an older release hangs up on this: it learns of no devices

        def answered(message: ServerMessage | None) -> None:
            self._unheard = self._unheard + 1 if message is None else 0
            if isinstance(message, Accepted):
                self._putting.discard(device)
            elif isinstance(message, Denied) and not self._core.put_off(message, self.look):
                self._core.warn(f"the server does not take the record of device {device}: {message.why}")

        self._core.commit([], then=lambda: self._core.request(lambda number: PutRecord(number, signed), answered))

    def _seen(self, record: DeviceRecord, signed: SignedRecord) -> None:
        """A record of our own account came along, from wherever: keep it if it is the account's and newer."""
        identity = self._core.identity
        if record.account_key != identity.account_public:
            return
        if record.device == identity.device:
            if record.revoked:
                self._core.tell("This box was removed from its account by another of its boxes.")
            return
        known = self._known.get(record.device)
        if known is not None and record.sequence <= known[0].sequence:
            return
        self._known[record.device] = (record, signed)
        self._core.commit([Put(TABLE, record.device, msgspec.msgpack.encode(signed))])
        if not record.revoked:
            self._core.tell(f"A new device belongs to this account now: {record.kind} {record.device[:4]}.")
            self.on_joined(record)
        elif known is not None and not known[0].revoked:
            self._core.tell(f"The device {record.kind} {record.device[:4]} was removed from this account.")


def no_key() -> CallboxError:
    """Return the error for what only the holder of the account's key can do."""
    return WrongUse(
        "Only the box that holds the account's key can do this.",
        "That is its first box, or one restored from a backup.",
    )
