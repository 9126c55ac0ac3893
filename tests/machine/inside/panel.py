"""Both panels used by hand: buttons alone, every step read back from the lights.

panel.py STORY        a function of this file
"""

import os
import statistics
import sys
import time

from machine.inside.hands import (
    CALLING,
    RINGS,
    Panel,
    ask,
    call,
    kitchen,
    looks_like,
    now,
    service,
    status,
    tell,
    wait_state,
    workshop,
)

PRESSES = 24
STORM_S = 5.0
STUCK_S = 20.0


def both() -> dict[str, str]:
    return {"kitchen": kitchen.lights(), "workshop": workshop.lights()}


def whole_call() -> None:
    """Dialled, ringing, answered, muted, unmuted, hung up."""
    seen: dict[str, object] = {"before": both()}
    kitchen.press("dial1")
    pressed = now()
    workshop.wait_light("call", within_s=5)
    seen["press_to_ring_s"] = now() - pressed
    seen["rings"] = looks_like(workshop.rhythm("call", 2.6), RINGS)
    seen["calling"] = looks_like(kitchen.rhythm("call", 4.2), CALLING)
    seen["live_while_ringing"] = kitchen.light("live") or workshop.light("live")
    workshop.down("talk")
    pressed = now()
    workshop.wait_light("live", within_s=5)
    kitchen.wait_light("live", within_s=5)
    seen["answer_to_live_s"] = now() - pressed
    time.sleep(0.1)
    workshop.up("talk")
    workshop.wait_steady("call")
    kitchen.wait_steady("call")
    seen["talking"] = both()
    workshop.press("mute")
    workshop.wait_light("live", False, 1)
    seen["muted"] = both()
    workshop.press("mute")
    workshop.wait_light("live", True, 1)
    seen["unmuted"] = both()
    kitchen.press("talk")
    kitchen.wait_light("live", False, 1)
    workshop.wait_light("live", False, 2)
    wait_state("workshop", "idle")
    wait_state("kitchen", "idle")
    seen["after"] = both()
    seen["kept"] = last_call("workshop")
    tell(**seen)


def last_call(name: str) -> dict[str, object]:
    """Return how the conversation keeps the last call."""
    calls = [item for item in messages(name) if item["kind"] == "call"]
    return {key: calls[-1][key] for key in ("reason", "answered", "outgoing")}


def messages(name: str) -> list[dict[str, object]]:
    other = "kitchen" if name == "workshop" else "workshop"
    return list(ask(name, "messages", contact=other, last=20, read=False)["items"])


def decline() -> None:
    """The calls button declines a ring, and leaves calls on; held, it also sends the ready-made text."""
    seen: dict[str, object] = {}
    for held_s in (0.08, 1.3):
        kitchen.press("dial1")
        wait_state("workshop", "ringing")
        time.sleep(0.3)
        workshop.press("calls", held_s)
        wait_state("kitchen", "idle")
        wait_state("workshop", "idle")
        kitchen.wait_steady("call", False)
        seen[f"held {held_s}"] = {"lights": workshop.lights(), "kept": last_call("workshop")}
    kitchen.wait_light("message", within_s=10)
    seen["texts"] = [item["text"] for item in messages("kitchen") if item["kind"] == "text"]
    tell(**seen)


def calls_off() -> None:
    """Calls disabled by a button: nothing rings, not even for a moment; enabled again, it rings."""
    workshop.press("calls")
    workshop.wait_steady("calls")
    kitchen.press("dial1")
    began, rang = now(), 0
    while now() - began < 6:
        rang += workshop.light("call")
        time.sleep(0.002)
    seen = {
        "rang": rang,
        "caller": status("kitchen")["state"],
        "lights": workshop.lights(),
        "kept": last_call("kitchen"),
    }
    workshop.press("calls")
    workshop.wait_steady("calls", False)
    kitchen.press("dial1")
    wait_state("workshop", "ringing")
    tell(**seen, rings_again=True)


def latency() -> None:
    """From a contact that closes to the mute light; and from one that opens, which unmutes."""
    muting: list[float] = []
    unmuting: list[float] = []
    for _ in range(PRESSES):
        for lit, taken in ((True, muting), (False, unmuting)):
            workshop.down("mute")
            pressed = now()
            if lit:
                workshop.wait_light("mute", True, 2)
                taken.append(now() - pressed)
            time.sleep(0.06)
            workshop.up("mute")
            released = now()
            if not lit:
                workshop.wait_light("mute", False, 2)
                taken.append(now() - released)
            time.sleep(0.04)
    tell(muting_s=muting, unmuting_s=unmuting, median_s=statistics.median(muting))


def storm() -> None:
    """Every contact of a muted panel sparks, while it rings and in a call; a calm while before each is compared."""
    seen: dict[str, object] = {}
    workshop.press("mute")  # for the next call
    workshop.wait_light("mute")
    kitchen.press("dial1")
    wait_state("workshop", "ringing")
    time.sleep(1)
    seen["ringing"] = _spark(workshop)
    workshop.press("talk")
    wait_state("workshop", "talking")
    workshop.wait_steady("call")
    seen["talking"] = _spark(workshop)
    seen["restarts"] = service("workshop", "NRestarts")["NRestarts"]
    tell(**seen)


def _spark(panel: Panel) -> dict[str, object]:
    """Let contacts close and open for STORM_S; a contact that closes is open again long before it counts as pressed."""
    calm_cpu, calm = _cpu_s(panel.name), now()
    time.sleep(STORM_S)
    calm_percent = 100 * (_cpu_s(panel.name) - calm_cpu) / (now() - calm)
    files = [panel.contact(button).open("wb", buffering=0) for button in panel.buttons]
    cpu, began, changes, dark, live = _cpu_s(panel.name), now(), 0, 0, 0
    # Before everything else: whoever waits for the processor would hold the contact closed, and that is a press.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    while now() - began < STORM_S:
        for _ in range(10):
            for file in files:
                file.write(b"pull-down")
            for file in files:
                file.write(b"pull-up")
            changes += 2
        dark += not panel.light("mute")
        live += panel.light("live")
        time.sleep(0.004)
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    took_s = now() - began
    for file in files:
        file.close()
    time.sleep(0.1)
    return {
        "changes_per_s_and_pin": changes / took_s,
        "calm_percent": calm_percent,
        "cpu_percent": 100 * (_cpu_s(panel.name) - cpu) / took_s,
        "mute_dark": dark,
        "live_lit": live,
        "state": status(panel.name)["state"],
    }


def _cpu_s(name: str) -> float:
    """Processor time of a place's service so far, its kernel's part too."""
    return int(service(name, "CPUUsageNSec")["CPUUsageNSec"]) / 1e9


def stuck() -> None:
    """A talk button that never comes up: nothing is answered by it, all others work, and the box can be restarted."""
    workshop.down("talk")
    time.sleep(1)
    kitchen.press("dial1")
    wait_state("workshop", "ringing")
    time.sleep(3)
    seen: dict[str, object] = {"rings": status("workshop")["state"]}
    workshop.press("mute")
    seen["mute_works"] = workshop.wait_light("mute", True, 1) < 1
    workshop.press("calls")
    wait_state("kitchen", "idle")
    seen["declined"] = last_call("workshop")
    time.sleep(STUCK_S)
    seen["lights"] = workshop.lights()
    workshop.up("talk")
    time.sleep(0.5)
    call(kitchen, workshop)
    seen["works_again"] = status("workshop")["state"]
    tell(**seen)


if __name__ == "__main__":
    {story.__name__: story for story in (whole_call, decline, calls_off, latency, storm, stuck)}[sys.argv[1]]()
