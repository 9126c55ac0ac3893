"""What box and server cost while nothing happens: processor, wake-ups, memory, disk, and how tightly they are shut in.

idling.py SECONDS
"""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine.inside.hands import USERS, service, tell


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def threads(pid: str) -> dict[str, tuple[float, int]]:
    """Return of each thread how many seconds it has run, and how often it has gone to sleep by itself."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        run_ns = int((task / "schedstat").read_text().split()[0])
        slept = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.MULTILINE)
        assert slept
        found[task.name] = (run_ns / 1e9, int(slept[1]))
    return found


def pss_mib(pid: str) -> float:
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def main(seconds: float) -> None:
    pids = {name: service(name, "MainPID")["MainPID"] for name in USERS}
    before, began = {name: threads(pid) for name, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    after, lasted = {name: threads(pid) for name, pid in pids.items()}, time.monotonic() - began
    facts: dict[str, Any] = {}
    for name in USERS:
        spent = [
            (ran - before[name].get(thread, (0.0, 0))[0], woken - before[name].get(thread, (0.0, 0))[1])
            for thread, (ran, woken) in after[name].items()
        ]
        facts[name] = {
            "cpu_percent": 100 * sum(ran for ran, _ in spent) / lasted,
            "wakeups_per_s": sum(woken for _, woken in spent) / lasted,
            "busiest_thread_wakeups_per_s": max(woken for _, woken in spent) / lasted,
            "pss_mib": pss_mib(pids[name]),
        }
        rated = said("systemd-analyze", "security", "--no-pager", f"{USERS[name]}.service")
        overall = re.search(r"exposure level for \S+: ([\d.]+)", rated)
        facts[name]["exposure"] = float(overall[1]) if overall else 10.0
    facts["installed_mib"] = int(said("dpkg-query", "-W", "-f", "${Installed-Size}", "callbox") or 0) / 1024
    facts["on_disk_mib"] = int(said("du", "-sk", "/opt/callbox").split()[0]) / 1024
    tell(**facts)


if __name__ == "__main__":
    main(float(sys.argv[1]))
