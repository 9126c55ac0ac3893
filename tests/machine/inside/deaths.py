"""A service is killed, idle or in a call, and everything is as before without a press.

deaths.py VICTIM idle|call        VICTIM: server, kitchen or workshop
"""

import os
import signal
import sys
import time
from contextlib import suppress
from typing import Any

from machine.inside.hands import call, connected, kitchen, now, service, status, tell, until, workshop

BOXES = ("kitchen", "workshop")
BACK_S = 60.0
WATCHED_AFTER_S = 3.0
AFTER_CALL_BEGAN_S = 0.8  # a press right after the one that answered is taken for an accident


class Watch:
    """Notes each state of both boxes, in the order in which they came."""

    def __init__(self) -> None:
        self.began = now()
        self.states: dict[str, list[str]] = {name: [] for name in BOXES}

    def look(self) -> dict[str, Any]:
        seen = {name: status(name) for name in BOXES}
        for name, facts in seen.items():
            state = str(facts.get("state", "gone"))
            if self.states[name][-1:] != [state]:
                self.states[name].append(state)
        return seen

    def until(self, true: Any, what: str) -> float:
        """Look until it is so; return the seconds since the beginning."""
        until(lambda: true(self.look()), BACK_S, what, 0.05)
        return now() - self.began

    def go_on(self, seconds: float) -> None:
        with suppress(AssertionError):
            until(lambda: self.look() and False, seconds, "time", 0.05)


def pid_of(name: str) -> int:
    return int(service(name, "MainPID")["MainPID"])


def received(facts: dict[str, Any]) -> int:
    return int((facts.get("media") or {}).get("received", 0))


def flows(name: str) -> bool:
    """Whether a box goes on receiving voice; on a bad link a packet holds 40 ms of it."""
    before = received(status(name))
    time.sleep(0.4)
    return received(status(name)) - before >= 5


def talk(seen: dict[str, Any]) -> bool:
    return all(facts.get("state") == "talking" for facts in seen.values())


def main(victim: str, when: str) -> None:
    if when == "call":
        call(kitchen, workshop)
        kitchen.press("mute")
        until(lambda: all(map(flows, BOXES)), 10, "voice flows")
    until(lambda: bool(status("kitchen").get("muted")) is (when == "call"), 3, "muted")
    time.sleep(0.5)
    before = pid_of(victim)
    os.kill(before, signal.SIGKILL)
    watch = Watch()
    facts: dict[str, Any] = {}
    facts["service_back_s"] = watch.until(
        lambda seen: pid_of(victim) not in (0, before) and service(victim, "ActiveState")["ActiveState"] == "active",
        f"{victim} is started again",
    )
    facts["connected_s"] = watch.until(
        lambda seen: all(box.get("link") == "connected" for box in seen.values()), "both are connected"
    )
    if when == "call":
        facts["talking_s"] = watch.until(talk, "both talk again")
        until(lambda: all(map(flows, BOXES)), 10, "voice flows again")
        facts["voice_s"] = now() - watch.began
    watch.go_on(WATCHED_AFTER_S)
    facts["states"] = watch.states
    facts["muted"] = {name: status(name)["muted"] for name in BOXES}
    facts["lights"] = {"kitchen": kitchen.lights(), "workshop": workshop.lights()}
    facts["restarts"] = service(victim, "NRestarts")["NRestarts"]
    if when == "idle":
        call(kitchen, workshop)
    time.sleep(AFTER_CALL_BEGAN_S)
    workshop.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 5, "hung up")
    facts["lights_at_rest"] = {"kitchen": kitchen.lights(), "workshop": workshop.lights()}
    assert all(map(connected, BOXES))
    tell(**facts)


if __name__ == "__main__":
    main(*sys.argv[1:])
