"""Devices whose numbers change, that others hold, or that are not there when the box starts.

devices.py chips LABEL REVISION COUNT      the header's chip comes after COUNT others; one press, on a Pi of that kind
devices.py busy                            another program holds a pin when the box starts, then lets it go
devices.py no-card                         the box starts without a sound card; one is plugged in later
devices.py dimmed                          the workshop's calls light is dimmed to a quarter, and lit by a button
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from machine.inside.hands import HEADER, Panel, connected, home, kitchen, service, status, tell, until, workshop

SIM = Path("/sys/kernel/config/gpio-sim")
CARDS = ("modprobe", "snd-aloop", "enable=1,1", "index=0,1", "id=kitchen,workshop", "pcm_substreams=1,1")
REVISION = Path("/run/guest/cpuinfo")


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def chip(name: str, label: str, lines: int) -> Path:
    """Make one more simulated chip; return its folder in /sys."""
    bank = SIM / name / "bank0"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text(str(lines))
    (bank / "label").write_text(label)
    (SIM / name / "live").write_text("1")
    device = (SIM / name / "dev_name").read_text().strip()
    return Path("/sys/devices/platform") / device / (bank / "chip_name").read_text().strip()


def wait_connected(within_s: float = 30.0) -> None:
    until(lambda: connected("kitchen"), within_s, "the kitchen is connected", 0.1)


def chips(label: str, revision: str, count: int) -> None:
    run("systemctl", "stop", "callbox", "callbox-workshop")
    (SIM / "pi/live").write_text("0")
    for number in range(count):
        chip(f"other{number}", f"gpio-brcmstb@107d5085{number}0", 32)
    header = chip("later", label, 54)
    HEADER.unlink()
    HEADER.symlink_to(header)
    cpu = REVISION.read_text().replace("902120", revision)
    REVISION.write_text(cpu)
    run("udevadm", "settle")
    run("systemctl", "start", "callbox", "callbox-workshop")
    wait_connected()
    until(lambda: connected("workshop"), 30, "the workshop is connected", 0.1)
    kitchen.press("dial1")
    rang_s = until(lambda: status("workshop").get("state") == "ringing", 10, "the workshop rings", 0.02)
    tell(chip=header.name, rang_s=rang_s, light=workshop.wait_light("call"), restarts=service("kitchen", "NRestarts"))


def busy() -> None:
    run("systemctl", "stop", "callbox")
    run("gpioset", "--daemonize", "--consumer", "doorbell", "--chip", "/dev/gpiochip0", "17=1")
    subprocess.run(["systemctl", "start", "--no-block", "callbox"], check=True)
    until(lambda: service("kitchen", "NRestarts")["NRestarts"] >= "1", 60, "the box tries again", 0.2)
    journal = run("journalctl", "-b", "-u", "callbox", "-n", "20", "--no-pager", "-o", "cat")
    run("bash", "-c", "kill $(pidof gpioset)")
    wait_connected(60)
    until(lambda: service("kitchen", "ActiveState")["ActiveState"] == "active", 10, "the service has started", 0.1)
    tell(journal=journal)


def no_card() -> None:
    run("systemctl", "stop", "callbox")
    run("modprobe", "-r", "snd-aloop")
    run("systemctl", "start", "callbox")
    wait_connected()
    until(lambda: status("kitchen").get("fault"), 10, "the kitchen misses its card", 0.1)
    without: Any = status("kitchen")["fault"]
    rhythm = kitchen.rhythm("status", 2.0)
    run(*CARDS)
    healed_s = until(lambda: not status("kitchen").get("fault"), 20, "the kitchen has its card", 0.1)
    kitchen.wait_steady("status")
    tell(fault=without, rhythm=rhythm, healed_s=healed_s, restarts=service("kitchen", "NRestarts")["NRestarts"])


def dimmed() -> None:
    run("systemctl", "stop", "callbox-workshop")
    board = home("workshop") / "board.toml"
    board.write_text(board.read_text().replace("[light.calls]\n", "[light.calls]\nbrightness = 0.25\n"))
    run("systemctl", "start", "callbox-workshop")
    until(lambda: connected("workshop"), 30, "the workshop is connected", 0.1)
    dark = share_lit(workshop, "calls")
    workshop.press("calls")
    workshop.wait_light("calls")
    lit = share_lit(workshop, "calls")
    workshop.press("calls")
    time.sleep(0.2)
    tell(dark=dark, lit=lit, dark_again=share_lit(workshop, "calls"), restarts=service("workshop", "NRestarts"))


def share_lit(panel: Panel, light: str, looks: int = 1000) -> float:
    """Return how often a light was lit, of so many looks at it, a millisecond and a bit apart."""
    lit = 0
    for _ in range(looks):
        lit += panel.light(light)
        time.sleep(0.001)
    return lit / looks


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["chips", label, revision, count]:
            chips(label, revision, int(count))
        case ["busy"]:
            busy()
        case ["no-card"]:
            no_card()
        case ["dimmed"]:
            dimmed()
