"""Blobs, such as voice messages: announced, taken in part by part, handed out to the account they are for, deleted.

BeginBlob --may they? room?--> Save --> BlobPlace;   PutPart --in order--> Save --Stored--> Accepted ... whole
GetPart --whole, and theirs?--> FetchBlobPart --> BlobPart;   DropBlob by each device that it is for --> gone
"""

from dataclasses import replace

from callbox.server.desk import Desk
from callbox.server.items import Blob, ForgetBlob, PutBlob, PutBlobPart, Write
from callbox.server.rows import at_least
from callbox.server.sessions import Session
from callbox.server.shelf import without
from callbox.wire.codec import PART_BYTES
from callbox.wire.signals import BeginBlob, BlobPart, BlobPlace, DeniedWhy, DropBlob, GetPart, PutPart

_DAY_MS = 86_400_000


def begin(desk: Desk, session: Session, message: BeginBlob) -> None:
    """Reserve room for a blob, or say how far an earlier announcement got."""
    known = desk.shelf.get(message.blob)
    if known is not None:
        same = (known.from_device, known.to_account, known.parts)
        if same == (session.device, message.to_account, message.parts):
            desk.send(session.connection, BlobPlace(message.request, message.blob, known.next_part))
        else:
            desk.deny(session, message.request, "not-yours")
        return
    why, retry_after_s = _refusal(desk, session, message)
    if why is not None:
        desk.deny(session, message.request, why, retry_after_s=retry_after_s)
        return
    devices = [entry.stored.device for entry in desk.directory.devices_of(message.to_account)]
    blob = Blob(
        blob=message.blob,
        from_account=session.account,
        from_device=session.device,
        to_account=message.to_account,
        parts=message.parts,
        waiting=tuple(device for device in devices if device != session.device),
        expires_ms=desk.wall_ms + int(desk.settings.blobs.unfinished_days * _DAY_MS),
        void=desk.rows.of(message.to_account, session.account) == "blocked",
    )
    desk.shelf.add(blob)

    def stored(safe: bool) -> None:
        if not safe:
            desk.shelf.remove(blob.blob)
        if desk.sessions.of_device(session.device) is not session:
            return
        if safe:
            desk.send(session.connection, BlobPlace(message.request, blob.blob, 0))
        else:
            desk.deny(session, message.request, "no-storage", retry_after_s=10.0)

    desk.save([PutBlob(blob)], stored)


def _refusal(desk: Desk, session: Session, message: BeginBlob) -> tuple[DeniedWhy | None, float]:
    bounds = desk.settings.blobs
    if desk.directory.account(message.to_account) is None:
        return "no-such-account", 0.0
    row = desk.rows.of(message.to_account, session.account)
    if row != "blocked" and not at_least(row, "message"):
        return "not-allowed", 0.0  # a stranger's one request is a text
    if message.parts > bounds.parts:
        return "too-large", 0.0
    if not desk.shelf.has_room(message.to_account, session.account, message.parts, bounds):
        return "mailbox-full", 0.0
    if desk.shelf.unfinished(session.device) >= bounds.unfinished:
        return "too-often", 10.0
    wait_s = desk.blob_limits.allow(session.account, desk.now)
    return ("too-often", wait_s) if wait_s else (None, 0.0)


def put_part(desk: Desk, session: Session, message: PutPart) -> None:
    """Take the next part, and accept it after the commit. One that is here already is accepted again."""
    blob = desk.shelf.get(message.blob)
    if blob is None or blob.from_device != session.device or message.part > blob.next_part:
        desk.deny(session, message.request, "no-blob")
        return
    if message.part < blob.next_part:
        desk.accept(session.connection, message.request)
        return
    wait_s = desk.part_limits.allow(session.device, desk.now)
    if wait_s or session.pending >= desk.settings.mail.pending:
        desk.deny(session, message.request, "too-often", retry_after_s=max(wait_s, 1.0))
        return
    data = bytes(PART_BYTES) if blob.void else message.data
    writes: list[Write] = [PutBlobPart(blob.blob, message.part, data)]
    if message.part + 1 == blob.parts:
        expires_ms = desk.wall_ms + int(desk.settings.blobs.kept_days * _DAY_MS)
        writes.append(PutBlob(replace(blob, expires_ms=expires_ms)))
    else:
        expires_ms = blob.expires_ms
    session.pending += 1

    def stored(safe: bool) -> None:
        session.pending -= 1
        kept = desk.shelf.get(message.blob)
        if safe and kept is not None:
            next_part = max(kept.next_part, message.part + 1)
            desk.shelf.change(replace(kept, next_part=next_part, expires_ms=expires_ms))
            desk.counters["blobs.parts"] += 1
        if desk.sessions.of_device(session.device) is not session:
            return
        if safe and kept is not None:
            desk.accept(session.connection, message.request)
        elif safe:
            desk.deny(session, message.request, "no-blob")  # withdrawn meanwhile
        else:
            desk.deny(session, message.request, "no-storage", retry_after_s=10.0)

    desk.save(writes, stored)


def get_part(desk: Desk, session: Session, message: GetPart) -> None:
    """Hand out one part to a device of the account that the blob is for; nobody else learns that there is one."""
    blob = desk.shelf.get(message.blob)
    theirs = blob is not None and blob.whole and not blob.void and blob.to_account == session.account
    if blob is None or not theirs or message.part >= blob.parts:
        desk.deny(session, message.request, "no-blob")
        return
    wait_s = desk.part_limits.allow(session.device, desk.now)
    if wait_s:
        desk.deny(session, message.request, "too-often", retry_after_s=max(wait_s, 1.0))
        return

    def fetched(data: bytes | None) -> None:
        if desk.sessions.of_device(session.device) is not session:
            return
        if data is None:
            desk.deny(session, message.request, "no-storage", retry_after_s=10.0)
        else:
            desk.counters["blobs.handed_out"] += 1
            desk.send(session.connection, BlobPart(message.request, message.blob, message.part, data))

    desk.fetch_blob_part(message.blob, message.part, fetched)


def drop(desk: Desk, session: Session, message: DropBlob) -> None:
    """One device has it, or its sender takes it back. Accepted in any case, so that it may be said again."""
    blob = desk.shelf.get(message.blob)
    writes: list[Write] = []
    if blob is not None and blob.from_device == session.device:
        writes = _forget(desk, blob)
    elif blob is not None and blob.whole and session.device in blob.waiting and not blob.void:
        writes = _taken(desk, without(blob, [session.device]))

    def stored(safe: bool) -> None:
        if blob is not None and not safe:
            _put_back(desk, blob, session.device)
        if desk.sessions.of_device(session.device) is not session:
            return
        if safe:
            desk.accept(session.connection, message.request)
        else:
            desk.deny(session, message.request, "no-storage", retry_after_s=10.0)

    desk.save(writes, stored)


def _put_back(desk: Desk, blob: Blob, device: str) -> None:
    """What a device said of a blob did not get to the disk: it says so again. Whatever others said meanwhile holds."""
    now = desk.shelf.get(blob.blob)
    if now is not None:
        desk.shelf.change(replace(now, waiting=(*now.waiting, device)))
    else:
        desk.shelf.add(blob if blob.from_device == device else replace(blob, waiting=(device,)))


def _taken(desk: Desk, blob: Blob) -> list[Write]:
    if not blob.waiting:
        return _forget(desk, blob)
    desk.shelf.change(blob)
    return [PutBlob(blob)]


def _forget(desk: Desk, blob: Blob) -> list[Write]:
    desk.shelf.remove(blob.blob)
    return [ForgetBlob(blob.blob)]


def sweep(desk: Desk) -> None:
    """Delete what nobody fetched in its time, and what only waits for devices that are no more."""
    for blob in desk.shelf.over(desk.wall_ms):
        desk.counters["blobs.expired"] += 1
        desk.save(_forget(desk, blob))
    for blob in desk.shelf.whole():
        gone = [device for device in blob.waiting if not desk.directory.belongs(device, blob.to_account)]
        if gone or not blob.waiting:
            desk.save(_taken(desk, without(blob, gone)))
