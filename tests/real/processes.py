"""Real processes of the product, started, asked and killed the way a person or an accident would."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from callbox.app import client
from callbox.app.demo_stage import box_toml, free_port
from callbox.app.home import Home
from callbox.base.errors import CallboxError

KITCHEN, WORKSHOP = "kitchen", "workshop"
PROGRAMS = Path(sys.executable).parent
COMMAND_S = 60.0
QUIET_SOUND = box_toml("wav", "", "")
MANY_RINGS = (
    "[calls]\nburst = 1000\nrefill_s = 0.001\nper_hour = 100000\n\n[prekeys]\nclaims = 10000\nfetches = 10000\n"
)


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str


class Running:
    """One started process and its log."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str]) -> None:
        self.log_file = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, env=dict(environment))

    @property
    def log(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def end(self, how: signal.Signals = signal.SIGTERM, within_s: float = 15.0) -> int:
        """Send a signal, wait, return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.process.args!r} did not end:\n{self.log}") from None


class Place:
    """A folder with homes in it, and the processes that were started there. Use as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            **(environment or {}),
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.environment.pop("CALLBOX_HOME", None)
        self.port = free_port()
        self.running: dict[str, Running] = {}
        self._logs: set[Path] = set()
        self._begun: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Place":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        started: list[subprocess.Popen[Any]] = [*self._begun, *(running.process for running in self.running.values())]
        for process in started:
            process.kill()
            process.wait()

    def callbox(self, *arguments: str, within_s: float = COMMAND_S, prefix: tuple[str, ...] = ()) -> Done:
        """Run one command to its end."""
        done = subprocess.run(
            [*prefix, "callbox", *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            timeout=within_s,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, *arguments: str) -> "subprocess.Popen[str]":
        """Begin a command that takes its time."""
        begun = subprocess.Popen(
            ["callbox", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            cwd=self.folder,
        )
        self._begun.append(begun)
        return begun

    def must(self, *arguments: str) -> str:
        """Run one command that has to succeed; return what it printed."""
        done = self.callbox(*arguments)
        assert done.code == 0, f"callbox {' '.join(arguments)}: {done}"
        return done.out

    def start(self, name: str, *arguments: str, prefix: tuple[str, ...] = ()) -> Running:
        """Start a command that goes on; its log is kept over restarts."""
        log = self.folder / f"{name}.log"
        self._logs.add(log)
        self.running[name] = Running([*prefix, str(PROGRAMS / "callbox"), *arguments], log, self.environment)
        return self.running[name]

    def home(self, name: str) -> str:
        return str(self.folder / name)

    def settings(self, name: str, text: str) -> None:
        """Write a box's box.toml."""
        (self.folder / name / "box.toml").write_text(text)

    def invite_to_nobody(self) -> str:
        """Return an invite to a server that does not run."""
        return self.must("server", "invite", "other", "--home", self.home("server"), "--public", "127.0.0.1:9").strip()

    # --- a server and boxes ---------------------------------------------------------------------------------------

    def start_server(self, settings: str = "", name: str = "server") -> Running:
        home = Path(self.home(name))
        if settings:
            home.mkdir(exist_ok=True)
            (home / "server.toml").write_text(settings)
        before = len(self._ready_lines(name))
        server = self.start(name, "server", "run", "--home", str(home), "--listen", f"127.0.0.1:{self.port}")
        wait_for(lambda: len(self._ready_lines(name)) > before or server.process.poll() is not None, "server ready")
        assert server.process.poll() is None, server.log
        return server

    def _ready_lines(self, name: str) -> list[str]:
        log = self.folder / f"{name}.log"
        return re.findall("ready on", log.read_text()) if log.exists() else []

    def invite(self, name: str) -> str:
        return self.must("server", "invite", name, "--home", self.home("server")).strip()

    def enrol(self, *names: str, settings: str = QUIET_SOUND) -> None:
        """Make boxes that may ring one another, without sound cards."""
        for name in names:
            self.must("join", self.invite(name), "--home", self.home(name))
            (Path(self.home(name)) / "box.toml").write_text(settings)
        for name in names:
            for other in names:
                if other != name:
                    self.must("allow", other, "--ring", "--home", self.home(name))

    def start_box(self, name: str) -> Running:
        return self.start(name, "run", "--home", self.home(name))

    def ask(self, name: str, what: str, **words: Any) -> dict[str, Any]:
        """Ask a running box as the command line does, without its start-up time. Raises CallboxError."""
        return client.ask_once(Home(Path(self.home(name))), what, **words)

    def status(self, name: str) -> dict[str, Any]:
        return self.ask(name, "status")

    def state(self, name: str) -> str:
        with contextlib.suppress(CallboxError, OSError, ValueError):
            return str(self.status(name)["state"])
        return "gone"

    def connected(self, name: str) -> bool:
        with contextlib.suppress(CallboxError, OSError, ValueError):
            return bool(self.status(name)["link"] == "connected")
        return False

    def no_traceback(self) -> None:
        """Nothing that ran here may have shown a person a traceback."""
        for log in self._logs:
            text = log.read_text(encoding="utf-8", errors="replace")
            assert "Traceback" not in text, f"{log.name}:\n{text[-4000:]}"
            assert "Fatal error" not in text, f"{log.name}:\n{text[-4000:]}"


def collect(begun: "subprocess.Popen[str]") -> Done:
    """Wait for a command that was begun."""
    out, err = begun.communicate(timeout=COMMAND_S)
    return Done(begun.returncode, out, err)


def told(done: Done, code: int, *words: str) -> None:
    """The command ended with this code and told a person, in sentences that hold these words, what to do."""
    assert done.code == code, done
    assert "Traceback" not in done.err + done.out, done
    for word in words:
        assert word.lower() in done.err.lower(), f"{word!r} is missing in: {done.err}"


def wait_for(happened: Callable[[], object], what: str, within_s: float = 20.0) -> float:
    """Wait until `happened()`; return the seconds it took."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() - start < within_s, f"{what} did not happen within {within_s:.0f} s"
        time.sleep(0.02)
    return time.monotonic() - start
