"""The command: `make bench-net`, or `python -m callbox.testing.lab [CONDITION ...] [--quick] [--json] ...` as root."""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from callbox.audio.steps import step_named
from callbox.base.errors import CallboxError
from callbox.testing.lab.call import Lab, Row
from callbox.testing.lab.conditions import CONDITIONS, QUICK, Conditions, conditions_from


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m callbox.testing.lab", description="The voice's frames over a bad network, beside UDP and TCP."
    )
    parser.add_argument("names", nargs="*", metavar="CONDITION", help=f"all, or of: {', '.join(CONDITIONS)}")
    parser.add_argument("--link", help="a link of your own, such as delay_ms=25,loss=0.03,spell_ms=30")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}, 8 s each")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each condition is measured (20)")
    parser.add_argument("--step", default="near", help="format of the frames: a rate step by name (near)")
    parser.add_argument("--calls", default="", metavar="TOML", help="lines for the boxes' [calls], such as 'lanes = 1'")
    parser.add_argument("--seed", default="1", help="of everything the links draw")
    parser.add_argument("--no-floors", action="store_true", help="leave out UDP and TCP")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and the frames' times there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lab; return its exit code."""
    chosen = options(arguments)
    try:
        wanted = _wanted(chosen)
        step = step_named(chosen.step)
    except (CallboxError, KeyError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    length_s = 8.0 if chosen.quick else chosen.seconds
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="callbox-lab-") as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        floors = () if chosen.no_floors else ("udp", "tcp")
        try:
            with Lab(folder, step, chosen.seed, chosen.calls, floors) as lab:
                for name, conditions in wanted.items():
                    print(f"{name} ...", file=sys.stderr, flush=True)
                    rows += lab.measure(name, conditions, length_s)
        except CallboxError as error:
            print(f"lab: {error.what}\n     {error.cure}", file=sys.stderr)
            return 1
    print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1) if chosen.json else table(rows))
    return 0


def _wanted(chosen: argparse.Namespace) -> dict[str, Conditions]:
    if chosen.link:
        return {chosen.link: conditions_from(chosen.link)}
    names = QUICK if chosen.quick else chosen.names or tuple(CONDITIONS)
    return {name: CONDITIONS[name] for name in names}


def table(rows: Sequence[Row]) -> str:
    """Return the rows as Markdown."""
    lines = [
        "| condition | way | | late > 80 ms | > 120 ms | lost | p50 | p99 ms | longest gap ms | bytes/s | CPU |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        was = row.score
        cells = (
            row.condition,
            row.way,
            row.direction,
            f"{100 * was.late_80:.2f} %",
            f"{100 * was.late_120:.2f} %",
            f"{100 * was.lost:.2f} %",
            f"{was.p50_ms:.0f}",
            f"{was.p99_ms:.0f}",
            f"{was.longest_gap_ms:.0f}",
            f"{row.bytes_per_s:,.0f}",
            f"{row.cpu:.3f}" if row.cpu else "",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
