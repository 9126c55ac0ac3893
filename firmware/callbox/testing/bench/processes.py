"""What the kernel counts about processes and their connections, read from /proc and from `ss` (TCP_INFO)."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from callbox.base.errors import CallboxError

IP_HEAD_BYTES = 20
TCP_HEAD_BYTES = 20
TCP_TIMESTAMP_BYTES = 12
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_COUNTER = re.compile(r"\b(bytes_sent|bytes_received|segs_out|segs_in):(\d+)")


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process used so far, user and system, all its threads, in s."""
    return cpu_s_in(Path(f"/proc/{pid}/stat").read_text())


def cpu_s_in(stat: str) -> float:
    """Return utime + stime of a /proc/PID/stat line (proc(5)), in s; the command name may hold spaces and brackets."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def ran_s(pid: int) -> float:
    """Return how long the threads of a process ran so far, in s, to the nanosecond: `cpu_s` counts by ticks of 10 ms,
    and takes whoever sleeps between them for idle."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory_mb(pid: int) -> tuple[float, float]:
    """Return the memory of a process in MB: PSS (pages that several use are shared out among them) and RSS."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Pss|Rss):\s+(\d+) kB", text, re.MULTILINE))
    return int(found["Pss"]) * 1024 / 1e6, int(found["Rss"]) * 1024 / 1e6


def wake_ups(pid: int) -> int:
    """Return how often the threads of a process went to sleep so far: each time, something woke them."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count


@dataclass(frozen=True, slots=True)
class Carried:
    """What TCP connections carried so far, in bytes, with TCP and IPv4 headers, acknowledgements and repeats."""

    up: int = 0
    down: int = 0

    def __sub__(self, earlier: "Carried") -> "Carried":
        return Carried(self.up - earlier.up, self.down - earlier.down)


def carried_to(port: int) -> Carried:
    """Return what all connections to `port` carried, seen from those who opened them. Raises CallboxError: no `ss`."""
    try:
        done = subprocess.run(
            ["ss", "-tinH", "state", "established", f"( dport = :{port} )"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise CallboxError(
            f"The bytes on the wire cannot be counted: {error}", "Install ss: sudo apt install iproute2"
        ) from None
    return carried_in(done.stdout)


def carried_in(told: str) -> Carried:
    """Add up what `ss -ti` told of each connection: payload, and one header for every segment."""
    up = down = 0
    for line in told.splitlines():
        counted = {name: int(value) for name, value in _COUNTER.findall(line)}
        stamped = " ts " in f" {line.strip()} "
        head = IP_HEAD_BYTES + TCP_HEAD_BYTES + (TCP_TIMESTAMP_BYTES if stamped else 0)
        up += counted.get("bytes_sent", 0) + head * counted.get("segs_out", 0)
        down += counted.get("bytes_received", 0) + head * counted.get("segs_in", 0)
    return Carried(up, down)
