"""Frames to lanes: fresh ones on a lane that moves, those of a stalled lane once more on another, stale ones nowhere.

    frames -> pending (<= 120 ms, while there is room: flow) -> lane: [stay | take turns] + copies -> message
    look_at -> note(facts): acknowledged | stalled -> what only stalled lanes owe -> once more, together

    for lane in spread.look_at(now): spread.note(lane, facts of the lane, now)
    for lane, message in spread.send(frames, is a lane free?, now): send it          and again at `deadline`

It runs for every frame of every call: while all is calm, a frame costs a look at the clock and one at its lane.

Frames carry their own counters (SFrame), so they may take any lane and arrive twice: the receiver keeps the first.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from callbox.base.time import Instant, earliest
from callbox.lanes.facts import LaneFacts, wire_bytes
from callbox.lanes.flow import FIRST_BYTES, Flow
from callbox.lanes.lane import GUESSED_RTT_S, Counters, Frame, SendingLane
from callbox.lanes.trouble import Budget, Trouble
from callbox.wire.media import MAX_FRAMES, MAX_MEDIA_BYTES, pack_media

STALE_S = 0.120
MOST_PENDING = 64  # frames; of an honest sender 120 ms are 12
RETRY_S = 0.010
NARROW_S = 2.0
LOSSES_SLACK = 2.5
PROBE_S = 0.040
LONGEST_SLICE_S = 0.060
REPLACE_S = 1.0
LOST_S = 4.5
COPIES = 2  # for each fresh frame
_HEAD_BYTES = 5
_FRAME_HEAD_BYTES = 2
Messages: TypeAlias = list[tuple[int, bytes]]
Free: TypeAlias = Callable[[int], bool]


class Spread:
    """The sender's side of one route on one hop. `masked`: as a WebSocket client sends. `extra`: see `Budget`."""

    def __init__(self, route: int, masked: bool = True, extra: float = 1.0) -> None:
        self.route = route
        self.counters = Counters()
        self.trouble = Trouble()
        self.flow = Flow()
        self._budget = Budget(extra)
        self._masked = masked
        self._lanes: dict[int, SendingLane] = {}
        self._pending: deque[Frame] = deque()
        self._recent: deque[tuple[int, Frame]] = deque(maxlen=16)  # (lane, frame) that may be repeated
        self._current: int | None = None
        self._slice_began: Instant = 0.0
        self._room: float = FIRST_BYTES  # bytes more that may be on the way
        self._queues = False  # they queue there
        self._narrow_until: Instant = -math.inf  # turns and copies would only fill a hop that is full
        self._retry_at: Instant | None = None
        self._due: Instant | None = None  # the earliest at which a lane's answer is overdue
        self._stalled = False  # some lane is

    @property
    def deadline(self) -> Instant | None:
        """When to look and send though nothing new has come; while all is calm, the next frame is soon enough."""
        if self._retry_at is None:
            return self._due if self.trouble.degree else None
        return earliest(self._retry_at, self._due)

    @property
    def current(self) -> int | None:
        """The lane that carried the latest message."""
        return self._current

    @property
    def waiting_bytes(self) -> int:
        """Bytes of frames that no lane took yet."""
        return sum(len(frame.sealed) for frame in self._pending)

    def carries_bits_per_s(self, now: Instant) -> int:
        """Return what the hop carries, heads included, while that is less than what is to be sent; else 0."""
        narrow = now < self._narrow_until and not self.flow.dark(now)
        return round(8 * self.flow.bytes_per_s) if narrow else 0

    def prefer(self, lane: int) -> None:
        """While the hop is calm, use this lane: the one the other end uses, so that acknowledgements ride along."""
        if not self.trouble.degree and lane in self._lanes:
            self._current = lane

    def set_lanes(self, lanes: Iterable[int]) -> None:
        """Have exactly these lanes. What one that is gone still owed goes once more over another."""
        wanted = list(lanes)
        for number in [number for number in self._lanes if number not in wanted]:
            self._owed_again(self._lanes.pop(number))
            self._room = max(self._room, FIRST_BYTES)
        for number in wanted:
            if number not in self._lanes:
                self._lanes[number] = SendingLane(number)
        self._survey()

    def look_at(self, now: Instant) -> list[int]:
        """Return the lanes of which facts are wanted now."""
        all_of_them = self.trouble.degree > 0 or self._retry_at is not None or self._room <= 0
        if not (all_of_them or self._stalled or (self._due is not None and now >= self._due)):
            return []
        return [
            lane.number
            for lane in self._lanes.values()
            if lane.owed and (all_of_them or lane.stalled_since is not None or _is_due(lane, now))
        ]

    def note(self, number: int, facts: LaneFacts | None, now: Instant) -> None:
        """Take in what the kernel says of a lane."""
        lane = self._lanes.get(number)
        if lane is None:
            return
        if lane.note(facts, now):
            self.counters.stalls += 1
            self.trouble.stalled(now)
        self.flow.acked(lane.acked_bytes, now)
        self._survey()
        self._weigh(now)

    def worn_out(self, now: Instant) -> list[int]:
        """Return the lanes that are better replaced by fresh ones: stalled for long, or for long while others move."""
        if not self._stalled:
            return []
        lanes = self._lanes.values()
        patience_s = LOST_S if all(lane.stalled_since is not None for lane in lanes) else REPLACE_S
        return [
            lane.number for lane in lanes if lane.stalled_since is not None and now - lane.stalled_since > patience_s
        ]

    def send(self, frames: Sequence[tuple[Instant, bytes]], free: Free, now: Instant) -> Messages:
        """Return (lane, media message) for all that may go now.

        `frames` are (captured_at, sealed frame), oldest first; `free` says whether a lane's kernel takes more. With no
        lane free, frames wait for the next call of this.
        """
        for captured_at, sealed in frames:
            self._pending.append(Frame(captured_at, sealed))
            self._budget.earn(len(sealed))
        while self._pending and now - self._pending[0].captured_at > STALE_S:
            self._let_go(len(self._pending) - 1)
        self._let_go(MOST_PENDING)
        messages: Messages = []
        if self._stalled:
            self._send_again(free, now, messages)
        degree = self._degree(now) if self.trouble.degree else 0
        while self._pending and self._may_send(now):
            lane = self._choose(free, degree, now)
            if lane is None:
                break
            self._send_fresh(lane, degree, now, messages)
        self._retry_at = now + RETRY_S if self._pending else None
        return messages

    # --- inside -----------------------------------------------------------------------------------------------------

    def _weigh(self, now: Instant) -> None:
        """Find out how many bytes more may be on the way. What a loss holds up is no queue: then it may be more."""
        lanes = self._lanes.values()
        least_rtt_s = min((lane.facts.least_rtt_s for lane in lanes if lane.facts is not None), default=GUESSED_RTT_S)
        self._queues = any(lane.queues(now) for lane in lanes)
        slack = LOSSES_SLACK if self.flow.bytes_per_s and not self._queues else 1.0
        self._room = slack * self.flow.allowed(least_rtt_s) - sum(lane.owed_bytes for lane in lanes)

    def _may_send(self, now: Instant) -> bool:
        """Say whether there is room; where all stands still, for the newest frame now and then, to see what passes."""
        if self._room > 0:
            return True
        if self._queues:
            self._narrow_until = now + NARROW_S
        used_at = max((lane.used_at for lane in self._lanes.values()), default=now)
        if not self.flow.dark(now) or now - used_at < PROBE_S:
            return False
        self._let_go(1)
        return True

    def _let_go(self, most: int) -> None:
        """Forget the oldest frames that wait, down to `most`."""
        while len(self._pending) > most:
            self._pending.popleft()
            self.counters.stale += 1

    def _degree(self, now: Instant) -> int:
        """Return how bad it is; while lanes are used in turn, the far end acknowledges at once."""
        degree = self.trouble.at(now) if now >= self._narrow_until else 0
        for lane in self._lanes.values():
            lane.hurried = degree > 0
        return degree

    def _moving(self, free: Free) -> list[SendingLane]:
        return [lane for lane in self._lanes.values() if lane.stalled_since is None and free(lane.number)]

    def _choose(self, free: Free, degree: int, now: Instant) -> SendingLane | None:
        """Stay, or take the next. Where all have stalled one of them: perhaps only acknowledgements are lost."""
        used = self._lanes.get(self._current) if self._current is not None else None
        if not degree and used is not None and used.stalled_since is None and free(used.number):
            return used
        moving = self._moving(free) or self._last_resort(free, now)
        if not moving:
            return None
        if used in moving and now - self._slice_began < self._slice_s(used):
            return used
        chosen = min(moving, key=lambda lane: lane.doubt(now) if degree else (not lane.idle, 0.0, lane.number))
        self._current, self._slice_began = chosen.number, now
        return chosen

    def _last_resort(self, free: Free, now: Instant) -> list[SendingLane]:
        """Return all lanes for a moment; when that has not helped, one now and then, to see what passes: a link that is
        dark comes back sooner if little waits to be repeated."""
        lanes = [lane for lane in self._lanes.values() if free(lane.number)]
        since = max((lane.stalled_since or now for lane in lanes), default=now)
        if now - since < PROBE_S:
            return lanes
        if now - max(lane.used_at for lane in lanes) < PROBE_S:
            return []
        return [min(lanes, key=lambda lane: (len(lane.owed), lane.used_at))]

    def _slice_s(self, lane: SendingLane) -> float:
        """How long to stay on one lane: so that all others have been acknowledged when their turn comes."""
        return min(LONGEST_SLICE_S, lane.patience_s / max(1, len(self._lanes) - 1)) - 0.001

    def _send_fresh(self, lane: SendingLane, degree: int, now: Instant, messages: Messages) -> None:
        taken: list[Frame] = []
        size = _HEAD_BYTES
        most = min(MAX_MEDIA_BYTES, self._room)
        while self._pending and len(taken) < MAX_FRAMES - 1:
            size += _FRAME_HEAD_BYTES + len(self._pending[0].sealed)
            if taken and size > most:
                break
            taken.append(self._pending.popleft())
        self.counters.sent += len(taken)
        room = degree == 2 and self._room > COPIES * size and not (lane.queues(now) or lane.clogged)
        copies = self._copies(lane, COPIES * len(taken), now) if room else []
        self._recent.extend((lane.number, frame) for frame in taken)
        self._put(lane, [*copies, *taken], now, messages)

    def _copies(self, lane: SendingLane, most: int, now: Instant) -> list[Frame]:
        """Return frames that other lanes still owe, one for each fresh one: so copies go one slice after the first."""
        copies: list[Frame] = []
        way_s = lane.facts.rtt_s / 2 if lane.facts is not None else 0.0
        for number, frame in self._recent:
            if len(copies) == most:
                break
            useful = not (frame.done or frame.again or frame.repeated) and now + way_s - frame.captured_at < STALE_S
            if useful and number != lane.number and self._budget.spend(len(frame.sealed)):
                frame.repeated = True
                copies.append(frame)
        self.counters.repeated += len(copies)
        return copies

    def _send_again(self, free: Free, now: Instant, messages: Messages) -> None:
        """Send what only stalled lanes owe once more, together, on a lane that moves."""
        stalled = [lane for lane in self._lanes.values() if lane.stalled_since is not None and lane.owed]
        moving = self._moving(free) if stalled and self._room > 0 else []
        if not moving:
            return
        on_the_way = {id(frame) for lane in moving for message in lane.owed for frame in message.frames}
        frames: list[Frame] = []
        for lane in stalled:
            for frame in lane.undone():
                fresh = not frame.again and now - frame.captured_at <= STALE_S and id(frame) not in on_the_way
                if fresh and len(frames) < MAX_FRAMES and self._budget.spend(len(frame.sealed)):
                    frame.again = True
                    frames.append(frame)
        if frames:
            self.counters.again += len(frames)
            chosen = min(moving, key=lambda lane: lane.doubt(now))
            self._put(chosen, frames, now, messages)

    def _owed_again(self, gone: SendingLane) -> None:
        waiting = [frame for frame in gone.undone() if not frame.again]
        for frame in waiting:
            frame.again = True
        self._pending.extendleft(reversed(waiting))

    def _put(self, lane: SendingLane, frames: list[Frame], now: Instant, messages: Messages) -> None:
        message = pack_media(self.route, [frame.sealed for frame in frames])
        was_idle, before = lane.idle, lane.owed_bytes
        lane.carry(wire_bytes(len(message), self._masked), tuple(frames), now)
        self._room -= lane.owed_bytes - before
        messages.append((lane.number, message))
        if was_idle:
            self._due = earliest(self._due, lane.due)

    def _survey(self) -> None:
        self._due = earliest(*(lane.due for lane in self._lanes.values()))
        self._stalled = any(lane.stalled_since is not None for lane in self._lanes.values())


def _is_due(lane: SendingLane, now: Instant) -> bool:
    due = lane.due
    return due is not None and now >= due
