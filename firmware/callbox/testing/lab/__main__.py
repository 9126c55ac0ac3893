"""The command: `make bench-net`, or `python -m callbox.testing.lab [CONDITION ...] [--voice] [--quick] ...` as root."""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from callbox.audio.steps import step_named
from callbox.base.errors import CallboxError
from callbox.testing.lab.conditions import CONDITIONS, QUICK, Conditions, conditions_from
from callbox.testing.lab.rows import FrameLab, VoiceLab
from callbox.testing.lab.tables import frames_table, voices_table


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m callbox.testing.lab",
        description="The voice over a bad network: its frames, beside UDP and TCP, or with --voice as it is heard.",
    )
    parser.add_argument("names", nargs="*", metavar="CONDITION", help=f"all, or of: {', '.join(CONDITIONS)}")
    parser.add_argument(
        "--voice", action="store_true", help="real speech, sound engine and all, judged by what is heard"
    )
    parser.add_argument("--pairs", type=int, default=1, choices=(1, 2, 3), help="calls at once, with --voice (1)")
    parser.add_argument("--runs", type=int, default=1, help="how often; the table shows medians (1)")
    parser.add_argument("--link", help="a link of your own, such as delay_ms=25,loss=0.03,spell_ms=30")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)}, 8 s each")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each condition is measured (20)")
    parser.add_argument("--step", help="rate step by name; frames: near, voices: auto, which follows the network")
    parser.add_argument("--calls", default="", metavar="TOML", help="lines for the boxes' [calls], such as 'lanes = 1'")
    parser.add_argument("--sound", default="", metavar="TOML", help="lines for their [sound], such as 'noise = false'")
    parser.add_argument("--seed", default="1", help="of everything the links draw")
    parser.add_argument("--no-floors", action="store_true", help="leave out UDP and TCP")
    parser.add_argument("--json", action="store_true", help="print the figures of all runs as JSON")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and what was recorded there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lab; return its exit code."""
    chosen = options(arguments)
    rows: list[Any] = []
    try:
        wanted = _wanted(chosen)
        for run in range(chosen.runs):
            with tempfile.TemporaryDirectory(prefix="callbox-lab-") as scratch:
                folder = chosen.keep / f"run-{run}" if chosen.keep else Path(scratch)
                folder.mkdir(parents=True, exist_ok=True)
                rows += _measure(chosen, wanted, folder, f"{chosen.seed} {run}")
    except KeyError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2
    except CallboxError as error:
        print(f"lab: {error.what}\n     {error.cure}", file=sys.stderr)
        return 1
    if chosen.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=1))
    else:
        print(voices_table(rows) if chosen.voice else frames_table(rows))
    return 0


def _measure(chosen: argparse.Namespace, wanted: dict[str, Conditions], folder: Path, seed: str) -> list[Any]:
    lab: FrameLab | VoiceLab
    if chosen.voice:
        lab = VoiceLab(folder, chosen.step or "auto", seed, (chosen.calls, chosen.sound), chosen.pairs)
    else:
        floors = () if chosen.no_floors else ("udp", "tcp")
        lab = FrameLab(folder, step_named(chosen.step or "near"), seed, (chosen.calls, chosen.sound), floors)
    rows: list[Any] = []
    with lab.calls:
        for name, conditions in wanted.items():
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += lab.measure(name, conditions, 8.0 if chosen.quick else chosen.seconds)
    return rows


def _wanted(chosen: argparse.Namespace) -> dict[str, Conditions]:
    if chosen.link:
        return {chosen.link: conditions_from(chosen.link)}
    names = QUICK if chosen.quick else chosen.names or tuple(CONDITIONS)
    return {name: CONDITIONS[name] for name in names}


if __name__ == "__main__":
    sys.exit(main())
