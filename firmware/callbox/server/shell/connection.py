"""One connection: its WebSocket, and what waits to be sent on it.

    pipe (TCP, TLS) --> whole messages, paced -----------------------------> hub
                    --> pings, fragments, faults --> WebSocket's protocol -^
    hub --> control (bounded: too much ends the connection) -+
        --> media (bounded: the oldest gives way) -----------+--> pipe, while the kernel takes

Nothing here waits for a peer: a socket that takes nothing stops the pump, and 5 s of that end the connection. The
kernel's buffer is kept small, so that what waits, waits here, where stale media can still be dropped.
"""

import asyncio
import logging
import socket
from collections import deque
from typing import Protocol

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from callbox.base.time import Instant
from callbox.lanes.facts import LaneFacts, lane_facts
from callbox.lanes.messages import Incoming, framed
from callbox.lanes.sockets import acknowledge, told, tune
from callbox.server.limits import Bucket
from callbox.server.relay import MediaQueue
from callbox.server.settings import ServerSettings
from callbox.server.shell.pipe import Pipe
from callbox.wire.codec import MAX_CONTROL_BYTES

SEND_BUFFER_BYTES = 8 * 1024  # the kernel doubles it
VOICE_BUFFER_BYTES = 16 * 1024
UNSENT_LOW_WATER_BYTES = 4 * 1024
MAX_CONTROL_WAITING_BYTES = 256 * 1024
MAX_REQUEST_BYTES = 16 * 1024
LINGER_S = 1.0
_HEAD_END = b"\r\n\r\n"  # of HTTP
_log = logging.getLogger("callbox.server")
_quiet = logging.getLogger("callbox.server.websocket")
_quiet.setLevel(logging.WARNING)


class Hub(Protocol):
    """What a connection reports to."""

    settings: ServerSettings

    def now(self) -> Instant: ...

    def is_own(self, peer: tuple[str, int]) -> bool:
        """Say whether the server itself has called, to see whether its connections are taken."""
        ...

    def opened(self, connection: "Connection") -> None: ...

    def received(self, connection: "Connection", data: bytes) -> None: ...

    def closed(self, connection: "Connection") -> None: ...


class Connection:
    """The shell's side of one connection; the `Reader` of its pipe."""

    def __init__(self, number: int, hub: Hub) -> None:
        bounds = hub.settings.connections
        self.number = number
        self.address = ""
        self.media = MediaQueue(hub.settings.calls.media_queue_ms / 1000)
        self.heard_at = hub.now()
        self.pinged_at = self.heard_at
        self._hub = hub
        self._websocket = ServerProtocol(max_size=MAX_CONTROL_BYTES, logger=_quiet)
        self._request = b""  # as much of it as came
        self._incoming = Incoming(MAX_CONTROL_BYTES, masked=True)
        self._pace = Bucket(2 * bounds.messages_per_s, 1 / bounds.messages_per_s)
        self._control: deque[bytes] = deque()
        self._control_bytes = 0
        self._fragments: list[bytes] = []
        self._writable = True
        self._resting = False
        self._tuned = False
        self._closing = False
        self._finished = False
        self._pipe: Pipe | None = None

    # --- the pipe calls these ---

    def connected(self, pipe: Pipe, peer: tuple[str, int]) -> None:
        if self._hub.is_own(peer):
            pipe.abort()
            return
        self._pipe = pipe
        self.address = str(peer[0])
        pipe.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        pipe.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LOW_WATER_BYTES)
        self._hub.opened(self)

    def came(self, plain: bytes) -> None:
        now = self.heard_at = self._hub.now()
        if self._finished:
            return
        if self._websocket.state is State.CONNECTING:
            self._greeted(plain)
            return
        for whole, data in self._incoming.take(plain):
            if whole:
                self._take(data, now)
            else:
                self._heed(data, now)

    def ended(self) -> None:
        if not self._finished:
            self._websocket.receive_eof()
            self._flush()
            self._finish()

    def clogged(self) -> None:
        self._writable = False
        self.media.blocked(self._hub.now())

    def flowing(self) -> None:
        self._writable = True
        self.media.flowing()
        self.pump()

    def gone(self) -> None:
        self._pipe = None
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
        flows = self._writable and not self._closing and self._websocket.state is State.OPEN
        return flows and not self.media.waiting_bytes

    def facts(self) -> LaneFacts | None:
        """Return what the kernel says of this connection. Who asks is about to send voice here."""
        if self._pipe is None:
            return None
        if not self._tuned:
            self._tuned = True
            tune(self._pipe.socket, media=True, buffer_bytes=VOICE_BUFFER_BYTES)
        return lane_facts(told(self._pipe.socket), self._pipe.waiting_bytes)

    def acknowledge(self) -> None:
        """Have TCP acknowledge now what has arrived."""
        if self._pipe is not None:
            acknowledge(self._pipe.socket)

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
        if self._pipe is not None:
            self._pipe.send(framed(data))

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
        if self._pipe is None:
            return
        if not self._pipe.ready:
            self.abort()
            return
        asyncio.get_running_loop().call_later(LINGER_S, self.abort)
        self.pump()

    def abort(self) -> None:
        """Drop the connection now, and what the kernel still holds for it: a peer that reads nothing never takes it."""
        self._closing = True
        if self._pipe is not None:
            self._pipe.abort()

    def pump(self) -> None:
        """Send what waits, media first, for as long as the socket takes it."""
        self._flush()  # the answer to the handshake goes first
        now = self._hub.now()
        while self._writable and not self._finished and self._pipe and self._websocket.state is State.OPEN:
            data = None if self._closing else self.media.take(now)
            if data is None:
                if not self._control:
                    break
                data = self._control.popleft()
                self._control_bytes -= len(data)
            self._pipe.send(framed(data))
        if self._closing and not self._control and self._websocket.state is State.OPEN:
            self._websocket.send_close(1000)
        self._flush()

    # --- inside ---

    def _greeted(self, plain: bytes) -> None:
        """Answer the request of HTTP that makes this a WebSocket. Nothing may follow it before the answer."""
        self._request += plain
        _, end, more = self._request.partition(_HEAD_END)
        if more or len(self._request) > MAX_REQUEST_BYTES:
            self.abort()
            return
        if end:
            self._heed(self._request, self.heard_at)
            self._request = b""

    def _heed(self, data: bytes, now: Instant) -> None:
        """Have the protocol deal with what is no whole message."""
        if self._finished:
            return
        self._websocket.receive_data(data)
        for event in self._websocket.events_received():
            if isinstance(event, Request):
                self._websocket.send_response(self._websocket.accept(event))
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                self._fragments.append(bytes(event.data))
                if event.fin:
                    data, self._fragments = b"".join(self._fragments), []
                    self._take(data, now)
        self.pump()

    def _take(self, data: bytes, now: Instant) -> None:
        """Take a message. One that talks too fast is left unread for a moment; TCP tells it."""
        if not self.open:
            return
        wait_s = self._pace.wait_s(now)
        self._pace.take()
        if wait_s > 0.0 and self._pipe is not None and not self._resting:
            self._resting = True
            self._pipe.rest()
            asyncio.get_running_loop().call_later(wait_s, self._read_on)
        self._hub.received(self, data)

    def _read_on(self) -> None:
        """Read again, once what came at one go is paid for."""
        if self._pipe is None:
            return
        wait_s = self._pace.wait_s(self._hub.now())
        if wait_s > 0.0:
            asyncio.get_running_loop().call_later(wait_s, self._read_on)
            return
        self._resting = False
        self._pipe.read_on()

    def _flush(self) -> None:
        """Send what the protocol has to say; it may say that the connection is over."""
        if self._pipe is None or self._finished:
            return
        over = False
        for data in self._websocket.data_to_send():
            if data:
                self._pipe.send(data)
            else:
                over = True
        if over:
            self._finish()

    def _finish(self) -> None:
        """Say goodbye and half-close: what is on its way to the peer still arrives, where a reset would destroy it."""
        if self._finished or self._pipe is None:
            return
        self._closing = self._finished = True
        self._pipe.end()
        asyncio.get_running_loop().call_later(LINGER_S, self.abort)
