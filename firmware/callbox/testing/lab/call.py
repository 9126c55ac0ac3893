"""The lab's calls: server and workshop at one place, kitchen at the other; more pairs like it, if several are to speak.

kitchen --lanes--> [the link] --> server --> workshop        "up": the box's lanes are what is tried
workshop --> server --lanes--> [the link] --> kitchen        "down": the server's are
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from callbox.app import client
from callbox.app.demo_stage import KITCHEN, WORKSHOP, Stage, box_toml, wait_for
from callbox.base.errors import CallboxError
from callbox.base.time import Instant
from callbox.testing.bench.call import SERVER_TOML
from callbox.testing.bench.processes import cpu_s
from callbox.testing.lab.conditions import Conditions
from callbox.testing.lab.places import ADDRESSES, Places
from callbox.testing.virtual_card import hurry

PAIRS = ((KITCHEN, WORKSHOP), ("hall", "attic"), ("study", "cellar"))
CALLERS = tuple(caller for caller, _ in PAIRS)
SETTLE_S = 2.0
LEAD_S = 1.0
AFTER_S = 1.0  # for the last frames
_WITHIN_S = 15.0


class LabStage(Stage):
    """A stage whose processes live in their places. `boxes`: what each box's process is given after its folder."""

    def __init__(self, folder: Path, places: Places, boxes: Mapping[str, Sequence[str]]) -> None:
        super().__init__(folder)
        self._places, self._boxes = places, boxes
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
        if name in self._boxes:
            program = ["callbox.testing.lab.box", str(self.folder / name), *self._boxes[name]]
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                self._places.inside(0 if name in CALLERS else 1, [sys.executable, "-m", *program]),
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environment,
            )
        hurry(process.pid)
        self.processes[name] = process
        return process


@dataclass(slots=True)
class Span:
    """What was measured while the link was as asked: `worse_at`: since when; CPU in s per s of the first box that
    called (or the server); bytes per s as the link saw them, up and down."""

    worse_at: Instant
    began: Instant = 0.0
    ended: Instant = 0.0
    cpu: tuple[float, float] = (0.0, 0.0)
    carried: tuple[tuple[float, float], ...] = ()  # for each link and direction: bytes and packets per s


class Calls:
    """Server and boxes over one link, others like it beside. Use as a context manager."""

    def __init__(
        self,
        folder: Path,
        links: Mapping[str, Places],
        boxes: Mapping[str, Sequence[str]],
        step: str,
        settings: tuple[str, str] = ("", ""),  # lines for [calls] and for [sound]
    ) -> None:
        self._folder, self._links, self._step, self._settings = folder, links, step, settings
        self._pairs = [pair for pair in PAIRS if pair[0] in boxes]
        self._stack = ExitStack()
        self._stage = LabStage(folder, links["callbox"], boxes)

    def __enter__(self) -> "Calls":
        with ExitStack() as stack:
            for places in self._links.values():
                stack.enter_context(places)
            stack.enter_context(self._stage)
            self._set_up()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    @contextmanager
    def under(self, conditions: Conditions) -> Iterator[None]:
        """Call over the same way before it is at its worst; hang up in the end."""
        self._use(replace(conditions, loss=0.0, spell_ms=0.0, dark_every_s=0.0, spike_every_s=0.0, halved_after_s=0.0))
        for pair in self._pairs:
            self._call(*pair)
        time.sleep(SETTLE_S)
        yield
        self._use(Conditions())
        for pair in self._pairs:
            self._hang_up(pair)
        time.sleep(0.3)

    def measure(self, conditions: Conditions, length_s: float) -> Span:
        """Make the link so; after a moment count for `length_s`."""
        self._use(conditions)
        span = Span(time.monotonic())
        time.sleep(LEAD_S)
        span.began, cpu, carried = time.monotonic(), self._cpu(), self._carried()
        time.sleep(length_s)
        span.ended, later = time.monotonic(), self._carried()
        length = span.ended - span.began
        one, other = ((after - before) / length for after, before in zip(self._cpu(), cpu, strict=True))
        span.cpu = one, other
        counted = [after - before for after, before in zip(later, carried, strict=True)]
        span.carried = tuple((way.bytes / length, way.packets / length) for way in counted)
        time.sleep(AFTER_S)
        return span

    def _use(self, conditions: Conditions) -> None:
        for places in self._links.values():
            places.use(conditions)

    def _carried(self) -> list[Any]:
        return [way for places in self._links.values() for way in places.carried()]

    def _set_up(self) -> None:
        stage = self._stage
        server = self._folder / "server"
        server.mkdir(mode=0o700, exist_ok=True)
        (server / "server.toml").write_text(SERVER_TOML, encoding="utf-8")
        stage.start_server()
        toml = box_toml("wav", "", "", self._step)
        for head, lines in zip(("[calls]\n", "[sound]\n"), self._settings, strict=True):
            toml = toml.replace(head, f"{head}{lines}\n")
        for pair in self._pairs:
            stage.enrol(pair, dict.fromkeys(pair, toml))
        names = [name for pair in self._pairs for name in pair]
        for name in names:
            stage.start_box(name)
        wait_for(lambda: all(self._status(name).get("link") == "connected" for name in names), _WITHIN_S, "Connecting")

    def _call(self, caller: str, called: str) -> None:
        wait_for(lambda: all(self._state(name) == "idle" for name in (caller, called)), 60.0, "Coming to rest")
        self._press(caller, "dial1")
        wait_for(lambda: self._state(called) == "ringing", _WITHIN_S, "Ringing")
        time.sleep(0.8)
        self._press(called, "talk")
        wait_for(lambda: all(self._state(name) == "talking" for name in (caller, called)), _WITHIN_S, "Talking")

    def _hang_up(self, pair: tuple[str, str]) -> None:
        for name in pair:
            if self._state(name) not in ("idle", "ending"):
                self._press(name, "talk")
                break
        wait_for(lambda: all(self._state(name) in ("idle", "ending") for name in pair), 40.0, "Hanging up")

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
