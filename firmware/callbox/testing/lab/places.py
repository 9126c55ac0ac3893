"""Two network namespaces joined by the router: whatever runs in one reaches the other only through its hands."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from callbox.base.errors import CallboxError
from callbox.testing.lab.conditions import Conditions
from callbox.testing.virtual_card import hurry

ADDRESSES = ("10.213.0.1", "10.213.0.2")
CONGESTION = "cubic"  # what Debian and Raspberry Pi OS use, whatever this machine does


@dataclass(frozen=True, slots=True)
class Carried:
    """What one direction carried so far; `bytes` with IP headers, lost packets included."""

    packets: int
    bytes: int
    lost: int

    def __sub__(self, earlier: "Carried") -> "Carried":
        return Carried(self.packets - earlier.packets, self.bytes - earlier.bytes, self.lost - earlier.lost)


class Places:
    """Places 0 and 1. Use as a context manager; as root only."""

    def __init__(self, name: str, seed: str = "1", congestion: str = CONGESTION) -> None:
        self._congestion = congestion
        self._spaces = tuple(f"lab-{os.getpid()}-{name}-{place}" for place in (0, 1))
        self._devices = (f"lab{os.getpid() % 100000}{name[:3]}0", f"lab{os.getpid() % 100000}{name[:3]}1")
        self._seed = seed
        self._router: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Places":
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise CallboxError("The network lab needs root and /dev/net/tun.", "sudo make bench-net")
        try:
            self._build()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._router is not None:
            self._router.terminate()
            self._router.wait()
        for space in self._spaces:
            subprocess.run(["ip", "netns", "delete", space], stderr=subprocess.DEVNULL, check=False)

    def inside(self, place: int, command: Sequence[str]) -> list[str]:
        """Return the command that runs `command` in a place."""
        return ["nsenter", f"--net=/run/netns/{self._spaces[place]}", *command]

    def use(self, conditions: Conditions) -> None:
        """Change the link from now on."""
        self._ask({"use": dataclasses.asdict(conditions)})

    def carried(self) -> tuple[Carried, Carried]:
        """Return what was carried from place 0, and from place 1."""
        one, other = self._ask({"counters": True})
        return Carried(*one), Carried(*other)

    def _build(self) -> None:
        for space in self._spaces:
            _run("ip", "netns", "add", space)
        self._router = subprocess.Popen(
            [sys.executable, "-m", "callbox.testing.lab.router", *self._devices, self._seed],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._heard()
        hurry(self._router.pid)
        for place, (space, device) in enumerate(zip(self._spaces, self._devices, strict=True)):
            _run("ip", "link", "set", device, "netns", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
            here, there = ADDRESSES[place], ADDRESSES[1 - place]
            _run("ip", "-n", space, "address", "add", here, "peer", there, "dev", device)
            _run("ip", "-n", space, "link", "set", device, "up")
            _set(self.inside(place, ["sysctl", "-q", "-w", f"net.ipv4.tcp_congestion_control={self._congestion}"]))

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._router is not None
        assert self._router.stdin is not None
        self._router.stdin.write(json.dumps(order) + "\n")
        self._router.stdin.flush()
        return self._heard()

    def _heard(self) -> Any:
        assert self._router is not None
        assert self._router.stdout is not None
        line = self._router.stdout.readline()
        if not line:
            raise CallboxError("The lab's router has died.")
        return json.loads(line)


def _set(command: list[str]) -> None:
    """Set a namespace's congestion control, which the machine must first allow to everybody."""
    allowed = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control")
    if allowed.read_text() != available.read_text():
        allowed.write_text(available.read_text())
    _run(*command)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CallboxError(f"{' '.join(command)}: {done.stderr.strip()}")
