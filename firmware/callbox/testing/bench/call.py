"""One start of the bench: two boxes are started, call each other, and everything on the way is measured.

    start -> callable -> [nothing for a while: idle] -> dial: ring -> talk: first audio -> both speak -> hang up
    wall time            CPU, wake-ups, memory          wall time    tones, recorded     delay, CPU, memory, bytes

What is measured at ears is recorded from the card. Nobody watches the boxes while their CPU time is counted.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from callbox.app import client
from callbox.app.demo import NAMES, Watched
from callbox.app.demo_stage import KITCHEN, WORKSHOP, Stage, box_toml, wait_for
from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples
from callbox.testing.bench.processes import Carried, carried_to, cpu_s, memory_mb, wake_ups
from callbox.testing.measure import intelligibility, pieces, quality, tone_starts
from callbox.testing.virtual_card import Recorder, VirtualCard, hurry

CALLABLE_WITHIN_S = 20.0
SETTLE_S = 5.0
IDLE_S = 20.0
BEFORE_ANSWER_S = 0.8  # a press in the first half second of a ring does not answer
TONE_S = 2.5
AFTER_ANSWER_S = 1.0
AFTER_VOICE_S = 0.7
PITCHES_HZ = {KITCHEN: 1700.0, WORKSHOP: 2300.0}  # clear of every sound that a box makes itself
TONE_AMPLITUDE = 6000
# So many calls within minutes would be taken for a nuisance.
SERVER_TOML = "[calls]\nburst = 1000\nper_hour = 1000\n\n[prekeys]\nclaims = 1000\n"
_LOG_TAIL = 2000
OTHER = {KITCHEN: WORKSHOP, WORKSHOP: KITCHEN}


@dataclass(frozen=True, slots=True)
class Idle:
    """A box that does nothing: CPU in % of one core, wake-ups per s, memory in MB."""

    cpu_percent: float
    wake_ups_per_s: float
    pss_mb: float
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction of one call. Delays in ms of the pieces of speech that arrived."""

    delays_ms: tuple[float, ...]
    missing: int
    stoi: float
    pesq: float | None


@dataclass(frozen=True, slots=True)
class Spent:
    """What each box spent per second while both spoke; bytes are those of one box's connections, per s."""

    cpu: tuple[float, ...]
    server_cpu: float
    pss_mb: tuple[float, ...]
    rss_mb: tuple[float, ...]
    bytes_up: float | None
    bytes_down: float | None


@dataclass(frozen=True, slots=True)
class Start:
    """Everything that one start showed."""

    step: str
    callable_s: tuple[float, ...]
    idle: tuple[Idle, ...]
    ring_ms: float
    first_audio_ms: tuple[float | None, ...]
    heard: tuple[Heard, ...]
    spent: Spent
    steps_at_end: tuple[str, ...]


class Bench:
    """A stage with a server and two enrolled boxes, to be started again and again."""

    def __init__(self, stage: Stage, card: VirtualCard, voice: Samples) -> None:
        self._stage, self._card = stage, card
        half = len(voice) // 2
        self._voices = {KITCHEN: voice, WORKSHOP: np.concatenate((voice[half:], voice[:half]))}

    def set_up(self) -> None:
        """Start the server and enrol both boxes."""
        server = self._stage.folder / "server"
        server.mkdir(mode=0o700)
        (server / "server.toml").write_text(SERVER_TOML, encoding="utf-8")
        self._stage.start_server()
        hurry(self._stage.processes["server"].pid)
        self._stage.enrol(NAMES, {name: box_toml("portaudio", name, name) for name in NAMES})

    def start(self, step: str, idle: bool) -> Start:
        """Run one start with the voice in the format of rate step `step`."""
        for name in NAMES:
            (self._stage.folder / name / "box.toml").write_text(
                box_toml("portaudio", name, name, step), encoding="utf-8"
            )
        try:
            callable_s = tuple(self._start_box(name) for name in NAMES)
            idled = self._idle() if idle else ()
            return replace(self._call(step), callable_s=callable_s, idle=idled)
        except CallboxError as error:
            raise CallboxError(error.what, "\n".join(self._last_words(name) for name in NAMES)) from None
        finally:
            for name in NAMES:
                if name in self._stage.processes:
                    self._stage.stop_box(name)

    def _last_words(self, name: str) -> str:
        """Return what a box says of itself and how its log ends."""
        facts, process = self._status(name), self._stage.processes.get(name)
        log = (self._stage.folder / f"{name}.log").read_text(encoding="utf-8")[-_LOG_TAIL:].strip()
        code = None if process is None else process.poll()
        return f"{name}: state {facts.get('state')}, link {facts.get('link')}, exit code {code}; its log ends:\n{log}"

    def _start_box(self, name: str) -> float:
        began = time.monotonic()
        hurry(self._stage.start_box(name).pid)
        wait_for(lambda: self._status(name).get("link") == "connected", CALLABLE_WITHIN_S, f"Connecting {name}")
        return time.monotonic() - began

    def _status(self, name: str) -> dict[str, object]:
        """Return a box's status; empty as long as it does not listen."""
        try:
            return client.ask_once(self._stage.home(name), "status", patience_s=0)
        except CallboxError:
            return {}

    def _idle(self) -> tuple[Idle, ...]:
        time.sleep(SETTLE_S)
        pids = [self._stage.processes[name].pid for name in NAMES]
        before = [(cpu_s(pid), wake_ups(pid)) for pid in pids]
        began = time.monotonic()
        time.sleep(IDLE_S)
        length_s = time.monotonic() - began
        return tuple(
            Idle(100 * (cpu_s(pid) - cpu) / length_s, (wake_ups(pid) - woken) / length_s, *memory_mb(pid))
            for pid, (cpu, woken) in zip(pids, before, strict=True)
        )

    def _call(self, step: str) -> Start:
        watched = Watched()
        for name in NAMES:
            watched.follow(name, self._stage)
        wait_for(watched.connected, CALLABLE_WITHIN_S, "Watching both boxes")
        dialled_at = time.monotonic()
        self._press(KITCHEN, "dial1")
        wait_for(lambda: watched.state(WORKSHOP) == "ringing", 10.0, "Ringing")
        ring_ms = 1000 * (watched.since[WORKSHOP, "ringing"] - dialled_at)
        first_audio_ms = self._answer(watched)
        watched.leave()
        heard, spent = self._speak()
        media = [self._status(name).get("media") for name in NAMES]
        steps = tuple(str(facts["step_name"]) if isinstance(facts, dict) else "none" for facts in media)
        self._press(KITCHEN, "talk")
        wait_for(lambda: all(self._status(name)["state"] in ("idle", "ending") for name in NAMES), 5.0, "Hanging up")
        return Start(step, (), (), ring_ms, first_audio_ms, heard, spent, steps)

    def _press(self, name: str, button: str) -> None:
        client.ask_once(self._stage.home(name), "press", button=button)

    def _answer(self, watched: Watched) -> tuple[float | None, ...]:
        """Answer while a tone sounds at both microphones; return when each ear heard the other's, in ms."""
        ears = {name: self._card.record(name) for name in NAMES}
        players = [self._card.play(name, tone(PITCHES_HZ[name])) for name in NAMES]
        time.sleep(BEFORE_ANSWER_S)
        pressed_at = time.monotonic()
        self._press(WORKSHOP, "talk")
        wait_for(lambda: all(watched.state(name) == "talking" for name in NAMES), 10.0, "Talking")
        time.sleep(AFTER_ANSWER_S)
        times = tuple(_first_heard_ms(ears[name], PITCHES_HZ[OTHER[name]], pressed_at) for name in NAMES)
        for player in players:
            player.wait(TONE_S + 5)
        return times

    def _speak(self) -> tuple[tuple[Heard, ...], Spent]:
        mouths = {name: self._card.record_microphone(name) for name in NAMES}
        ears = {name: self._card.record(name) for name in NAMES}
        with self._counting() as spent:
            for name in NAMES:
                self._card.play(name, self._voices[name])
            time.sleep(len(self._voices[KITCHEN]) / RATE_HZ + AFTER_VOICE_S)
        said = {name: mouths[name].stop() for name in NAMES}
        heard = {name: ears[name].stop() for name in NAMES}
        directions = ((KITCHEN, WORKSHOP), (WORKSHOP, KITCHEN))
        return tuple(
            _heard(said[mouth], heard[ear], ears[ear].started_at - mouths[mouth].started_at)
            for mouth, ear in directions
        ), spent[0]

    @contextmanager
    def _counting(self) -> Iterator[list[Spent]]:
        """Count what is spent until the end of the block; the list holds it afterwards."""
        pids = [self._stage.processes[name].pid for name in (*NAMES, "server")]
        counted: list[Spent] = []
        carried_before, cpu_before, began = self._carried(), [cpu_s(pid) for pid in pids], time.monotonic()
        yield counted
        carried_after, cpu_after, length_s = self._carried(), [cpu_s(pid) for pid in pids], time.monotonic() - began
        cpu = [(after - before) / length_s for after, before in zip(cpu_after, cpu_before, strict=True)]
        memory = [memory_mb(pid) for pid in pids[:-1]]
        up = down = None
        if carried_before is not None and carried_after is not None:
            carried, ends = carried_after - carried_before, len(NAMES) * length_s
            up, down = carried.up / ends, carried.down / ends
        pss_mb, rss_mb = zip(*memory, strict=True)
        counted.append(Spent(tuple(cpu[:-1]), cpu[-1], pss_mb, rss_mb, up, down))

    def _carried(self) -> Carried | None:
        try:
            return carried_to(self._stage.port)
        except CallboxError:
            return None


def tone(pitch_hz: float) -> Samples:
    """Return the tone that stands for a voice while a call is answered."""
    turns = 2 * np.pi * pitch_hz * np.arange(round(TONE_S * RATE_HZ)) / RATE_HZ
    return np.asarray(TONE_AMPLITUDE * np.sin(turns)).astype(np.int16)


def _first_heard_ms(ear: Recorder, pitch_hz: float, since: float) -> float | None:
    starts_s = tone_starts(ear.stop(), pitch_hz)
    return None if starts_s is None else 1000 * (ear.started_at + starts_s - since)


def _heard(said: Samples, heard: Samples, offset_s: float) -> Heard:
    found = [delay for _, delay in pieces(said, heard, offset_s)]
    delays = tuple(delay for delay in found if delay is not None)
    score = quality(said, heard, offset_s) if delays else float("nan")
    return Heard(delays, len(found) - len(delays), intelligibility(said, heard, offset_s), score)
