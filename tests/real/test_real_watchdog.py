"""A real box, a real server under a socket that stands where systemd's would: each says that it is well only while
it is."""

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.processes import KITCHEN, WORKSHOP, Place, Running, wait_for

pytestmark = pytest.mark.real

ALLOWED_US = 1_000_000
INTERVAL_S = 0.5
PATIENCE_S = 30.0
A_BOX_THAT_CAN_BE_HUNG = f"""
import signal, sys, time
from callbox.app.main import main

hung = False

def hang(number, frame):
    global hung
    hung = True
    end = time.monotonic() + {PATIENCE_S}
    while hung and time.monotonic() < end:
        time.sleep(0.05)

def go_on(number, frame):
    global hung
    hung = False

signal.signal(signal.SIGUSR1, hang)
signal.signal(signal.SIGUSR2, go_on)
sys.exit(main(["run", "--home", sys.argv[1]]))
"""
"""Python handles signals on the main thread: while `hang` does not return, the box's loop stands still."""

A_SERVER_WHOSE_STORE_CAN_BE_HUNG = f"""
import signal, sys, time
from callbox.app.main import main
from callbox.server import health
from callbox.server.stores.sql import SqlStore

health.STORE_S = 0.5
hung = False
apply = SqlStore.apply

def hang(number, frame):
    global hung
    hung = True

def slowly(store, writes):
    end = time.monotonic() + {PATIENCE_S}
    while hung and time.monotonic() < end:
        time.sleep(0.05)
    apply(store, writes)

SqlStore.apply = slowly
signal.signal(signal.SIGUSR1, hang)
sys.exit(main(["server", "run", "--home", sys.argv[1], "--listen", sys.argv[2]]))
"""
"""From SIGUSR1 on, the store's thread stands still in a write, as on a disk that answers no more."""


class Systemd:
    """Hears what a service tells it."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening

    def next(self, within_s: float = PATIENCE_S) -> str:
        """Return the next line. Raises TimeoutError."""
        self._listening.settimeout(within_s)
        return self._listening.recv(1000).decode()

    def hears_until(self, line: str) -> None:
        """Wait until the service says `line`, whatever it says before."""
        while self.next() != line:
            pass

    def hears_no_more(self) -> None:
        """Let what is already on its way arrive, then three intervals of silence."""
        with contextlib.suppress(TimeoutError):
            for _ in range(3):
                self.next(3 * INTERVAL_S)
            pytest.fail("it goes on saying that it is well")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        yield Systemd(listening)


def start_watched(place: Place, name: str, program: str, *arguments: str) -> Running:
    """Start `program` as the process `name` of a place, under the socket of `systemd`."""
    notify = str(place.folder / "notify")
    environment = {**place.environment, "NOTIFY_SOCKET": notify, "WATCHDOG_USEC": str(ALLOWED_US)}
    command = [sys.executable, "-c", program, place.home(name), *arguments]
    place.running[name] = Running(command, place.folder / "hung.log", environment)
    return place.running[name]


@pytest.fixture
def box(place: Place, systemd: Systemd) -> Running:
    return start_watched(place, KITCHEN, A_BOX_THAT_CAN_BE_HUNG)


def test_a_box_feeds_the_watchdog_only_while_its_loop_goes_on(systemd: Systemd, box: Running, place: Place) -> None:
    assert systemd.next() == "READY=1", box.log
    assert [systemd.next(), systemd.next(), systemd.next()] == ["WATCHDOG=1"] * 3, "fed without anything happening"
    box.process.send_signal(signal.SIGUSR1)
    systemd.hears_no_more()
    box.process.send_signal(signal.SIGUSR2)
    assert systemd.next() == "WATCHDOG=1"
    wait_for(lambda: place.state(KITCHEN) == "idle", "the box answering again")
    box.process.send_signal(signal.SIGTERM)
    systemd.hears_until("STOPPING=1")
    assert box.end() == 0


@pytest.mark.soak
def test_a_server_whose_store_hangs_is_started_again_and_has_lost_nothing(systemd: Systemd, place: Place) -> None:
    server = start_watched(place, "server", A_SERVER_WHOSE_STORE_CAN_BE_HUNG, f"127.0.0.1:{place.port}")
    assert systemd.next() == "READY=1", server.log
    assert [systemd.next(), systemd.next(), systemd.next()] == ["WATCHDOG=1"] * 3, "fed without anything happening"
    place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "kitchen connected")
    server.process.send_signal(signal.SIGUSR1)
    place.must("message", WORKSHOP, "tea?", "--home", place.home(KITCHEN))
    while not (line := systemd.next()).startswith("STATUS="):
        pass
    for _ in range(3):
        assert "store has written nothing" in line, "it goes on saying that it is well"
        line = systemd.next()
    assert server.end(signal.SIGKILL) == -signal.SIGKILL  # as systemd does it at last
    place.start_server()
    place.start_box(WORKSHOP)
    wait_for(lambda: place.connected(WORKSHOP), "workshop connected")
    wait_for(lambda: "tea?" in place.callbox("messages", "--home", place.home(WORKSHOP)).out, "the text")
