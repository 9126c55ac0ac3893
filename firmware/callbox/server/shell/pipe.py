"""TCP and TLS 1.3 of one connection.

    socket --> one buffer for all --> TLS --plain bytes--> Reader
    Reader --plain bytes--> TLS --> socket

asyncio reads into a buffer that we lend it. Left to itself it asks for 256 KiB of fresh memory for every read, which
the kernel has to map and to take back again: half of what a frame of voice costs.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Protocol

from callbox.lanes.tls import TlsPipe

READ_BYTES = 64 * 1024
_RESET = struct.pack("ii", 1, 0)
_lent = memoryview(bytearray(READ_BYTES))  # what was read is dealt with before anything else is read


class Reader(Protocol):
    """What a pipe reports to."""

    def connected(self, pipe: "Pipe", peer: tuple[str, int]) -> None:
        """TCP stands, TLS has not begun: this one may be refused before it costs anything."""
        ...

    def came(self, plain: bytes) -> None: ...

    def ended(self) -> None:
        """The peer said that nothing follows. May come twice."""
        ...

    def clogged(self) -> None:
        """The kernel takes nothing more for now."""
        ...

    def flowing(self) -> None: ...

    def gone(self) -> None:
        """The connection is no more; after this nothing is reported."""
        ...


class Pipe(asyncio.BufferedProtocol):
    """One connection. Nothing here waits or raises for what the network does."""

    socket: socket.socket

    def __init__(self, context: ssl.SSLContext, reader: Reader) -> None:
        self._reader = reader
        self._tls = TlsPipe(context)
        self._transport: asyncio.Transport | None = None
        self._ended = False

    # --- asyncio calls these ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a TCP transport is needed")
        self._transport = transport
        # Every byte that the kernel does not take at once is told: what waits, waits where it can be dropped.
        transport.set_write_buffer_limits(high=1, low=0)
        self.socket = transport.get_extra_info("socket")
        self._reader.connected(self, (transport.get_extra_info("peername") or ("", 0))[:2])

    def get_buffer(self, sizehint: int) -> memoryview:
        return _lent

    def buffer_updated(self, nbytes: int) -> None:
        if self._ended:
            return  # read on only so that what we said last is not destroyed by a reset
        tls = self._tls
        was_ready = tls.ready
        try:
            plain, ended = tls.receive(_lent[:nbytes])
        except ssl.SSLError:  # a port scan, plain HTTP, an older TLS
            self.abort()
            return
        if not was_ready:
            self._flush()
        if plain:
            self._reader.came(plain)
        if ended:
            self._reader.ended()

    def eof_received(self) -> bool:
        self._reader.ended()
        return False  # both halves are closed now

    def pause_writing(self) -> None:
        self._reader.clogged()

    def resume_writing(self) -> None:
        self._reader.flowing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._reader.gone()

    # --- the reader calls these ---

    @property
    def ready(self) -> bool:
        """Say whether TLS stands: only then may be sent."""
        return self._tls.ready

    @property
    def waiting_bytes(self) -> int:
        """Return what the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def send(self, plain: bytes) -> None:
        if not self._ended:
            self._tls.send(plain)
            self._flush()

    def rest(self) -> None:
        """Leave the peer unread until `read_on`."""
        if self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()

    def read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def end(self) -> None:
        """Say that nothing follows, after all that was sent; what the peer still sends is read and lost."""
        if self._ended or self._transport is None or self._transport.is_closing():
            return
        try:
            self._tls.end()
            self._flush()
            self._ended = True
            self._transport.write_eof()
        except (ssl.SSLError, OSError):
            self.abort()

    def abort(self) -> None:
        """Be gone now, with a reset; what the kernel still holds for the peer is lost."""
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def _flush(self) -> None:
        if self._transport is not None and (outgoing := self._tls.to_network()):
            self._transport.write(outgoing)
