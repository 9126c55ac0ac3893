"""The command: `python -m callbox.testing.bench [--quick] [--starts N] [--json] [--out FILE]`."""

import argparse
import datetime
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import callbox
from callbox.app.demo import NAMES
from callbox.app.demo_stage import KITCHEN, Stage
from callbox.audio.steps import DEFAULT_STEP
from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ
from callbox.testing.bench import report
from callbox.testing.bench.call import Bench, Start
from callbox.testing.bench.figures import Measured, figures
from callbox.testing.bench.floors import CardFloor, card_alone, opus_alone, opus_paced
from callbox.testing.virtual_card import VirtualCard
from callbox.testing.voice import find_voice

VOICE_S = 10.0
FLOOR_VOICE_S = 5.0
TRIES = 3
OTHER_STEPS = ("steady", "saver")
Say = Callable[[str], None]


def options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m callbox.testing.bench", description="Measure calls between two boxes on this machine."
    )
    parser.add_argument("--starts", type=int, default=3, metavar="N", help="starts of each rate step (3)")
    parser.add_argument("--quick", action="store_true", help="one start of the default step; no file is written")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file that holds the table (BENCHMARKS.md)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return its exit code."""
    chosen = options(arguments)
    starts = 1 if chosen.quick else max(1, chosen.starts)
    others = () if chosen.quick else OTHER_STEPS
    about = {"date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC", "command": _command(arguments)}
    load = os.getloadavg()[0]
    try:
        measured = measure(starts, others, lambda sentence: print(sentence, file=sys.stderr, flush=True))
    except CallboxError as error:
        print(f"bench: {error.what}\n       {error.cure}", file=sys.stderr)
        return 1
    about |= report.machine()
    about["other load"] = f"{load:.1f} processes wanted to run when it began, {os.getloadavg()[0]:.1f} when it ended"
    lines = figures(measured)
    part = report.markdown(about, lines)
    print(json.dumps(report.as_facts(about, lines), indent=1) if chosen.json else part)
    file = chosen.out or (None if chosen.quick else _file())
    if file is not None:
        report.write(file, part)
        print(f"written to {file}", file=sys.stderr)
    return 0


def measure(starts: int, others: Sequence[str], say: Say) -> Measured:
    """Measure floors and calls; each rate step `starts` times, the default one first."""
    voice = find_voice(VOICE_S)
    say(f"voice: {voice.source}; libopus alone ...")
    floor_voice = voice.samples[: int(FLOOR_VOICE_S * RATE_HZ)]
    opus = {
        step: replace(opus_alone(step, voice.samples), paced_cpu=opus_paced(step, floor_voice))
        for step in (DEFAULT_STEP.name, *others)
    }
    card_floors: list[CardFloor] = []
    calls: list[Start] = []
    failed: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="callbox-bench-") as folder,
        VirtualCard(NAMES) as card,
        Stage(Path(folder), card.environment) as stage,
    ):
        bench = Bench(stage, card, voice.samples)
        say("starting a server, making two boxes ...")
        bench.set_up()
        for number in range(starts):
            say(
                f"{DEFAULT_STEP.name}, start {number + 1} of {starts}: the card alone, then a call{_idling(number)} ..."
            )
            card_floors.append(card_alone(card, KITCHEN, floor_voice))
            calls.append(_started(bench, DEFAULT_STEP.name, number == 0, failed, say))
        for step in others:
            for number in range(starts):
                say(f"{step}, start {number + 1} of {starts} ...")
                calls.append(_started(bench, step, False, failed, say))
    return Measured(card_floors, opus, calls, failed)


def _started(bench: Bench, step: str, idle: bool, failed: list[str], say: Say) -> Start:
    """Run one start; one that fails is noted and tried again. Raises CallboxError when the last try fails too."""
    for _ in range(TRIES - 1):
        try:
            return bench.start(step, idle)
        except CallboxError as error:
            failed.append(error.what)
            say(f"FAILED: {error.what}\n{error.cure}")
    return bench.start(step, idle)


def _idling(number: int) -> str:
    return " after half a minute of doing nothing" if number == 0 else ""


def _command(arguments: Sequence[str] | None) -> str:
    given = sys.argv[1:] if arguments is None else arguments
    return " ".join(["python -m callbox.testing.bench", *given])


def _file() -> Path:
    """Return BENCHMARKS.md beside the package in a checkout, else in the current folder."""
    beside = Path(callbox.__file__).parents[1]
    return (beside if beside.name == "firmware" else Path.cwd()) / "BENCHMARKS.md"


if __name__ == "__main__":
    sys.exit(main())
