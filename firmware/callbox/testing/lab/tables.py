"""The rows as Markdown; of several runs, medians. A figure that misses its goal is bold, and the goal beside it."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from callbox.testing.lab.card import CARD_MS
from callbox.testing.lab.heard import Heard
from callbox.testing.lab.rows import Row, VoiceRow

Some = TypeVar("Some")
Key = TypeVar("Key")
AtMost, AtLeast = "≤", "≥"
GOALS: Mapping[str, Mapping[str, tuple[str, float]]] = {
    "clean": {"m2e_ms": (AtMost, 75), "m2e_p95_ms": (AtMost, 85), "pesq": (AtLeast, 4.4)},
    "loss-5": {
        "m2e_ms": (AtMost, 95),
        "m2e_p95_ms": (AtMost, 130),
        "pesq": (AtLeast, 4.0),
        "stoi": (AtLeast, 0.985),
    },
    "jitter": {"m2e_ms": (AtMost, 125), "m2e_p95_ms": (AtMost, 160)},
    "halved": {"gap_ms": (AtMost, 200)},
    "dark-2": {"back_s": (AtMost, 3)},
}
"""What is asked of a voice, by condition and figure."""


def voices_table(rows: Sequence[VoiceRow]) -> str:
    """Return one line for each condition and direction; calls that were made at once count as runs."""
    lines = [
        f"Mouth to ear (m2e) holds {CARD_MS} ms of the card; buffer: the jitter buffer's share of it, ms.",
        "",
        "| condition | | m2e ms | p95 ms | missing | PESQ-WB | STOI | gap ms | back s | buffer | bytes/s | steps, % |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|",
    ]
    for (condition, direction), same in _grouped(rows, lambda row: (row.condition, row.direction)).items():
        heard = [row.heard for row in same]

        def told(name: str, form: str, heard: Sequence[Heard] = tuple(heard), of: str = condition) -> str:
            values = [value for one in heard if (value := getattr(one, name)) is not None]
            return _told(float(np.median(values)), form, GOALS.get(of, {}).get(name)) if values else ""

        cells = (
            condition,
            direction,
            told("m2e_ms", "{:.0f}"),
            told("m2e_p95_ms", "{:.0f}"),
            f"{sum(one.missing for one in heard)}/{sum(one.pieces for one in heard)}",
            told("pesq", "{:.2f}"),
            told("stoi", "{:.3f}"),
            told("gap_ms", "{:.0f}"),
            told("back_s", "{:.1f}"),
            told("buffer_ms", "{:.0f}"),
            f"{np.median([row.bytes_per_s for row in same]):,.0f}",
            heard[len(heard) // 2].steps,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _told(value: float, form: str, goal: tuple[str, float] | None) -> str:
    if goal is None:
        return form.format(value)
    sign, limit = goal
    reached = value <= limit if sign == AtMost else value >= limit
    figure = form.format(value) if reached else f"**{form.format(value)}**"
    return f"{figure} ({sign} {limit:g})"


def frames_table(rows: Sequence[Row]) -> str:
    """Return one line for each condition, way to send and direction."""
    lines = [
        "| condition | way | | late > 80 ms | > 120 ms | lost | p50 | p99 ms | longest gap ms | bytes/s | CPU |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for key, same in _grouped(rows, lambda row: (row.condition, row.way, row.direction)).items():

        def median(figure: Callable[[Row], float], same: Sequence[Row] = tuple(same)) -> float:
            return float(np.median([figure(row) for row in same]))

        cpu = median(lambda row: row.cpu)
        cells = (
            *key,
            f"{100 * median(lambda row: row.score.late_80):.2f} %",
            f"{100 * median(lambda row: row.score.late_120):.2f} %",
            f"{100 * median(lambda row: row.score.lost):.2f} %",
            f"{median(lambda row: row.score.p50_ms):.0f}",
            f"{median(lambda row: row.score.p99_ms):.0f}",
            f"{median(lambda row: row.score.longest_gap_ms):.0f}",
            f"{median(lambda row: row.bytes_per_s):,.0f}",
            f"{cpu:.3f}" if cpu else "",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _grouped(rows: Sequence[Some], key: Callable[[Some], Key]) -> dict[Key, list[Some]]:
    groups: dict[Key, list[Some]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups
