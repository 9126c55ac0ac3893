"""What is asked of the calls: rows about numbered frames beside UDP and TCP, or about voices as they are heard."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callbox.app.demo_stage import KITCHEN, WORKSHOP, wait_for
from callbox.audio.devices.wav import write_wav
from callbox.audio.steps import RateStep
from callbox.base.errors import CallboxError
from callbox.base.time import Instant
from callbox.testing.lab.call import LEAD_S, PAIRS, Calls, Span
from callbox.testing.lab.conditions import Conditions
from callbox.testing.lab.floors import PORT
from callbox.testing.lab.frames import Score, read_times, score
from callbox.testing.lab.heard import Cycles, Heard, judge
from callbox.testing.lab.places import ADDRESSES, Places
from callbox.testing.voice import find_voice

SEAL_BYTES = 8 + 4 + 16  # plain head, SFrame header, tag: what a floor's frame has beside the Opus packet
AFTER_DARKNESS_S = 8.0
_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True)
class Row:
    """One direction of one way to send, under one condition. Bytes per s with all heads, as the link saw them."""

    condition: str
    way: str
    direction: str
    score: Score
    bytes_per_s: float
    packets_per_s: float
    cpu: float = 0.0  # of the box in kitchen (up) or of the server (down), s per s


@dataclass(frozen=True, slots=True)
class VoiceRow:
    """One direction of one call, under one condition."""

    condition: str
    direction: str
    heard: Heard
    bytes_per_s: float  # of all calls together


class FrameLab:
    """Numbered frames of one step, and the same by UDP and TCP. Use as a context manager."""

    def __init__(
        self, folder: Path, step: RateStep, seed: str, settings: tuple[str, str], floors: Sequence[str]
    ) -> None:
        self._folder, self._step = folder, step
        self._floors = {kind: Places(kind, seed) for kind in floors}
        given = ("frames", str(step.packet_ms), str(step.packet_bytes))
        links = {"callbox": Places("ours", seed), **self._floors}
        self.calls = Calls(folder, links, dict.fromkeys((KITCHEN, WORKSHOP), given), step.name, settings)

    def measure(self, name: str, conditions: Conditions, length_s: float) -> list[Row]:
        """Measure one condition."""
        with self.calls.under(conditions):
            floors = [process for kind in self._floors for process in self._start_floor(kind, length_s)]
            for process in floors:
                _go(process)
            span = self.calls.measure(conditions, length_s)
        for process in floors:
            process.wait(length_s + _WITHIN_S)
        ways = [(way, index) for way in ("callbox", *self._floors) for index in (0, 1)]
        return [self._row(name, *way, span, carried) for way, carried in zip(ways, span.carried, strict=True)]

    def _row(self, name: str, way: str, index: int, span: Span, carried: tuple[float, float]) -> Row:
        sent_file, arrived_file = self._files(way, index)
        sent = {number: at for number, at in read_times(sent_file).items() if span.began <= at < span.ended - 0.01}
        cpu = span.cpu[index] if way == "callbox" else 0.0
        return Row(name, way, ("up", "down")[index], score(sent, read_times(arrived_file)), *carried, cpu)

    def _files(self, way: str, index: int) -> tuple[Path, Path]:
        """Return where one direction's times are: when its frames were sent, and when they arrived."""
        if way == "callbox":
            mouth, ear = ((KITCHEN, WORKSHOP), (WORKSHOP, KITCHEN))[index]
            return self._folder / mouth / "sent", self._folder / ear / "arrived"
        return self._folder / f"{way}-{index}-sent", self._folder / f"{way}-{1 - index}-arrived"

    def _start_floor(self, kind: str, length_s: float) -> list["subprocess.Popen[str]"]:
        places, step = self._floors[kind], self._step
        processes = []
        for place in (1, 0):
            size, length = step.packet_bytes + SEAL_BYTES, length_s + LEAD_S
            given = (kind, place, ADDRESSES[1 - place], step.packet_ms, size, length)
            command = [sys.executable, "-m", "callbox.testing.lab.floors", *map(str, given), str(self._folder)]
            processes.append(
                subprocess.Popen(
                    places.inside(place, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
        for process in processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise CallboxError(f"The floor {kind} did not start (port {PORT}).")
        return processes


class VoiceLab:
    """Voices, in one call or several at once. Use as a context manager."""

    def __init__(self, folder: Path, step: str, seed: str, settings: tuple[str, str], pairs: int) -> None:
        self._folder = folder
        self._pairs = PAIRS[:pairs]
        whole = find_voice().samples
        names = [name for pair in self._pairs for name in pair]
        # Everybody says the same, but begins elsewhere.
        self._voices = {name: np.roll(whole, -len(whole) * n // len(names)) for n, name in enumerate(names)}
        for name, voice in self._voices.items():
            write_wav(folder / f"{name}.wav", voice)
        boxes = {name: ("voice", str(folder / f"{name}.wav")) for name in names}
        self.calls = Calls(folder, {"callbox": Places("ours", seed)}, boxes, step, settings)

    def measure(self, name: str, conditions: Conditions, length_s: float) -> list[VoiceRow]:
        """Measure one condition."""
        length_s = max(length_s, conditions.dark_every_s + AFTER_DARKNESS_S if conditions.dark_every_s else 0.0)
        recordings = [self._folder / name / "sound.npz" for name in self._voices]
        for file in recordings:
            file.unlink(missing_ok=True)
        with self.calls.under(conditions):
            span = self.calls.measure(conditions, length_s)
        wait_for(lambda: all(file.exists() for file in recordings), _WITHIN_S, "Recording")
        whole_again = [
            span.worse_at + period * count
            for period in (conditions.dark_every_s or conditions.spike_every_s,)
            for count in range(1, int(length_s // period) + 1 if period else 0)
        ]
        rows: list[VoiceRow] = []
        for pair in self._pairs:
            for index, (mouth, ear) in enumerate((pair, pair[::-1])):
                heard = self._heard(mouth, ear, span, whole_again)
                rows.append(VoiceRow(name, ("up", "down")[index], heard, span.carried[index][0]))
        return rows

    def _heard(self, mouth: str, ear: str, span: Span, whole_again: Sequence[Instant]) -> Heard:
        said, came = (np.load(self._folder / name / "sound.npz") for name in (mouth, ear))
        noted, far = (np.load(self._folder / name / "cycles.npy") for name in (ear, mouth))
        used = far[(far[:, 0] >= span.began) & (far[:, 0] < span.ended)][:, -1]
        return judge(
            (self._voices[mouth], float(said["spoke_at"])),
            (came["heard"], float(came["heard_at"])),
            Cycles.of(noted),
            used,
            (span.began, span.ended),
            whole_again,
        )


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
