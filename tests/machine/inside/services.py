"""The services as systemd runs them.

services.py facts             what systemd and the kernel say of them
services.py hang              the main loop of the workshop's box stops in the middle of a call
"""

import ctypes
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine.inside.hands import Late, call, connected, kitchen, now, service, status, tell, until, wait_state, workshop

PLACES = ("server", "kitchen", "workshop")
SHOWN = ("ActiveState", "Type", "User", "NRestarts", "Restart", "WatchdogUSec", "After", "Wants", "Requires")
PTRACE_ATTACH = 16
WAIT_FOR_ALL = 0x40000000


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def threads(name: str) -> dict[str, tuple[int, int]]:
    """Return thread id -> (policy, priority) of a place's process."""
    process = service(name, "MainPID")["MainPID"]
    ids = [int(folder.name) for folder in Path(f"/proc/{process}/task").iterdir()]
    return {str(id): (os.sched_getscheduler(id), os.sched_getparam(id).sched_priority) for id in ids}


def facts() -> None:
    call(kitchen, workshop)
    tell(
        services={name: service(name, *SHOWN) for name in PLACES},
        failed=output("systemctl", "list-units", "--state=failed", "--plain", "--no-legend"),
        system=output("systemctl", "is-system-running"),
        security=output("systemd-analyze", "security", "--no-pager"),
        journal=output("journalctl", "-b", "-u", "systemd-journald", "-o", "cat"),
        threads={name: sorted(threads(name).values()) for name in PLACES},
        held_up=output("systemctl", "is-active", "network-online.target", "systemd-networkd-wait-online.service"),
    )


def received(name: str) -> int:
    return int((status(name).get("media") or {}).get("received", 0))


def hang() -> None:
    """Stop the main loop's thread alone, as a bug would; the rest of the process lives on."""
    call(kitchen, workshop)
    process = int(service("workshop", "MainPID")["MainPID"])
    if ctypes.CDLL(None, use_errno=True).ptrace(PTRACE_ATTACH, process, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    hung = now()

    def started_again() -> bool:
        with suppress(ChildProcessError):  # a death is told to who traces first, and to systemd only then
            os.waitpid(process, os.WNOHANG | WAIT_FOR_ALL)
        return service("workshop", "MainPID")["MainPID"] not in ("0", str(process))

    until(started_again, 60, "started again", 0.1)
    seen: dict[str, Any] = {"started_again_s": now() - hung}
    until(lambda: connected("workshop"), 60, "workshop connected", 0.1)
    seen["connected_s"] = now() - hung
    with suppress(Late):
        wait_state("workshop", "talking", 10)
    seen["talking_s"] = now() - hung
    before = received("kitchen"), received("workshop")
    time.sleep(1)
    seen["received"] = [received("kitchen") - before[0], received("workshop") - before[1]]
    seen["state"] = [status("kitchen")["state"], status("workshop")["state"]]
    seen["restarts"] = service("workshop", "NRestarts")["NRestarts"]
    seen["journal"] = output("journalctl", "-b", "-u", "callbox-workshop", "-o", "cat", "-n", "60")
    tell(**seen)


if __name__ == "__main__":
    {"facts": facts, "hang": hang}[sys.argv[1]]()
