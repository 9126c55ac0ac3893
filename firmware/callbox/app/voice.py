"""The voice's way between the audio engine and the lanes, which passes the box by: a decision per frame costs too much.

    engine.outbound --> MediaLanes --> transport          transport --> engine.inbound

The box only says which route it is (AttachRoute) and which lanes are up (LaneUp, LaneDown). Until a media lane is up
the session's own connection carries the voice.
"""

from collections.abc import Callable

from callbox.audio.engine import Engine
from callbox.audio.facts import NoteUnsent
from callbox.base.time import Instant
from callbox.link.events import CONTROL_LANE, LaneReceived, TransportEvent
from callbox.link.media import MediaLanes
from callbox.link.transports import Transport
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import MEDIA_TYPE, unpack_media

MEDIA_BYTE = bytes([MEDIA_TYPE])


class Voice:
    """Both directions of one box's voice."""

    def __init__(self, engine: Engine, transport: Transport, clock: Callable[[], Instant]) -> None:
        self._engine = engine
        self._transport = transport
        self._clock = clock
        self._lanes: MediaLanes | None = None
        self._up: set[int] = set()
        self.malformed = 0
        self._told_unsent = False

    def attach(self, route: int) -> None:
        """Voice goes to this route from now on, and is taken from it."""
        self._lanes = MediaLanes(route)

    def detach(self) -> None:
        """There is no route: voice is dropped both ways."""
        self._lanes = None

    def lane_up(self, lane: int) -> None:
        """This media lane can carry voice."""
        self._up.add(lane)

    def lane_down(self, lane: int) -> None:
        """This lane carries nothing any more."""
        self._up.discard(lane)

    def pump(self) -> None:
        """Send what the engine sealed, on the lanes that are up; without a route it is dropped."""
        frames = list(self._engine.outbound.drain())
        if self._lanes is None:
            return
        queued = {lane: self._transport.queued_bytes(lane) for lane in self._up or {CONTROL_LANE}}
        for lane, message in self._lanes.send(frames, queued, self._clock()):
            self._transport.send(lane, message)
        unsent = min(queued.values())
        if unsent or self._told_unsent:
            self._engine.command(NoteUnsent(unsent))
            self._told_unsent = unsent > 0

    def took(self, event: TransportEvent) -> bool:
        """Take a media message that a lane brought; False for everything else, which is the box's."""
        if not isinstance(event, LaneReceived) or event.data[:1] != MEDIA_BYTE:
            return False
        try:
            route, frames = unpack_media(event.data)
        except MalformedMessage:
            self.malformed += 1
            return True
        if self._lanes is not None and route == self._lanes.route:
            for frame in frames:
                self._engine.inbound.put(frame)
        return True
