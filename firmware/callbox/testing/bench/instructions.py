"""`python -m callbox.testing.bench.instructions`: what a call costs a box, counted in instructions.

    recorded voice -> libopus alone, encode + decode ---------------> callgrind -> instructions per call-second
    recorded voice -> Engine.cycle, its own frames sent back to it -> callgrind -> which may be twice that
    recorded voice -> Engine.cycle, Voice, WebSocket, TLS, and back -> callgrind -> that and the loop's part

Counts repeat, whatever else the machine does (exactly; with the network within 2 %), and hold for other processors as a
ratio. Each is the difference of a long and a short run, so that starting Python does not count. The card is a list of
arrays and nothing is cancelled: sound library and echo canceller are left out, and so is the kernel. Needs valgrind.
"""

import argparse
import asyncio
import gc
import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from callbox.audio.codecs import open_codec
from callbox.audio.devices import DeviceInfo
from callbox.audio.engine import Engine
from callbox.audio.facts import OpenSound, SetCapture, StartMedia
from callbox.audio.steps import step_named
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, Samples
from callbox.crypto.sframe import Opener, Sealer
from callbox.testing.bench.whole import echoing, exchange
from callbox.testing.voice import find_voice

SHORT_S, LONG_S = 1, 4
GOAL = 2.0
USUAL_STEPS = ("near", "steady", "saver")
_KEY, _CALL = bytes(32), bytes(16)
_OBJECT = re.compile(r"^ob=\((\d+)\)(?: (.*))?$")
_PARTS = {
    "libopus": "libopus",
    "libpython": "Python",
    "_multiarray": "NumPy",
    "_rust": "sealing",
    "libcrypto": "TLS",
    "libssl": "TLS",
}


class _Card:
    """A microphone that has everything ready and a speaker that forgets."""

    latency_ms, rate_hz = 0.0, 48_000

    def __init__(self, voice: Samples) -> None:
        self._cycles = itertools.cycle([voice[at : at + CYCLE_SAMPLES] for at in range(0, len(voice), CYCLE_SAMPLES)])

    def open(self, _input: str, _output: str) -> "_Card":
        return self

    def list(self) -> list[DeviceInfo]:
        return []

    def read(self) -> Samples:
        return next(self._cycles)

    def write(self, samples: Samples) -> None:
        pass

    def close(self) -> None:
        pass


def _engine(step_name: str, voice: Samples) -> Engine:
    engine = Engine(_Card(voice), lambda _: None)
    sealer, opener = Sealer(_KEY, _CALL, "c2r", 1), Opener(_KEY, _CALL, "c2r", 1)
    for command in (OpenSound("", ""), StartMedia(sealer.seal, opener.open, step_name), SetCapture(True)):
        engine.command(command)
    return engine


def call(step_name: str, voice: Samples, seconds: int) -> None:
    """Run the audio thread's side of a call; what it sends comes back to it."""
    engine = _engine(step_name, voice)
    for cycle in range(1000 * seconds // CYCLE_MS):
        engine.cycle(cycle * CYCLE_MS / 1000)
        for _, sealed in engine.outbound.drain():
            engine.inbound.put(sealed)


def whole(step_name: str, voice: Samples, seconds: int) -> None:
    """Run the audio thread's side and the loop's."""
    with echoing() as port:
        asyncio.run(exchange(_engine(step_name, voice), port, seconds))


def opus_alone(step_name: str, voice: Samples, seconds: int) -> None:
    """Encode and decode, and nothing else."""
    step, codec = step_named(step_name), open_codec()
    encoder, decoder, size = codec.encoder(step.bits_per_s, step.packet_ms), codec.decoder(), step.packet_samples
    for at in range(0, 48_000 * seconds - size + 1, size):
        decoder.decode(encoder.encode(voice[at : at + size]), size)


RUNS = {"opus": opus_alone, "call": call, "whole": whole}


def counted(what: str, step_name: str, seconds: int, voice: Path) -> Counter[str]:
    """Return the instructions of a run by the part that spent them. Raises CallboxError without valgrind."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        program = [sys.executable, "-m", __spec__.name, "--run", what, step_name, str(seconds), str(voice)]
        try:
            subprocess.run(
                ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *program],
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise CallboxError(f"callgrind does not run: {error}", "install it: sudo apt install valgrind") from None
        return by_part(out.read_text(errors="replace"))


def by_part(profile: str) -> Counter[str]:
    """Add up the cost lines of a callgrind profile by the library they belong to; calls' inclusive costs do not count.

    Format: https://valgrind.org/docs/manual/cl-format.html
    """
    names: dict[str, str] = {}
    spent: Counter[str] = Counter()
    part, called = "other", False
    for line in profile.splitlines():
        if found := _OBJECT.match(line):
            names.setdefault(found[1], _part(found[2] or ""))
            part = names[found[1]]
        elif line.startswith("cob="):
            if (found := _OBJECT.match(line[1:])) and found[2]:
                names.setdefault(found[1], _part(found[2]))
        elif line.startswith("calls="):
            called = True
        elif line[:1] in "0123456789+-*" and line:
            if not called:
                spent[part] += int(line.split()[1])
            called = False
    return spent


def _part(library: str) -> str:
    return next((name for piece, name in _PARTS.items() if piece in library), "other")


@dataclass(frozen=True, slots=True)
class Cost:
    """One rate step, in millions of instructions per call-second."""

    step: str
    call: float
    opus: float
    whole: float
    parts: dict[str, float]  # of the whole

    @property
    def ratio(self) -> float:
        return self.call / self.opus


def measured(step_name: str, voice: Path) -> Cost:
    """Count one rate step."""

    def per_second(what: str) -> dict[str, float]:
        long, short = counted(what, step_name, LONG_S, voice), counted(what, step_name, SHORT_S, voice)
        return {part: (long[part] - short[part]) / (LONG_S - SHORT_S) / 1e6 for part in long}

    parts = per_second("whole")
    call, opus = (sum(per_second(what).values()) for what in ("call", "opus"))
    return Cost(step_name, call, opus, sum(parts.values()), parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; exit code 1 if a ratio is above the goal."""
    parser = argparse.ArgumentParser(prog="python -m callbox.testing.bench.instructions", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="rate steps by name (near, steady, saver)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.run:
        what, step_name, seconds, file = chosen.run
        voice = np.load(file)
        gc.collect()
        gc.freeze()
        gc.disable()  # as the audio thread has it
        RUNS[what](step_name, voice, int(seconds))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        voice_file = Path(folder) / "voice.npy"
        np.save(voice_file, find_voice(LONG_S).samples)
        costs = [measured(name, voice_file) for name in chosen.steps or USUAL_STEPS]
    print(json.dumps([asdict(cost) | {"ratio": cost.ratio} for cost in costs]) if chosen.json else table(costs))
    return 0 if all(cost.ratio <= GOAL for cost in costs) else 1


def table(costs: Sequence[Cost]) -> str:
    """Return the figures as a table in Markdown."""
    parts = sorted({part for cost in costs for part in cost.parts})
    heads = [
        "step",
        "call",
        "libopus alone",
        f"ratio (goal: at most {GOAL:.0f})",
        "and the loop's part",
        *(f"of which {part}" for part in parts),
    ]
    rows = [heads, ["---", *["--:"] * (len(heads) - 1)]]
    for cost in costs:
        figures = (cost.call, cost.opus, cost.ratio, cost.whole, *(cost.parts.get(part, 0.0) for part in parts))
        rows.append([cost.step, *(f"{figure:.2f}" for figure in figures)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
