"""Two boxes live: texts, settings and calls, quickly one after the other, until the power is cut.

    diary.py SEED

Prints one JSON line per fact, as soon as it is one. `kept`: a box has said that it is done, so it must outlast
everything. `taken`: the server has the text. `seen`: the other box has it. `tries`: what may or may not come to be.
"""

import json
import random
import sys
import time
from itertools import count
from typing import Any

from machine.inside.hands import ask, kitchen, status, until, workshop

BOXES = ("kitchen", "workshop")


def note(what: str, **facts: Any) -> None:
    print(json.dumps({"note": what, "at": round(time.monotonic(), 3), **facts}), flush=True)


def other(name: str) -> str:
    return BOXES[1 - BOXES.index(name)]


def text(chance: random.Random, seed: int, number: int) -> None:
    """Send a text; half of them are followed until the server has taken them, and until they are there."""
    sender = chance.choice(BOXES)
    words = f"cut {seed}, text {number}"
    note("tries", text=words, sender=sender)
    reply = ask(sender, "message", contact=other(sender), text=words)
    assert reply["ok"], reply
    note("kept", text=words, sender=sender)
    if chance.random() < 0.5:
        sent = ask(sender, "sent", id=reply["id"])
        assert sent["ok"], sent
        note("taken", text=words, sender=sender)
    if chance.random() < 0.3:
        until(lambda: words in arrived(other(sender)), 10, f"{words} arrives", 0.02)
        note("seen", text=words, sender=sender)


def arrived(name: str) -> list[str]:
    items = ask(name, "messages", contact=other(name), last=1000, read=False)["items"]
    return [item["text"] for item in items if item["kind"] == "text" and not item["outgoing"]]


def setting(chance: random.Random) -> None:
    """Change a setting; the hours lie far from now, so that calls still ring."""
    hour = (time.localtime().tm_hour + 12) % 24
    name, span = chance.choice(BOXES), f"{hour:02}:{chance.randrange(10, 30)}-{hour:02}:{chance.randrange(30, 60)}"
    note("tries", quiet=span, box=name)
    reply = ask(name, "quiet hours", span=span)
    assert reply["ok"], reply
    note("kept", quiet=status(name)["quiet_hours"], box=name)


def call(chance: random.Random) -> None:
    """Call by the buttons, talk for a moment, hang up."""
    caller, callee = chance.sample((kitchen, workshop), 2)
    note("tries", call=caller.name)
    caller.press("dial1")
    until(lambda: status(callee.name).get("state") == "ringing", 10, "it rings", 0.02)
    time.sleep(0.6)
    callee.press("talk")
    until(lambda: all(status(name).get("state") == "talking" for name in BOXES), 10, "both talk", 0.02)
    time.sleep(chance.uniform(0.8, 2.0))
    callee.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 10, "both hung up", 0.02)
    items = ask(caller.name, "messages", contact=callee.name, last=5, read=False)["items"]
    line = [item for item in items if item["kind"] == "call" and item["reason"]][-1]
    note("ended", call=caller.name, id=line["id"])


def main(seed: int) -> None:
    chance = random.Random(seed)
    for number in count():
        act = chance.choices(("text", "setting", "call"), (6, 2, 1))[0]
        if act == "text":
            text(chance, seed, number)
        elif act == "setting":
            setting(chance)
        else:
            call(chance)


if __name__ == "__main__":
    main(int(sys.argv[1]))
