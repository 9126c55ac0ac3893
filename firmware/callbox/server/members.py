"""Which devices an account has: adopted, changed, revoked, replaced. Whatever comes is signed by the account's key.

A server that was restored from a backup knows less than its boxes. So a device that logs in shows its own record along,
and any device of the account may put the records that it holds; whichever has the higher sequence counts.
"""

from callbox.crypto.records import Untrusted, verify_record
from callbox.server.desk import Desk
from callbox.server.items import Account, Device, DropLetter, PutDevice, PutRow, Write
from callbox.server.sessions import Session
from callbox.wire.records import DeviceRecord, Row, SignedRecord
from callbox.wire.signals import DevicesChanged, Linked, PutRecord

MOST_LIVE = 8  # devices of one account
REPLACED_ROW: Row = "request"


def put_record(desk: Desk, session: Session, message: PutRecord) -> None:
    """Take a record of the session's own account. Accepted when it is safe; the same one again is accepted, too."""
    device = _newer(desk, session.account, message.record)
    known = desk.directory.device(device.device) if device is not None else None
    if device is None:
        desk.deny(session, message.request, "not-yours")
        return
    if known is not None and known.stored.record.record == device.record.record:
        desk.accept(session.connection, message.request)
        linked(desk, known.stored.record)
        return
    live = [entry.stored.device for entry in desk.directory.devices_of(session.account)]
    if device.device not in live and len(live) >= MOST_LIVE and not verify_record(device.record).revoked:
        desk.deny(session, message.request, "too-large")
        return

    def stored(safe: bool) -> None:
        if safe:
            _take(desk, device)
        if desk.sessions.of_device(session.device) is not session:
            return
        if safe:
            desk.accept(session.connection, message.request)
        else:
            desk.deny(session, message.request, "no-storage", retry_after_s=10.0)

    desk.save([PutDevice(device)], stored)


def adopt(desk: Desk, account: str, shown: SignedRecord) -> None:
    """Take the record that a device shows at its login, if it is newer than what is known. Nothing waits for the disk:
    the device shows it again."""
    device = _newer(desk, account, shown)
    known = desk.directory.device(device.device) if device is not None else None
    if device is None or (known is not None and known.stored.record == shown):
        return
    if known is None and len(desk.directory.devices_of(account)) >= MOST_LIVE:
        return
    _take(desk, device)
    desk.save([PutDevice(device)])


def _newer(desk: Desk, account: str, signed: SignedRecord) -> Device | None:
    """Return the device of a record that may count: of this account and its present key, and not an older one."""
    known_account = desk.directory.account(account)
    try:
        record = verify_record(signed, known_account.key if known_account is not None else b"")
    except Untrusted:
        return None
    known = desk.directory.device(record.device)
    if record.account != account or (known is not None and known.stored.account != account):
        return None
    if known is not None and _is_older(record, known.record) and known.stored.record.record != signed.record:
        return None
    return Device(account, record.device, signed, known.stored.connection_epoch if known is not None else 0)


def _is_older(record: DeviceRecord, known: DeviceRecord) -> bool:
    """A record of another account key is out of date whatever its number: its box was replaced."""
    return record.account_key == known.account_key and record.sequence <= known.sequence


def _take(desk: Desk, device: Device) -> None:
    """A record counts from now on: its account's contacts and devices hear of it, a revoked device is sent away."""
    desk.directory.add_device(device)
    gone = not desk.directory.belongs(device.device, device.account)
    desk.counters["devices.revoked" if gone else "devices.put"] += 1
    desk.audit("device", account=device.account, device=device.device, revoked=str(gone).lower())
    if gone:
        send_away(desk, device.device)
    else:
        linked(desk, device.record)
    tell_devices_changed(desk, device.account)


def linked(desk: Desk, record: SignedRecord) -> None:
    """Tell a new device that waits for it that its record is signed."""
    connection = desk.links.signed(record.record)
    if connection is not None and (unproven := desk.sessions.unproven.get(connection)) is not None:
        unproven.deadline = desk.now + desk.settings.connections.prove_within_s
        desk.send(connection, Linked(record))


def send_away(desk: Desk, device: str) -> None:
    """A device is none of its account any more: its session ends and its mail, which nobody else can open, goes."""
    session = desk.sessions.of_device(device)
    if session is not None:
        desk.refuse(session.connection, "revoked")
    box = desk.mailboxes.of(device)
    writes: list[Write] = []
    for key in [key for key in box.marks if key not in box.uncommitted]:
        box.remove(key)
        writes.append(DropLetter(device, *key))
    if writes:
        desk.save(writes)


def replace_account(desk: Desk, account: Account) -> list[Write]:
    """The account begins anew under another key. Returns the writes; whom it had blocked stays blocked."""
    old = [entry.stored.device for entry in desk.directory.devices_of(account.name)]
    desk.directory.add_account(account)
    writes: list[Write] = []
    for other, row in desk.rows.all_of(account.name):
        if row not in ("blocked", REPLACED_ROW):
            desk.rows.set(account.name, other, REPLACED_ROW)
            writes.append(PutRow(account.name, other, REPLACED_ROW))
    for device in old:
        send_away(desk, device)
    return writes


def tell_devices_changed(desk: Desk, account: str) -> None:
    """Tell those who may know an account, and its own devices, that its devices are others now."""
    for other in {account: None, **dict.fromkeys(desk.rows.known_to(account))}:
        for entry in desk.directory.devices_of(other):
            session = desk.sessions.of_device(entry.stored.device)
            if session is not None:
                desk.send(session.connection, DevicesChanged(account))
