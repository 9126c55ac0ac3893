"""What a session may ask about devices and prekeys, and set about itself: rows, and calls on or disabled."""

from collections.abc import Callable

from callbox.crypto.records import Untrusted, verify_prekey
from callbox.server.calling import cut_off
from callbox.server.desk import Desk
from callbox.server.items import DropRequests, PutCalls, PutRow, Write
from callbox.server.members import tell_devices_changed
from callbox.server.sessions import Session
from callbox.wire.signals import (
    ClaimPrekeys,
    DevicePrekey,
    Devices,
    FetchDevices,
    PrekeysLow,
    PublishPrekeys,
    SetCalls,
    SetRow,
)

MAX_KEYS_PER_PUBLISH = 200


def publish(desk: Desk, session: Session, message: PublishPrekeys) -> None:
    """Take in prekeys that the device itself signed."""
    entry = desk.directory.device(session.device)
    if entry is None or len(message.keys) > MAX_KEYS_PER_PUBLISH:
        desk.deny(session, message.request, "too-large")
        return
    try:
        for key in message.keys:
            verify_prekey(entry.record, key)
    except Untrusted:
        desk.deny(session, message.request, "not-yours")
        return
    keys, fallback = entry.keys, entry.fallback
    writes = desk.directory.publish(session.device, message.keys, desk.settings.prekeys.kept, message.replace)
    if writes is None:
        desk.deny(session, message.request, "too-large")
        return

    def stored(safe: bool) -> None:
        if not safe:  # or the same again would be passed over as known
            entry.keys = {key: prekey for key, prekey in keys.items() if key not in entry.used}
            entry.fallback = fallback
        elif not keys and fallback is None and writes:
            tell_devices_changed(desk, session.account)  # only now can anybody write to it

    _save_and_accept(desk, session, message.request, writes, stored)


def claim(desk: Desk, session: Session, message: ClaimPrekeys) -> None:
    """Answer with the devices of an account and a prekey for each one asked for, whoever asks.

    The answer waits for the commit: a one-time key that were handed out twice would lose a letter.
    """
    if desk.directory.account(message.account) is None:
        desk.deny(session, message.request, "no-such-account")
        return
    wait_s = desk.claim_limits.allow((session.account, message.account), desk.now)
    if wait_s:
        desk.deny(session, message.request, "too-often", retry_after_s=wait_s)
        return
    answers: list[DevicePrekey] = []
    writes: list[Write] = []
    for entry in desk.directory.devices_of(message.account):
        key = None
        if not message.devices or entry.stored.device in message.devices:
            key, used = desk.directory.claim(entry.stored.device)
            writes += used
            _ask_for_more(desk, entry.stored.device)
        answers.append(DevicePrekey(entry.stored.record, key))
    answers += _given_up(desk, message.account)
    desk.counters["prekeys.claimed"] += 1

    def answer(_safe: bool) -> None:  # with a full disk, calls go on
        if desk.sessions.of_device(session.device) is session:
            desk.send(session.connection, Devices(message.request, message.account, tuple(answers)))

    desk.save(writes, answer)


def _ask_for_more(desk: Desk, device: str) -> None:
    left = desk.directory.prekeys_left(device)
    owner = desk.sessions.of_device(device)
    if owner is not None and left < desk.settings.prekeys.low:
        desk.send(owner.connection, PrekeysLow(left))


def fetch_devices(desk: Desk, session: Session, message: FetchDevices) -> None:
    if desk.directory.account(message.account) is None:
        desk.deny(session, message.request, "no-such-account")
        return
    wait_s = desk.fetch_limits.allow(session.account, desk.now)
    if wait_s:
        desk.deny(session, message.request, "too-often", retry_after_s=wait_s)
        return
    entries = desk.directory.devices_of(message.account)
    devices = [DevicePrekey(entry.stored.record, None) for entry in entries]
    devices += _given_up(desk, message.account)
    desk.send(session.connection, Devices(message.request, message.account, tuple(devices)))


def _given_up(desk: Desk, account: str) -> list[DevicePrekey]:
    return [DevicePrekey(entry.stored.record, None) for entry in desk.directory.revoked_of(account)]


def set_row(desk: Desk, session: Session, message: SetRow) -> None:
    """Set what another account may do, also one that is not here yet. Holds at once; accepted when it is safe."""
    if message.account == session.account:
        desk.deny(session, message.request, "not-yours")
        return
    rows = dict(desk.rows.all_of(session.account))
    if message.account not in rows and len(rows) >= desk.settings.accounts.rows:
        desk.deny(session, message.request, "too-large")
        return
    desk.rows.set(session.account, message.account, message.row)
    desk.audit("row", owner=session.account, other=message.account, row=message.row)
    writes: list[Write] = [PutRow(session.account, message.account, message.row)]
    if desk.rows.forget_requests(session.account, message.account):
        writes.append(DropRequests(session.account, message.account))
    if message.row == "blocked":
        cut_off(desk, session.account, message.account)
    _save_and_accept(desk, session, message.request, writes)


def set_calls(desk: Desk, session: Session, message: SetCalls) -> None:
    desk.directory.set_calls(session.account, message.enabled)
    desk.audit("calls", account=session.account, enabled=str(message.enabled).lower())
    _save_and_accept(desk, session, message.request, [PutCalls(session.account, message.enabled)])


def _save_and_accept(
    desk: Desk, session: Session, request: int, writes: list[Write], then: Callable[[bool], None] = lambda safe: None
) -> None:
    def stored(safe: bool) -> None:
        then(safe)
        if desk.sessions.of_device(session.device) is not session:
            return
        if safe:
            desk.accept(session.connection, request)
        else:
            desk.deny(session, request, "no-storage", retry_after_s=10.0)

    desk.save(writes, stored)
