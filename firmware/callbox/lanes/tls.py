"""TLS 1.3 over memory: bytes in, bytes out. Which socket they travel on, and when, is decided elsewhere.

    network -> receive() -> plain bytes          plain bytes -> send() -> to_network() -> network

asyncio's own TLS keeps 256 KiB per connection, hides how much waits below it, which media must know, and runs ten times
the instructions of OpenSSL around it for every frame of voice.
"""

import contextlib
import ssl

READ_BYTES = 64 * 1024  # more than a record holds


class TlsPipe:
    """One connection's TLS. All methods raise ssl.SSLError when the peer does not speak it, or is not who it must be.

    `host`: whom a client calls, as the certificate must name it; "" makes it the server.
    """

    def __init__(self, context: ssl.SSLContext, host: str = "") -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, not host, host or None)
        self.ready = False
        if host:
            self._shake_hands()

    def receive(self, data: bytes | memoryview) -> tuple[bytes, bool]:
        """Take bytes of the network; return plain bytes, and whether the peer said that it is done."""
        incoming, plain = self._incoming, b""
        incoming.write(data)
        if not self.ready and not self._shake_hands():
            return b"", False
        try:
            while chunk := self._tls.read(READ_BYTES):
                plain = plain + chunk if plain else chunk
                if not incoming.pending:  # a read takes a whole record: asking once more would only raise
                    return plain, False
        except ssl.SSLWantReadError:
            return plain, False
        except ssl.SSLZeroReturnError:
            pass
        return plain, True

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

    def _shake_hands(self) -> bool:
        """Go on with the handshake as far as what has come allows; say whether it is done."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
            self.ready = True
        return self.ready
