"""The machine has booted without sound cards and with every cable out; later on both are plugged in.

bare.py        after a boot with `guest.without=cards,cables`
"""

import subprocess
import time

from machine.inside.deaths import BOXES
from machine.inside.hands import kitchen, status, tell, until, wait_connected
from machine.inside.outages import a_call, active, restarts, sh

BARE_S = 20.0
CARDS = ("enable=1,1", "index=0,1", "id=kitchen,workshop", "pcm_substreams=1,1")


def main() -> None:
    until(lambda: active() == ["active"] * 3, 120, "all services are ready", 0.2)
    time.sleep(BARE_S)
    facts = {
        "active": active(),
        "rhythm": [round(length, 1) for _, length in kitchen.rhythm("status", 5)],
        "faults": {name: status(name).get("fault") for name in BOXES},
    }
    sh("for cable in server kitchen workshop; do ip link set $cable up; done")
    facts["connected_s"] = wait_connected()
    subprocess.run(["modprobe", "snd-aloop", *CARDS], check=True)
    until(lambda: not any(status(name).get("fault") for name in BOXES), 30, "no fault any more", 0.1)
    a_call()
    tell(**facts, restarts=restarts(), active_at_end=active())


if __name__ == "__main__":
    main()
