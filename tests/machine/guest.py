"""A machine that runs under QEMU for the stories: started, asked, set back, and killed like a board without power.

QEMU counts instructions (`-icount shift=0`): each takes one nanosecond of the guest's time. So the guest is a steady
machine of 1 GIPS, about a core of a Pi Zero 2 W, however slowly this one emulates it. What happens inside is measured
by the guest's clock and comes out the same on a busy host; a busy guest second takes two to four seconds here.

Control goes over two sockets: QEMU's own (snapshots, power) and a serial port to `inside/agent.py`.
"""

import atexit
import base64
import itertools
import json
import queue
import shlex
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSIDE = Path(__file__).parent / "inside"
READY = "ready"
"""The snapshot that every story starts from: both boxes connected, nothing going on."""
OFF = "off"
"""The disk as it was when the joined machine had been switched off properly."""
BOOT_S = 240.0
SLOWER = 12.0
"""So many seconds of this machine's time a second of the guest's may take before the guest counts as hung."""
GRACE_S = 60.0
MEMORY_MIB = 512
FIRST = ("setpriv", "--pdeathsig", "KILL", "nice", "-n", "-10")
"""The kernel kills QEMU when this process dies, however it dies; as root's it goes before what else runs here."""


class GuestLost(Exception):
    """The guest does not answer, or QEMU has ended."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command inside came to; `out` holds both its streams."""

    rc: int
    out: str


class Command:
    """A command that runs inside."""

    def __init__(self, guest: "Guest", number: int, what: str, timeout_s: float) -> None:
        self._guest = guest
        self._number = number
        self._until = time.monotonic() + timeout_s * SLOWER + GRACE_S
        self.what = what
        self.answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.last: dict[str, Any] = {}

    def lines(self) -> Iterator[str]:
        """Yield each line as it is printed; ends when the command has ended."""
        while "rc" not in self.last:
            try:
                answer = self.answers.get(timeout=max(0.0, self._until - time.monotonic()))
            except queue.Empty:
                raise GuestLost(f"no answer to: {self.what}") from None
            if answer is None:
                raise GuestLost(f"the guest has gone, during: {self.what}")
            self.last = answer
            if "out" in answer:
                yield answer["out"]

    def done(self) -> Ran:
        """Wait for its end. Raises GuestLost if the guest goes or hangs meanwhile."""
        out = "".join(self.lines())
        return Ran(self.last["rc"], out)

    def end(self) -> None:
        """Kill it, with all that it started."""
        self._guest.ask({"end": self._number}, f"end {self.what}", 5).done()


class Guest:
    """One QEMU on a disk of its own. `folder` takes its sockets and `console.log`."""

    def __init__(self, image: Path, disk: Path, folder: Path) -> None:
        self._image = image
        self.disk = disk
        self.folder = folder
        self.console = folder / "console.log"
        self._numbers = itertools.count(1)
        self._commands: dict[int, Command] = {}
        self._qemu: subprocess.Popen[bytes] | None = None
        self._qmp: Any = None
        self._port: socket.socket | None = None
        atexit.register(self.kill)

    # --- power --------------------------------------------------------------------------------------------------

    def boot(self, snapshot: str | None = None, rtc: str = "utc", append: str = "", settled: bool = True) -> None:
        """Switch on: from cold, or in the middle of `snapshot`. `rtc` is a date such as 1970-01-01T00:00:00.

        `settled` waits until systemd has started everything; without it the agent answers early in the boot.
        """
        self.kill()
        frozen = ["-S"] if snapshot else []
        log = (self.folder / "qemu.log").open("ab")
        self._qemu = subprocess.Popen(
            [*FIRST, "qemu-system-x86_64", *self.options(rtc, append), *frozen],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        self._qmp = self._connect("qmp").makefile("rw", encoding="utf-8")
        self._qmp.readline()
        self.qmp("qmp_capabilities")
        self._port = self._connect("agent")
        threading.Thread(target=self._listen, args=(self._port,), daemon=True).start()
        if snapshot:
            self.restore(snapshot)
        else:
            self._wait_for_agent(BOOT_S)
            if settled:
                self.run("systemctl is-system-running --wait", 60)

    def options(self, rtc: str, append: str) -> list[str]:
        """Return what QEMU is started with. A snapshot fits the machine that it was made on alone."""
        drive = f"file={self.disk},format=qcow2,if=virtio,cache=writeback,l2-cache-size=16M,cache-clean-interval=0"
        kernel = (
            "console=ttyS0 ro loglevel=4 systemd.show_status=no mitigations=off tsc=reliable panic=-1"
            # Nothing of a PC, and of the security modules those that a Pi's kernel has.
            " modprobe.blacklist=iTCO_wdt,lpc_ich,i2c_i801,pcspkr lsm=landlock,lockdown,yama,apparmor"
        )
        return [
            *("-M", "q35,sata=off,smbus=off,vmport=off,i8042=off", "-nodefaults", "-m", str(MEMORY_MIB)),
            *("-smp", "1", "-icount", "shift=0,sleep=on"),
            # No AES instructions, as a Pi has none before the fifth; NumPy wants what Nehalem brought.
            *("-cpu", "Nehalem", "-rtc", f"base={rtc},clock=vm"),
            *("-kernel", str(self._image / "kernel"), "-initrd", str(self._image / "initrd")),
            *("-append", f"{kernel} {append}", "-drive", drive),
            *("-display", "none", "-nic", "none", "-no-reboot", "-serial", f"file:{self.console}"),
            *("-qmp", f"unix:{self.folder / 'qmp'},server=on,wait=off"),
            *(
                "-device",
                "virtio-serial",
                "-chardev",
                f"socket,id=agent,path={self.folder / 'agent'},server=on,wait=off",
            ),
            *("-device", "virtserialport,chardev=agent,name=agent"),
        ]

    def _connect(self, name: str) -> socket.socket:
        until = time.monotonic() + GRACE_S
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(self.folder / name))
            except OSError:
                connection.close()
                if not self.is_on or time.monotonic() > until:
                    raise GuestLost(f"QEMU does not start:\n{(self.folder / 'qemu.log').read_text()[-2000:]}") from None
                time.sleep(0.05)
                continue
            connection.settimeout(GRACE_S * 3 if name == "qmp" else None)
            return connection

    @property
    def is_on(self) -> bool:
        return self._qemu is not None and self._qemu.poll() is None

    def kill(self) -> None:
        """Cut the power: QEMU is killed, and with it whatever the guest had not flushed to its disk."""
        if self._qemu is not None:
            self._qemu.kill()
            self._qemu.wait()
            self._qemu = None
        for connection in (self._qmp, self._port):
            if connection is not None:
                with suppress(OSError):
                    connection.close()
        self._qmp = self._port = None
        for name in ("qmp", "agent"):
            (self.folder / name).unlink(missing_ok=True)

    def power_off(self) -> None:
        """Have the guest shut down and wait until it has."""
        self.run("systemctl poweroff")
        assert self._qemu is not None
        try:
            self._qemu.wait(BOOT_S)
        except subprocess.TimeoutExpired:
            raise GuestLost("the guest does not shut down") from None
        self.kill()

    def reset_disk(self, snapshot: str = OFF) -> None:
        """Set the disk of a guest that is off back to what it was."""
        assert not self.is_on
        subprocess.run(["qemu-img", "snapshot", "-a", snapshot, str(self.disk)], check=True, capture_output=True)

    # --- snapshots ----------------------------------------------------------------------------------------------

    def qmp(self, execute: str, **arguments: Any) -> Any:
        """Ask QEMU itself."""
        try:
            self._qmp.write(json.dumps({"execute": execute, "arguments": arguments}) + "\n")
            self._qmp.flush()
            while line := self._qmp.readline():
                answer = json.loads(line)
                if "error" in answer:
                    raise GuestLost(f"QEMU: {answer['error']}")
                if "return" in answer:
                    return answer["return"]
        except (OSError, ValueError) as error:
            raise GuestLost(f"QEMU does not answer to {execute}: {error}") from None
        raise GuestLost(f"QEMU ended during {execute}")

    def monitor(self, line: str) -> str:
        """Give a line to QEMU's monitor; return what it says."""
        return str(self.qmp("human-monitor-command", **{"command-line": line}))

    def save(self, snapshot: str) -> None:
        """Keep machine and disk as they are now under a name."""
        if problem := self.monitor(f"savevm {snapshot}").strip():
            raise GuestLost(f"savevm {snapshot}: {problem}")

    def restore(self, snapshot: str = READY) -> None:
        """Set machine and disk back to a snapshot, and let it go on from there."""
        self.qmp("stop")
        if problem := self.monitor(f"loadvm {snapshot}").strip():
            raise GuestLost(f"loadvm {snapshot}: {problem}")
        self._commands.clear()
        self.qmp("cont")
        self._wait_for_agent(GRACE_S)

    # --- inside -------------------------------------------------------------------------------------------------

    def run(self, command: str, timeout_s: float = 30.0) -> Ran:
        """Run a line of bash as root inside; `timeout_s` is the guest's time, rc 124 says that it was too short."""
        return self.start(command, timeout_s).done()

    def must(self, command: str, timeout_s: float = 30.0) -> str:
        """Run what has to succeed; return what it printed, stripped."""
        ran = self.run(command, timeout_s)
        assert ran.rc == 0, f"{command}: {ran.rc}\n{ran.out}"
        return ran.out.strip()

    def start(self, command: str, timeout_s: float = 30.0) -> Command:
        """Start a command and come back at once."""
        return self.ask({"run": command, "timeout_s": timeout_s}, command, timeout_s)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Have the guest count all its time by instructions: an idle one is woken by this machine's clock, too late if
        this machine is busy, and would hear gaps that no Callbox made. Takes a core here; inside, all go before it."""
        spinning = self.start("exec chrt --idle 0 sh -c 'while :; do :; done'", 3600)
        try:
            yield
        finally:
            spinning.end()

    def put(self, path: str, data: bytes) -> None:
        """Write a file inside."""
        done = self.ask({"put": path, "data": base64.b64encode(data).decode()}, f"put {path}", 30).done()
        assert done.rc == 0, done.out

    def get(self, path: str) -> bytes:
        """Read a file inside."""
        command = self.ask({"get": path}, f"get {path}", 30)
        done = command.done()
        assert done.rc == 0, done.out
        return base64.b64decode(command.last["data"])

    def story(self, script: str, *arguments: object, timeout_s: float = 120.0) -> Any:
        """Run `inside/SCRIPT` with arguments; return the JSON of the last line that it prints."""
        started = self.start_story(script, *arguments, timeout_s=timeout_s)
        ran = started.done()
        assert ran.rc == 0, f"{started.what}: {ran.rc}\n{ran.out}"
        return json.loads(ran.out.strip().rpartition("\n")[2])

    def start_story(self, script: str, *arguments: object, timeout_s: float = 120.0) -> Command:
        """Start `inside/SCRIPT` and come back; its lines can be read while it goes on."""
        for file in INSIDE.glob("*.py"):
            self.put(f"/run/story/machine/inside/{file.name}", file.read_bytes())
        words = shlex.join(str(argument) for argument in arguments)
        module = f"machine.inside.{script.removesuffix('.py')}"
        return self.start(f"cd /run/story && exec python3 -u -m {module} {words}", timeout_s)

    def ask(self, request: dict[str, Any], what: str, timeout_s: float) -> Command:
        """Send a request to the agent."""
        command = Command(self, next(self._numbers), what, timeout_s)
        self._commands[command._number] = command
        if self._port is None:
            raise GuestLost(f"the guest is off: {what}")
        try:
            self._port.sendall(b"\n" + json.dumps({"id": command._number, **request}).encode() + b"\n")
        except OSError as error:
            raise GuestLost(f"{what}: {error}") from None
        return command

    def _listen(self, port: socket.socket) -> None:
        with suppress(OSError), port.makefile("rb") as lines:
            for line in lines:
                try:
                    answer = json.loads(line)
                except ValueError:
                    continue  # cut off by a snapshot
                keep = self._commands.get if "rc" not in answer else self._commands.pop
                command = keep(answer["id"], None)
                if command is not None:
                    command.answers.put(answer)
        for command in list(self._commands.values()):
            command.answers.put(None)

    def _wait_for_agent(self, within_s: float) -> None:
        # Asked until it answers: what was sent while the guest had nobody to read it may be lost.
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            asked = self.ask({"hello": 1}, "hello", 0)
            with suppress(queue.Empty):
                if asked.answers.get(timeout=2.0) is not None:
                    return
            if not self.is_on:
                break
        raise GuestLost(f"the guest does not come up; its console ends with:\n{self.last_words()}")

    def last_words(self, characters: int = 4000) -> str:
        """Return the end of the console's log."""
        return self.console.read_text(errors="replace")[-characters:] if self.console.exists() else ""
