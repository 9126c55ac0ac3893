"""Which devices other accounts have, and an Olm session to each: fetched once, kept, verified before use.

The first account key seen for a contact is pinned. Another one later is a *changed key*: it blocks calls until a person
confirms it, and is written to only where nobody vouched for the old one (`contacts`). Everything here comes from the
server, so nothing is believed but signatures, and what is kept is bounded.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from callbox.app.core import Core
from callbox.app.saved import PEERS
from callbox.base.time import Instant
from callbox.conversations.contacts import Contacts, Pin
from callbox.conversations.stores import Delete, Put
from callbox.crypto.errors import Untrusted
from callbox.crypto.records import card_fingerprint, verify_record
from callbox.crypto.sessions import SessionClass
from callbox.wire.bodies import Probe
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import DeviceRecord, SignedRecord
from callbox.wire.signals import ClaimPrekeys, Denied, DevicePrekey, Devices, FetchDevices, ServerMessage

PROBE_TTL_S = 7 * 24 * 3600
CLAIM_AGAIN_S = 120.0  # the server allows a handful of claims in ten minutes
MOST_DEVICES = 16  # of one account
MOST_STRANGERS = 256  # accounts that are nobody's contact, by whom a letter came

_signed = msgspec.msgpack.Decoder(SignedRecord)


class Directory:
    """Device records of other accounts, by account and device."""

    def __init__(self, core: Core, contacts: Contacts, saved: Mapping[str, bytes]) -> None:
        self._core = core
        self._contacts = contacts
        self._records: dict[tuple[str, str], DeviceRecord] = {}
        self._owners: dict[str, str] = {}  # device -> account: an id is chosen by whoever makes the record
        self._fresh: set[str] = set()  # accounts asked about in this session
        self._claimed_at: dict[tuple[str, SessionClass], Instant] = {}
        self.on_key_changed: Callable[[str], None] = lambda account: None
        self.on_device_gone: Callable[[str], None] = lambda device: None
        self.on_own: Callable[[DeviceRecord, SignedRecord], None] = lambda record, signed: None
        for value in saved.values():
            record = verify_record(_signed.decode(value))
            self._records[record.account, record.device] = record
            self._owners[record.device] = record.account

    def record(self, account: str, device: str) -> DeviceRecord | None:
        """Return the record of one device, revoked or not, if it is known."""
        return self._records.get((account, device))

    def devices(self, account: str) -> list[DeviceRecord]:
        """Return the devices of `account` that may be written to."""
        return [record for record in self._of(account) if self.may_write(record)]

    def given_up(self, account: str) -> list[DeviceRecord]:
        """Return the devices of `account` that nothing is written to any more."""
        return [record for record in self._of(account) if not self.may_write(record)]

    def may_write(self, record: DeviceRecord) -> bool:
        """Say whether letters may be sealed for this device: it lives, and has the key that its owner is known by."""
        contact = self._contacts.get(record.account)
        return not record.revoked and (contact is None or contact.text_key == record.account_key)

    def meet(self, record: DeviceRecord) -> Pin:
        """Hold the account key of a device against its contact's: pin the first one, note a changed one."""
        contact = self._contacts.get(record.account)
        if contact is None or contact.account_key == record.account_key:
            return "same"
        outcome, writes = self._contacts.pin(record.account, record.account_key, card_fingerprint(record.account_key))
        if outcome == "changed" and writes:
            tell = self._core.warn if contact.changed_key is None else self._core.complain
            tell(f"{record.account} has a new box (another account key): calls wait for a confirmation")
            self.on_key_changed(record.account)
        if writes:
            self._core.commit(writes)
        return outcome

    def _of(self, account: str) -> list[DeviceRecord]:
        return [record for (name, _), record in self._records.items() if name == account]

    def session_started(self) -> None:
        """A new server session: what is known may have changed meanwhile."""
        self._fresh.clear()

    def changed(self, account: str) -> None:
        """The server says that the devices of `account` are others now: ask when they are next needed."""
        self._fresh.discard(account)
        self._claimed_at = {slot: at for slot, at in self._claimed_at.items() if slot[0] != account}

    def reach(
        self,
        account: str,
        cls: SessionClass,
        then: Callable[[list[DeviceRecord]], None],
        failed: Callable[[str], None],
    ) -> None:
        """Make sure of an Olm session of class `cls` to every device of `account`, then go on."""
        for record in self._of(account):
            self.meet(record)  # known perhaps from before it was a contact's
        known = self.devices(account)
        missing = [record.device for record in known if not self._core.sessions.has(record.device, cls)]
        if known and not missing and account in self._fresh:
            then(known)
            return
        claimed_at = self._claimed_at.get((account, cls))
        may_claim = claimed_at is None or self._core.now - claimed_at >= CLAIM_AGAIN_S
        claims = bool(missing or not known) and may_claim

        def answered(message: ServerMessage | None) -> None:
            if claims and claimed_at is None and not isinstance(message, Devices):
                self._claimed_at.pop((account, cls), None)  # nothing was claimed, as far as we know
            # A letter can wait until the server is asked again, a call cannot.
            if cls == "mail" and self._core.put_off(message, lambda: self.reach(account, cls, then, failed)):
                return
            if not isinstance(message, Devices):
                failed("offline" if message is None else "no-such-account")
                return
            self._learn(account, message.devices, cls if claims else None)
            ready = [record for record in self.devices(account) if self._core.sessions.has(record.device, cls)]
            if ready:
                then(ready)
            else:
                failed("no-keys")

        if claims:
            self._claimed_at[account, cls] = self._core.now
            self._core.request(lambda number: ClaimPrekeys(number, account, tuple(missing)), answered)
        else:
            self._core.request(lambda number: FetchDevices(number, account), answered)

    def refresh(self, account: str) -> None:
        """Ask the server for an account's devices; no prekey is claimed."""

        def answered(message: ServerMessage | None) -> None:
            if isinstance(message, Devices):
                self._learn(account, message.devices, None)
            else:
                self._core.put_off(message, lambda: self.refresh(account))

        self._core.request(lambda number: FetchDevices(number, account), answered)

    def look_up(
        self, account: str, device: str, then: Callable[[DeviceRecord | None], None], failed: Callable[[], Any]
    ) -> None:
        """Find one device's record, asking the server if it is not known; no prekey is claimed.

        `then` gets None if the account has no such device; `failed` is called if the server did not say.
        """
        known = self.record(account, device)
        if known is not None:
            then(known)
            return

        def answered(message: ServerMessage | None) -> None:
            if isinstance(message, Devices):
                self._learn(account, message.devices, None)
            elif not (isinstance(message, Denied) and message.why == "no-such-account"):
                if not self._core.put_off(message, lambda: self.look_up(account, device, then, failed)):
                    failed()
                return
            then(self.record(account, device))

        self._core.request(lambda number: FetchDevices(number, account), answered)

    def told(self, account: str, records: Iterable[SignedRecord]) -> None:
        """Take records that came otherwise than from the server: sealed, or out of our own store."""
        self._take_in(account, [DevicePrekey(record, None) for record in records], None)

    def _learn(self, account: str, devices: tuple[DevicePrekey, ...], cls: SessionClass | None) -> None:
        self._fresh.add(account)
        self._take_in(account, devices, cls)

    def _take_in(self, account: str, devices: Iterable[DevicePrekey], cls: SessionClass | None) -> None:
        for entry in devices:
            try:
                record = verify_record(entry.record)
            except (Untrusted, MalformedMessage) as error:
                self._core.complain(f"server gave a device record of {account} that does not hold: {error}")
                continue
            if record.account != account:
                continue
            this = record.device == self._core.identity.device and account == self._core.identity.account
            if not this and self._accept(record, entry):
                self._start_session(record, entry, cls)
            if account == self._core.identity.account:
                self.on_own(record, entry.record)  # last: what it says to that device finds it known

    def _accept(self, record: DeviceRecord, entry: DevicePrekey) -> bool:
        """Keep `record` if it is its account's and not older than what is known; say whether it may be written to."""
        key = (record.account, record.device)
        known = self._records.get(key)
        problem = self._problem(record, known)
        if problem:
            self._core.complain(f"server gave a device record of {record.account} {problem}; not taken")
            return False
        self.meet(record)
        if known != record:
            self._keep(record, entry)
        if record.revoked or (known is not None and known.olm_exchange_key != record.olm_exchange_key):
            self._core.sessions.forget(record.device)
            self._core.commit([])
        if record.revoked and known is not None and not known.revoked:
            self._core.warn(f"{record.account} has given up a device")
            self.on_device_gone(record.device)
        return not record.revoked

    def _problem(self, record: DeviceRecord, known: DeviceRecord | None) -> str:
        """Return what speaks against a record whose signatures hold; empty for nothing."""
        identity, contact = self._core.identity, self._contacts.get(record.account)
        if record.account == identity.account and record.account_key != identity.account_public:
            return "that has our name and another key"
        if record.device == identity.device or self._owners.get(record.device, record.account) != record.account:
            return "with the id of another account's device"
        if contact is not None and record.account_key in contact.former_keys:
            return "whose key was given up for a new one"
        if known is None:
            return "too many" if len(self._of(record.account)) >= MOST_DEVICES and not self._make_room(record) else ""
        if record.account_key != known.account_key or record.sequence < known.sequence:
            return "that is older or foreign"
        return (
            "that differs from one of the same number" if record.sequence == known.sequence and record != known else ""
        )

    def _make_room(self, record: DeviceRecord) -> bool:
        """Forget the device that was given up first, if there is one, for another one of its account."""
        oldest = next((known for known in self._of(record.account) if known.revoked), None)
        if oldest is not None:
            self._drop(oldest)
        return oldest is not None

    def _drop(self, record: DeviceRecord) -> None:
        del self._records[record.account, record.device], self._owners[record.device]
        self._core.sessions.forget(record.device)
        self._core.commit([Delete(PEERS, f"{record.account}/{record.device}")])

    def _keep(self, record: DeviceRecord, entry: DevicePrekey) -> None:
        key = (record.account, record.device)
        self._records[key] = record
        self._owners[record.device] = record.account
        self._core.commit([Put(PEERS, "/".join(key), msgspec.msgpack.encode(entry.record))])
        own = self._core.identity.account
        strangers = {
            account: None for account, _ in self._records if account != own and self._contacts.get(account) is None
        }
        if len(strangers) > MOST_STRANGERS:
            self.forget(next(iter(strangers)))

    @property
    def known(self) -> int:
        """How many devices of others are kept."""
        return sum(account != self._core.identity.account for account, _ in self._records)

    def forget(self, account: str) -> None:
        """Let go of an account's devices and sessions; they are fetched again when a letter of theirs comes."""
        for record in self._of(account):
            self._drop(record)

    def _start_session(self, record: DeviceRecord, entry: DevicePrekey, cls: SessionClass | None) -> None:
        if cls is None or entry.key is None or self._core.sessions.has(record.device, cls):
            return
        try:
            self._core.sessions.start(record, cls, entry.key)
        except (Untrusted, ValueError) as error:
            self._core.complain(f"server gave a key of {record.account} that its box did not sign: {error}")

    # --- a session that is made anew ------------------------------------------------------------------------------

    def is_of(self, entry: DevicePrekey, record: DeviceRecord) -> bool:
        """Say whether an answer of the server is about this very device, its signatures checked."""
        try:
            return verify_record(entry.record, record.account_key).device == record.device
        except (Untrusted, MalformedMessage):
            return False

    def probe(self, record: DeviceRecord, cls: SessionClass) -> None:
        """Send the first letter of a session made anew, so that the other side adopts it."""
        self._core.send(self._core.seal(record, cls, Probe(), PROBE_TTL_S))
