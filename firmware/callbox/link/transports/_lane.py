"""One WebSocket connection over TLS 1.3: dialled by a task, then driven by the loop's callbacks alone.

send --> [waiting, only while the socket is clogged] --> TLS --> TCP
TCP --> TLS --> frames --> whole messages: reported from within the very read that brought them
                       --> all else --> the protocol half of `websockets`: handshake, pings, fragments, farewells
"""

import asyncio
import os
import socket
import ssl
from collections import deque

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from callbox.lanes.facts import LaneFacts, lane_facts
from callbox.lanes.messages import Incoming, framed
from callbox.lanes.sockets import acknowledge, told, tune
from callbox.lanes.tls import TlsPipe
from callbox.link.events import (
    CONTROL_LANE,
    PROBE_LANE,
    ClosedKind,
    LaneClosed,
    LaneOpened,
    LanePonged,
    LaneReceived,
    Opening,
)
from callbox.link.transports import Events
from callbox.link.transports.connecting import connected
from callbox.link.transports.dialling import Address, client_tls, told_failure
from callbox.wire.codec import MAX_CONTROL_BYTES

CONTROL_QUEUE_BYTES = 2 * 1024 * 1024
MEDIA_QUEUE_BYTES = 8 * 1024
_CLOSE_GRACE_S = 1.0  # for the last words of a closed lane; then it is cut
_HEAD_END = b"\r\n\r\n"  # of HTTP
_MASK_BYTES = 4
_MASKS_BYTES = 256 * _MASK_BYTES  # fetched at once: asking the kernel for four bytes costs as much as for these


_arrived = memoryview(bytearray(64 * 1024))  # where every lane reads: it is looked through before the next one does


class Lane(asyncio.BufferedProtocol):
    """One lane from its dialling to its end. `report` is told what happens to it."""

    def __init__(self, number: int, opening: Opening, server: Address, report: Events) -> None:
        self.number = number
        self._opening = opening
        self._server = server
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._websocket = ClientProtocol(parse_uri(f"wss://{server}/"), max_size=MAX_CONTROL_BYTES)
        self._incoming: Incoming | None = None  # before the handshake is over, all is the protocol's
        self._tail = b""  # of what came before that
        self._dialling: asyncio.Task[None] | None = None
        self._authority: bytes | None = None
        self._socket: socket.socket | None = None
        self._raw: asyncio.Transport | None = None
        self._tls: TlsPipe | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._most_bytes = CONTROL_QUEUE_BYTES if number == CONTROL_LANE else MEDIA_QUEUE_BYTES
        self._fragments: list[bytes] = []
        self._masks, self._mask_at = b"", 0
        self._clogged = False
        self._hung_up = False
        self._over = False

    @property
    def queued_bytes(self) -> int:
        return self._waiting_bytes + (self._raw.get_write_buffer_size() if self._raw is not None else 0)

    def facts(self) -> LaneFacts | None:
        return None if self._socket is None else lane_facts(told(self._socket), self.queued_bytes)

    def acknowledge(self) -> None:
        if self._socket is not None:
            acknowledge(self._socket)

    def give_up(self, why: str) -> None:
        self._end(why, "network")

    def dial(self, authority: bytes | None) -> None:
        self._dialling = self._loop.create_task(self._dial(authority))

    def send(self, data: bytes) -> bool:
        if self._over or self._incoming is None or self._websocket.state is not State.OPEN:
            return False
        if self._waiting_bytes + len(data) > self._most_bytes:
            if self.number == CONTROL_LANE:
                self._loop.call_soon(self._end, "The network takes nothing more.", "network")
            return False
        self._put(framed(data, self._mask()))
        return True

    def ping(self) -> None:
        if not self._over and self._websocket.state is State.OPEN:
            self._websocket.send_ping(b"")
            self._write()

    def close(self) -> None:
        """Say goodbye if the line is free, and be gone within the grace time."""
        if self._dialling is not None:
            self._dialling.cancel()
        if not self._over and self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
            self._write()
        self._over = True
        if self._raw is not None:
            self._hang_up()
            self._loop.call_later(_CLOSE_GRACE_S, self._raw.abort)

    async def _dial(self, authority: bytes | None) -> None:
        """Connect and begin TLS. The session's timeout ends it through `close`."""
        try:
            self._socket = await connected(self._server, urgent=self.number in (CONTROL_LANE, PROBE_LANE))
            tune(self._socket, media=self.number != CONTROL_LANE)
            self._tls = TlsPipe(client_tls(authority), self._server.host)
            await self._loop.create_connection(lambda: self, sock=self._socket)
        except (OSError, UnicodeError) as error:  # ssl.SSLError and socket.gaierror among the first
            self._end(*told_failure(error, self._server))

    def _mask(self) -> bytes:
        at = self._mask_at
        if at == len(self._masks):
            self._masks, at = os.urandom(_MASKS_BYTES), 0
        self._mask_at = at + _MASK_BYTES
        return self._masks[at : self._mask_at]

    def _write(self) -> None:
        """Send what the protocol has to say."""
        for data in self._websocket.data_to_send():
            if data:
                self._put(data)
            else:
                self._hang_up()

    def _put(self, data: bytes) -> None:
        if self._clogged:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
        elif self._tls is not None and not self._hung_up:
            self._tls.send(data)
            self._flush()

    def _flush(self) -> None:
        if self._raw is not None and self._tls is not None and not self._hung_up:
            self._raw.write(self._tls.to_network())

    def _hang_up(self) -> None:
        """End our half; what is on its way still arrives, where a reset would destroy it."""
        if self._raw is None or self._tls is None or self._hung_up or self._raw.is_closing():
            return
        try:
            self._tls.end()
            self._flush()
            self._hung_up = True
            self._raw.write_eof()
        except (ssl.SSLError, OSError):
            self._raw.abort()

    def _end(self, why: str, kind: ClosedKind) -> None:
        """Report the end of this lane, once."""
        if self._over:
            return
        self._over = True
        if self._raw is not None:
            self._raw.abort()
        self._report(LaneClosed(self.number, why, kind, opening=self._opening))

    # --- called by asyncio --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._raw = transport
        if self._over:
            transport.abort()
            return
        # Every byte that the kernel does not take at once stops us, so that the queue which counts is ours.
        transport.set_write_buffer_limits(high=0)
        self._flush()

    def pause_writing(self) -> None:
        self._clogged = True

    def resume_writing(self) -> None:
        self._clogged = False
        while self._waiting and not self._clogged:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self._put(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _arrived

    def buffer_updated(self, nbytes: int) -> None:
        if self._over or self._tls is None:
            return
        was_ready = self._tls.ready
        try:
            plain, ended = self._tls.receive(_arrived[:nbytes])
        except ssl.SSLError as error:
            self._end(*told_failure(error, self._server))
            return
        if not was_ready:
            self._flush()
            if self._tls.ready:
                self._websocket.send_request(self._websocket.connect())
                self._write()
        if plain:
            self._take(plain)
        if ended:
            self._end("The server closed the connection.", "network")

    def connection_lost(self, exc: Exception | None) -> None:
        begun = self._tls is not None and self._tls.ready
        if begun and (self._websocket.close_rcvd is not None or exc is None):
            self._end("The server closed the connection.", "network")
        else:
            self._end(*told_failure(exc or ConnectionResetError(), self._server))

    # --- WebSocket ----------------------------------------------------------------------------------------------

    def _take(self, plain: bytes) -> None:
        if self._incoming is None:
            plain = self._greeted(plain)
        if self._incoming is None:
            return
        for whole, data in self._incoming.take(plain):
            if self._over:
                return
            if whole:
                self._report(LaneReceived(self.number, data, opening=self._opening))
            else:
                self._protocol(data)

    def _greeted(self, plain: bytes) -> bytes:
        """Have the protocol read the server's answer to our handshake; return what came after it."""
        seen = self._tail + plain
        at = seen.find(_HEAD_END)
        end = len(plain) if at < 0 else at + len(_HEAD_END) - len(self._tail)
        self._tail = seen[1 - len(_HEAD_END) :]
        self._protocol(plain[:end])
        return plain[end:]

    def _protocol(self, data: bytes) -> None:
        """Have the protocol deal with it."""
        self._websocket.receive_data(data)
        events = self._websocket.events_received()
        self._write()
        for event in events:
            if isinstance(event, Response):
                self._answered()
            elif isinstance(event, Frame):
                self._frame(event)
        if self._websocket.parser_exc is not None:
            self._end("The server broke the rules of WebSocket.", "network")
        elif self._websocket.handshake_exc is not None:
            self._refused(self._websocket.handshake_exc)

    def _answered(self) -> None:
        if self._websocket.handshake_exc is None:
            self._incoming = Incoming(MAX_CONTROL_BYTES, masked=False)
            self._report(LaneOpened(self.number, opening=self._opening))

    def _refused(self, error: Exception) -> None:
        if isinstance(error, InvalidStatus) and error.response.status_code in (429, 503):
            self._end(f"{self._server} has too many connections just now.", "refused")
        else:
            self._end(f"{self._server} answers, but it is no Callbox server.", "refused")

    def _frame(self, frame: Frame) -> None:
        if self._over:
            return
        if frame.opcode is Opcode.PONG:
            self._report(LanePonged(self.number, opening=self._opening))
        elif frame.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
            self._fragments.append(bytes(frame.data))
            if frame.fin:
                data, self._fragments = b"".join(self._fragments), []
                self._report(LaneReceived(self.number, data, opening=self._opening))
