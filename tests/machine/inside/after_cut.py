"""What is there after the power came back: files, stores, texts, settings, and whether a call can be made.

after_cut.py TEXTS     TEXTS is JSON: for each sender the texts that must arrive
"""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from machine.inside.diary import BOXES, arrived, other
from machine.inside.hands import Late, ask, call, connected, home, kitchen, now, status, tell, until, workshop

STORES = {"kitchen": "box.sqlite", "workshop": "box.sqlite", "server": "server.sqlite"}
SERVICES = ("callbox", "callbox-workshop", "callbox-signaling")


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def integrity(name: str) -> str:
    with closing(sqlite3.connect(home(name) / STORES[name])) as store:
        return "; ".join(str(line[0]) for line in store.execute("PRAGMA integrity_check"))


def texts_arrive(wanted: dict[str, list[str]]) -> None:
    def all_here() -> bool:
        return all(set(texts) <= set(arrived(other(sender))) for sender, texts in wanted.items())

    try:
        until(all_here, 30, "all texts", 0.2)
    except Late:
        return  # what is missing is told by the caller, who knows what was said of it


def main(wanted: dict[str, list[str]]) -> None:
    facts: dict[str, Any] = {"connected_s": until(lambda: all(map(connected, BOXES)), 90, "connected", 0.1)}
    facts["connected_at"] = now()
    texts_arrive(wanted)
    facts["arrived"] = {name: arrived(name) for name in BOXES}
    facts["quiet"] = {name: status(name)["quiet_hours"] for name in BOXES}
    facts["faults"] = {name: status(name)["fault"] for name in BOXES}
    facts["calls"] = {
        name: [
            item["id"]
            for item in ask(name, "messages", contact=other(name), last=1000, read=False)["items"]
            if item["kind"] == "call"
        ]
        for name in BOXES
    }
    facts["rests"] = {name: status(name)["state"] for name in BOXES}
    facts["failed"] = said("systemctl", "list-units", "--failed", "--plain", "--no-legend")
    facts["restarts"] = {name: said("systemctl", "show", name, "-PNRestarts") for name in SERVICES}
    kernel = said("dmesg")
    facts["file_system"] = [line for line in kernel.splitlines() if "EXT4-fs error" in line or "I/O error" in line]
    facts["repaired"] = [line for line in kernel.splitlines() if "EXT4-fs" in line and "recovery" in line]
    facts["errors"] = said("journalctl", "-b", "-p", "err", "-o", "cat", *(f"-u{name}" for name in SERVICES))
    facts["left_over"] = [str(path) for name in STORES for path in Path(home(name)).glob("*.part*")]
    call(kitchen, workshop)
    time.sleep(0.8)
    kitchen.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 10, "both hung up", 0.02)
    subprocess.run(["systemctl", "stop", *SERVICES], check=True)  # a running box has its store for itself
    facts["integrity"] = {name: integrity(name) for name in STORES}
    tell(**facts)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
