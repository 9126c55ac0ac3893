"""From power to the first light and to a box that can be called, by the kernel's clock, which starts with it.

booting.py BOX...      those that start
"""

import subprocess
import sys
from functools import partial
from typing import Any

from machine.inside.hands import Panel, connected, now, service, tell, until

POLL_S = 0.05


def seconds(microseconds: str) -> float:
    return int(microseconds or 0) / 1e6


def shown(*words: str) -> str:
    return subprocess.run(["systemctl", "show", *words], capture_output=True, text=True, check=True).stdout.strip()


def main(*names: str) -> None:
    facts: dict[str, Any] = {"watched_from_s": now()}
    panels = [Panel(name) for name in names]
    for panel in panels:
        until(partial(panel.light, "status"), 120, f"{panel.name}'s status light", POLL_S)
        facts[f"{panel.name}_light_s"] = now()
    if len(names) > 1:
        until(lambda: all(map(connected, names)), 120, "connected", POLL_S)
        facts["connected_s"] = now()
    facts["userspace_s"] = seconds(shown("-PUserspaceTimestampMonotonic"))
    facts["basic_s"] = seconds(shown("-PActiveEnterTimestampMonotonic", "basic.target"))
    facts["first_light_s"] = seconds(shown("-PExecMainExitTimestampMonotonic", "callbox-light.service"))
    for name in names:
        unit = service(name, "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic", "MainPID")
        facts[f"{name}_started_s"] = seconds(unit["ExecMainStartTimestampMonotonic"])
        facts[f"{name}_ready_s"] = seconds(unit["ActiveEnterTimestampMonotonic"])
    tell(**facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
