"""Links: a new device of an account asks the one that made the invite to sign its record. In memory only.

old device --open-link(token)--> link;  new device, unproven --ask-link(token, record)--> it waits
link --link-asked--> old device --answer-link(nonce | no)--> new device;  --put-record--> linked
"""

from callbox.crypto.records import Untrusted, verify_half_record
from callbox.server.desk import Desk
from callbox.server.open_links import Link
from callbox.server.sessions import Session, Unproven
from callbox.wire.signals import AnswerLink, AskLink, LinkAnswered, LinkAsked, Linked, OpenLink


def open_link(desk: Desk, session: Session, message: OpenLink) -> None:
    """Take the token of an invite; an opener that comes back is told again who asked meanwhile."""
    link = desk.links.open(message.token, session.account, session.device, desk.now)
    if link is None:
        desk.deny(session, message.request, "too-large")
        return
    desk.accept(session.connection, message.request)
    _tell_opener(desk, link)


def ask_link(desk: Desk, unproven: Unproven, message: AskLink) -> None:
    """A new device comes with a token: it waits, unproven, for as long as the link lasts."""
    try:
        record = verify_half_record(message.record, message.by_device)
    except Untrusted as error:
        desk.refuse(unproven.connection, "bad-record", str(error))
        return
    known = desk.directory.device(record.device)
    if known is not None and known.stored.record.record == message.record:
        desk.send(unproven.connection, Linked(known.stored.record))  # signed before; it missed the answer
        return
    link = desk.links.get(message.token, desk.now)
    busy = link is not None and link.connection in desk.sessions.unproven and link.connection != unproven.connection
    same = link is not None and link.asked is not None and link.asked.record == message.record
    account = desk.directory.account(link.account) if link is not None else None
    if link is None or account is None or (busy and not same):
        desk.audit_denial("link-refused", why="bad-invite", account=record.account)
        desk.refuse(unproven.connection, "bad-invite")
        return
    if (record.account, record.account_key) != (account.name, account.key) or known is not None or record.revoked:
        desk.refuse(unproven.connection, "bad-record")
        return
    unproven.deadline = link.ends
    link.connection, link.asked = unproven.connection, message
    _tell_opener(desk, link)


def answer_link(desk: Desk, session: Session, message: AnswerLink) -> None:
    """Pass on what the account's device says to the new one; a no ends the link."""
    link = desk.links.get(message.token, desk.now)
    if link is None or link.device != session.device:
        return
    if link.connection in desk.sessions.unproven:
        desk.send(link.connection, LinkAnswered(message.nonce, message.agreed))
    if not message.agreed:
        desk.links.drop(message.token)


def _tell_opener(desk: Desk, link: Link) -> None:
    session = desk.sessions.of_device(link.device)
    asked = link.asked
    if session is not None and asked is not None and link.connection in desk.sessions.unproven:
        desk.send(session.connection, LinkAsked(asked.token, asked.record, asked.by_device))
