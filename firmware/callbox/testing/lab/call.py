"""The lab's call: server and workshop at one place, kitchen at the other; UDP and TCP beside it over links like it.

kitchen --lanes--> [the link] --> server --> workshop        "up": the box's lanes are what is tried
workshop --> server --lanes--> [the link] --> kitchen        "down": the server's are
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from callbox.app import client
from callbox.app.demo_stage import KITCHEN, WORKSHOP, Stage, box_toml, wait_for
from callbox.audio.steps import RateStep
from callbox.base.errors import CallboxError
from callbox.testing.bench.call import SERVER_TOML
from callbox.testing.bench.processes import cpu_s
from callbox.testing.lab.conditions import Conditions
from callbox.testing.lab.floors import PORT
from callbox.testing.lab.frames import Score, read_times, score
from callbox.testing.lab.places import ADDRESSES, Places
from callbox.testing.virtual_card import hurry

PLACE_OF = {KITCHEN: 0, WORKSHOP: 1, "server": 1}
SETTLE_S = 2.0
LEAD_S = 1.0
AFTER_S = 1.0  # for the last frames
SEAL_BYTES = 8 + 4 + 16  # plain head, SFrame header, tag: what a floor's frame has beside the Opus packet
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


class LabStage(Stage):
    """A stage whose processes live in their places."""

    def __init__(self, folder: Path, places: Places, step: RateStep) -> None:
        super().__init__(folder)
        self._places, self._step = places, step
        self.port = 8443

    @property
    def address(self) -> str:
        return f"{ADDRESSES[1]}:{self.port}"

    def command(self, *arguments: str) -> str:
        done = subprocess.run(
            self._places.inside(1, [sys.executable, "-m", "callbox.app.main", *arguments]),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CallboxError(f"callbox {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        program = ["callbox.app.main", *arguments]
        if name in (KITCHEN, WORKSHOP):
            step = self._step
            program = [
                "callbox.testing.lab.box",
                str(self.folder / name),
                str(step.packet_ms),
                str(step.packet_bytes),
            ]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self._places.inside(PLACE_OF[name], [sys.executable, "-m", *program]),
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
            )
        hurry(process.pid)
        self.processes[name] = process
        return process


class Lab:
    """Everything of one run. Use as a context manager."""

    def __init__(
        self, folder: Path, step: RateStep, seed: str, settings: str = "", floors: Sequence[str] = ("udp", "tcp")
    ):
        self._folder, self._step, self._settings = folder, step, settings
        self._stack = ExitStack()
        self._ours = Places("ours", seed)
        self._floors = {kind: Places(kind, seed) for kind in floors}
        self._stage = LabStage(folder, self._ours, step)

    def __enter__(self) -> "Lab":
        with ExitStack() as stack:
            for places in (self._ours, *self._floors.values()):
                stack.enter_context(places)
            stack.enter_context(self._stage)
            self._set_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def measure(self, name: str, conditions: Conditions, length_s: float) -> list[Row]:
        """Call, make the link so, count for `length_s`, hang up."""
        links = {"callbox": self._ours, **self._floors}
        for places in links.values():  # a call begins over the same way, before it is at its worst
            places.use(replace(conditions, loss=0.0, spell_ms=0.0, dark_every_s=0.0, spike_every_s=0.0))
        self._call()
        floors = [process for kind in self._floors for process in self._start_floor(kind, length_s)]
        time.sleep(SETTLE_S)
        for places in links.values():
            places.use(conditions)
        time.sleep(LEAD_S)
        for process in floors:
            _go(process)
        began, cpu = time.monotonic(), self._cpu()
        carried = {way: places.carried() for way, places in links.items()}
        time.sleep(length_s)
        ended, spent = time.monotonic(), [after - before for after, before in zip(self._cpu(), cpu, strict=True)]
        counted = {
            way: tuple(after - before for after, before in zip(links[way].carried(), earlier, strict=True))
            for way, earlier in carried.items()
        }
        time.sleep(AFTER_S)
        for places in links.values():
            places.use(Conditions())
        self._hang_up()
        for process in floors:
            process.wait(length_s + _WITHIN_S)
        rows: list[Row] = []
        for way, index in ((way, index) for way in links for index in (0, 1)):
            sent_file, arrived_file = self._files(way, index)
            sent = {number: at for number, at in read_times(sent_file).items() if began <= at < ended - 0.01}
            was, spent_s = score(sent, read_times(arrived_file)), spent[index] if way == "callbox" else 0.0
            over, length = counted[way][index], ended - began
            direction = ("up", "down")[index]
            rows.append(Row(name, way, direction, was, over.bytes / length, over.packets / length, spent_s / length))
        return rows

    def _files(self, way: str, index: int) -> tuple[Path, Path]:
        """Return where one direction's times are: when its frames were sent, and when they arrived."""
        if way == "callbox":
            mouth, ear = ((KITCHEN, WORKSHOP), (WORKSHOP, KITCHEN))[index]
            return self._folder / mouth / "sent", self._folder / ear / "arrived"
        return self._folder / f"{way}-{index}-sent", self._folder / f"{way}-{1 - index}-arrived"

    def _set_up(self) -> None:
        stage = self._stage
        server = self._folder / "server"
        server.mkdir(mode=0o700, exist_ok=True)
        (server / "server.toml").write_text(SERVER_TOML, encoding="utf-8")
        stage.start_server()
        toml = box_toml("wav", "", "", self._step.name)
        toml = toml.replace("[calls]\n", f"[calls]\n{self._settings}\n")
        stage.enrol((KITCHEN, WORKSHOP), {KITCHEN: toml, WORKSHOP: toml})
        for name in (KITCHEN, WORKSHOP):
            stage.start_box(name)
        names = (KITCHEN, WORKSHOP)
        wait_for(lambda: all(self._status(name).get("link") == "connected" for name in names), _WITHIN_S, "Connecting")

    def _call(self) -> None:
        wait_for(lambda: all(self._state(name) == "idle" for name in (KITCHEN, WORKSHOP)), 60.0, "Coming to rest")
        self._press(KITCHEN, "dial1")
        wait_for(lambda: self._state(WORKSHOP) == "ringing", _WITHIN_S, "Ringing")
        time.sleep(0.8)
        self._press(WORKSHOP, "talk")
        wait_for(lambda: all(self._state(name) == "talking" for name in (KITCHEN, WORKSHOP)), _WITHIN_S, "Talking")

    def _hang_up(self) -> None:
        for name in (KITCHEN, WORKSHOP):
            if self._state(name) not in ("idle", "ending"):
                self._press(name, "talk")
                break
        wait_for(
            lambda: all(self._state(name) in ("idle", "ending") for name in (KITCHEN, WORKSHOP)), 40.0, "Hanging up"
        )
        time.sleep(0.3)

    def _press(self, name: str, button: str) -> None:
        client.ask_once(self._stage.home(name), "press", button=button)

    def _status(self, name: str) -> dict[str, Any]:
        try:
            return client.ask_once(self._stage.home(name), "status", patience_s=0)
        except CallboxError:
            return {}

    def _state(self, name: str) -> str:
        return str(self._status(name).get("state"))

    def _cpu(self) -> tuple[float, float]:
        return cpu_s(self._stage.processes[KITCHEN].pid), cpu_s(self._stage.processes["server"].pid)

    def _start_floor(self, kind: str, length_s: float) -> list["subprocess.Popen[str]"]:
        places, step = self._floors[kind], self._step
        processes = []
        for place in (1, 0):
            given = (kind, place, ADDRESSES[1 - place], step.packet_ms, step.packet_bytes + SEAL_BYTES, length_s)
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


def _go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
