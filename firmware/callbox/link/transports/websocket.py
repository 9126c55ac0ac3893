"""WebSocket over TLS 1.3, on asyncio: the real transport.

    send --> own queue (bounded) --> TLS --> socket, holding almost nothing --> the network
             only while the socket is clogged; media that waits here or above can still be dropped

Built without asyncio's streams and TLS: a message that arrives is reported from within the very read that brought it,
and `send` writes at once or queues; no task runs per lane once it is open. `_lane` is one connection.
"""

import asyncio

from callbox.lanes.facts import LaneFacts
from callbox.link.events import LaneClosed, Opening, TransportEvent
from callbox.link.joining import Joined, JoinEffect, Joining, Trust
from callbox.link.transports import Events, perform
from callbox.link.transports._lane import Lane
from callbox.link.transports.dialling import Address, parse_address


class WebSocketTransport:
    """Lanes to one server. Make and use it on the loop's thread.

    `authority`: the pinned certificate (DER), or None for the one connection that fetches it.
    """

    def __init__(self, server: Address, authority: bytes | None, events: Events) -> None:
        self.server = server
        self.authority = authority
        self._events = events
        self._lanes: dict[int, Lane] = {}

    def open(self, lane: int, opening: Opening = 0) -> None:
        self.close(lane)
        self._lanes[lane] = Lane(lane, opening, self.server, self._report)
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
