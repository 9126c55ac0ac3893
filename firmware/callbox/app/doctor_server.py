"""What `callbox doctor` finds out about the server: the way there, its certificate, the login, its clock.

With the store open it goes the whole way that the box goes. When a box runs, that box has the store and the login;
then only the way and the dates of the certificate are looked at from here, and the box is believed on the rest.
"""

import asyncio
import socket
import time
from dataclasses import dataclass

from callbox import __version__
from callbox.app.doctor_known import BoxFacts, Certificate, ServerFacts, Trouble
from callbox.app.doctor_machine import Machine
from callbox.app.saved import Saved
from callbox.base.chance import SystemChance
from callbox.link.events import (
    CONTROL_LANE,
    ClosedKind,
    CloseLane,
    LanePonged,
    LinkEffect,
    LinkFault,
    OpenLane,
    PingLane,
    Retrying,
    SendOnLane,
    SessionUp,
    TransportEvent,
)
from callbox.link.refusals import OTHER_CERTIFICATE_CURE
from callbox.link.session import Credentials, Session
from callbox.link.transports import perform
from callbox.link.transports.dialling import Address, client_tls, parse_address, told_failure
from callbox.link.transports.websocket import WebSocketTransport

CONNECT_S = 5.0
LOGIN_S = 10.0
CURES: dict[ClosedKind, str] = {
    "network": "Is this machine on the network (`ip address`), and is the server's machine switched on?",
    "refused": "Start the server there (callbox server run), or let its port through the firewall.",
    "certificate": OTHER_CERTIFICATE_CURE,
}


@dataclass(frozen=True, slots=True)
class Login:
    """How a login ended. `ahead_s`: how far the server's clock is ahead of ours."""

    trouble: Trouble | None = None
    latency_ms: float | None = None
    ahead_s: float | None = None


def look_as_the_box(saved: Saved, epoch: int, machine: Machine) -> ServerFacts:
    """Connect, prove the server by the pinned authority, log in. `epoch` is on disk and not used yet."""
    membership = saved.membership
    address = parse_address(membership.address)
    try:
        _, certificate = reach(address, membership.authority)
    except (OSError, UnicodeError) as error:
        return ServerFacts(membership.address, told(error, address))
    login = asyncio.run(log_in(saved, epoch, machine))
    return ServerFacts(membership.address, login.trouble, False, login.latency_ms, certificate, login.ahead_s)


def look_from_outside(box: BoxFacts) -> ServerFacts:
    """Look at the way and at the certificate's dates; the running box tells whether the server is the right one."""
    address = parse_address(box.server)
    try:
        latency_ms, certificate = reach(address, None)
    except (OSError, UnicodeError) as error:
        return ServerFacts(box.server, told(error, address))
    trouble = None
    if box.link != "connected":
        cure = "If it stays so, its log says more: journalctl -u callbox"
        trouble = Trouble(f"{address} can be reached, but the running box is not logged in: {box.link}", cure)
    return ServerFacts(box.server, trouble, True, latency_ms, certificate)


def told(error: OSError | UnicodeError, address: Address) -> Trouble:
    """Tell why the server could not be reached or proven."""
    what, kind = told_failure(error, address)
    return Trouble(what, CURES[kind])


def reach(address: Address, authority: bytes | None) -> tuple[float, Certificate]:
    """Connect by TCP and TLS; return the time that TCP took, in ms, and the certificate's dates.

    Raises OSError, UnicodeError. Dates are not checked: a wrong clock is to be told from an old certificate.
    """
    from cryptography import x509

    started = time.monotonic()
    with socket.create_connection((address.host, address.port), timeout=CONNECT_S) as raw:
        latency_ms = 1000 * (time.monotonic() - started)
        with client_tls(authority).wrap_socket(raw, server_hostname=address.host) as tls:
            shown = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    dates = (shown.not_valid_before_utc.timestamp(), shown.not_valid_after_utc.timestamp())
    return latency_ms, Certificate(*dates)


async def log_in(saved: Saved, epoch: int, machine: Machine) -> Login:
    """Log in as the box, wait for one ping, and leave."""
    loop = asyncio.get_running_loop()
    identity, membership = saved.identity, saved.membership
    ended: asyncio.Future[Login] = loop.create_future()
    credentials = Credentials(identity.account, identity.device, identity.sign_login, lambda: epoch, __version__)
    session = Session(credentials, membership.server_id, SystemChance())
    pinged_at = ahead_s = 0.0

    def end(login: Login) -> None:
        if not ended.done():
            ended.set_result(login)

    def heard(event: TransportEvent) -> None:
        if isinstance(event, LanePonged) and session.up:
            end(Login(None, 1000 * (loop.time() - pinged_at), ahead_s))
        act(session.handle(event, loop.time()))

    def act(effects: list[LinkEffect]) -> None:
        nonlocal pinged_at, ahead_s
        for effect in effects:
            match effect:
                case SessionUp(welcome=welcome):
                    ahead_s = (welcome.server_time_ms - machine.wall_ms()) / 1000
                    pinged_at = loop.time()
                    transport.ping(CONTROL_LANE)
                case LinkFault(sentence=sentence, cure=cure):
                    end(Login(Trouble(sentence, cure)))
                case Retrying(why=why):
                    end(Login(Trouble(why, "Try again in a minute.")))
                case OpenLane() | SendOnLane() | PingLane() | CloseLane():
                    perform(transport, effect)

    transport = WebSocketTransport(parse_address(membership.address), membership.authority, heard)
    try:
        act(session.start(loop.time()))
        return await asyncio.wait_for(ended, LOGIN_S)
    except TimeoutError:
        return Login(Trouble(f"{membership.address} does not answer the login.", "Look at the server's log."))
    finally:
        act(session.stop(loop.time()))
        transport.shutdown()
