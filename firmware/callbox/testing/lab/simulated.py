"""One hop, simulated: the real `Spread` over simulated TCP lanes, and plain UDP over a link like it. Pure and seeded.

frames every packet_ms --> Spread --> TcpLane x n --> first copies --> Score            the same frames by UDP --> Score
"""

from dataclasses import dataclass

from callbox.base.chance import SeededChance
from callbox.base.time import Instant
from callbox.lanes.spread import Spread
from callbox.testing.lab.conditions import Conditions
from callbox.testing.lab.frames import STAMP, Score, score
from callbox.testing.lab.tcp import Agenda, TcpLane
from callbox.testing.lab.way import OneWay
from callbox.wire.media import unpack_media

UDP_HEAD_BYTES = 28
BEGIN_S, AFTER_S = 2.0, 2.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of the frames, what the link carried per s of voice, and what the sender counted."""

    score: Score
    bytes_per_s: float
    spread: Spread


def by_lanes(
    conditions: Conditions,
    seed: int,
    seconds: float = 30.0,
    lanes: int = 4,
    packet_ms: int = 10,
    size: int = 88,
    extra: float = 1.0,
) -> Simulated:
    """Send frames over lanes; those of the first two seconds do not count."""
    agenda = Agenda()
    there, back = (OneWay(conditions, SeededChance(f"{seed} {way}")) for way in ("there", "back"))
    spread = Spread(1, extra=extra)
    sent: dict[int, Instant] = {}
    arrived: dict[int, Instant] = {}

    def deliver(message: bytes) -> None:
        for frame in unpack_media(message)[1]:
            arrived.setdefault(STAMP.unpack_from(frame)[0], agenda.now)

    rtt_s = 2 * conditions.delay_ms / 1000 + 0.001
    connections = {number: TcpLane(agenda, there, back, deliver, rtt_s) for number in range(1, lanes + 1)}
    spread.set_lanes(connections)

    def pump(frames: list[tuple[Instant, bytes]]) -> None:
        now = agenda.now
        for number in spread.look_at(now):
            spread.note(number, connections[number].facts, now)
        for number, message in spread.send(frames, lambda lane: connections[lane].facts.unsent == 0, now):
            connections[number].prompt = spread.trouble.degree > 0
            connections[number].send(message)
        if (due := spread.deadline) is not None:
            agenda.at(max(due, now + 0.001), lambda: wake(due))

    def wake(due: Instant) -> None:
        if spread.deadline is not None and spread.deadline <= max(due, agenda.now):
            pump([])

    def speak(number: int) -> None:
        sent[number] = agenda.now
        pump([(agenda.now, STAMP.pack(number, agenda.now).ljust(size, b"\1"))])

    for number in range(round((BEGIN_S + seconds) * 1000 / packet_ms)):
        agenda.at(number * packet_ms / 1000, lambda number=number: speak(number))  # type: ignore[misc]
    agenda.run(BEGIN_S + seconds + AFTER_S)
    counted = {number: at for number, at in sent.items() if at >= BEGIN_S}
    return Simulated(score(counted, arrived), there.bytes / (BEGIN_S + seconds), spread)


def by_udp(conditions: Conditions, seed: int, seconds: float = 30.0, packet_ms: int = 10, size: int = 88) -> Score:
    """Send the same frames once each, over a link that draws the same."""
    way = OneWay(conditions, SeededChance(f"{seed} there"))
    sent = {number: number * packet_ms / 1000 for number in range(round((BEGIN_S + seconds) * 1000 / packet_ms))}
    arrivals = {number: way.arrival(size + UDP_HEAD_BYTES, at) for number, at in sent.items()}
    counted = {number: at for number, at in sent.items() if at >= BEGIN_S}
    return score(counted, {number: at for number, at in arrivals.items() if at is not None})
