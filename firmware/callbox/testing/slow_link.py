"""A link of little or changing rate, and a voice that adapts to it. No sockets, codec or clock: minutes in a second.

    Sending -> pending (stale after 120 ms) -> window -> [ queue -> rate(t) ] -> delay -> Receiving -> jitter buffer
       ^ RateControl <- unsent bytes, reports <---------------- delay ------------------------ reports

The window is what the sender's system and the path take in before the sender notices: with TCP, its send buffer.
"""

import math
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from callbox.audio.media import Receiving, Sending
from callbox.audio.rate import RateControl
from callbox.audio.steps import HEAD_BYTES, SEAL_BYTES, STEPS, RateStep
from callbox.base.frames import CYCLE_MS, RATE_HZ, Samples, silence
from callbox.testing.playout import CountingDecoder, hum
from callbox.wire.media import Report

CYCLE_S = CYCLE_MS / 1000
STALE_S = 0.120


class PretendCodec:
    """Packets say which stretch of a hum they are, in as many bytes as the step has."""

    def encoder(self, bits_per_s: int, packet_ms: int) -> "PretendEncoder":
        return PretendEncoder(bits_per_s, packet_ms)

    def decoder(self) -> CountingDecoder:
        return CountingDecoder(hum(2.0))


class PretendEncoder:
    def __init__(self, bits_per_s: int, packet_ms: int) -> None:
        self._at = 0
        self.carries_copies = False
        self.set_rate(bits_per_s, packet_ms)

    def set_rate(self, bits_per_s: int, packet_ms: int) -> None:
        self.packet_bytes, self._span = bits_per_s * packet_ms // 8000, packet_ms * RATE_HZ // 1000

    def encode(self, samples: Samples) -> bytes:
        packet = struct.pack(">II", self._at, self._span)
        self._at += len(samples)
        return packet

    def set_packet_loss(self, percent: int) -> None:
        pass

    def set_fec(self, on: bool) -> None:
        pass

    def set_complexity(self, complexity: int) -> None:
        pass

    def close(self) -> None:
        pass


Rate = Callable[[float], float]
"""Seconds since the start -> kbit/s that the link carries then."""


@dataclass
class SlowLink:
    """One way. `window_bytes` go in unseen by the sender. Frames leave in order, `delay_s(t)` after their turn."""

    rate_kbps: Rate
    delay_s: Callable[[float], float] = lambda _: 0.03
    window_bytes: int = 3000
    dropped: int = 0
    _pending: deque[tuple[float, bytes]] = field(default_factory=deque)
    _queue: deque[bytes] = field(default_factory=deque)
    _credit_bits: float = 0.0
    _coming: deque[tuple[float, bytes]] = field(default_factory=deque)

    def send(self, frames: list[bytes], now: float) -> int:
        """Take frames in; return how many bytes the sender still holds."""
        self._pending.extend((now, frame) for frame in frames)
        while self._pending and now - self._pending[0][0] > STALE_S:
            self._pending.popleft()
            self.dropped += 1
        while self._pending and sum(map(len, self._queue)) < self.window_bytes:
            self._queue.append(self._pending.popleft()[1])
        return sum(len(frame) for _, frame in self._pending)

    def arrived(self, now: float) -> list[bytes]:
        """Let one cycle pass; return what came out."""
        self._credit_bits += self.rate_kbps(now) * CYCLE_MS
        while self._queue and self._credit_bits >= 8 * (len(self._queue[0]) + HEAD_BYTES):
            frame = self._queue.popleft()
            self._credit_bits -= 8 * (len(frame) + HEAD_BYTES)
            due = max(now + self.delay_s(now), self._coming[-1][0] if self._coming else -math.inf)
            self._coming.append((due, frame))
        if not self._queue:
            self._credit_bits = min(self._credit_bits, 8.0 * 1500)
        out: list[bytes] = []
        while self._coming and self._coming[0][0] <= now:
            out.append(self._coming.popleft()[1])
        return out


@dataclass
class Talk:
    """What became of a voice. Per cycle: the step, the buffer's delay, and for how long nothing real was heard."""

    steps: list[str] = field(default_factory=list)
    delays_ms: list[int] = field(default_factory=list)
    gaps_ms: list[int] = field(default_factory=list)
    received: int = 0
    dropped: int = 0

    def changes(self, since_s: float, until_s: float) -> int:
        """Count changes of step in a stretch of time."""
        part = self.steps[round(since_s * 100) : round(until_s * 100)]
        return sum(a != b for a, b in pairwise(part))

    def longest_gap_ms(self, since_s: float = 1.0) -> int:
        return max(self.gaps_ms[round(since_s * 100) :])


def sealed(plain: bytes) -> bytes:
    return plain + bytes(SEAL_BYTES)


def opened(sealed: bytes) -> bytes:
    return sealed[:-SEAL_BYTES]


def talk(
    link: SlowLink, seconds: float, sees_unsent: bool = True, start: RateStep = STEPS[0], back_s: float = 0.03
) -> Talk:
    """Let a voice adapt to `link`. `sees_unsent`: the narrow place is the sender's own link, not the far one's."""
    codec, control, done = PretendCodec(), RateControl(start), Talk()
    sending, receiving = Sending(codec, sealed, start), Receiving(codec, opened)
    reports: deque[tuple[float, Report]] = deque()
    gap = before = 0
    report: Report | None = None
    for cycle in range(round(seconds * 100)):
        now = cycle * CYCLE_S
        while reports and reports[0][0] <= now:
            control.report(reports.popleft()[1], now)
        sending.use(control.step)
        unsent = link.send(sending.cycle(silence(), report), now)  # the other direction's report, which is like ours
        if sees_unsent:
            control.unsent(unsent, now)
        for frame in link.arrived(now):
            receiving.take(frame, now)
        receiving.cycle()
        report = receiving.due_report(now, control.step.packet_ms)
        if report is not None:
            reports.append((now + back_s, report))
        counters = receiving.jitter.counters
        gap = gap + 10 * (counters.concealed - before) if counters.concealed > before else 0
        before = counters.concealed
        done.steps.append(control.step.name)
        done.delays_ms.append(counters.delay_ms)
        done.gaps_ms.append(gap)
    done.received, done.dropped = receiving.jitter.counters.received, link.dropped
    return done
