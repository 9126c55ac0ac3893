"""The server under frames that no honest box sends: it reads whole messages by itself, so it holds the rules."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from callbox.base.time import Instant
from callbox.lanes.messages import framed
from callbox.server.settings import ServerSettings
from callbox.server.shell.connection import Connection
from callbox.server.shell.pipe import Pipe
from callbox.wire.codec import MAX_CONTROL_BYTES, decode_server_message, encode_message
from callbox.wire.signals import AskAuthority, Authority, Challenge
from server.running import RunningServer, unproven

pytestmark = pytest.mark.real
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\x5a\x00\xff\x13"
ASK = framed(encode_message(AskAuthority()), MASK)
PROTOCOL_ERROR, TOO_BIG = 1002, 1009


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("server"))
    yield running
    assert running.stop() == 0


class Raw:
    """A TLS connection to the server on which anything can be sent."""

    def __init__(self, server: RunningServer, request: bytes = REQUEST) -> None:
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        self.tls: ssl.SSLSocket = unproven().wrap_socket(plain)
        self._read = b""
        self.tls.sendall(request)

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def greeted(self) -> "Raw":
        """Be past the handshake and the challenge."""
        while b"\r\n\r\n" not in self._read:
            assert self._more(), self._read
        answer, _, self._read = self._read.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 ")
        opcode, body = self.frame()
        assert (opcode, type(decode_server_message(body))) == (2, Challenge)
        return self

    def frame(self) -> tuple[int, bytes]:
        """Return opcode and content of the next frame."""
        while len(self._read) < 2 or len(self._read) < self._whole():
            assert self._more(), "the server hung up without a word"
        whole = self._whole()
        head = 4 if self._read[1] == 126 else 2
        opcode, body = self._read[0] & 15, self._read[head:whole]
        self._read = self._read[whole:]
        return opcode, body

    def hears(self, *kinds: int) -> None:
        assert [self.frame()[0] for _ in kinds] == list(kinds)

    def closed_with(self) -> int:
        """Return the code that the server closes with; nothing else may come before it."""
        opcode, body = self.frame()
        assert opcode == 8
        assert not self._more()
        return int.from_bytes(body[:2], "big")

    def dropped(self) -> bool:
        """Return whether the server ends this without an answer of any kind."""
        return not self._read and not self._more()

    def _whole(self) -> int:
        size = self._read[1]
        return 2 + size if size < 126 else 4 + int.from_bytes(self._read[2:4], "big")

    def _more(self) -> bool:
        more = b""
        with suppress(ConnectionResetError, ssl.SSLEOFError, BrokenPipeError):
            more = self.tls.recv(4096)
        self._read += more
        return bool(more)


def test_messages_cut_anywhere_are_the_same_messages(server: RunningServer) -> None:
    with Raw(server) as raw:
        raw.greeted()
        for byte in ASK:
            raw.tls.sendall(bytes([byte]))
        assert isinstance(decode_server_message(raw.frame()[1]), Authority)
        raw.tls.sendall(ASK * 3)
        raw.hears(2, 2, 2)


def test_a_ping_between_fragments_is_answered_before_the_message(server: RunningServer) -> None:
    message = encode_message(AskAuthority())
    first, last = bytes([0x02]) + framed(message[:1], MASK)[1:], bytes([0x80]) + framed(message[1:], MASK)[1:]
    with Raw(server) as raw:
        raw.greeted().tls.sendall(first + b"\x89" + framed(b"still there?", MASK)[1:])
        assert raw.frame() == (10, b"still there?")
        raw.tls.sendall(last)
        assert isinstance(decode_server_message(raw.frame()[1]), Authority)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(framed(encode_message(AskAuthority())), PROTOCOL_ERROR, id="unmasked"),
        pytest.param(b"\x02" + ASK[1:] + ASK, PROTOCOL_ERROR, id="a message amid the fragments of another"),
        pytest.param(b"\x80" + ASK[1:], PROTOCOL_ERROR, id="the end of nothing"),
        pytest.param(b"\xc2" + ASK[1:], PROTOCOL_ERROR, id="compressed"),
        pytest.param(b"\x83" + ASK[1:], PROTOCOL_ERROR, id="unknown"),
        pytest.param(b"\x09" + ASK[1:], PROTOCOL_ERROR, id="a ping in fragments"),
        pytest.param(b"\x89" + framed(bytes(126), MASK)[1:], PROTOCOL_ERROR, id="a ping too long"),
        pytest.param(struct.pack(">BBQ", 0x82, 0xFF, 1 << 40) + MASK, TOO_BIG, id="a terabyte announced"),
        pytest.param(struct.pack(">BBQ", 0x82, 0xFF, 1 << 63) + MASK, TOO_BIG, id="more than there are numbers"),
        pytest.param(framed(bytes(MAX_CONTROL_BYTES + 1), MASK), TOO_BIG, id="a byte too many"),
        pytest.param(
            b"\x02" + framed(bytes(40_000), MASK)[1:] + b"\x80" + framed(bytes(40_000), MASK)[1:],
            TOO_BIG,
            id="too many in fragments",
        ),
    ],
)
def test_who_breaks_the_rules_is_told_and_nothing_more_is_heard(server: RunningServer, frame: bytes, code: int) -> None:
    with Raw(server) as raw:
        raw.greeted()
        with suppress(OSError):  # the server may have left already
            raw.tls.sendall(frame + ASK)
        assert raw.closed_with() == code


class Ear:
    """A hub that hears one connection, and its pipe."""

    settings = ServerSettings()
    ready = True
    waiting_bytes = 0

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.sent = b""
        self.socket = socket.socket()

    def now(self) -> Instant:
        return 1.0

    def is_own(self, peer: tuple[str, int]) -> bool:
        return False

    def opened(self, connection: Connection) -> None: ...

    def received(self, connection: Connection, data: bytes) -> None:
        self.heard.append(data)

    def closed(self, connection: Connection) -> None: ...

    def send(self, plain: bytes) -> None:
        self.sent += plain

    def end(self) -> None: ...

    def abort(self) -> None: ...


@pytest.mark.parametrize("fault", [framed(b"unmasked"), b"\x80" + ASK[1:], b"\x88" + framed(b"", MASK)[1:]])
async def test_what_comes_after_a_fault_or_a_farewell_is_not_done(fault: bytes) -> None:
    ear = Ear()
    connection = Connection(1, ear)
    connection.connected(cast(Pipe, ear), ("192.0.2.7", 1))
    connection.came(REQUEST)
    connection.came(ASK + fault + ASK)
    connection.came(ASK)
    assert ear.heard == [encode_message(AskAuthority())]
    ear.socket.close()


def test_nothing_may_come_before_the_answer_to_the_handshake(server: RunningServer) -> None:
    with Raw(server, REQUEST + ASK) as raw:
        assert raw.dropped()


def test_a_request_without_an_end_is_dropped(server: RunningServer) -> None:
    with Raw(server, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000) as raw:
        assert raw.dropped()


def test_a_request_in_pieces_is_a_request(server: RunningServer) -> None:
    with Raw(server, REQUEST[:30]) as raw:
        raw.tls.sendall(REQUEST[30:-2])
        raw.tls.sendall(REQUEST[-2:])
        raw.greeted()


def test_half_a_connection_ends_in_time(tmp_path: Path) -> None:
    """TCP alone, TLS alone, half a request, half a frame: none of them is kept."""
    (tmp_path / "server.toml").write_text("[connections]\nprove_within_s = 0.6\n")
    running = RunningServer(tmp_path)
    halves = [Raw(running, b""), Raw(running, REQUEST[:30]), Raw(running).greeted()]
    halves[2].tls.sendall(ASK[:-1])
    tcp_alone = socket.create_connection(("127.0.0.1", running.port), timeout=10)
    with suppress(ConnectionResetError):
        assert tcp_alone.recv(1) == b""
    tcp_alone.close()
    for half in halves[:2]:
        with half:
            assert half.dropped()
    with halves[2] as half:
        half.hears(2)  # Refused
        assert half.closed_with() == 1000
    assert running.stop() == 0
