"""A sound card goes away in the middle of a call, and comes back under another number.

The kernel waits with the end of an unbound card until nobody has it open, and PortAudio never closes what was pulled
(`Pa_CloseStream` gives up when the card does not answer to "stop"). So a spare card of the same kind takes over the
name, as a USB stick does that is plugged in again.
"""

import array
import subprocess
import time
from pathlib import Path

from machine.inside.hands import call, kitchen, now, service, status, tell, until, workshop
from machine.inside.sound import FORMAT, VOICE

UNBIND = "/sys/bus/platform/drivers/snd_aloop/unbind"
SPARE = 2
AWAY_S = 3.0
LOUD = 500
BOXES = ("kitchen", "workshop")
PANELS = (kitchen, workshop)


def lay_out() -> None:
    """Have a third card; nothing is open while the boxes are idle."""
    subprocess.run(["modprobe", "-r", "snd-aloop"], check=True)
    options = ("enable=1,1,1", f"index=0,1,{SPARE}", "id=kitchen,workshop,spare", "pcm_substreams=1,1,1")
    subprocess.run(["modprobe", "snd-aloop", *options], check=True)


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


def main() -> None:
    lay_out()
    call(kitchen, workshop)
    heard_after(20)
    pulled_at = now()
    subprocess.Popen(["bash", "-c", f"echo snd_aloop.0 >{UNBIND}"], start_new_session=True)
    noticed_s = until(lambda: status("kitchen").get("fault"), 5, "the kitchen tells that its card is gone", 0.05)
    time.sleep(AWAY_S)
    away = {name: status(name).get("state") for name in BOXES}
    live_away = kitchen.light("live")
    Path(f"/sys/class/sound/card{SPARE}/id").write_text("kitchen")
    plugged_at = now()
    heard_at = heard_after(20)
    until(lambda: not status("kitchen").get("fault"), 10, "no fault any more", 0.1)
    tell(
        noticed_s=noticed_s,
        away_s=plugged_at - pulled_at,
        away=away,
        live_away=live_away,
        voice_s=heard_at - plugged_at,
        states={name: status(name).get("state") for name in BOXES},
        lights={panel.name: panel.lights() for panel in PANELS},
        restarts={name: service(name, "NRestarts")["NRestarts"] for name in BOXES},
    )


if __name__ == "__main__":
    main()
