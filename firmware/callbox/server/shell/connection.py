"""One connection: TCP, TLS, WebSocket, and what waits to be sent on it.

    socket --> TLS --> WebSocket (pings answered by themselves) --> messages, paced --> hub
    hub --> control (bounded: too much ends the connection) -+
        --> media (bounded: the oldest gives way) -----------+--> WebSocket --> TLS --> socket, while it takes

Nothing here waits for a peer: a socket that takes nothing stops the pump, and 5 s of that end the connection. The
kernel's buffer is kept small, so that what waits, waits here, where stale media can still be dropped.
"""

import asyncio
import logging
import socket
import ssl
import struct
from collections import deque
from typing import Protocol

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from callbox.base.time import Instant
from callbox.lanes.facts import LaneFacts, lane_facts
from callbox.lanes.sockets import acknowledge, told, tune
from callbox.server.limits import Bucket
from callbox.server.relay import MediaQueue
from callbox.server.settings import ServerSettings
from callbox.server.shell.tls import TlsPipe
from callbox.wire.codec import MAX_CONTROL_BYTES

SEND_BUFFER_BYTES = 8 * 1024  # the kernel doubles it
VOICE_BUFFER_BYTES = 16 * 1024
UNSENT_LOW_WATER_BYTES = 4 * 1024
MAX_CONTROL_WAITING_BYTES = 256 * 1024
LINGER_S = 1.0
# A whole binary message in one unmasked frame (RFC 6455, 5.2).
_BINARY, _LONG = 0x82, 126
_HEAD, _LONG_HEAD = struct.Struct(">BB"), struct.Struct(">BBH")
_log = logging.getLogger("callbox.server")
_quiet = logging.getLogger("callbox.server.websocket")
_quiet.setLevel(logging.WARNING)


class Hub(Protocol):
    """What a connection reports to."""

    settings: ServerSettings
    context: ssl.SSLContext

    def now(self) -> Instant: ...

    def is_own(self, peer: tuple[str, int]) -> bool:
        """Say whether the server itself has called, to see whether its connections are taken."""
        ...

    def opened(self, connection: "Connection") -> None: ...

    def received(self, connection: "Connection", data: bytes) -> None: ...

    def closed(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """The shell's side of one connection."""

    def __init__(self, number: int, hub: Hub) -> None:
        bounds = hub.settings.connections
        self.number = number
        self.address = ""
        self.media = MediaQueue(hub.settings.calls.media_queue_ms / 1000)
        self.heard_at = hub.now()
        self.pinged_at = self.heard_at
        self._hub = hub
        self._tls = TlsPipe(hub.context)
        self._websocket = ServerProtocol(max_size=MAX_CONTROL_BYTES, logger=_quiet)
        self._pace = Bucket(2 * bounds.messages_per_s, 1 / bounds.messages_per_s)
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._fragments: list[bytes] = []
        self._writable = True
        self._tuned = False
        self._closing = False
        self._finished = False
        self._transport: asyncio.Transport | None = None

    # --- asyncio calls these ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a TCP transport is needed")
        self._transport = transport
        peer = transport.get_extra_info("peername") or ("", 0)
        if self._hub.is_own(peer[:2]):
            transport.abort()
            return
        transport.set_write_buffer_limits(high=1, low=0)
        self.address = str(peer[0])
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LOW_WATER_BYTES)
        self._hub.opened(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._hub.now()
        if self._finished:
            return  # read on only so that what we said last is not destroyed by a reset
        try:
            plain, ended = self._tls.receive(data)
        except ssl.SSLError:  # a port scan, plain HTTP, an older TLS
            self.abort()
            return
        if plain:
            self._websocket.receive_data(plain)
        if ended:
            self._websocket.receive_eof()
        self._take_events()
        self.pump()

    def eof_received(self) -> bool:
        self._finish()
        return False

    def pause_writing(self) -> None:
        self._writable = False
        self.media.blocked(self._hub.now())

    def resume_writing(self) -> None:
        self._writable = True
        self.media.flowing()
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._control.clear()
        self._hub.closed(self)

    # --- the hub calls these ---

    @property
    def open(self) -> bool:
        """Return whether messages can flow: TLS and WebSocket stand."""
        return self._websocket.state is State.OPEN and not self._closing

    @property
    def takes_voice(self) -> bool:
        """Return whether the kernel took everything so far."""
        return self._writable and not self.media and self.open

    def facts(self) -> LaneFacts | None:
        """Return what the kernel says of this connection. Who asks is about to send voice here."""
        if self._transport is None:
            return None
        opened = self._transport.get_extra_info("socket")
        if not self._tuned:
            self._tuned = True
            tune(opened, media=True, buffer_bytes=VOICE_BUFFER_BYTES)
        return lane_facts(told(opened), self._transport.get_write_buffer_size())

    def acknowledge(self) -> None:
        """Have TCP acknowledge now what has arrived."""
        if self._transport is not None:
            acknowledge(self._transport.get_extra_info("socket"))

    def send(self, data: bytes) -> None:
        """Send a control message, after those before it. A peer with too much waiting is cut off."""
        if self._closing:
            return
        self._control.append(data)
        self._control_bytes += len(data)
        if self._control_bytes > MAX_CONTROL_WAITING_BYTES:
            self.abort()
            return
        self.pump()

    def send_voice(self, data: bytes) -> None:
        """Send a media message now: `takes_voice` said that it can go. Every frame of every call comes along here."""
        size = len(data)
        head = _HEAD.pack(_BINARY, size) if size < _LONG else _LONG_HEAD.pack(_BINARY, _LONG, size)
        self._tls.send(head + data)
        if self._transport is not None:
            self._transport.write(self._tls.to_network())

    def send_media(self, data: bytes) -> None:
        """Send a media message soon, or not at all."""
        if self.open:
            self.media.put(data, self._hub.now())
            self.pump()

    def ping(self, now: Instant) -> None:
        if self.open:
            self.pinged_at = now
            self._websocket.send_ping(b"")
            self._flush()

    def close(self) -> None:
        """Close as soon as the control messages are out."""
        self._closing = True
        if self._transport is None:
            return
        if not self._tls.ready:
            self.abort()
            return
        asyncio.get_running_loop().call_later(LINGER_S, self.abort)
        self.pump()

    def abort(self) -> None:
        """Drop the connection now, and what the kernel still holds for it: a peer that reads nothing never takes it."""
        self._closing = True
        if self._transport is not None:
            opened = self._transport.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def pump(self) -> None:
        """Send what waits, media first, for as long as the socket takes it."""
        now = self._hub.now()
        while self._writable and not self._finished and self._websocket.state is State.OPEN:
            data = None if self._closing else self.media.take(now)
            if data is None:
                if not self._control:
                    break
                data = self._control.popleft()
                self._control_bytes -= len(data)
            self._websocket.send_binary(data)
            self._flush()
        if self._closing and not self._control and self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
        self._flush()

    # --- inside ---

    def _take_events(self) -> None:
        for event in self._websocket.events_received():
            if isinstance(event, Request):
                if self._websocket.state is not State.CONNECTING:
                    continue  # gone again in the same breath
                self._websocket.send_response(self._websocket.accept(event))
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        self._fragments.append(bytes(frame.data))
        if not frame.fin:
            return
        data = self._fragments[0] if len(self._fragments) == 1 else b"".join(self._fragments)
        self._fragments = []
        if self._closing:
            return
        self._slow_down()
        self._hub.received(self, data)

    def _slow_down(self) -> None:
        """Leave a peer that talks too fast unread for a moment; TCP tells it."""
        wait_s = self._pace.wait_s(self._hub.now())
        self._pace.take()
        if wait_s > 0.0 and self._transport is not None and self._transport.is_reading():
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(wait_s, self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _flush(self) -> None:
        """Move what the WebSocket says through TLS to the socket; it may say that the connection is over."""
        if self._transport is None or self._finished:
            return
        over = False
        for data in self._websocket.data_to_send():
            if data:
                self._tls.send(data)
            else:
                over = True
        outgoing = self._tls.to_network()
        if outgoing:
            self._transport.write(outgoing)
        if over:
            self._finish()

    def _finish(self) -> None:
        """Say goodbye and half-close: what is on its way to the peer still arrives, where a reset would destroy it."""
        if self._finished or self._transport is None or self._transport.is_closing():
            return
        self._closing = self._finished = True
        try:
            self._tls.end()
            self._transport.write(self._tls.to_network())
            self._transport.write_eof()
        except (ssl.SSLError, OSError):
            self.abort()
            return
        asyncio.get_running_loop().call_later(LINGER_S, self.abort)
