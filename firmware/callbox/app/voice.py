"""The voice's way between the audio engine and the lanes, which passes the box by: a decision per frame costs too much.

    engine.outbound --> Spread --> transport          transport --> engine.inbound
                          ^-- what the kernel says of the lanes, when a frame is due and when an answer is

The box only says which route it is (AttachRoute) and which lanes are up (LaneUp, LaneDown). Until a media lane is up
the session's own connection carries the voice.
"""

from collections.abc import Callable
from typing import TypeAlias

from callbox.audio.engine import Engine
from callbox.audio.facts import NoteUnsent
from callbox.base.time import Instant
from callbox.lanes.spread import Spread
from callbox.link.events import CONTROL_LANE, LaneReceived, TransportEvent
from callbox.link.transports import Transport
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import MEDIA_TYPE, unpack_media

MEDIA_BYTE = bytes([MEDIA_TYPE])
UNSENT_AGAIN_S = 0.1

Wake: TypeAlias = Callable[[Instant, Callable[[], None]], Callable[[], None]]
"""Call something at an instant; what is returned takes that back."""


class Voice:
    """Both directions of one box's voice."""

    def __init__(self, engine: Engine, transport: Transport, clock: Callable[[], Instant], wake: Wake) -> None:
        self._engine = engine
        self._transport = transport
        self._clock = clock
        self._wake = wake
        self._spread: Spread | None = None
        self._up: set[int] = set()
        self.malformed = 0
        self._unsent = 0
        self._unsent_told_at: Instant = 0.0
        self._stale_told = 0
        self._due: Instant | None = None
        self._unwake: Callable[[], None] = _nothing

    def attach(self, route: int, copies: float = 1.0) -> None:
        """Voice goes to this route from now on, and is taken from it; `copies`: bytes that may be sent again, for each
        byte of voice."""
        self._spread = Spread(route, extra=copies)
        self._stale_told = 0
        self._spread.set_lanes(self._carrying())

    def detach(self) -> None:
        """There is no route: voice is dropped both ways."""
        self._spread = None
        self._wake_at(None)

    def lane_up(self, lane: int) -> None:
        """This media lane can carry voice."""
        self._up.add(lane)
        self._lanes_changed()

    def lane_down(self, lane: int) -> None:
        """This lane carries nothing any more."""
        self._up.discard(lane)
        self._lanes_changed()

    def pump(self) -> None:
        """Send what the engine sealed, on the lanes that are up; without a route it is dropped."""
        frames = self._engine.outbound.drain()
        spread = self._spread
        if spread is None:
            return
        now, transport = self._clock(), self._transport
        for lane in spread.look_at(now):
            spread.note(lane, transport.facts(lane), now)
        for lane, message in spread.send(frames, self._free, now):
            transport.send(lane, message)
        for lane in spread.worn_out(now):
            transport.give_up(lane, "This connection has stalled.")
        self._tell_unsent(spread, now)
        self._wake_at(spread.deadline)

    def took(self, event: TransportEvent) -> bool:
        """Take a media message that a lane brought; False for everything else, which is the box's."""
        if not isinstance(event, LaneReceived) or event.data[:1] != MEDIA_BYTE:
            return False
        try:
            route, frames = unpack_media(event.data)
        except MalformedMessage:
            self.malformed += 1
            return True
        if self._spread is not None and route == self._spread.route:
            for frame in frames:
                self._engine.inbound.put(frame)
            if event.lane != self._spread.current:
                self._transport.acknowledge(event.lane)  # nothing of ours goes there for it to ride along with
        return True

    # --- inside -----------------------------------------------------------------------------------------------------

    def _carrying(self) -> set[int]:
        return self._up or {CONTROL_LANE}

    def _lanes_changed(self) -> None:
        if self._spread is not None:
            self._spread.set_lanes(self._carrying())

    def _free(self, lane: int) -> bool:
        return not self._transport.queued_bytes(lane)

    def _least_queued(self, current: int | None) -> int:
        """Return what waits in front of the lane where least does: nearly always nothing, and the current one knows."""
        if current in self._carrying() and self._free(current):
            return 0
        return min(self._transport.queued_bytes(lane) for lane in self._carrying())

    def _tell_unsent(self, spread: Spread, now: Instant) -> None:
        """Tell the rate control what did not get out: when that changes, and now and then while it is so. A hop that
        stands still says nothing about what it carries."""
        stale = spread.counters.stale
        if spread.flow.dark(now):
            self._stale_told = stale
            return
        unsent = self._least_queued(spread.current) + spread.waiting_bytes
        again = unsent and now - self._unsent_told_at >= UNSENT_AGAIN_S
        if again or (unsent > 0) != (self._unsent > 0) or stale != self._stale_told:
            carries = spread.carries_bits_per_s(now)
            self._engine.command(NoteUnsent(unsent, stale - self._stale_told, carries))
            self._unsent, self._unsent_told_at, self._stale_told = unsent, now, stale

    def _wake_at(self, due: Instant | None) -> None:
        if due == self._due:
            return
        self._unwake()
        self._due = due
        self._unwake = _nothing if due is None else self._wake(due, self._woken)

    def _woken(self) -> None:
        self._due, self._unwake = None, _nothing
        self.pump()


def _nothing() -> None:
    """Take nothing back: nothing was asked for."""
