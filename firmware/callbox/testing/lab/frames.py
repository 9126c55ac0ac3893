"""What became of the frames of one direction: pure arithmetic on when each was sent and when it first arrived."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

STAMP = struct.Struct(">Id")  # in a frame's payload: its number, and when it was sent (CLOCK_MONOTONIC, s)


@dataclass(frozen=True, slots=True)
class Score:
    """`late_80`, `late_120`: share of frames not there so many ms after they were sent, lost ones among them."""

    frames: int
    late_80: float
    late_120: float
    lost: float
    p50_ms: float
    p99_ms: float
    longest_gap_ms: float  # the longest run of frames that were not there after 120 ms


def score(sent: Mapping[int, float], arrived: Mapping[int, float]) -> Score:
    """Judge the frames that were sent; times in s of one clock."""
    numbers = sorted(sent)
    if len(numbers) < 2:
        return Score(len(numbers), 1.0, 1.0, 1.0, float("nan"), float("nan"), 0.0)
    took = np.array([1000 * (arrived.get(number, float("inf")) - sent[number]) for number in numbers])
    there = took[np.isfinite(took)]
    p50, p99 = (float(np.percentile(there, share)) if len(there) else float("nan") for share in (50, 99))
    frame_ms = 1000 * (sent[numbers[-1]] - sent[numbers[0]]) / (len(numbers) - 1)
    return Score(
        len(numbers),
        float(np.mean(took > 80)),
        float(np.mean(took > 120)),
        float(np.mean(~np.isfinite(took))),
        p50,
        p99,
        frame_ms * _longest_run(bool(one) for one in took > 120),
    )


def _longest_run(late: Iterable[bool]) -> int:
    longest = run = 0
    for one in late:
        run = run + 1 if one else 0
        longest = max(longest, run)
    return longest


def write_times(file: Path, times: Mapping[int, float]) -> None:
    """Write one line per frame: its number, and when it was sent or first arrived, in s."""
    file.write_text("".join(f"{number} {at:.6f}\n" for number, at in times.items()), encoding="ascii")


def read_times(file: Path) -> dict[int, float]:
    """Read what `write_times` wrote."""
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {int(number): float(at) for number, at in lines}
