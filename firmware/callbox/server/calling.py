"""Rings, call letters and media routes: who may, within which bounds, and what the others hear of it.

To a caller, a callee who blocks it is one whose box is switched off: every check and answer below is the same, only
nothing is handed over. So a blocked pair passes for `ring` until the moment of handing over.
"""

from callbox.server.desk import Desk
from callbox.server.letters import misaddressed
from callbox.server.rings import MAX_OFFERS_PER_ACCOUNT, Offer
from callbox.server.routes import MAX_ROUTES_PER_DEVICE, Route, RouteKey, Side
from callbox.server.rows import at_least
from callbox.server.sessions import Session
from callbox.wire.records import Row
from callbox.wire.signals import (
    CloseRoute,
    Deliver,
    DeniedWhy,
    EndRing,
    Envelope,
    OpenRoute,
    Ring,
    RingEnded,
    RouteClosed,
    RouteOpened,
    Submit,
)
from callbox.wire.told import Told

MAX_DEVICES_RUNG = 16
_TOLD: dict[DeniedWhy, Told] = {"calls-disabled": Told.NOT_ACCEPTING, "busy": Told.BUSY, "no-ring": Told.FAILED}


def ring(desk: Desk, session: Session, message: Ring) -> None:
    """Offer a call to the devices of an account."""
    envelopes = _envelopes(desk, session, message)
    if envelopes is None or message.to_account == session.account:
        _deny_ring(desk, session, message, "not-yours")
        return
    if message.resume:
        _resume(desk, session, message, envelopes)
        return
    live = desk.rings.get(session.device, message.call_id)
    if live is not None and live.callee == message.to_account:
        if not desk.rings.repeat(live, envelopes):
            _deny_ring(desk, session, message, "too-often")
            return
        desk.rings.grant(session.account, live.callee, live.call_id, desk.now)
        _give(desk, live)
        desk.accept(session.connection, message.request)
        return
    why, retry_after_s = _ring_refusal(desk, session, message)
    if why is not None:
        _deny_ring(desk, session, message, why, retry_after_s)
        return
    for older in desk.rings.of_pair(session.account, message.to_account):
        end_offer(desk, older)  # one outstanding: the caller's next call takes its place
    offer = Offer(
        call_id=message.call_id,
        caller=session.account,
        caller_device=session.device,
        callee=message.to_account,
        envelopes=envelopes,
        ends=desk.now + desk.settings.calls.offer_s,
        void=desk.rows.of(message.to_account, session.account) == "blocked",
    )
    desk.rings.add(offer, desk.now)
    desk.counters["rings"] += 1
    _give(desk, offer)
    desk.accept(session.connection, message.request)


def _envelopes(desk: Desk, session: Session, message: Ring) -> dict[str, Envelope] | None:
    """Return the ring's envelopes by device, without those to devices that are gone; None if one is not in order."""
    if not 0 < len(message.envelopes) <= MAX_DEVICES_RUNG:
        return None
    envelopes: dict[str, Envelope] = {}
    for envelope in message.envelopes:
        if envelope.cls != "call" or envelope.to_account != message.to_account or envelope.to_device in envelopes:
            return None
        fault = misaddressed(desk, session, envelope)
        if fault is None:
            envelopes[envelope.to_device] = envelope
        elif fault != "no-such-account":
            return None
    return envelopes


def _ring_refusal(desk: Desk, session: Session, message: Ring) -> tuple[DeniedWhy | None, float]:
    account = desk.directory.account(message.to_account)
    if account is None:
        return "no-such-account", 0.0
    row = desk.rows.of(message.to_account, session.account)
    needed: Row = "knock" if message.knock else "ring"
    if row != "blocked" and not at_least(row, needed):
        return "not-allowed", 0.0
    if not account.calls_enabled:
        return "calls-disabled", 0.0
    live = desk.rings.between(session.account, message.to_account)
    if live is not None and live.caller_device != session.device:
        return "busy", 0.0
    if live is None and desk.rings.count_of(session.account) >= MAX_OFFERS_PER_ACCOUNT:
        return "too-often", desk.settings.calls.offer_s
    wait_s = desk.ring_limits.allow((session.account, message.to_account), desk.now)
    return ("too-often" if wait_s else None), wait_s


def _deny_ring(desk: Desk, session: Session, message: Ring, why: DeniedWhy, retry_after_s: float = 0.0) -> None:
    """Refuse. A stranger is told nothing, so that its box does not spend its one request on a missed-call notice."""
    stranger = why == "not-allowed" and desk.rows.of(message.to_account, session.account) == "request"
    told = None if stranger else _TOLD.get(why, Told.UNAVAILABLE)
    desk.deny(session, message.request, why, told, retry_after_s)


def _give(desk: Desk, offer: Offer) -> None:
    """Hand an offer to the callee's devices that are here and have not got it on this connection."""
    if offer.void:
        return
    for device, envelope in offer.envelopes.items():
        session = desk.sessions.of_device(device)
        if session is not None and offer.given.get(device) != session.connection:
            offer.given[device] = session.connection
            desk.send(session.connection, Deliver(envelope))


def give_waiting_offers(desk: Desk, session: Session) -> None:
    """Hand a device that has just come what rings for it."""
    for offer in list(desk.rings.waiting_for(session.device)):
        _give(desk, offer)


def end_ring(desk: Desk, session: Session, message: EndRing) -> None:
    """Withdraw an offer: only its caller's device finds it."""
    offer = desk.rings.get(session.device, message.call_id)
    if offer is not None:
        end_offer(desk, offer)


def end_offer(desk: Desk, offer: Offer) -> None:
    """Take an offer back from every device that got it."""
    desk.rings.remove(offer)
    for device in offer.given:
        session = desk.sessions.of_device(device)
        if session is not None:
            desk.send(session.connection, RingEnded(offer.call_id))


def _resume(desk: Desk, session: Session, message: Ring, envelopes: dict[str, Envelope]) -> None:
    """Pass on a restarted box's resume: at once or not at all, and only where this call has a route."""
    device = next(iter(envelopes), "")
    open_still = desk.routes.between(session.device, device, message.call_id) is not None
    if len(message.envelopes) != 1 or not (open_still or _from_before_start(desk, session.account, message.to_account)):
        _deny_ring(desk, session, message, "no-ring")
        return
    if not _take_call_letter(desk, session):
        _deny_ring(desk, session, message, "too-often", 1.0)
        return
    desk.rings.grant(session.account, message.to_account, message.call_id, desk.now)
    if device:
        _pass(desk, envelopes[device])
    desk.accept(session.connection, message.request)


# --- call letters ---------------------------------------------------------------------------------------------


def submit_call(desk: Desk, session: Session, message: Submit) -> None:
    """Pass a rightly addressed call letter on, or drop it: it is worth nothing later. Accepted either way."""
    envelope = message.envelope
    row = desk.rows.of(envelope.to_account, session.account)
    allowed = (
        row == "blocked"
        or at_least(row, "knock")
        or desk.rings.rang(session.account, envelope.to_account, desk.now)
        or desk.routes.between(session.device, envelope.to_device) is not None
        or _from_before_start(desk, session.account, envelope.to_account)
    )
    if not allowed:
        desk.deny(session, message.request, "not-allowed")
        return
    if not _take_call_letter(desk, session):
        desk.deny(session, message.request, "too-often", retry_after_s=1.0)
        return
    _pass(desk, envelope)
    desk.accept(session.connection, message.request)


def _take_call_letter(desk: Desk, session: Session) -> bool:
    if session.call_letters.wait_s(desk.now) > 0.0:
        return False
    session.call_letters.take()
    return True


def _pass(desk: Desk, envelope: Envelope) -> None:
    peer = desk.sessions.of_device(envelope.to_device)
    if peer is not None and desk.rows.of(envelope.to_account, envelope.from_account) != "blocked":
        desk.send(peer.connection, Deliver(envelope))


def _from_before_start(desk: Desk, one: str, other: str) -> bool:
    """Return whether the two may have been in a call when the server stopped: it forgets rings and routes then.

    A blocked row counts as one that allows, for the one who is blocked must not notice; nothing passes all the same.
    """
    if not desk.just_started:
        return False
    rows = (desk.rows.of(one, other), desk.rows.of(other, one))
    return any(row == "blocked" or at_least(row, "knock") for row in rows)


# --- routes ---------------------------------------------------------------------------------------------------


def open_route(desk: Desk, session: Session, message: OpenRoute) -> None:
    """Bring one side of a route in; with the second it is complete, and both hear so."""
    key = RouteKey(message.call_id, message.token, frozenset((session.device, message.peer_device)))
    route = desk.routes.find(key)
    if route is None:
        why = _route_refusal(desk, session, message)
        if why is not None:
            desk.deny(session, message.request, why)
            return
        sides = (Side(session.device, session.account), Side(message.peer_device, message.peer_account))
        route = desk.routes.begin(key, sides, desk.now)
    desk.routes.enter(route, session.device, session.connection, message.request)
    if not route.complete:
        desk.send(session.connection, RouteOpened(message.request, route.number, complete=False))
        return
    desk.counters["routes"] += 1
    for side in route.sides.values():
        if side.connection is not None:
            desk.send(side.connection, RouteOpened(side.request, route.number, complete=True))
    _close_older(desk, route)


def _route_refusal(desk: Desk, session: Session, message: OpenRoute) -> DeniedWhy | None:
    peer = message.peer_account
    if message.peer_device == session.device or not desk.directory.belongs(message.peer_device, peer):
        return "no-ring"
    granted = desk.rings.granted(session.account, peer, message.call_id, desk.now)
    if not granted and not _from_before_start(desk, session.account, peer):
        return "no-ring"
    return "busy" if len(desk.routes.of_device(session.device)) >= MAX_ROUTES_PER_DEVICE else None


def _close_older(desk: Desk, route: Route) -> None:
    """A resumed call has a new token and so a new route; the one before is of no use any more."""
    one = next(iter(route.sides))
    for older in desk.routes.of_device(one):
        if older is not route and older.key.call_id == route.key.call_id and older.sides.keys() == route.sides.keys():
            desk.routes.close(older.number, one)
            tell_closed(desk, older)


def close_route(desk: Desk, session: Session, message: CloseRoute) -> None:
    route = desk.routes.close(message.route, session.device)
    if route is not None:
        tell_closed(desk, route, except_device=session.device)


def tell_closed(desk: Desk, route: Route, except_device: str = "") -> None:
    for side in route.sides.values():
        if side.connection is not None and side.device != except_device:
            desk.send(side.connection, RouteClosed(route.number))


def cut_off(desk: Desk, owner: str, other: str) -> None:
    """`owner` blocks `other` from now on: what rings stops, what talks ends."""
    for offer in desk.rings.of_pair(other, owner):
        for device in offer.given:
            session = desk.sessions.of_device(device)
            if session is not None:
                desk.send(session.connection, RingEnded(offer.call_id))
        offer.given.clear()
        offer.void = True
    for entry in desk.directory.devices_of(owner):
        for route in desk.routes.of_device(entry.stored.device):
            if any(side.account == other for side in route.sides.values()):
                desk.routes.close(route.number, entry.stored.device)
                tell_closed(desk, route)


def end_overdue(desk: Desk) -> None:
    for offer in desk.rings.overdue(desk.now):
        end_offer(desk, offer)
    for route in desk.routes.overdue(desk.now):
        tell_closed(desk, route)
