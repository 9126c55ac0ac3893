"""What came of the voice of one direction: what was said beside what was heard, on one clock. Pure arithmetic.

said (voice, from when) --+--> pieces of speech: mouth to ear, median and p95, missing --> PESQ-WB, STOI
heard (samples, from when)+
cycles (what the receiver did every 10 ms) --> longest gap, when the delay was normal again, steps of the sender
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbox.audio.steps import STEPS
from callbox.base.frames import CYCLE_MS, RATE_HZ, Samples
from callbox.base.time import Instant
from callbox.testing.measure import intelligibility, mouth_to_ear, quality
from callbox.testing.replay import part

NORMAL_MS = 20.0  # a delay so little above the usual is normal again
SHORT_CYCLES = 5  # of sound between two gaps: both are felt as one
LOOKED_AT_S = 20.0  # PESQ is made for pieces of speech, not for minutes


@dataclass(frozen=True, slots=True)
class Cycles:
    """What the receiver noted after each cycle: when, cycles made up so far, its delay in ms; and the sender's step."""

    at: NDArray[np.float64]
    concealed: NDArray[np.float64]
    delay_ms: NDArray[np.float64]

    @classmethod
    def of(cls, noted: NDArray[np.float64]) -> "Cycles":
        return cls(noted[:, 0], noted[:, 1], noted[:, 2])

    def between(self, began: Instant, ended: Instant) -> "Cycles":
        chosen = (self.at >= began) & (self.at < ended)
        return Cycles(self.at[chosen], self.concealed[chosen], self.delay_ms[chosen])


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction. Delays in ms, card included; `gap_ms`: the longest stretch that was made up or silent;
    `back_s`: how long after the link was whole again the delay was normal, where it was ever broken."""

    m2e_ms: float
    m2e_p95_ms: float
    pieces: int
    missing: int
    pesq: float | None
    stoi: float
    gap_ms: float
    buffer_ms: float  # of the delay, the jitter buffer's share
    back_s: float | None
    steps: str


def judge(
    said: tuple[Samples, Instant],
    heard: tuple[Samples, Instant],
    cycles: Cycles,
    steps: NDArray[np.float64],
    span: tuple[Instant, Instant],
    whole_again: Sequence[Instant] = (),
) -> Heard:
    """Judge one direction within `span`. `said`, `heard`: sound and the instant of its first sample; the voice repeats.

    `steps`: numbers of the steps that the sender used; `whole_again`: instants at which darkness or a spike ended.
    """
    began, ended = span
    (voice, spoke_at), (samples, heard_at) = said, heard
    mouth = part(voice, round((began - spoke_at) * RATE_HZ), round((ended - began) * RATE_HZ))
    first = max(0, round((began - heard_at) * RATE_HZ))
    ear = samples[first : first + round((ended - began + 1.0) * RATE_HZ)]
    offset_s = heard_at + first / RATE_HZ - began
    delay = mouth_to_ear(mouth, ear, offset_s)
    within = cycles.between(began, ended)
    short = round(LOOKED_AT_S * RATE_HZ)
    return Heard(
        delay.median_ms,
        delay.p95_ms,
        delay.pieces,
        delay.missing,
        quality(mouth[:short], ear, offset_s),
        intelligibility(mouth, ear, offset_s),
        longest_gap_ms(within.concealed),
        float(np.median(within.delay_ms)),
        slowest_return_s(cycles, began, whole_again),
        step_shares(steps),
    )


def longest_gap_ms(concealed: NDArray[np.float64]) -> float:
    """Return the longest stretch of cycles that were made up, fewer than `SHORT_CYCLES` of real sound in between."""
    made_up = np.flatnonzero(np.diff(concealed) > 0)
    if not len(made_up):
        return 0.0
    parts = np.split(made_up, np.flatnonzero(np.diff(made_up) > SHORT_CYCLES) + 1)
    return float(max(one[-1] - one[0] + 1 for one in parts)) * CYCLE_MS


def slowest_return_s(cycles: Cycles, began: Instant, whole_again: Sequence[Instant]) -> float | None:
    """Return the longest that it took until sound was there and its delay within `NORMAL_MS` of what it was before."""
    slowest: float | None = None
    for number, whole in enumerate(whole_again):
        until = whole_again[number + 1] if number + 1 < len(whole_again) else cycles.at[-1]
        before = cycles.delay_ms[(cycles.at >= began) & (cycles.at < whole)]
        after = (cycles.at >= whole) & (cycles.at < until)
        at, delay_ms, concealed = cycles.at[after], cycles.delay_ms[after], cycles.concealed[after]
        if len(at) < 100 or not len(before):
            continue
        made_up = np.diff(concealed, prepend=concealed[0]) > 0
        wrong = np.flatnonzero((delay_ms > np.median(before) + NORMAL_MS) | made_up)
        # What is wrong after a calm second belongs to something else.
        calm = np.flatnonzero(np.diff(wrong, append=len(at) + 100) > 100)
        took_s = float(at[wrong[calm[0]]] - whole) if len(wrong) else 0.0
        slowest = took_s if slowest is None else max(slowest, took_s)
    return slowest


def step_shares(numbers: NDArray[np.float64]) -> str:
    """Return the steps that were used, those used most first, such as `near 90, clear 10` (%)."""
    found, counts = np.unique(numbers.astype(int), return_counts=True)
    shares = sorted(((100 * count / len(numbers), number) for number, count in zip(found, counts, strict=True)))
    return ", ".join(f"{STEPS[number].name} {share:.0f}" for share, number in reversed(shares) if share >= 1)
