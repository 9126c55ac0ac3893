"""The media lanes of one session: as many as wanted, each joined by a one-use ticket, all gone with the session.

They are patient in a call, too: one that does not come up costs those that are up their time.

A ticket is used up when it is sent. The welcome brings some, and each lane that joins brings the next one, so
lanes that come and go for months never run out of tickets.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.link.events import LaneDown, LaneUp, LinkEffect, Opening, TransportEvent
from callbox.link.lane import LaneAdmitted, LaneFailed, LaneHeard, LaneMachine, Outcome
from callbox.link.refusals import OTHER_SERVER, Refusal
from callbox.link.timing import Timing
from callbox.wire.signals import Challenge, ClientMessage, JoinLane, LaneJoined

MAX_LANES = 6
AT_ONCE = 2  # opening: on a thin link six handshakes side by side take seconds from the voice, and each other's time


class LaneSet:
    """Lanes 1, 2, ... of the session. Empty of machines and tickets while there is no session."""

    def __init__(self, server_id: bytes, timing: Timing, chance: Chance, openings: Iterator[Opening]) -> None:
        self._openings = openings
        self._server_id = server_id
        self._timing = timing
        self._chance = chance
        self._wanted = 0
        self._session_up = False
        self._tickets: deque[bytes] = deque(maxlen=2 * MAX_LANES)
        self._lanes: dict[int, LaneMachine] = {}

    @property
    def deadline(self) -> Instant | None:
        return earliest(*(lane.deadline for lane in self._lanes.values()))

    @property
    def up(self) -> tuple[int, ...]:
        return tuple(number for number, lane in self._lanes.items() if lane.up)

    def session_up(self, tickets: Sequence[bytes], now: Instant) -> list[LinkEffect]:
        self._session_up = True
        self._tickets.extend(tickets)
        return self._open_wanted(now)

    def session_lost(self) -> list[LinkEffect]:
        self._session_up = False
        self._tickets.clear()
        return self._drop(list(self._lanes))

    def want(self, count: int, now: Instant) -> list[LinkEffect]:
        self._wanted = max(0, min(count, MAX_LANES))
        return [*self._drop([lane for lane in self._lanes if lane > self._wanted]), *self._open_wanted(now)]

    def hurry(self, now: Instant) -> list[LinkEffect]:
        return self._each(lambda lane: lane.hurry(now), now)

    def tick(self, now: Instant) -> list[LinkEffect]:
        return self._each(lambda lane: lane.tick(now), now)

    def handle(self, event: TransportEvent, now: Instant) -> list[LinkEffect]:
        lane = self._lanes.get(event.lane)
        return [] if lane is None else list(self._translate(lane.handle(event, now), now))

    def _each(self, act: Callable[[LaneMachine], list[Outcome]], now: Instant) -> list[LinkEffect]:
        return [effect for lane in list(self._lanes.values()) for effect in self._translate(act(lane), now)]

    def _translate(self, outcomes: list[Outcome], now: Instant) -> Iterator[LinkEffect]:
        for outcome in outcomes:
            match outcome:
                case LaneAdmitted(lane=lane, message=LaneJoined(ticket=ticket)):
                    if ticket:
                        self._tickets.append(ticket)
                    yield LaneUp(lane)
                    yield from self._open_wanted(now)
                case LaneFailed(lane=lane, was_up=was_up):
                    if was_up:
                        yield LaneDown(lane)
                    if self._unproven() > len(self._tickets):
                        self._lanes.pop(lane).stop()
                case LaneAdmitted() | LaneHeard():
                    pass  # a media lane has nothing else to say
                case effect:
                    yield effect

    def _open_wanted(self, now: Instant) -> list[LinkEffect]:
        """Start the missing lanes, a few at once, and as far as tickets reach."""
        effects: list[LinkEffect] = []
        for number in range(1, self._wanted + 1):
            room = self._unproven() < min(AT_ONCE, len(self._tickets))
            if self._session_up and number not in self._lanes and room:
                lane = LaneMachine(number, self._prove, self._timing, self._chance, self._openings)
                self._lanes[number] = lane
                effects += self._translate(lane.start(now), now)
        return effects

    def _unproven(self) -> int:
        return sum(1 for lane in self._lanes.values() if not lane.up)

    def _prove(self, challenge: Challenge) -> ClientMessage | Refusal:
        if challenge.server_id != self._server_id:
            return OTHER_SERVER
        if not self._tickets:
            return Refusal("No ticket is left for another media lane.")
        return JoinLane(self._tickets.popleft())

    def _drop(self, numbers: list[int]) -> list[LinkEffect]:
        effects: list[LinkEffect] = []
        for number in numbers:
            lane = self._lanes.pop(number)
            if lane.up:
                effects.append(LaneDown(number))
            effects += self._translate(lane.stop(), 0.0)
        return effects
