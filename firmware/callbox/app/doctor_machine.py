"""What `callbox doctor` finds out about the machine: clock, codec, pins, Wi-Fi, power, disk.

Each function looks at one thing, below a root folder and through functions that a test replaces, and only looks:
nothing here is set, and nothing that a running box holds is opened.
"""

import contextlib
import os
import queue
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from callbox.app.doctor_known import (
    ClockFacts,
    CodecFacts,
    DiskFacts,
    HeldLine,
    NotLooked,
    PinFacts,
    PowerFacts,
    Trouble,
    WifiFacts,
)
from callbox.app.settings import PanelSettings
from callbox.base.errors import CallboxError
from callbox.base.settings import BadSettings

Answer = TypeVar("Answer")
PROGRAM_S = 5.0
# What shows that a bus of the header is switched on. The serial port is its login's too.
BUSES = {
    "i2c": ("dev/i2c-1",),
    "spi": ("dev/spidev0.*",),
    "uart": ("dev/serial0",),
}


def run_program(command: Sequence[str]) -> str | None:
    """Return what a program prints; None if it is not there or fails. Also looks where only root's PATH does."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=PROGRAM_S, check=False)
        return done.stdout if done.returncode == 0 else None
    return None


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine to look at: where its files begin, its programs, its clock, what this user may use and see."""

    root: Path = Path("/")
    run: Callable[[Sequence[str]], str | None] = run_program
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    may: Callable[[Path, int], bool] = os.access
    exists: Callable[[Path], bool] = Path.exists


def within(limit_s: float, work: Callable[[], Answer]) -> Answer:
    """Do `work` on a thread that is left behind if it hangs. Raises TimeoutError, or what the work raises."""
    answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(work())
        except BaseException as error:  # noqa: BLE001  # not swallowed: who waits raises it
            answers.put(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        answer = answers.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def read(path: Path) -> str | None:
    """Return a small file's text, stripped; None if it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def look_at_disk(folder: Path, look: Callable[[Path], os.statvfs_result] = os.statvfs) -> DiskFacts | NotLooked:
    """Look at the file system that holds `folder`, or will hold it."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.is_dir()), Path("/"))
    try:
        found = look(there)
    except OSError as error:
        return NotLooked(f"{there}: {error.strerror}")
    return DiskFacts(found.f_bavail * found.f_frsize, bool(found.f_flag & os.ST_RDONLY))


def look_at_clock(machine: Machine, server_ahead_s: float | None) -> ClockFacts:
    """Read the clock, and what systemd-timesyncd has noted about it."""
    noted = machine.root / "run/systemd/timesync"
    synchronised = (noted / "synchronized").exists() if noted.is_dir() else None
    return ClockFacts(machine.wall_ms(), synchronised, server_ahead_s)


def look_at_codec(open_codec: Callable[[], object] | None = None) -> CodecFacts:
    """Load the voice codec's library."""
    from callbox.audio import codecs

    try:
        (open_codec or codecs.open_codec)()
    except CallboxError as error:
        return CodecFacts(Trouble(error.what, error.cure))
    return CodecFacts()


def look_at_pins(panel: PanelSettings, running: bool, machine: Machine) -> PinFacts:
    """Read the board file; on real pins find the chip, and ask the kernel who holds each line."""
    from callbox.app.boards import find_board
    from callbox.panel.pins import PinsUnavailable, _chip, _dimming

    try:
        board = find_board(panel.board)
    except BadSettings as error:
        return PinFacts(panel.backend, panel.board, tuple(str(problem) for problem in error.problems))
    except CallboxError as error:
        return PinFacts(panel.backend, panel.board, (error.what,))
    if panel.backend == "simulated":
        return PinFacts(panel.backend, board.name)
    pins = _pins(board)
    light = _activity_light(machine) if any(part.pin == "ACT" for part in board.lights.values()) else ""
    trouble, busy = None, None
    try:
        chip = _chip.find_header_chip(machine.root / "dev")
        if board.dimmed:
            _dimming.load_lgpio()
        if not running:
            holders = {section: _chip.line_holder(chip, pin) for section, pin in pins.items()}
            busy = tuple(HeldLine(section, pins[section], holder) for section, holder in holders.items() if holder)
    except PinsUnavailable as error:
        trouble = Trouble(error.what, error.cure)
    shared = _shared(pins, machine)
    return PinFacts(panel.backend, board.name, (), trouble, busy, shared, "" if running else light)


def _pins(board: Any) -> dict[str, int]:
    families = {"button": board.buttons, "switch": board.switches, "light": board.lights}
    parts = {f"{kind}.{name}": part.pin for kind, family in families.items() for name, part in family.items()}
    return {section: pin for section, pin in parts.items() if isinstance(pin, int)}


def _shared(pins: dict[str, int], machine: Machine) -> tuple[HeldLine, ...]:
    """Return the parts on pins of a bus that is switched on. Until it is used, the kernel calls such a pin free."""
    from callbox.panel.header import RESERVABLE

    on = [bus for bus, files in BUSES.items() if any(any(machine.root.glob(pattern)) for pattern in files)]
    return tuple(HeldLine(section, pin, bus) for section, pin in pins.items() for bus in on if pin in RESERVABLE[bus])


def _activity_light(machine: Machine) -> str:
    lights = machine.root / "sys/class/leds"
    folder = next((lights / name for name in ("ACT", "led0") if (lights / name).is_dir()), None)
    if folder is None:
        return "this machine has none"
    files = (folder / "trigger", folder / "brightness")
    return "" if all(machine.may(file, os.W_OK) for file in files) else f"this user may not write to {folder}"


def look_at_wifi(machine: Machine) -> WifiFacts:
    """Find Wi-Fi interfaces that are up, and ask `iw` whether they save power."""
    found: list[tuple[str, bool | None]] = []
    for folder in sorted((machine.root / "sys/class/net").glob("*")):
        wireless = (folder / "wireless").exists() or (folder / "phy80211").exists()
        if wireless and read(folder / "operstate") == "up":
            said = machine.run(["iw", "dev", folder.name, "get", "power_save"]) or ""
            state = re.search(r"Power save: (on|off)", said)
            found.append((folder.name, state[1] == "on" if state else None))
    return WifiFacts(tuple(found))


def look_at_power(machine: Machine) -> PowerFacts | NotLooked:
    """Read the Pi's throttling bits: from `vcgencmd`, which not every user may run, or from the kernel's file."""
    model = read(machine.root / "proc/device-tree/model") or ""
    if "Raspberry Pi" not in model:
        return NotLooked("this is no Raspberry Pi")
    said = machine.run(["vcgencmd", "get_throttled"]) or ""
    files = sorted((machine.root / "sys/devices/platform").glob("soc*/soc*firmware/get_throttled"))
    for text in (said.strip().removeprefix("throttled="), *(read(file) or "" for file in files)):
        with contextlib.suppress(ValueError):
            return PowerFacts(int(text, 16))
    return NotLooked("neither `vcgencmd get_throttled` nor the kernel tells")
