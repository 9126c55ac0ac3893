"""A whole voice, simulated: both directions of a call over one bad link; lanes, rate and jitter buffer are the real.

    box A: Sending -> Spread -> TcpLane x n ==[OneWay]==> server -> box B: Receiving    the acknowledgements of each
    box A: Receiving <- TcpLane x n <==[OneWay]== Spread <- server <- box B: Sending    direction weigh on the other

Pure and seeded; between server and B lies nothing. The codec only pretends: packets have the size of their step.
"""

from dataclasses import dataclass, field

import numpy as np

from callbox.audio.media import Receiving, Sending
from callbox.audio.rate import RateControl
from callbox.audio.steps import DEFAULT_STEP, STEPS
from callbox.base.chance import SeededChance
from callbox.base.frames import silence
from callbox.base.time import Instant
from callbox.lanes.spread import Spread
from callbox.testing.lab.conditions import Conditions
from callbox.testing.lab.heard import Cycles, longest_gap_ms, slowest_return_s, step_shares
from callbox.testing.lab.tcp import Agenda, TcpLane
from callbox.testing.lab.way import OneWay
from callbox.testing.slow_link import CYCLE_S, PretendCodec, opened, sealed
from callbox.wire.media import unpack_media


@dataclass
class Side:
    """One end's sound: what it sends and what it hears."""

    inbound: list[bytes] = field(default_factory=list)
    noted: list[tuple[float, ...]] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        codec = PretendCodec()
        self.rate = RateControl(DEFAULT_STEP)
        self.sending, self.receiving = Sending(codec, sealed, DEFAULT_STEP), Receiving(codec, opened)

    def cycle(self, now: Instant) -> list[tuple[Instant, bytes]]:
        """Live through one cycle; return what is to be sent."""
        self.sending.use(self.rate.step)
        frames = self.sending.cycle(silence(), self.receiving.due_report(now, self.sending.step.packet_ms))
        inbound, self.inbound = self.inbound, []
        for frame in inbound:
            report = self.receiving.take(frame, now)
            if report is not None:
                self.rate.report(report, now)
        self.receiving.cycle()
        counters = self.receiving.jitter.counters
        self.noted.append((now, counters.concealed, counters.delay_ms))
        self.steps.append(STEPS.index(self.rate.step))
        return [(now, frame) for frame in frames]


class Hop:
    """One direction over the link: a sender's lanes."""

    def __init__(self, agenda: Agenda, there: OneWay, back: OneWay, lanes: int, rtt_s: float, to: Side) -> None:
        self.spread = Spread(1)
        self._agenda, self._to = agenda, to
        self._seen: set[bytes] = set()
        self.connections = {n: TcpLane(agenda, there, back, self._deliver, rtt_s) for n in range(1, lanes + 1)}
        self.spread.set_lanes(self.connections)

    def send(self, frames: list[tuple[Instant, bytes]]) -> None:
        now, spread = self._agenda.now, self.spread
        for number in spread.look_at(now):
            spread.note(number, self.connections[number].facts, now)
        for number, message in spread.send(frames, lambda lane: self.connections[lane].facts.unsent == 0, now):
            self.connections[number].prompt = spread.trouble.degree > 0
            self.connections[number].send(message)
        if (due := spread.deadline) is not None:
            self._agenda.at(max(due, now + 0.001), lambda: self._wake(due))

    @property
    def unsent(self) -> int:
        least = min(connection.facts.unsent for connection in self.connections.values())
        return least + self.spread.waiting_bytes

    def _wake(self, due: Instant) -> None:
        if self.spread.deadline is not None and self.spread.deadline <= max(due, self._agenda.now):
            self.send([])

    def _deliver(self, message: bytes) -> None:
        for frame in unpack_media(message)[1]:
            if frame not in self._seen:
                self._seen.add(frame)
                self._to.inbound.append(frame)


@dataclass(frozen=True, slots=True)
class Talked:
    """What one side heard: see `heard.Heard`; `delay_ms`: of link and jitter buffer, median and p95."""

    delay_ms: float
    delay_p95_ms: float
    made_up: float  # share of the time
    gap_ms: float
    back_s: float | None
    steps: str


def talk(
    conditions: Conditions, seed: int, seconds: float = 20.0, lanes: int = 6, begin_s: float = 2.0
) -> tuple[Talked, Talked]:
    """Let two boxes talk; return what was heard of A and what of B. The first `begin_s` do not count."""
    agenda, far, near = Agenda(), Side(), Side()
    up, down = (OneWay(conditions, SeededChance(f"{seed} {way}")) for way in ("up", "down"))
    rtt_s = 2 * conditions.delay_ms / 1000 + 0.001
    hops = (Hop(agenda, up, down, lanes, rtt_s, far), Hop(agenda, down, up, lanes, rtt_s, near))
    stale = 0

    def cycle() -> None:
        nonlocal stale
        now = agenda.now
        hops[0].send(near.cycle(now))
        hops[1].send(far.cycle(now))
        fresh, stale = hops[0].spread.counters.stale - stale, hops[0].spread.counters.stale
        if not hops[0].spread.flow.dark(now):
            near.rate.unsent(hops[0].unsent, now, fresh, hops[0].spread.carries_bits_per_s(now))

    for number in range(round((begin_s + seconds) / CYCLE_S)):
        agenda.at(number * CYCLE_S, cycle)
    agenda.run(begin_s + seconds)
    period = conditions.dark_every_s or conditions.spike_every_s
    whole_again = [period * count for count in range(1, int((begin_s + seconds) // period) + 1)] if period else []
    return _talked(far, near, begin_s, whole_again), _talked(near, far, begin_s, whole_again)


def _talked(ear: Side, mouth: Side, begin_s: float, whole_again: list[float]) -> Talked:
    whole = Cycles.of(np.array(ear.noted))
    within, first = whole.between(begin_s, float("inf")), round(begin_s / CYCLE_S)
    buffered = within.delay_ms
    return Talked(
        float(np.median(buffered)),
        float(np.percentile(buffered, 95)),
        float(np.mean(np.diff(within.concealed) > 0)),
        longest_gap_ms(within.concealed),
        slowest_return_s(whole, begin_s, whole_again),
        step_shares(np.array(mouth.steps[first:])),
    )
