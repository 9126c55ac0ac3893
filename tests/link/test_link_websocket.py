"""What only the real transport can show: TLS, addresses, errors in plain words, sockets tuned for sound."""

import asyncio
import datetime
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from callbox.base.errors import WrongUse
from callbox.link.events import LaneClosed, LaneOpened, LaneReceived
from callbox.link.transports.dialling import Address, parse_address, told_failure

if TYPE_CHECKING:
    from link.conftest import Authority, RealBench

pytestmark = pytest.mark.real

Dates: TypeAlias = tuple[datetime.datetime | None, datetime.datetime]
LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
TO_COME = datetime.datetime(2099, 1, 1, tzinfo=datetime.UTC)
EXPIRED = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)


async def outcome(bench: "RealBench", lane: int = 0) -> LaneOpened | LaneClosed:
    bench.seen.clear()
    bench.transport.open(lane)
    await bench.until(lambda: bool(bench.seen))
    [event] = bench.seen
    assert isinstance(event, LaneOpened | LaneClosed)
    return event


async def restart(bench: "RealBench", authority: "Authority", host: str = "localhost") -> None:
    await bench.end()
    bench.authority = authority
    await bench.start(host=host)


async def test_nothing_below_tls_1_3(real_bench: "RealBench") -> None:
    context = real_bench.authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    await real_bench.end()
    await real_bench.start(context)
    closed = await outcome(real_bench)
    assert isinstance(closed, LaneClosed)
    assert "was broken off" in closed.why or "TLS 1.3" in closed.why


async def test_a_certificate_for_another_name(real_bench: "RealBench") -> None:
    real_bench.address = Address("127.0.0.1", real_bench.address.port)
    real_bench.trust(real_bench.authority.der)
    closed = await outcome(real_bench)
    assert isinstance(closed, LaneClosed)
    assert (closed.kind, "for another name" in closed.why) == ("certificate", True)


@pytest.mark.parametrize("dates", [(EXPIRED, LONG_AGO), (None, TO_COME)], ids=["expired", "not yet valid"])
async def test_a_wrong_clock_at_either_end_locks_no_box_out(
    real_bench: "RealBench", authority: "type[Authority]", dates: Dates
) -> None:
    await restart(real_bench, authority("Contract CA", "localhost", *dates))
    assert await outcome(real_bench) == LaneOpened(0)


@pytest.mark.parametrize("dates", [(None, LONG_AGO), (EXPIRED, LONG_AGO)], ids=["now", "expired"])
async def test_another_authority_of_the_same_name_is_refused_whatever_the_time(
    real_bench: "RealBench", authority: "type[Authority]", dates: Dates
) -> None:
    real_bench.trust(authority("Contract CA", "localhost", *dates).der)
    closed = await outcome(real_bench)
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "certificate"


async def test_fetching_the_authority_proves_nothing(real_bench: "RealBench") -> None:
    real_bench.trust(None)
    assert await outcome(real_bench) == LaneOpened(0)


async def test_the_machines_own_authorities_do_not_count(
    real_bench: "RealBench", authority: "type[Authority]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate that any public authority would sign is still not the server that this box joined."""
    pem = tmp_path / "bundle.pem"
    pem.write_text(ssl.DER_cert_to_PEM_cert(real_bench.authority.der))
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    real_bench.trust(authority("Other CA").der)
    closed = await outcome(real_bench)
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "certificate"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no Callbox server"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "too many connections"),
        (b"220 mail.example ESMTP\r\n\r\n", "no Callbox server"),
        (b"\x00\x01\x02" * 10000, "no Callbox server"),
        (b"", "closed the connection"),
    ],
)
async def test_something_else_answers_over_tls(real_bench: "RealBench", answer: bytes, said: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=real_bench.authority.server_context())
    real_bench.address = Address("localhost", server.sockets[0].getsockname()[1])
    real_bench.trust(real_bench.authority.der)
    closed = await outcome(real_bench)
    assert isinstance(closed, LaneClosed)
    assert said in closed.why
    server.close()


async def test_something_that_speaks_no_tls(real_bench: "RealBench") -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n" * 20)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    real_bench.address = Address("localhost", server.sockets[0].getsockname()[1])
    real_bench.trust(real_bench.authority.der)
    closed = await outcome(real_bench)
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "refused"
    server.close()


async def test_a_message_above_the_limit_ends_the_lane(real_bench: "RealBench") -> None:
    """Memory stays bounded whatever the server sends."""
    assert await outcome(real_bench) == LaneOpened(0)
    real_bench.transport.send(0, b"x" * (80 * 1024))
    await real_bench.until(lambda: len(real_bench.seen) > 1)
    assert isinstance(real_bench.seen[1], LaneClosed)


async def test_a_message_in_fragments_arrives_whole(real_bench: "RealBench") -> None:
    assert await outcome(real_bench) == LaneOpened(0)
    real_bench.transport.send(0, b"fragments!")
    await real_bench.until(lambda: len(real_bench.seen) > 1)
    assert real_bench.seen[1:] == [LaneReceived(0, b"one, two, three")]


async def test_a_reset_is_told_in_words(real_bench: "RealBench") -> None:
    assert await outcome(real_bench) == LaneOpened(0)
    real_bench.transport.send(0, b"abort!")
    await real_bench.until(lambda: len(real_bench.seen) > 1)
    [closed] = real_bench.seen[1:]
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "network"


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "network", "No address was found for the name box.example"),
        (UnicodeError("label too long"), "network", "No address was found"),
        (ConnectionRefusedError(111, "refused"), "refused", "Nothing listens at box.example:8443"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "refused", "Nothing listens"),
        (OSError(101, "Network is unreachable"), "network", "There is no way to box.example:8443"),
        (TimeoutError(), "network", "does not answer"),
        (ConnectionResetError(104, "reset"), "network", "broken off"),
    ],
)
def test_failures_in_plain_words(error: Exception, kind: str, said: str) -> None:
    why, told_kind = told_failure(error, Address("box.example", 8443))
    assert told_kind == kind
    assert said in why
    assert why.endswith(".")


@pytest.mark.parametrize(
    ("text", "address"),
    [("box.example:8443", Address("box.example", 8443)), ("[::1]:443", Address("::1", 443))],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "box.example", "box.example:", ":8443", "box.example:port", "b:0", "b:70000"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(WrongUse):
        parse_address(text)
