"""The sound cards go away in the middle of a call and come back, under the same number or another.

pulled.py unbind      the kitchen's card alone, as a cable is pulled
pulled.py reload      the driver with both cards; they come back as numbers 5 and 4
"""

import array
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine.inside.hands import call, kitchen, now, service, status, tell, until, workshop
from machine.inside.sound import FORMAT, VOICE

DRIVER = Path("/sys/bus/platform/drivers/snd_aloop")
AWAY_S = 3.0
LOUD = 500
BOXES = ("kitchen", "workshop")
PANELS = (kitchen, workshop)


def pull(reload: bool) -> None:
    """Returns when nobody holds the card any more: the kernel waits for that."""
    (DRIVER / "unbind").write_text("snd_aloop.0")
    if reload:
        (DRIVER / "unbind").write_text("snd_aloop.1")
        subprocess.run(["modprobe", "-r", "snd-aloop"], check=True)


def plug(reload: bool) -> None:
    if reload:
        ids = ("enable=1,1", "index=5,4", "id=kitchen,workshop", "pcm_substreams=1,1")
        subprocess.run(["modprobe", "snd-aloop", *ids], check=True)
    else:
        (DRIVER / "bind").write_text("snd_aloop.0")


def heard_after(seconds: float) -> float:
    """Speak into the kitchen, listen in the workshop; return the time of the first loud tenth of a second."""
    mouth = subprocess.Popen(["aplay", *FORMAT, "-D", "hw:kitchen,1", str(VOICE / "kitchen.raw")])
    ear = subprocess.Popen(["arecord", *FORMAT, "-D", "hw:workshop,1"], stdout=subprocess.PIPE)
    assert ear.stdout is not None
    try:
        ends = now() + seconds
        while now() < ends:
            samples = array.array("h", ear.stdout.read(9600))
            if samples and max(map(abs, samples)) > LOUD:
                return now()
        raise AssertionError(f"nothing was heard within {seconds} s: {status('workshop')}")
    finally:
        for process in (mouth, ear):
            process.kill()
            process.wait()


def watch(true: Callable[[], Any], within_s: float, what: str) -> float:
    return until(true, within_s, what, 0.02)


def main() -> None:
    reload = sys.argv[1] == "reload"
    call(kitchen, workshop)
    heard_after(10)
    pulled_at = now()
    pull(reload)
    noticed_s = now() - pulled_at
    watch(lambda: status("kitchen").get("fault"), 5, "the kitchen tells that its card is gone")
    away = {name: {key: status(name).get(key) for key in ("state", "fault")} for name in BOXES}
    live_away = kitchen.light("live")
    time.sleep(AWAY_S)
    plugged_at = now()
    plug(reload)
    watch(lambda: Path("/proc/asound/kitchen").exists() and Path("/proc/asound/workshop").exists(), 5, "cards")
    heard_at = heard_after(20)
    watch(lambda: not any(status(name).get("fault") for name in BOXES), 10, "no fault any more")
    tell(
        noticed_s=noticed_s,
        away=away,
        live_away=live_away,
        voice_s=heard_at - plugged_at,
        states={name: status(name).get("state") for name in BOXES},
        lights={panel.name: panel.lights() for panel in PANELS},
        cards=Path("/proc/asound/cards").read_text(),
        restarts={name: service(name, "NRestarts")["NRestarts"] for name in BOXES},
    )


if __name__ == "__main__":
    main()
