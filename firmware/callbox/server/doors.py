"""What an unproven connection may do: ask for the authority, enrol, log in, join as a lane. Nothing else, and soon.

opened --Challenge--> unproven --Login--> a session       (the old session of the device is replaced)
                         |  ^  `-JoinLane--> a lane of a session
                         |  '--- AskAuthority, Enrol (answered; the connection stays unproven)
                         '-- anything else, anything wrong, or too slow: Refused, closed
"""

from dataclasses import replace

from callbox.crypto.records import Untrusted, verify_login, verify_record
from callbox.server.calling import give_waiting_offers
from callbox.server.desk import Desk
from callbox.server.invites import hash_token
from callbox.server.items import Account, Device, Invite, PutAccount, PutDevice, PutInvite, SetEpoch
from callbox.server.letters import deliver
from callbox.server.limits import Bucket
from callbox.server.links import ask_link
from callbox.server.members import adopt, replace_account, tell_devices_changed
from callbox.server.sessions import Session, Unproven
from callbox.wire.codec import decode_client_message, login_transcript
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import (
    AskAuthority,
    AskLink,
    Authority,
    Challenge,
    Denied,
    Enrol,
    Enrolled,
    JoinLane,
    LaneJoined,
    Login,
    Moved,
    RefusedWhy,
    Welcome,
)

NONCE_BYTES = 32
SESSION_ID_BYTES = 16


def opened(desk: Desk, connection: int, address: str) -> None:
    """Challenge a new connection, or refuse it where too many are unproven."""
    bounds = desk.settings.connections
    here = address in ("127.0.0.1", "::1")
    of_address = bounds.unproven_on_loopback if here else bounds.unproven_per_address
    sessions = desk.sessions
    desk.counters["connections"] += 1
    if len(sessions.unproven) >= bounds.unproven_in_all or sessions.unproven_from(address) >= of_address:
        desk.refuse(connection, "too-many")
        return
    nonce = desk.chance.token(NONCE_BYTES)
    sessions.unproven[connection] = Unproven(connection, address, nonce, desk.now + bounds.prove_within_s)
    desk.send(connection, Challenge(desk.server_id, nonce))


def received(desk: Desk, unproven: Unproven, data: bytes) -> None:
    """Take a message of an unproven connection."""
    try:
        message = decode_client_message(data)
    except MalformedMessage as error:
        desk.refuse(unproven.connection, "malformed", str(error))
        return
    match message:
        case AskAuthority():
            desk.send(unproven.connection, Authority(desk.authority))
        case Enrol() if not unproven.enrolling:
            enrol(desk, unproven, message)
        case Login():
            login(desk, unproven, message)
        case AskLink():
            ask_link(desk, unproven, message)
        case JoinLane():
            join_lane(desk, unproven, message)
        case _:
            desk.refuse(unproven.connection, "malformed", "prove who you are first")


def close_overdue(desk: Desk) -> None:
    for unproven in list(desk.sessions.unproven.values()):
        if unproven.deadline <= desk.now:
            desk.refuse(unproven.connection, "too-slow")


# --- enrolment ------------------------------------------------------------------------------------------------


def enrol(desk: Desk, unproven: Unproven, message: Enrol) -> None:
    """Look up the invite; everything else waits for it."""
    try:
        record = verify_record(message.record)
    except Untrusted as error:
        desk.refuse(unproven.connection, "bad-record", str(error))
        return
    unproven.enrolling = True

    def found(invite: Invite | None, looked: bool) -> None:
        if desk.sessions.unproven.get(unproven.connection) is unproven:
            unproven.enrolling = False
            if looked:
                _invited(desk, unproven, message, record, invite)
            else:
                _no_storage(desk, unproven)

    desk.find_invite(hash_token(message.token), found)


def _invited(desk: Desk, unproven: Unproven, message: Enrol, record: DeviceRecord, invite: Invite | None) -> None:
    if invite is not None and _repeated(desk, message, record, invite):
        desk.send(unproven.connection, Enrolled(record.account))
        return
    why = "bad-invite" if invite is None else _enrolment_refusal(desk, record, invite)
    if invite is not None and not invite.first_contact_ms:
        invite = replace(invite, first_contact_ms=desk.wall_ms)
        if why:
            desk.save([PutInvite(invite)])
    if why or invite is None:
        desk.audit_denial("enrol-refused", why=why or "bad-invite", account=record.account)
        desk.refuse(unproven.connection, why or "bad-invite")
        return
    _enrol_now(desk, unproven, message, record, invite)


def _repeated(desk: Desk, message: Enrol, record: DeviceRecord, invite: Invite) -> bool:
    """Return whether this is the very enrolment that used the invite: the box missed the answer."""
    entry = desk.directory.device(record.device)
    return invite.used_by == record.device and entry is not None and entry.stored.record == message.record


def _enrolment_refusal(desk: Desk, record: DeviceRecord, invite: Invite) -> RefusedWhy | None:
    used_by_ms = invite.first_contact_ms + int(desk.settings.accounts.invite_used_s * 1000)
    if invite.used_by:
        return "bad-invite"
    if desk.wall_ms >= invite.expires_ms or (invite.first_contact_ms and desk.wall_ms >= used_by_ms):
        return "invite-expired"
    if record.account != invite.name or record.revoked or desk.directory.device(record.device) is not None:
        return "bad-record"
    known = desk.directory.account(record.account)
    if record.account in desk.enrolling or (known is not None) != invite.replaces:
        return "name-taken"
    if known is not None and known.key == record.account_key:
        return "bad-record"  # nothing is lost: its records are put, not enrolled
    return None


def _enrol_now(desk: Desk, unproven: Unproven, message: Enrol, record: DeviceRecord, invite: Invite) -> None:
    account = Account(record.account, record.account_key, desk.wall_ms)
    device = Device(record.account, record.device, message.record)
    desk.enrolling.add(account.name)

    def stored(safe: bool) -> None:
        desk.enrolling.discard(account.name)
        if not safe:
            _no_storage(desk, unproven)
            return
        if invite.replaces:
            desk.save(replace_account(desk, account))
        desk.directory.add_account(account)
        desk.directory.add_device(device)
        desk.counters["enrolments"] += 1
        desk.audit("enrol", account=account.name, device=device.device)
        if desk.sessions.unproven.get(unproven.connection) is unproven:
            unproven.deadline = desk.now + desk.settings.connections.prove_within_s
            desk.send(unproven.connection, Enrolled(account.name))
        tell_devices_changed(desk, account.name)

    desk.save([PutAccount(account), PutDevice(device), PutInvite(replace(invite, used_by=device.device))], stored)


def _no_storage(desk: Desk, unproven: Unproven) -> None:
    desk.send(unproven.connection, Denied(0, "no-storage"))
    desk.close(unproven.connection, "the store failed")


# --- sessions -------------------------------------------------------------------------------------------------


def login(desk: Desk, unproven: Unproven, message: Login) -> None:
    """Check a device's proof; the newest session wins."""
    if message.record is not None:
        adopt(desk, message.account, message.record)
    entry = desk.directory.device(message.device)
    if entry is None or entry.stored.account != message.account:
        _login_refused(desk, unproven, message, "unknown-device")
        return
    if not desk.directory.belongs(message.device, message.account):
        _login_refused(desk, unproven, message, "revoked")
        return
    transcript = login_transcript(
        desk.server_id, unproven.nonce, message.nonce, message.device, message.connection_epoch
    )
    try:
        verify_login(entry.record, transcript, message.signature)
    except Untrusted:
        _login_refused(desk, unproven, message, "bad-signature")
        return
    known_epoch = entry.stored.connection_epoch
    if message.connection_epoch <= known_epoch:
        _login_refused(desk, unproven, message, "epoch", known_epoch)
        return
    desk.directory.set_epoch(message.device, message.connection_epoch)
    # Not awaited: with a full disk calls must go on, and a lost epoch only weakens the notice of a restored card.
    desk.save([SetEpoch(message.device, message.connection_epoch)])
    _begin_session(desk, unproven, message, known_epoch)


def _login_refused(desk: Desk, unproven: Unproven, message: Login, why: RefusedWhy, connection_epoch: int = 0) -> None:
    desk.audit_denial("login-refused", why=why, account=message.account, device=message.device)
    desk.refuse(unproven.connection, why, connection_epoch=connection_epoch)


def _begin_session(desk: Desk, unproven: Unproven, message: Login, known_epoch: int) -> None:
    old = desk.sessions.of_device(message.device)
    if old is not None:
        desk.refuse(old.connection, "replaced")
    letters_per_s = desk.settings.calls.letters_per_s
    call_letters = Bucket(5 * letters_per_s, 1 / letters_per_s)
    session_id = desk.chance.token(SESSION_ID_BYTES)
    session = Session(unproven.connection, message.account, message.device, call_letters, session_id)
    desk.sessions.begin(session)
    desk.rings.caller_came(session.device)
    desk.counters["logins"] += 1
    account = desk.directory.account(message.account)
    desk.send(
        session.connection,
        Welcome(
            session=session.id,
            tickets=tuple(sorted(session.tickets)),
            server_time_ms=desk.wall_ms,
            prekeys_left=desk.directory.prekeys_left(message.device),
            calls_enabled=account is None or account.calls_enabled,
            rows=desk.rows.all_of(message.account),
            blob_parts=desk.settings.blobs.parts,
            store_id=desk.store_id,
            known_epoch=known_epoch,
        ),
    )
    session.follows = message.record is not None
    if desk.moved is not None and session.follows:
        desk.send(session.connection, desk.moved)
    give_waiting_offers(desk, session)
    deliver(desk, message.device)


def move(desk: Desk, moved: Moved | None) -> None:
    """Tell everybody where this server goes on, now and at each login."""
    desk.moved = moved
    if moved is None:
        return
    desk.audit("move", address=moved.address)
    for connection in desk.sessions.following():
        desk.send(connection, moved)


def join_lane(desk: Desk, unproven: Unproven, message: JoinLane) -> None:
    joined = desk.sessions.join(unproven.connection, message.ticket)
    if joined is None:
        desk.refuse(unproven.connection, "bad-ticket")
        return
    session, lane = joined
    desk.send(unproven.connection, LaneJoined(lane, desk.sessions.new_ticket(session)))
