"""Arrival and playout: a jitter buffer fed from a table of delays, with a decoder that notes what it was asked for."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from callbox.audio.jitter import JitterBuffer
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence


def hum(seconds: float, pitch_hz: float = 150.0, level: float = 6000.0) -> Samples:
    """A steady voiced sound: a pitch with four harmonics."""
    time = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * pitch_hz * n * time) / n for n in range(1, 5))
    return (np.asarray(wave) * level).astype(np.int16)


def loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples.astype(float) ** 2))) if len(samples) else 0.0


@dataclass
class CountingDecoder:
    """Packets of this decoder say which stretch of `source` they are; it notes what it was asked for."""

    source: Samples
    verbs: list[str] = field(default_factory=list)

    def packet(self, at: int, span: int) -> bytes:
        return struct.pack(">II", at, span)

    def span(self, packet: bytes) -> int:
        return int(struct.unpack(">II", packet)[1]) if len(packet) == 8 else 0

    def decode(self, packet: bytes, samples: int) -> Samples:
        self.verbs.append("decode")
        at = struct.unpack(">II", packet)[0] % (len(self.source) - samples)
        return self.source[at : at + samples].copy()

    def recover(self, packet: bytes, samples: int) -> Samples:
        self.verbs.append("recover")
        at = (struct.unpack(">II", packet)[0] - samples) % (len(self.source) - samples)
        return self.source[at : at + samples].copy()

    def conceal(self, samples: int) -> Samples:
        self.verbs.append("conceal")
        return silence(samples)

    def close(self) -> None:
        pass


@dataclass
class Playout:
    """What came out of a jitter buffer: the sound, and after each pull the delay and the target in ms."""

    sound: Samples
    delays_ms: list[int]
    targets_ms: list[int]
    buffer: JitterBuffer
    decoder: CountingDecoder


Arrival = Callable[[int], float | None]


def play(
    arrival: Arrival,
    count: int,
    packet_ms: int = 20,
    drift_ppm: float = 0.0,
    copies: bool = False,
    start: int = 0,
    pulls_before: int = 0,
) -> Playout:
    """Play `count` packets of `packet_ms`, the k-th arriving `arrival(k)` ms after it was sent (None: never)."""
    decoder = CountingDecoder(hum(2.0))
    buffer = JitterBuffer(decoder)
    span = packet_ms * RATE_HZ // 1000
    coming: list[tuple[float, int]] = []
    for k in range(count):
        delay_ms = arrival(k)
        if delay_ms is not None:
            coming.append(((k + 1) * packet_ms * (1 + drift_ppm * 1e-6) + delay_ms, k))
    coming.sort()
    sound, delays, targets = [buffer.get() for _ in range(pulls_before)], [], []
    for pull in range(count * packet_ms // 10):
        while coming and coming[0][0] <= pull * 10 + 3:
            _, k = coming.pop(0)
            buffer.put(decoder.packet(k * span, span), (start + k * span) % 2**32, copies)
        sound.append(buffer.get())
        assert len(sound[-1]) == CYCLE_SAMPLES
        delays.append(buffer.counters.delay_ms)
        targets.append(buffer.counters.target_ms)
    return Playout(np.concatenate(sound), delays, targets, buffer, decoder)
