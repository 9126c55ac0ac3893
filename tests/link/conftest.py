"""What the tests of the link share.

`Rig`: a session core with time turned by hand and the server's side of the talk. `RealBench`: a real TLS server for
the tests of real transports: it echoes, and acts on a few words.
"""

import asyncio
import datetime
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import Server, ServerConnection, serve

from callbox.base.chance import SeededChance
from callbox.link.events import (
    LaneOpened,
    LaneReceived,
    LinkEffect,
    SendOnLane,
    TransportEvent,
)
from callbox.link.session import Credentials, Session
from callbox.link.transports import Transport
from callbox.link.transports.dialling import Address
from callbox.link.transports.websocket import WebSocketTransport
from callbox.wire.codec import decode_client_message, encode_message
from callbox.wire.signals import (
    Challenge,
    ClientMessage,
    LaneJoined,
    ServerMessage,
    Welcome,
)

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """A private CA with one leaf for localhost."""

    def __init__(
        self,
        common_name: str,
        host: str = "localhost",
        not_after: datetime.datetime | None = None,
        not_before: datetime.datetime = LONG_AGO,
    ) -> None:
        self._not_before = not_before
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        ca = self._build(self._name, self._key, None, None)
        self.der = ca.public_bytes(serialization.Encoding.DER)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self._build(x509.Name([]), key, host, not_after)
        self.pem = leaf.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def _build(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        host: str | None,
        not_after: datetime.datetime | None,
    ) -> x509.Certificate:
        later = max(datetime.datetime.now(datetime.UTC), self._not_before) + datetime.timedelta(days=30)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._not_before)
            .not_valid_after(not_after or later)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        )
        if host is not None:
            names = [x509.DNSName(host), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        return builder.sign(self._key, hashes.SHA256())

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "leaf.pem"
            path.write_bytes(self.pem)
            context.load_cert_chain(path)
        return context


class RealBench:
    def __init__(self) -> None:
        self.seen: list[TransportEvent] = []
        self.authority = Authority("Contract CA")
        self.transport: Transport
        self.address = Address("localhost", 0)
        self._serving: Server

    async def start(self, context: ssl.SSLContext | None = None, host: str = "localhost") -> None:
        context = context or self.authority.server_context()
        self._serving = await serve(
            self._serve, "127.0.0.1", 0, ssl=context, compression=None, max_queue=1, close_timeout=0.2
        )
        port = next(iter(self._serving.sockets)).getsockname()[1]
        self.address = Address(host, port)
        self.trust(self.authority.der)

    def trust(self, authority: bytes | None) -> None:
        """Use a transport that trusts `authority`."""
        self.transport = WebSocketTransport(self.address, authority, self.seen.append)

    async def _serve(self, connection: ServerConnection) -> None:
        async for data in connection:
            if data == b"close!":
                await connection.close()
            elif data == b"fragments!":
                await connection.send([b"one, ", b"two, ", b"three"])
            elif data == b"abort!":
                connection.transport.abort()
            elif data == b"deaf!":
                await connection.wait_closed()
            else:
                await connection.send(data)

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not met():
                await asyncio.sleep(0.002)

    async def settle(self) -> None:
        await asyncio.sleep(0.05)  # that nothing comes can only be seen by waiting

    async def stop_listening(self) -> None:
        self._serving.close()
        await self._serving.wait_closed()

    def pose(self) -> None:
        self.trust(Authority("Contract CA").der)

    async def end(self) -> None:
        self.transport.shutdown()
        self._serving.close()
        await self._serving.wait_closed()


@pytest_asyncio.fixture
async def real_bench() -> AsyncIterator[RealBench]:
    bench = RealBench()
    await bench.start()
    yield bench
    await bench.end()


@pytest_asyncio.fixture
async def authority() -> type[Authority]:
    return Authority


SERVER_ID = b"s" * 32
DEVICE = "00112233aabbccdd"


class Rig:
    """A session, what it asked for, and the server's side of the talk."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 100.0
        self.epoch = 7
        self.seen: list[LinkEffect] = []
        credentials = Credentials("kitchen", DEVICE, lambda data: b"signed:" + data[-57:], self.next_epoch)
        self.session = Session(credentials, SERVER_ID, SeededChance(seed))

    def next_epoch(self) -> int:
        self.epoch += 1
        return self.epoch

    def do(self, effects: list[LinkEffect]) -> list[LinkEffect]:
        self.seen += effects
        return effects

    def feed(self, event: TransportEvent) -> list[LinkEffect]:
        return self.do(self.session.handle(event, self.now))

    def server(self, message: ServerMessage, lane: int = 0) -> list[LinkEffect]:
        return self.feed(LaneReceived(lane, encode_message(message)))

    def challenge(self, lane: int = 0, server_id: bytes = SERVER_ID) -> list[LinkEffect]:
        return self.server(Challenge(server_id, b"n" * 32), lane)

    def up(self, tickets: int = 6) -> list[LinkEffect]:
        """Start and log in."""
        self.do(self.session.start(self.now))
        return self.log_in(tickets)

    def log_in(self, tickets: int = 6) -> list[LinkEffect]:
        self.feed(LaneOpened(0))
        self.challenge()
        return self.server(self.welcome(tickets))

    def lane_up(self, lane: int, ticket: bytes = b"") -> list[LinkEffect]:
        self.feed(LaneOpened(lane))
        self.challenge(lane)
        return self.server(LaneJoined(lane, ticket), lane)

    def run_until(self, limit: float, react: Callable[[LinkEffect], None] = lambda _: None) -> list[LinkEffect]:
        """Jump from deadline to deadline."""
        start = len(self.seen)
        while (deadline := self.session.deadline) is not None and deadline <= limit:
            self.now = max(self.now, deadline)
            for effect in self.do(self.session.tick(self.now)):
                react(effect)
        self.now = limit
        return self.seen[start:]

    @staticmethod
    def welcome(tickets: int = 6) -> Welcome:
        return Welcome(b"session", tuple(b"ticket%d" % number for number in range(tickets)), 0, 50, True)

    @staticmethod
    def said(effects: list[LinkEffect], lane: int = 0) -> list[ClientMessage]:
        """Return what was sent on `lane`."""
        return [decode_client_message(one.data) for one in effects if isinstance(one, SendOnLane) and one.lane == lane]


@pytest.fixture
def rig() -> Rig:
    return Rig()
