"""All starts of a bench, put together: one figure per line of the table, each beside its goal."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from callbox.testing.bench.call import Start
from callbox.testing.bench.floors import CardFloor, OpusFloor

Bound = Literal["<=", ">="]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure should be at most or at least."""

    bound: Bound
    value: float

    def reached_by(self, value: float) -> bool:
        return value <= self.value if self.bound == "<=" else value >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. `value` None: it could not be measured here; `of` says what it is the median of."""

    what: str
    step: str
    value: float | None
    unit: str
    of: str
    goal: Goal | None = None
    digits: int = 0

    @property
    def reached(self) -> bool | None:
        """Return whether the goal is reached, as the rounded figure shows it; None without goal or figure."""
        if self.goal is None or self.value is None:
            return None
        return self.goal.reached_by(round(self.value, self.digits))


@dataclass(frozen=True, slots=True)
class Measured:
    """What a whole run of the bench brought home. Calls in the order of their steps; the first step is the default."""

    card: Sequence[CardFloor]
    opus: dict[str, OpusFloor]
    starts: Sequence[Start]
    failed: Sequence[str] = ()  # what went wrong in starts that led to no call


DELAY_GOALS = {"near": (Goal("<=", 75), Goal("<=", 85), Goal(">=", 4.4))}
BYTE_GOALS = {"steady": Goal("<=", 9000), "saver": Goal("<=", 6000)}


def figures(measured: Measured) -> list[Figure]:
    """Return every line of the table."""
    first = measured.starts[0].step
    tried = len(measured.starts) + len(measured.failed)
    failures = Figure("starts without a call", "", len(measured.failed), "", f"{tried} starts", Goal("<=", 0))
    lines = [failures, *_waiting(measured.starts), *_card(measured, first)]
    for step in dict.fromkeys(start.step for start in measured.starts):
        lines += _step(step, [start for start in measured.starts if start.step == step], measured.opus[step])
    return [*lines, *_idle(measured.starts)]


def _waiting(starts: Sequence[Start]) -> list[Figure]:
    booted = [seconds for start in starts for seconds in start.callable_s]
    first_audio = [
        None if None in start.first_audio_ms else max(ms for ms in start.first_audio_ms if ms is not None)
        for start in starts
    ]
    arrived = [ms for ms in first_audio if ms is not None]
    return [
        Figure("process start to callable", "", median(booted), "s", f"{len(booted)} starts", Goal("<=", 2), 2),
        Figure(
            "press of dial to far end's ring",
            "",
            median(start.ring_ms for start in starts),
            "ms",
            f"{len(starts)} calls",
            Goal("<=", 300),
        ),
        Figure(
            "press of answer to first audio at both ears",
            "",
            median(arrived) if arrived else None,
            "ms",
            f"{len(arrived)} of {len(starts)} calls, the later ear of each",
            Goal("<=", 150),
        ),
    ]


def _card(measured: Measured, first: str) -> list[Figure]:
    card_ms = _middle(floor.delay.median_ms for floor in measured.card)
    worst_ms = _middle(floor.delay.p95_ms for floor in measured.card)
    of = f"{len(measured.card)} starts"
    ours_ms = _middle(_start_medians(start for start in measured.starts if start.step == first))
    more_ms = None if card_ms is None or ours_ms is None else ours_ms - card_ms
    return [
        Figure("floor: mouth to ear of the card alone, median", "", card_ms, "ms", of),
        Figure("floor: mouth to ear of the card alone, p95", "", worst_ms, "ms", of),
        Figure("mouth to ear above that floor, median", first, more_ms, "ms", of),
        Figure("floor: CPU of the card alone", "", _middle(floor.cpu for floor in measured.card), "s", of, digits=3),
    ]


def _step(step: str, starts: Sequence[Start], opus: OpusFloor) -> list[Figure]:
    heard = [way for start in starts for way in start.heard]
    delays = [delay for way in heard for delay in way.delays_ms]
    missing = sum(way.missing for way in heard)
    of = f"{len(heard)} voices in {len(starts)} calls"
    at_median, at_p95, at_quality = DELAY_GOALS.get(step, (None, None, None))
    p95_ms = float(np.percentile(delays, 95)) if delays else None
    pesq = _middle(way.pesq for way in heard if way.pesq is not None)
    lines = [
        Figure("mouth to ear, median", step, _middle(_start_medians(starts)), "ms", of, at_median),
        Figure("mouth to ear, p95", step, p95_ms, "ms", f"{len(delays)} pieces of speech", at_p95),
        Figure("pieces of speech that did not arrive", step, missing, "", f"{missing + len(delays)} pieces"),
        Figure("PESQ-WB", step, pesq, "", of, at_quality, 2),
        Figure("floor: PESQ-WB of libopus alone", step, opus.pesq, "", "the same speech", digits=2),
        Figure("STOI", step, _middle(way.stoi for way in heard), "", of, Goal(">=", 0.97), 3),
    ]
    return lines + _spent(step, starts, opus)


def _spent(step: str, starts: Sequence[Start], opus: OpusFloor) -> list[Figure]:
    cpu = median(used for start in starts for used in start.spent.cpu)
    up, down = (
        _middle(way for start in starts if (way := getattr(start.spent, name)) is not None)
        for name in ("bytes_up", "bytes_down")
    )
    of = f"{2 * len(starts)} boxes"
    server_cpu = median(start.spent.server_cpu for start in starts)
    pss_mb = median(used for start in starts for used in start.spent.pss_mb)
    rss_mb = median(used for start in starts for used in start.spent.rss_mb)
    return [
        Figure("CPU per call-second and box", step, cpu, "s", of, Goal("<=", 0.060), 3),
        Figure("floor: CPU of libopus alone", step, opus.cpu, "s", "encode + decode", digits=3),
        Figure("floor: the same at the pace of a call", step, opus.paced_cpu, "s", "encode + decode", digits=3),
        Figure("CPU of the server per call-second", step, server_cpu, "s", f"{len(starts)} calls", digits=3),
        Figure("memory in a call, PSS", step, pss_mb, "MB", of, Goal("<=", 60)),
        Figure("memory in a call, RSS", step, rss_mb, "MB", of),
        Figure("on the wire, box to server", step, up, "bytes/s", of, BYTE_GOALS.get(step)),
        Figure("on the wire, server to box", step, down, "bytes/s", of, BYTE_GOALS.get(step)),
    ]


def _idle(starts: Sequence[Start]) -> list[Figure]:
    idle = [box for start in starts for box in start.idle]
    if not idle:
        return []
    of = f"{len(idle)} boxes"
    return [
        Figure("idle: CPU", "", median(box.cpu_percent for box in idle), "%", of, Goal("<=", 0.5), 2),
        Figure("idle: wake-ups per second", "", median(box.wake_ups_per_s for box in idle), "/s", of, Goal("<=", 5), 1),
        Figure("idle: memory, PSS", "", median(box.pss_mb for box in idle), "MB", of, Goal("<=", 60)),
        Figure("idle: memory, RSS", "", median(box.rss_mb for box in idle), "MB", of),
    ]


def _start_medians(starts: Iterable[Start]) -> list[float]:
    """Return the median delay of each voice: delay differs by a buffer from start to start, and each counts once."""
    return [median(way.delays_ms) for start in starts for way in start.heard if way.delays_ms]


def _middle(values: Iterable[float | None]) -> float | None:
    """Return the median of what could be measured; None if nothing could."""
    known = [value for value in values if value is not None and not math.isnan(value)]
    return median(known) if known else None
