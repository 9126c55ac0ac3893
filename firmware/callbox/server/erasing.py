"""Erasing: everything that the server has of an account, or of one of its devices, goes; and it signs that it did.

Erase --by the account key, or for this device alone--> Save(Forget) --Stored--> memory, again Forget, Erased, closed

What others have decided about the account (their rows) and letters from it that lie in their mailboxes are theirs.
"""

from callbox.crypto.erasure import statement, verify_erasure
from callbox.crypto.errors import Untrusted
from callbox.server.desk import Desk
from callbox.server.items import Blob, Forget
from callbox.server.sessions import Session
from callbox.wire.codec import erasure_transcript
from callbox.wire.signals import DevicesChanged, Erase, Erased


def erase(desk: Desk, session: Session, message: Erase) -> None:
    """Delete, and answer with a signed receipt once it is safe."""
    account, whole = session.account, message.signature is not None
    known = desk.directory.account(account)
    transcript = erasure_transcript(desk.server_id, session.id, account)
    try:
        if known is None:
            raise Untrusted("there is no such account")
        if message.signature is not None:
            verify_erasure(known.key, transcript, message.signature)
    except Untrusted:
        desk.deny(session, message.request, "not-yours")
        return
    devices = tuple(desk.directory.all_of(account)) if whole else (session.device,)
    forget = Forget(account if whole else "", devices)

    def stored(safe: bool) -> None:
        if not safe:
            if desk.sessions.of_device(session.device) is session:
                desk.deny(session, message.request, "no-storage", retry_after_s=10.0)
            return
        letters = sum(len(desk.mailboxes.of(device).marks) for device in devices)
        said = statement(
            desk.server_id,
            session.id,
            account,
            "" if whole else session.device,
            desk.wall_ms,
            devices=len(devices),
            letters=letters,
            **({"voice-messages": len(_waiting(desk, account))} if whole else {}),
        )
        _forget(desk, forget)
        desk.save([forget])  # what came in between goes, too
        desk.audit("erased", account=account, **({} if whole else {"device": session.device}))
        desk.counters["erased"] += 1
        if desk.sessions.of_device(session.device) is session:
            desk.send(session.connection, Erased(message.request, said, desk.sign(said.encode())))
        _part(desk, account, devices, session)

    desk.save([forget], stored)


def _forget(desk: Desk, forget: Forget) -> None:
    """Let memory follow the store."""
    if forget.account:
        for blob in _waiting(desk, forget.account):
            desk.shelf.remove(blob.blob)
        desk.rows.forget_account(forget.account)
    for device in forget.devices:
        desk.mailboxes.forget(device)
        desk.rows.forget_device(device)
        desk.directory.forget_device(device)
    if forget.account:
        desk.directory.forget_account(forget.account)


def _waiting(desk: Desk, account: str) -> list[Blob]:
    return [blob for blob in desk.shelf.of_account(account) if blob.to_account == account]


def _part(desk: Desk, account: str, devices: tuple[str, ...], asker: Session) -> None:
    """End the sessions of devices that are no more, and tell who may know the account."""
    for device in devices:
        gone = desk.sessions.of_device(device)
        if gone is asker:
            desk.close(gone.connection, "erased")
        elif gone is not None:
            desk.refuse(gone.connection, "unknown-device")
    for other in {*desk.rows.known_to(account), account}:
        for entry in desk.directory.devices_of(other):
            there = desk.sessions.of_device(entry.stored.device)
            if there is not None:
                desk.send(there.connection, DevicesChanged(account))
