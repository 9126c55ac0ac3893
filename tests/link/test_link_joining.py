"""Joining by invite against a scripted server, with time turned by hand; and once over real connections."""

import hashlib
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.server import ServerConnection, serve

from callbox.base.chance import SeededChance
from callbox.base.errors import CallboxError
from callbox.link.events import CloseLane, LaneClosed, LaneOpened, LaneReceived, OpenLane, SendOnLane
from callbox.link.joining import Joined, JoinEffect, Joining, Trust
from callbox.link.session import Credentials
from callbox.link.transports.dialling import Address
from callbox.link.transports.websocket import join
from callbox.wire.cards import Invite
from callbox.wire.codec import decode_client_message, encode_message
from callbox.wire.records import SignedKey, SignedRecord
from callbox.wire.signals import (
    Accepted,
    AskAuthority,
    Authority,
    Challenge,
    ClientMessage,
    Denied,
    Enrol,
    Enrolled,
    Login,
    PublishPrekeys,
    Refused,
    RefusedWhy,
    ServerMessage,
    Welcome,
)

if TYPE_CHECKING:
    from link.conftest import RealBench

CERTIFICATE = b"certificate of the authority"
PIN = hashlib.sha256(CERTIFICATE)
RECORD = SignedRecord(b"record", b"a" * 64, b"d" * 64)
KEYS = (SignedKey(b"k" * 32, b"s" * 64),)
WELCOME = Welcome(b"session", (), 0, 1, True)


def joining(pin: str = PIN.hexdigest()) -> Joining:
    invite = Invite("box.example:8443", "kitchen", "token-token", pin)
    credentials = Credentials("kitchen", "00112233aabbccdd", lambda data: b"s" * 64, lambda: 1)
    return Joining(invite, RECORD, credentials, KEYS, SeededChance(1))


def said(effects: list[JoinEffect]) -> list[ClientMessage]:
    return [decode_client_message(effect.data) for effect in effects if isinstance(effect, SendOnLane)]


def server(core: Joining, message: ServerMessage, now: float = 0.0) -> list[JoinEffect]:
    return core.handle(LaneReceived(0, encode_message(message)), now)


def challenge(pin: bytes = PIN.digest()) -> Challenge:
    return Challenge(pin, b"n" * 32)


def proven(core: Joining, now: float = 0.0) -> None:
    """Come as far as the second, proven connection."""
    core.start(now)
    core.handle(LaneOpened(0), now)
    server(core, challenge(), now)
    server(core, Authority(CERTIFICATE), now)
    core.handle(LaneOpened(0), now)


def failure(core: Joining) -> CallboxError:
    assert isinstance(core.outcome, CallboxError)
    assert core.deadline is None
    return core.outcome


def test_the_whole_way() -> None:
    core = joining()
    assert core.start(0.0) == [Trust(None), OpenLane(0)]
    assert core.handle(LaneOpened(0), 0.0) == []
    assert said(server(core, challenge())) == [AskAuthority()]
    assert server(core, Authority(CERTIFICATE)) == [CloseLane(0), Trust(CERTIFICATE), OpenLane(0)]
    core.handle(LaneOpened(0), 0.0)
    assert said(server(core, challenge())) == [Enrol("token-token", RECORD)]
    [login] = said(server(core, Enrolled("kitchen")))
    assert isinstance(login, Login)
    [publish] = said(server(core, WELCOME))
    assert publish == PublishPrekeys(1, KEYS, replace=True)
    assert server(core, Accepted(1)) == [CloseLane(0)]
    assert core.outcome == Joined(CERTIFICATE, PIN.digest(), WELCOME)


def test_a_wrong_pin_ends_it_before_the_invite_is_shown() -> None:
    core = joining(pin="ab" * 32)
    core.start(0.0)
    effects = server(core, challenge()) + server(core, Authority(CERTIFICATE))
    assert said(effects) == [AskAuthority()]
    assert effects[-1] == CloseLane(0)
    assert "not the one that made this invite" in failure(core).what


def test_a_certificate_that_the_authority_did_not_sign() -> None:
    core = joining()
    proven(core)
    core.handle(LaneClosed(0, "not ours", "certificate"), 0.0)
    assert "posing" in failure(core).cure


def test_a_server_that_claims_another_identity_gets_no_invite() -> None:
    core = joining()
    proven(core)
    assert said(server(core, challenge(b"x" * 32))) == []
    assert "not the one" in failure(core).what


@pytest.mark.parametrize(
    ("why", "sentence"),
    [
        ("invite-expired", "This invite has expired."),
        ("bad-invite", "used before"),
        ("name-taken", "belongs to another box"),
        ("too-many", "too many connections"),
    ],
)
def test_refusals(why: RefusedWhy, sentence: str) -> None:
    core = joining()
    proven(core)
    server(core, challenge())
    server(core, Refused(why))
    assert sentence in failure(core).what
    assert failure(core).cure


def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    """`callbox server run &` may have been started a moment ago."""
    core = joining()
    core.start(0.0)
    now = 0.0
    while now < 3.0:
        core.handle(LaneClosed(0, "Nothing listens at box.example:8443.", "refused"), now)
        now = core.deadline or 0.0
        assert core.tick(now) == [Trust(None), OpenLane(0)]
    proven(core, now)
    assert core.outcome is None


def test_an_unreachable_server_ends_in_its_own_sentence_after_ten_seconds() -> None:
    core = joining()
    core.start(0.0)
    now = 0.0
    while core.outcome is None:
        core.handle(LaneClosed(0, "Nothing listens at box.example:8443.", "refused"), now)
        now = core.deadline or 0.0
        core.tick(now)
    assert now == pytest.approx(10.0)
    assert failure(core).what == "Nothing listens at box.example:8443."


def test_silence_ends_after_ten_seconds() -> None:
    core = joining()
    core.start(0.0)
    now = 0.0
    while core.outcome is None:
        now = core.deadline or 0.0
        core.tick(now)
    assert now == pytest.approx(10.0)
    assert failure(core).what == "box.example:8443 does not answer."


def test_a_cut_after_the_enrolment_begins_again_with_the_same_one() -> None:
    """The server takes the same enrolment twice for one; nobody needs a second invite."""
    core = joining()
    proven(core)
    server(core, challenge())
    core.handle(LaneClosed(0, "gone"), 1.0)
    assert core.tick(1.25) == [Trust(CERTIFICATE), OpenLane(0)]
    core.handle(LaneOpened(0), 1.3)
    assert said(server(core, challenge(), 1.3)) == [Enrol("token-token", RECORD)]


@pytest.mark.parametrize("data", [b"", b"\x01\xff", b"\x07"])
def test_nonsense_ends_it_in_a_sentence(data: bytes) -> None:
    core = joining()
    core.start(0.0)
    core.handle(LaneReceived(0, data), 0.0)
    assert "another version" in failure(core).what


def test_keys_that_the_server_does_not_take() -> None:
    core = joining()
    proven(core)
    for message in (challenge(), Enrolled("kitchen"), WELCOME, Denied(1, "no-storage")):
        server(core, message)
    assert "disk may be full" in failure(core).what


def test_what_comes_too_early_or_twice_does_nothing() -> None:
    core = joining()
    core.start(0.0)
    for message in (Enrolled("kitchen"), Accepted(1)):
        assert server(core, message) == []
    proven(core)
    assert server(core, Authority(b"another")) == []
    assert core.outcome is None


@pytest.mark.real
async def test_over_real_connections(real_bench: "RealBench") -> None:
    authority = real_bench.authority.der
    pin = hashlib.sha256(authority)
    asked: list[str] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.send(encode_message(Challenge(pin.digest(), b"n" * 32)))
        async for data in connection:
            assert isinstance(data, bytes)
            message = decode_client_message(data)
            asked.append(type(message).__name__)
            answers: dict[type, ServerMessage] = {
                AskAuthority: Authority(authority),
                Enrol: Enrolled("kitchen"),
                Login: WELCOME,
                PublishPrekeys: Accepted(1),
            }
            await connection.send(encode_message(answers[type(message)]))

    async with serve(talk, "127.0.0.1", 0, ssl=real_bench.authority.server_context(), compression=None) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        joined = await join(joining(pin.hexdigest()), Address("localhost", port))
        assert joined == Joined(authority, pin.digest(), WELCOME)
        assert asked == ["AskAuthority", "Enrol", "Login", "PublishPrekeys"]
        with pytest.raises(CallboxError, match="not the one that made this invite"):
            await join(joining("ab" * 32), Address("localhost", port))
