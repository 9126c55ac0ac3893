"""WebSocket over TLS 1.3, on asyncio: the real transport.

    send --> own queue (bounded) --> TLS --> socket, holding almost nothing --> the network
             only while the socket is clogged; media that waits here or above can still be dropped

Built on the protocol half of `websockets` without its streams: a message that arrives is reported from within
the very read that brought it, and `send` writes at once or queues; no task runs per lane once it is open.
"""

import asyncio
import socket
from collections import deque

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from callbox.lanes.facts import LaneFacts, lane_facts
from callbox.lanes.sockets import acknowledge, told, tune
from callbox.link.events import (
    CONTROL_LANE,
    ClosedKind,
    LaneClosed,
    LaneOpened,
    LanePonged,
    LaneReceived,
    Opening,
    TransportEvent,
)
from callbox.link.joining import Joined, JoinEffect, Joining, Trust
from callbox.link.transports import Events, perform
from callbox.link.transports.dialling import Address, client_tls, parse_address, told_failure
from callbox.wire.codec import MAX_CONTROL_BYTES

CONTROL_QUEUE_BYTES = 2 * 1024 * 1024
MEDIA_QUEUE_BYTES = 8 * 1024
_CLOSE_GRACE_S = 1.0  # for the last words of a closed lane; then it is cut
_HAPPY_EYEBALLS_S = 0.25  # RFC 8305: try the next address beside one that does not answer


class WebSocketTransport:
    """Lanes to one server. Make and use it on the loop's thread.

    `authority`: the pinned certificate (DER), or None for the one connection that fetches it.
    """

    def __init__(self, server: Address, authority: bytes | None, events: Events) -> None:
        self.server = server
        self.authority = authority
        self._events = events
        self._lanes: dict[int, _Lane] = {}

    def open(self, lane: int, opening: Opening = 0) -> None:
        self.close(lane)
        self._lanes[lane] = _Lane(lane, opening, self.server, self._report)
        self._lanes[lane].dial(self.authority)

    def send(self, lane: int, data: bytes) -> bool:
        known = self._lanes.get(lane)
        return known is not None and known.send(data)

    def ping(self, lane: int) -> None:
        if known := self._lanes.get(lane):
            known.ping()

    def close(self, lane: int) -> None:
        if known := self._lanes.pop(lane, None):
            known.close()

    def queued_bytes(self, lane: int) -> int:
        known = self._lanes.get(lane)
        return known.queued_bytes if known else 0

    def facts(self, lane: int) -> LaneFacts | None:
        known = self._lanes.get(lane)
        return known.facts() if known else None

    def acknowledge(self, lane: int) -> None:
        if known := self._lanes.get(lane):
            known.acknowledge()

    def give_up(self, lane: int, why: str) -> None:
        if lane in self._lanes:
            asyncio.get_running_loop().call_soon(self._lanes[lane].give_up, why)

    def readdress(self, server: str) -> None:
        self.server = parse_address(server)

    def shutdown(self) -> None:
        for lane in list(self._lanes):
            self.close(lane)

    def _report(self, event: TransportEvent) -> None:
        """Pass on what a lane reports; one that was closed reports nothing any more."""
        if isinstance(event, LaneClosed):
            del self._lanes[event.lane]
        self._events(event)


async def join(joining: Joining, server: Address) -> Joined:
    """Run a joining over real connections. Raises the CallboxError that it ends with, within its patience."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def act(effects: list[JoinEffect]) -> None:
        for effect in effects:
            if isinstance(effect, Trust):
                transport.authority = effect.authority
            else:
                perform(transport, effect)
        changed.set()

    transport = WebSocketTransport(server, None, lambda event: act(joining.handle(event, loop.time())))
    try:
        act(joining.start(loop.time()))
        while joining.outcome is None:
            changed.clear()
            try:
                async with asyncio.timeout_at(joining.deadline):
                    await changed.wait()
            except TimeoutError:
                act(joining.tick(loop.time()))
    finally:
        transport.shutdown()
    if isinstance(joining.outcome, Joined):
        return joining.outcome
    raise joining.outcome


class _Lane(asyncio.Protocol):
    """One WebSocket connection: dialled by a task, then driven by the loop's callbacks alone."""

    def __init__(self, number: int, opening: Opening, server: Address, report: Events) -> None:
        self.number = number
        self._opening = opening
        self._server = server
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._websocket = ClientProtocol(parse_uri(f"wss://{server}/"), max_size=MAX_CONTROL_BYTES)
        self._dialling: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._raw: asyncio.Transport | None = None
        self._tls: asyncio.Transport | None = None
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._most_bytes = CONTROL_QUEUE_BYTES if number == CONTROL_LANE else MEDIA_QUEUE_BYTES
        self._fragments: list[bytes] = []
        self._clogged = False
        self._over = False

    @property
    def queued_bytes(self) -> int:
        open_parts = (part for part in (self._raw, self._tls) if part is not None)
        return self._waiting_bytes + sum(part.get_write_buffer_size() for part in open_parts)

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
        if self._over or self._websocket.state is not State.OPEN:
            return False
        if self._waiting_bytes + len(data) > self._most_bytes:
            if self.number == CONTROL_LANE:
                self._loop.call_soon(self._end, "The network takes nothing more.", "network")
            return False
        self._websocket.send_binary(data)
        self._write()
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
        if self._tls is not None:
            self._tls.close()
        if self._raw is not None:
            self._loop.call_later(_CLOSE_GRACE_S, self._raw.abort)

    async def _dial(self, authority: bytes | None) -> None:
        """Connect and begin the WebSocket handshake. The session's timeout ends it through `close`."""
        host, port = self._server.host, self._server.port
        try:
            raw, _ = await self._loop.create_connection(
                asyncio.Protocol, host, port, happy_eyeballs_delay=_HAPPY_EYEBALLS_S
            )
            tune(raw.get_extra_info("socket"), media=self.number != CONTROL_LANE)
            tls = await self._loop.start_tls(raw, self, client_tls(authority), server_hostname=host)
        except (OSError, UnicodeError) as error:  # ssl.SSLError and socket.gaierror among the first
            self._end(*told_failure(error, self._server))
            return
        if tls is None or tls.is_closing():
            self._end(*told_failure(ConnectionResetError(), self._server))
            return
        self._raw, self._tls, self._socket = raw, tls, raw.get_extra_info("socket")
        # Every byte that the kernel does not take at once stops us, so that the queue which counts is ours.
        raw.set_write_buffer_limits(high=0)
        tls.set_write_buffer_limits(high=1)
        self._websocket.send_request(self._websocket.connect())
        self._write()

    def _write(self) -> None:
        for data in self._websocket.data_to_send():
            if not data:
                self._hang_up()
            elif self._clogged or self._tls is None:
                self._waiting.append(data)
                self._waiting_bytes += len(data)
            else:
                self._tls.write(data)

    def _hang_up(self) -> None:
        if self._tls is not None:
            self._tls.close()

    def _end(self, why: str, kind: ClosedKind) -> None:
        """Report the end of this lane, once."""
        if self._over:
            return
        self._over = True
        if self._raw is not None:
            self._raw.abort()
        self._report(LaneClosed(self.number, why, kind, opening=self._opening))

    # --- called by asyncio --------------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        self._clogged = True

    def resume_writing(self) -> None:
        self._clogged = False
        while self._waiting and not self._clogged and self._tls is not None:
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self._tls.write(data)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
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

    def connection_lost(self, exc: Exception | None) -> None:
        if self._websocket.close_rcvd is not None or exc is None:
            self._end("The server closed the connection.", "network")
        else:
            self._end(*told_failure(exc, self._server))

    # --- WebSocket ----------------------------------------------------------------------------------------------

    def _answered(self) -> None:
        if self._websocket.handshake_exc is None:
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
