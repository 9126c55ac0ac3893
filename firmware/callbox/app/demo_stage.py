"""The stage of `callbox demo`: a server and two boxes as processes of their own, each box with a sound card.

Everything goes the way a person would go: `callbox server run`, `invite`, `join`, `allow`, `run`, `press`. The sound
cards are PulseAudio null sinks behind PortAudio; where none can be had, WAV files stand in, and the demo says so.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from callbox.app import priority
from callbox.app.home import Home
from callbox.base.errors import CallboxError

KITCHEN, WORKSHOP = "kitchen", "workshop"
COMMAND_S = 30.0
STOP_S = 5.0


class Stage:
    """Processes of one demo; all of them end when it closes. Use as a context manager."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *exception: object) -> None:
        for process in reversed(list(self.processes.values())):
            process.terminate()
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            if process.poll() is None:
                process.kill()
                process.wait()

    def home(self, name: str) -> Home:
        """Return the folder of one box."""
        return Home(self.folder / name)

    def start_server(self) -> None:
        """Start the signaling server and wait for its line."""
        server = self._start("server", "server", "run", "--home", str(self.folder / "server"), "--listen", self.address)
        priority.hurry(priority.LOOP, server.pid)  # it shares this machine with two boxes and whatever else runs
        assert server.stdout is not None
        if b"ready" not in server.stdout.readline():
            raise CallboxError("The demo's server did not start.", f"Its log is {self.folder / 'server.log'}.")

    @property
    def address(self) -> str:
        """Where the server listens."""
        return f"127.0.0.1:{self.port}"

    def enrol(self, names: Sequence[str], box_toml: Mapping[str, str]) -> None:
        """Invite and join boxes, and let them ring each other."""
        server = str(self.folder / "server")
        for name in names:
            invite = self.command("server", "invite", name, "--home", server).strip()
            self.command("join", invite, "--home", str(self.folder / name))
            (self.folder / name / "box.toml").write_text(box_toml[name], encoding="utf-8")
        for name in names:
            for other in names:
                if other != name:
                    self.command("allow", other, "--ring", "--home", str(self.folder / name))

    def start_box(self, name: str) -> "subprocess.Popen[bytes]":
        """Start one box; it need not be ready yet."""
        return self._start(name, "run", "--home", str(self.folder / name))

    def stop_box(self, name: str) -> None:
        """Stop one box as systemd would, so that it can be started again."""
        process = self.processes.pop(name)
        process.terminate()
        process.wait(STOP_S)

    def command(self, *arguments: str) -> str:
        """Run one command to its end; return what it printed. Raises CallboxError with what it complained of."""
        done = subprocess.run(
            [*CALLBOX, *arguments], capture_output=True, text=True, env=self.environment, timeout=COMMAND_S, check=False
        )
        if done.returncode:
            raise CallboxError(f"callbox {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def _start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen([*CALLBOX, *arguments], stdout=subprocess.PIPE, stderr=log, env=self.environment)
        self.processes[name] = process
        return process


CALLBOX = (sys.executable, "-m", "callbox.app.main")


def box_toml(backend: str, microphone: str, speaker: str, step: str = "auto") -> str:
    """Return the settings of a box with a simulated panel, a sound backend with its two devices, and a voice format.

    It says nothing itself: what comes out of its speaker is measured.
    """
    sound = f'backend = "{backend}"\ninput = {json.dumps(microphone)}\noutput = {json.dumps(speaker)}'
    return (
        f'[panel]\nbackend = "simulated"\n\n[sound]\n{sound}\n\n[calls]\nstep = "{step}"\n\n[speech]\nvoice = "none"\n'
    )


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(happened: Callable[[], bool], within_s: float, what: str) -> float:
    """Wait until `happened()`; return the seconds it took. Raises CallboxError when it does not."""
    start = time.monotonic()
    while not happened():
        if time.monotonic() - start > within_s:
            raise CallboxError(f"{what} did not happen within {within_s:.0f} s.")
        time.sleep(0.005)
    return time.monotonic() - start
