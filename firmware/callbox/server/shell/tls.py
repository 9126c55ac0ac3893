"""TLS 1.3 over memory: bytes in, bytes out. Which socket they travel on, and when, is decided elsewhere.

asyncio's own TLS keeps 256 KiB per connection and hides how much waits below it; media must know that.
"""

import contextlib
import ssl
from pathlib import Path

READ_BYTES = 64 * 1024


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return a context that speaks TLS 1.3 and nothing older."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # a session is resumed by our own login, never by TLS
    context.load_cert_chain(certificate, key)
    return context


class TlsPipe:
    """One connection's TLS. All methods raise ssl.SSLError when the peer does not speak it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.ready = False

    def receive(self, data: bytes) -> tuple[bytes, bool]:
        """Take bytes of the network; return plain bytes, and whether the peer said that it is done."""
        self._incoming.write(data)
        if not self.ready:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return b"", False
            self.ready = True
        plain = bytearray()
        try:
            while chunk := self._tls.read(READ_BYTES):
                plain += chunk
        except ssl.SSLWantReadError:
            return bytes(plain), False
        except ssl.SSLZeroReturnError:
            pass
        return bytes(plain), True

    def send(self, plain: bytes) -> None:
        """Encrypt; only after `ready`."""
        if plain:
            self._tls.write(plain)

    def end(self) -> None:
        """Say that nothing follows."""
        if self.ready:
            with contextlib.suppress(ssl.SSLWantReadError):  # the peer's own farewell is not waited for
                self._tls.unwrap()

    def to_network(self) -> bytes:
        """Return what is to be sent by now."""
        return self._outgoing.read()
