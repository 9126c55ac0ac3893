"""No network when the services start, none for a minute later on, and a clock that was never set.

outages.py unplugged | blackout | clock NOW
"""

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from machine.inside.deaths import AFTER_CALL_BEGAN_S, BOXES, flows
from machine.inside.hands import (
    USERS,
    call,
    connected,
    kitchen,
    now,
    service,
    status,
    tell,
    until,
    wait_connected,
    workshop,
)

SERVICES = [f"{user}.service" for user in USERS.values()]
OUT_S = 60.0


def sh(line: str) -> str:
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True).stdout.strip()


def restarts() -> dict[str, str]:
    return {name: service(name, "NRestarts")["NRestarts"] for name in USERS}


def active() -> list[str]:
    return [service(name, "ActiveState")["ActiveState"] for name in USERS]


def a_call() -> None:
    call(kitchen, workshop)
    until(lambda: all(map(flows, BOXES)), 10, "voice flows")
    time.sleep(AFTER_CALL_BEGAN_S)
    kitchen.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 5, "hung up")


def unplugged() -> dict[str, Any]:
    """Every cable is out when the services start."""
    facts: dict[str, Any] = {}
    sh(f"systemctl stop {' '.join(SERVICES)}; for cable in server kitchen workshop; do ip link set $cable down; done")
    began = now()
    sh(f"systemctl start {' '.join(SERVICES)}")
    facts["ready_s"] = now() - began
    time.sleep(20)
    facts["active"] = active()
    facts["rhythm"] = [round(length, 1) for _, length in kitchen.rhythm("status", 5)]
    sh("for cable in server kitchen workshop; do ip link set $cable up; done")
    facts["connected_s"] = wait_connected()
    a_call()
    return facts


def blackout() -> dict[str, Any]:
    """Nothing passes for a minute, and nobody is told."""
    facts: dict[str, Any] = {}
    sh("for cable in kitchen workshop; do tc qdisc add dev $cable root netem loss 100%; done")
    sh("for place in kitchen workshop; do ip netns exec $place tc qdisc add dev eth0 root netem loss 100%; done")
    facts["noticed_s"] = until(lambda: not any(map(connected, BOXES)), OUT_S, "both notice", 0.2)
    time.sleep(max(0.0, OUT_S - facts["noticed_s"]))
    sh("for cable in kitchen workshop; do tc qdisc del dev $cable root; done")
    sh("for place in kitchen workshop; do ip netns exec $place tc qdisc del dev eth0 root; done")
    facts["connected_s"] = wait_connected()
    a_call()
    return facts


def clock(right: str) -> dict[str, Any]:
    """The services start in 1970; later, in a call, somebody sets the clock."""
    facts: dict[str, Any] = {}
    # Not 0: the kernel takes no time before the machine's own start.
    sh(f"systemctl stop {' '.join(SERVICES)} && date -s @3600 && systemctl start {' '.join(SERVICES)}")
    facts["year"] = int(sh("date +%Y"))
    facts["connected_s"] = wait_connected()
    call(kitchen, workshop)
    until(lambda: all(map(flows, BOXES)), 10, "voice flows")
    sh(f"date -s @{right}")
    time.sleep(3)
    facts["states"] = [status(name)["state"] for name in BOXES]
    facts["voice"] = [flows(name) for name in BOXES]
    kitchen.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 5, "hung up")
    # With a right clock, a box looks at the certificate's time.
    sh("systemctl restart callbox")
    facts["connected_again_s"] = wait_connected()
    a_call()
    return facts


def main(what: str, *words: str) -> None:
    stories: dict[str, Callable[..., dict[str, Any]]] = {"unplugged": unplugged, "blackout": blackout, "clock": clock}
    facts = stories[what](*words)
    tell(**facts, restarts=restarts(), active_at_end=active())


if __name__ == "__main__":
    main(*sys.argv[1:])
