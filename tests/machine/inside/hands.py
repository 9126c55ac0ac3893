"""Hands, eyes and a mouthpiece for the stories: buttons pressed, lights read, boxes asked; all by the guest's clock.

Buttons are pulled and lights are read at the kernel's simulated GPIO chip, below everything of Callbox:

    pull  a button's contact -> [gpio-sim] -> libgpiod -> the box -> libgpiod -> [gpio-sim] -> value
"""

import json
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADER = Path("/run/guest/header")
ACTIVITY_LIGHT = Path("/sys/class/leds/ACT/brightness")
POLL_S = 0.001

BUTTONS: Mapping[str, Mapping[str, int]] = {
    "kitchen": {"talk": 17, "mute": 27, "calls": 22, "dial1": 23, "dial2": 24, "volume_up": 25, "volume_down": 16},
    "workshop": {"talk": 4, "mute": 14, "calls": 15, "dial1": 18},
}
"""Button -> GPIO; the kitchen is the breadboard as it comes, the workshop hangs on pins that it leaves."""
LIGHTS: Mapping[str, Mapping[str, int]] = {
    "kitchen": {"live": 5, "mute": 6, "call": 13, "calls": 26, "message": 12},
    "workshop": {"live": 7, "mute": 8, "call": 9, "calls": 10, "message": 11, "status": 19},
}
"""Light -> GPIO; the kitchen's status is the Pi's own activity light."""
USERS = {"kitchen": "callbox", "workshop": "callbox-workshop", "server": "callbox-signaling"}
"""The user, the service and the folder below /var/lib of each place."""


class Late(AssertionError):
    """What was waited for did not come."""


def now() -> float:
    """The guest's monotonic clock, in seconds."""
    return time.monotonic()


def until(true: Callable[[], Any], within_s: float, what: str, poll_s: float = POLL_S) -> float:
    """Wait until something is true; return how long it took. Raises Late."""
    began = now()
    while not true():
        if now() - began > within_s:
            raise Late(f"not within {within_s} s: {what}")
        time.sleep(poll_s)
    return now() - began


@dataclass(frozen=True, slots=True)
class Panel:
    """Buttons and lights of one box."""

    name: str

    @property
    def buttons(self) -> tuple[str, ...]:
        return tuple(BUTTONS[self.name])

    def contact(self, button: str) -> Path:
        """The file that closes a button's contact with `pull-down` and opens it with `pull-up`."""
        return HEADER / f"sim_gpio{BUTTONS[self.name][button]}" / "pull"

    def down(self, button: str) -> None:
        self.contact(button).write_text("pull-down")

    def up(self, button: str) -> None:
        self.contact(button).write_text("pull-up")

    def press(self, button: str, hold_s: float = 0.08) -> None:
        """Press, hold, let go; 80 ms is a brisk finger, and no finger is back at once."""
        self.down(button)
        time.sleep(hold_s)
        self.up(button)
        time.sleep(0.06)

    def light(self, name: str) -> bool:
        """Whether a light is lit at this moment."""
        if name not in LIGHTS[self.name]:
            return ACTIVITY_LIGHT.read_text().strip() not in ("", "0")
        return (HEADER / f"sim_gpio{LIGHTS[self.name][name]}" / "value").read_text().strip() == "1"

    def lights(self) -> str:
        """Return the names of the lights that are lit, with blanks between."""
        return " ".join(name for name in LIGHTS["workshop"] if self.light(name))

    def wait_light(self, name: str, lit: bool = True, within_s: float = 5.0) -> float:
        """Wait until a light is lit, or dark; return how long it took."""
        return until(lambda: self.light(name) is lit, within_s, f"{self.name}: {name} {'lit' if lit else 'dark'}")

    def wait_steady(self, name: str, lit: bool = True, for_s: float = 1.3, within_s: float = 10.0) -> float:
        """Wait until a light has not changed for a while: longer than any rhythm's longest part."""
        began = since = now()
        while now() - since < for_s:
            if self.light(name) is not lit:
                since = now()
            if now() - began > within_s:
                raise Late(f"{self.name}: {name} not steadily {'lit' if lit else 'dark'}")
            time.sleep(0.01)
        return now() - began - for_s

    def rhythm(self, name: str, over_s: float = 2.2) -> list[tuple[bool, float]]:
        """Watch a light; return (lit, for how many seconds) of each whole part between two changes."""
        parts: list[tuple[bool, float]] = []
        shown, since, ends, whole = self.light(name), now(), now() + over_s, False
        while now() < ends:
            if (lit := self.light(name)) is not shown:
                if whole:
                    parts.append((shown, now() - since))
                shown, since, whole = lit, now(), True
            time.sleep(POLL_S)
        return parts


Rhythm = Sequence[tuple[bool, float]]


def looks_like(seen: Rhythm, pattern: Rhythm, within_s: float = 0.05) -> bool:
    """Whether what was seen is a pattern that repeats, seen from any of its parts on."""
    turns = (list(pattern[turn:]) + list(pattern[:turn]) for turn in range(len(pattern)))
    return len(seen) >= len(pattern) - 1 and any(
        all(
            lit == turn[at % len(turn)][0] and abs(s - turn[at % len(turn)][1]) <= within_s
            for at, (lit, s) in enumerate(seen)
        )
        for turn in turns
    )


RINGS = ((True, 0.12), (False, 0.12), (True, 0.12), (False, 0.64))
"""How the call light looks while it rings."""
CALLING = ((True, 1.0), (False, 1.0))
"""How it looks where the call comes from."""


def home(name: str) -> Path:
    """The folder of a box, or of the server."""
    return Path("/var/lib") / USERS[name]


def ask(name: str, what: str, **words: Any) -> dict[str, Any]:
    """Ask a running box through its control socket, as its commands do; return the last line of the answer."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(20)
        asking.connect(str(home(name) / "control.sock"))
        asking.sendall(json.dumps({"ask": what, **words}).encode() + b"\n")
        answer: dict[str, Any] = {}
        with asking.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                answer = json.loads(line)
                if answer.get("done"):
                    break
        return answer


def status(name: str) -> dict[str, Any]:
    """Return a box's status; empty while it cannot be asked."""
    try:
        return ask(name, "status")
    except OSError:
        return {}


def connected(name: str) -> bool:
    return status(name).get("link") == "connected"


def wait_connected(within_s: float = 60.0) -> float:
    """Wait until both boxes are connected to the server; return how long it took."""
    return until(lambda: connected("kitchen") and connected("workshop"), within_s, "both connected", 0.2)


def callbox(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a box's or the server's own user, on its network. It takes the guest a second or two."""
    command = ["ip", "netns", "exec", name, "runuser", "-u", USERS[name], "--", "callbox", *arguments]
    return subprocess.run([*command, "--home", str(home(name))], capture_output=True, text=True, check=False)


def service(name: str, *properties: str) -> dict[str, str]:
    """Return properties of a place's service, as systemd shows them."""
    shown = subprocess.run(
        ["systemctl", "show", f"{USERS[name]}.service", f"--property={','.join(properties)}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return dict(line.partition("=")[::2] for line in shown.splitlines())


def wait_state(name: str, state: str, within_s: float = 10.0) -> float:
    """Wait until a box says that it is `idle`, `ringing`, `talking`; return how long it took."""
    return until(lambda: status(name).get("state") == state, within_s, f"{name} {state}", 0.02)


def call(caller: Panel, callee: Panel) -> None:
    """Make a call by buttons alone, until both talk."""
    caller.press("dial1")
    wait_state(callee.name, "ringing")
    time.sleep(0.6)  # talk pressed in the first half second of a ring is taken for an accident
    callee.press("talk")
    wait_state(caller.name, "talking")
    wait_state(callee.name, "talking")


def tell(**facts: Any) -> None:
    """Print the story's outcome: one JSON line, the last."""
    print(json.dumps(facts), flush=True)


kitchen = Panel("kitchen")
workshop = Panel("workshop")
