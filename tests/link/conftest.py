"""A real TLS server for the tests of real transports: it echoes, and acts on a few words."""

import asyncio
import datetime
import ipaddress
import ssl
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import Server, ServerConnection, serve

from callbox.link.events import TransportEvent
from callbox.link.transports import Transport
from callbox.link.transports.dialling import Address
from callbox.link.transports.websocket import WebSocketTransport

LONG_AGO = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """A private CA with one leaf for localhost."""

    def __init__(self, common_name: str, host: str = "localhost", not_after: datetime.datetime | None = None) -> None:
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
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(LONG_AGO)
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

    def trust(self, authority: bytes | None, clock_trusted: bool = True) -> None:
        """Use a transport that trusts `authority`."""
        self.transport = WebSocketTransport(self.address, authority, self.seen.append, lambda: clock_trusted)

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
