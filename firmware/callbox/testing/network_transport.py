"""Both ends of the simulated network: the box's transport and the server's port.

link.Session --effects--> SimulatedTransport --> Network --> ServerPort --events--> server.core.Server
             <--events--                                     <--SendTo, SendMedia, CloseConnection--
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from callbox.lanes.facts import LaneFacts
from callbox.link.events import (
    CONTROL_LANE,
    LaneClosed,
    LaneOpened,
    LanePonged,
    LaneReceived,
    Opening,
    TransportEvent,
)
from callbox.link.transports import Events
from callbox.server.events import CloseConnection, Closed, Opened, Received, SendMedia, SendTo
from callbox.server.relay import MediaQueue
from callbox.testing.network import End, Hear, Network, PipeClosed, PipeEvent, PipeOpened, PipePonged, PipeReceived

CONTROL_QUEUE_BYTES = 2 * 1024 * 1024
MEDIA_QUEUE_BYTES = 8 * 1024

Heard: TypeAlias = Callable[[Opened | Received | Closed], None]


class SimulatedTransport:
    """The transport of the box at `place`. Satisfies `link.transports.Transport`; events come at `network.now`."""

    def __init__(self, network: Network, place: str, events: Events) -> None:
        self._network = network
        self._place = place
        self._events = events
        self._lanes: dict[int, End] = {}
        self.server = ""

    def open(self, lane: int, opening: Opening = 0) -> None:
        self.close(lane)
        hear: Hear = partial(self._hear, lane, opening)
        self._lanes[lane] = self._network.connect(self._place, hear, self.server)

    def send(self, lane: int, data: bytes) -> bool:
        end = self._lanes.get(lane)
        if end is None:
            return False
        most = CONTROL_QUEUE_BYTES if lane == CONTROL_LANE else MEDIA_QUEUE_BYTES
        if end.open and end.queued_bytes + len(data) > most:
            if lane == CONTROL_LANE:
                self._network.at(self._network.now, lambda: self._give_up(lane, end, "The network takes nothing more."))
            return False
        return end.send(data)

    def ping(self, lane: int) -> None:
        if lane in self._lanes:
            self._lanes[lane].ping()

    def close(self, lane: int) -> None:
        end = self._lanes.pop(lane, None)
        if end is not None:
            end.close()

    def queued_bytes(self, lane: int) -> int:
        end = self._lanes.get(lane)
        return end.queued_bytes if end else 0

    def facts(self, lane: int) -> LaneFacts | None:
        end = self._lanes.get(lane)
        return end.facts if end is not None and end.open else None

    def acknowledge(self, lane: int) -> None:
        """What arrives is acknowledged at once."""

    def give_up(self, lane: int, why: str) -> None:
        end = self._lanes.get(lane)
        if end is not None:
            self._network.at(self._network.now, lambda: self._give_up(lane, end, why))

    def readdress(self, server: str) -> None:
        self.server = server

    def shutdown(self) -> None:
        for lane in list(self._lanes):
            self.close(lane)

    def _give_up(self, lane: int, end: End, why: str) -> None:
        if self._lanes.get(lane) is end:
            hear = end.hear
            end.close()
            hear(PipeClosed(why))

    def _hear(self, lane: int, opening: Opening, event: PipeEvent) -> None:
        told: TransportEvent
        match event:
            case PipeOpened():
                told = LaneOpened(lane, opening=opening)
            case PipeReceived(data=data):
                told = LaneReceived(lane, data, opening=opening)
            case PipePonged():
                told = LanePonged(lane, opening=opening)
            case PipeClosed(why=why, kind=kind):
                del self._lanes[lane]
                told = LaneClosed(lane, why, kind, opening=opening)
        self._events(told)


class ServerPort:
    """The server's side: numbers connections, reports to the server's core, performs its effects.

    port = ServerPort(network, heard)     # heard(Opened | Received | Closed), at network.now
    port.perform(effect)                  # SendTo, SendMedia, CloseConnection
    network.server_down(); port.listen()  # a restart: make the core anew between the two
    """

    def __init__(self, network: Network, heard: Heard) -> None:
        self.dropped_media = 0  # on connections that are gone
        self._network = network
        self._heard = heard
        self._next = 1
        self._ends: dict[int, End] = {}
        self._media: dict[int, MediaQueue] = {}
        self.listen()

    def listen(self) -> None:
        """Take connections, as at the start; those of a server that died are forgotten."""
        self._ends.clear()
        self._media.clear()
        self._network.listen(self._accept)

    def perform(self, effect: SendTo | SendMedia | CloseConnection) -> None:
        end = self._ends.get(effect.connection)
        if end is None:
            return
        match effect:
            case SendTo(data=data):
                end.send(data)
            case SendMedia(connection=connection, data=data):
                self._media[connection].put(data, self._network.now)
                self._drain(connection, end)
            case CloseConnection(connection=connection):
                self._forget(connection)
                end.close()

    def _accept(self, end: End) -> Hear:
        connection = self._next
        self._next += 1
        self._ends[connection] = end
        self._media[connection] = MediaQueue()
        end.on_room = lambda: self._drain(connection, end)
        return lambda event: self._hear(connection, end, event)

    def _hear(self, connection: int, end: End, event: PipeEvent) -> None:
        if self._ends.get(connection) is not end:
            return
        match event:
            case PipeOpened():
                self._heard(Opened(connection, end.place))
            case PipeReceived(data=data):
                self._heard(Received(connection, data))
            case PipeClosed():
                self._forget(connection)
                self._heard(Closed(connection))
            case PipePonged():
                pass

    def _drain(self, connection: int, end: End) -> None:
        """Send waiting media while the pipe takes it at once."""
        waiting = self._media.get(connection)
        while waiting and not end.queued_bytes and (data := waiting.take(self._network.now)) is not None:
            end.send(data)

    def _forget(self, connection: int) -> None:
        del self._ends[connection]
        self.dropped_media += self._media.pop(connection).dropped
