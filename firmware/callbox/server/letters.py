"""Mail and receipts: taken in after the commit, handed over in order, again until acknowledged, deleted then.

Submit --may they?--room?--> Save --Stored--> Accepted;  deliver() --FetchMail--> Deliver ... Acknowledge --> gone
"""

from callbox.server.desk import Desk
from callbox.server.items import DropLetter, Letter, PutLetter, PutRequest, Request, Write, mark_of
from callbox.server.sessions import Session
from callbox.wire.signals import Acknowledge, Deliver, DeniedWhy, Envelope, Submit

SWEEP_S = 3600.0
_DAY_S = 86_400


def misaddressed(desk: Desk, session: Session, envelope: Envelope) -> DeniedWhy | None:
    """Return what is wrong with the outside of an envelope: `from` is the session's, `to` a device that lives."""
    if (envelope.from_account, envelope.from_device) != (session.account, session.device):
        return "not-yours"
    if envelope.to_device == session.device or envelope.version != 1:
        return "not-allowed"
    if not desk.directory.belongs(envelope.to_device, envelope.to_account):
        return "no-such-account"
    return None


def submit_mail(desk: Desk, session: Session, message: Submit) -> None:
    """Store one letter that is rightly addressed, and accept it after the commit."""
    envelope = message.envelope
    box = desk.mailboxes.of(envelope.to_device)
    key = (envelope.from_device, envelope.message_id)
    if key in box.marks:
        if key in box.uncommitted:
            box.uncommitted[key].append((session.connection, message.request))
        else:
            desk.accept(session.connection, message.request)
        return
    row = desk.rows.of(envelope.to_account, envelope.from_account)
    owed = row == "request" and _owed_receipt(desk, envelope)
    stranger = row == "request" and not owed
    if why := _refusal(desk, session, envelope, stranger):
        if owed:
            desk.rows.return_receipt(envelope.to_account, envelope.from_account)
        desk.deny(session, message.request, why, retry_after_s=1.0 if why == "too-often" else 0.0)
        return
    writes: list[Write] = []
    if stranger:
        request = Request(envelope.to_account, envelope.from_account, envelope.to_device, envelope.message_id)
        desk.rows.use_request(request)
        writes.append(PutRequest(request))
    _store(desk, session, message, row == "blocked", writes, owed)


def _refusal(desk: Desk, session: Session, envelope: Envelope, stranger: bool) -> DeniedWhy | None:
    bounds = desk.settings.mail
    if session.pending >= bounds.pending:
        return "too-often"
    if stranger:
        if len(envelope.ciphertext) > bounds.request_bytes:
            return "too-large"
        if not desk.rows.may_request(
            envelope.to_account, envelope.from_account, envelope.to_device, envelope.message_id
        ):
            return "not-allowed"
    if not desk.mailboxes.of(envelope.to_device).has_room(envelope.from_account, len(envelope.ciphertext), bounds):
        return "mailbox-full"
    return None


def _owed_receipt(desk: Desk, envelope: Envelope) -> bool:
    """Return whether this is a receipt for a letter that its receiver sent here: even strangers may answer so."""
    return envelope.cls == "receipt" and desk.rows.use_receipt(envelope.to_account, envelope.from_account)


def _store(desk: Desk, session: Session, message: Submit, void: bool, writes: list[Write], owed: bool) -> None:
    envelope = message.envelope
    size = len(envelope.ciphertext)
    kept_s = int(desk.settings.mail.kept_days * _DAY_S)
    expires_ms = desk.wall_ms + 1000 * min(envelope.ttl_s or kept_s, kept_s)
    number = desk.mailboxes.next_number()
    letter = Letter(number, _blank(envelope) if void else envelope, desk.wall_ms, expires_ms, void)
    mark = mark_of(letter)
    box = desk.mailboxes.of(envelope.to_device)
    key = (envelope.from_device, envelope.message_id)
    box.add(mark)
    box.uncommitted[key] = [(session.connection, message.request)]
    session.pending += 1
    desk.counters["mail.bytes"] += size

    def stored(safe: bool) -> None:
        session.pending -= 1
        if safe:
            for connection, request in box.committed(mark):
                if desk.sessions.at(connection) is not None:
                    desk.accept(connection, request)
            desk.counters["mail.accepted"] += 1
            deliver(desk, envelope.to_device)
            return
        waiters = box.uncommitted.get(key, [])
        box.remove(key)
        if any(isinstance(write, PutRequest) for write in writes):
            desk.rows.unuse_request(envelope.to_account, envelope.from_account, envelope.to_device)
        if owed:
            desk.rows.return_receipt(envelope.to_account, envelope.from_account)
        for connection, request in waiters:
            found = desk.sessions.at(connection)
            if found is not None:
                desk.deny(found[0], request, "no-storage", retry_after_s=10.0)

    desk.save([*writes, PutLetter(letter)], stored)


def _blank(envelope: Envelope) -> Envelope:
    """Return the envelope with zeros inside: as much to write as the letter itself, and nothing kept."""
    return Envelope(
        cls=envelope.cls,
        message_id=envelope.message_id,
        from_account=envelope.from_account,
        from_device=envelope.from_device,
        to_account=envelope.to_account,
        to_device=envelope.to_device,
        ttl_s=envelope.ttl_s,
        olm_type=envelope.olm_type,
        ciphertext=bytes(len(envelope.ciphertext)),
    )


# --- delivery -------------------------------------------------------------------------------------------------


def deliver(desk: Desk, device: str) -> None:
    """Hand a connected device what waits for it, as far as its window allows."""
    session = desk.sessions.of_device(device)
    box = desk.mailboxes.of(device)
    if session is None or session.delivery.fetching or box.newest_committed <= session.delivery.cursor:
        return
    delivery, bounds = session.delivery, desk.settings.mail
    limit = delivery.room(bounds)
    if not limit:
        return
    delivery.fetching = True
    newest = box.newest_committed

    def fetched(letters: tuple[Letter, ...] | None) -> None:
        delivery.fetching = False
        if desk.sessions.of_device(device) is not session:
            return
        if letters is None:
            desk.close(session.connection, "the store failed")  # it comes again, and so does its mail
            return
        if not _hand_over(desk, session, letters):
            return  # the next acknowledgement goes on
        if len(letters) < limit:
            delivery.cursor = max(delivery.cursor, newest)
        deliver(desk, device)

    desk.fetch_mail(device, delivery.cursor, limit, fetched)


def _hand_over(desk: Desk, session: Session, letters: tuple[Letter, ...]) -> bool:
    """Send what fits the window; False if something did not."""
    delivery = session.delivery
    box = desk.mailboxes.of(session.device)
    for letter in letters:
        key = (letter.envelope.from_device, letter.envelope.message_id)
        size = len(letter.envelope.ciphertext)
        if key in box.marks:
            if not delivery.fits(size, desk.settings.mail):
                return False
            delivery.in_flight[key] = size
            desk.send(session.connection, Deliver(letter.envelope))
            desk.counters["mail.delivered"] += 1
        delivery.cursor = letter.number
    return True


def acknowledge(desk: Desk, session: Session, message: Acknowledge) -> None:
    """Delete what is safe at the receiver. A failed delete only means that it is delivered once more."""
    box = desk.mailboxes.of(session.device)
    writes: list[Write] = []
    for key in message.letters:
        session.delivery.in_flight.pop(key, None)
        mark = box.marks.get(key)
        if mark is None or mark.void or key in box.uncommitted:
            continue
        box.remove(key)  # perhaps handed over in an earlier session, whose acknowledgement was lost
        desk.rows.owe_receipt(mark.from_account, session.account)
        writes.append(DropLetter(session.device, *key))
    if writes:
        desk.save(writes)
    deliver(desk, session.device)


def sweep(desk: Desk) -> None:
    """Drop undelivered letters whose time is over."""
    for mark in list(desk.mailboxes.expired(desk.wall_ms)):
        desk.mailboxes.of(mark.to_device).remove((mark.from_device, mark.message_id))
        desk.counters["mail.expired"] += 1
        desk.save([DropLetter(mark.to_device, mark.from_device, mark.message_id)])
