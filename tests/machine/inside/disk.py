"""The disk is full, or can only be read: calls go on, no text is promised that is not stored, and all heals.

disk.py full|readonly
"""

import os
import subprocess
import sys
import time
from typing import Any

from machine.inside.deaths import AFTER_CALL_BEGAN_S, BOXES, flows
from machine.inside.hands import ask, call, connected, kitchen, now, service, status, tell, until, workshop

FILL = "/var/tmp/fill"


def spoil(kind: str) -> None:
    if kind == "readonly":
        with open("/proc/sysrq-trigger", "w") as trigger:
            trigger.write("u")
        return
    free = os.statvfs("/")
    subprocess.run(["fallocate", "-l", str(free.f_bavail * free.f_frsize), FILL], check=True)
    subprocess.run(["dd", "if=/dev/zero", "of=/var/tmp/rest", "bs=4k"], stderr=subprocess.DEVNULL, check=False)


def mend(kind: str) -> None:
    if kind == "readonly":
        subprocess.run(["mount", "-o", "remount,rw", "/"], check=True)
        return
    for file in (FILL, "/var/tmp/rest"):
        os.unlink(file)


def texts_until_refused() -> tuple[list[str], str]:
    """Send texts until the box says that it cannot keep one; return those that it promised, and its sentence."""
    promised: list[str] = []
    for number in range(400):
        text = f"{number} " + "x" * 1500
        reply = ask("kitchen", "message", contact="workshop", text=text)
        if not reply["ok"]:
            return promised, str(reply["error"])
        promised.append(text)
    return promised, ""


def arrived() -> list[str]:
    items = ask("workshop", "messages", contact="kitchen", last=1000, read=False)["items"]
    return [item["text"] for item in items if item["kind"] == "text" and not item["outgoing"]]


def main(kind: str) -> None:
    facts: dict[str, Any] = {}
    spoil(kind)
    promised, facts["refusal"] = texts_until_refused()
    until(lambda: status("kitchen")["fault"], 20, "the box tells of it")
    facts["fault"] = status("kitchen")["fault"]
    facts["rhythm"] = [round(length, 1) for _, length in kitchen.rhythm("status")]
    call(kitchen, workshop)
    until(lambda: all(map(flows, BOXES)), 10, "voice flows")
    time.sleep(AFTER_CALL_BEGAN_S)
    kitchen.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 5, "hung up")
    mend(kind)
    mended = now()
    until(lambda: not any(status(name)["fault"] for name in BOXES), 90, "the fault is over", 0.2)
    facts["healed_s"] = now() - mended
    until(lambda: all(map(connected, BOXES)), 30, "connected", 0.2)
    until(lambda: set(promised) <= set(arrived()), 60, "what was promised arrives", 0.5)
    facts["promised"] = len(promised)
    facts["doubled"] = len(arrived()) - len(set(arrived()))
    assert ask("kitchen", "message", contact="workshop", text="after")["ok"]
    until(lambda: "after" in arrived(), 20, "a new text arrives", 0.2)
    kitchen.wait_steady("status", True)
    facts["restarts"] = {name: service(name, "NRestarts")["NRestarts"] for name in (*BOXES, "server")}
    tell(**facts)


if __name__ == "__main__":
    main(sys.argv[1])
