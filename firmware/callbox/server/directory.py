"""Accounts, their devices and the devices' prekeys, in memory as in the store."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from callbox.server.items import Account, Device, DropPrekey, Prekey, PutPrekey, StoreSnapshot, Write
from callbox.wire.codec import decode_record
from callbox.wire.records import DeviceRecord, SignedKey

USED_KEYS_REMEMBERED = 200
REVOKED_SHOWN = 8


@dataclass(slots=True)
class DeviceEntry:
    """One device: its stored form, its record read out, its prekeys."""

    stored: Device
    record: DeviceRecord
    keys: dict[bytes, Prekey] = field(default_factory=dict)  # one-time, unused, oldest first
    fallback: Prekey | None = None
    used: deque[bytes] = field(default_factory=deque)


class Directory:
    """Who is here. Device ids are unique on the server, whatever their account."""

    def __init__(self, snapshot: StoreSnapshot) -> None:
        self._accounts = {account.name: account for account in snapshot.accounts}
        self._devices: dict[str, DeviceEntry] = {}
        self._of_account: dict[str, list[str]] = {}
        self._order = 0
        for device in snapshot.devices:
            self.add_device(device)
        for prekey in sorted(snapshot.prekeys, key=lambda key: key.order):
            self._load_prekey(prekey)

    def account(self, name: str) -> Account | None:
        return self._accounts.get(name)

    def add_account(self, account: Account) -> None:
        self._accounts[account.name] = account

    def set_calls(self, name: str, enabled: bool) -> None:
        self._accounts[name] = replace(self._accounts[name], calls_enabled=enabled)

    def device(self, device: str) -> DeviceEntry | None:
        return self._devices.get(device)

    def add_device(self, device: Device) -> None:
        """Take in a device, or a newer record of one; prekeys of other Olm keys are no use to it."""
        record, known = decode_record(device.record.record), self._devices.get(device.device)
        entry = DeviceEntry(device, record)
        if known is not None and known.record.olm_exchange_key == record.olm_exchange_key:
            entry.keys, entry.fallback, entry.used = known.keys, known.fallback, known.used
        if known is None:
            self._of_account.setdefault(device.account, []).append(device.device)
        self._devices[device.device] = entry

    def set_epoch(self, device: str, connection_epoch: int) -> None:
        entry = self._devices[device]
        entry.stored = replace(entry.stored, connection_epoch=connection_epoch)

    def devices_of(self, account: str) -> list[DeviceEntry]:
        """Return the live devices of an account, oldest first."""
        entries = (self._devices[device] for device in self._of_account.get(account, ()))
        return [entry for entry in entries if self._is_live(entry)]

    def revoked_of(self, account: str) -> list[DeviceEntry]:
        """Return the devices that an account has given up: whoever knew them live has to learn of that."""
        account_key = self._accounts[account].key if account in self._accounts else b""
        entries = (self._devices[device] for device in self._of_account.get(account, ()))
        gone = [entry for entry in entries if entry.record.revoked and entry.record.account_key == account_key]
        return gone[-REVOKED_SHOWN:]

    def _is_live(self, entry: DeviceEntry) -> bool:
        """Not revoked, and of the account's present key: a lost box that was replaced has another."""
        account = self._accounts.get(entry.stored.account)
        return not entry.record.revoked and account is not None and entry.record.account_key == account.key

    def all_of(self, account: str) -> list[str]:
        """Return every device of an account, revoked ones too."""
        return list(self._of_account.get(account, ()))

    def forget_account(self, account: str) -> None:
        self._accounts.pop(account, None)
        for device in self._of_account.pop(account, ()):
            self._devices.pop(device, None)

    def forget_device(self, device: str) -> None:
        entry = self._devices.pop(device, None)
        if entry is not None:
            self._of_account[entry.stored.account].remove(device)

    def belongs(self, device: str, account: str) -> bool:
        """Return whether `device` is a live device of `account`."""
        entry = self._devices.get(device)
        return entry is not None and entry.stored.account == account and self._is_live(entry)

    # --- prekeys ---

    def publish(
        self, device: str, keys: Iterable[SignedKey], kept: int, replace_all: bool = False
    ) -> list[Write] | None:
        """Take in new prekeys; return the writes, or None (and change nothing) if more than `kept` would lie here.

        Keys that are known, used ones too, are passed over: a box repeats a publish whose answer it missed.
        """
        entry = self._devices[device]
        known = {*entry.keys, *entry.used}
        if entry.fallback is not None:
            known.add(entry.fallback.key.key)
        offered = {key.key: key for key in keys}
        fresh = {key: signed for key, signed in offered.items() if key not in known}
        stay = {key: prekey for key, prekey in entry.keys.items() if not replace_all or key in offered}
        if len(stay) + sum(not key.fallback for key in fresh.values()) > kept:
            return None
        writes: list[Write] = [DropPrekey(device, key) for key in entry.keys if key not in stay]
        entry.keys = stay
        for key in fresh.values():
            self._order += 1
            prekey = Prekey(device, key, self._order)
            writes.append(PutPrekey(prekey))
            if key.fallback:
                if entry.fallback is not None:
                    writes.append(DropPrekey(device, entry.fallback.key.key))
                entry.fallback = prekey
            else:
                entry.keys[key.key] = prekey
        return writes

    def claim(self, device: str) -> tuple[SignedKey | None, list[Write]]:
        """Take out one prekey: a one-time key, once; else the fallback key, any number of times; else None."""
        entry = self._devices[device]
        if not entry.keys:
            return (entry.fallback.key if entry.fallback else None), []
        key, prekey = next(iter(entry.keys.items()))
        del entry.keys[key]
        entry.used.append(key)
        writes: list[Write] = [PutPrekey(replace(prekey, used=True))]
        while len(entry.used) > USED_KEYS_REMEMBERED:
            writes.append(DropPrekey(device, entry.used.popleft()))
        return prekey.key, writes

    def prekeys_left(self, device: str) -> int:
        return len(self._devices[device].keys)

    def _load_prekey(self, prekey: Prekey) -> None:
        self._order = max(self._order, prekey.order)
        entry = self._devices.get(prekey.device)
        if entry is None:
            return
        if prekey.used:
            entry.used.append(prekey.key.key)
        elif prekey.key.fallback:
            entry.fallback = prekey
        else:
            entry.keys[prekey.key.key] = prekey
