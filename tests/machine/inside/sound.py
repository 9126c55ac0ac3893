"""A call with voices both ways through the cards; what each side heard is recorded, to be measured outside.

sound.py PLAN        PLAN, as JSON: seconds, and "do": [[at_s, "a line of bash"], ...] while they talk

    kitchen.raw -> aplay -> card kitchen,1 -> kitchen,0 -> the box -> ... -> workshop,0 -> workshop,1 -> arecord
                                              and the same the other way; 48 kHz, 16 bit, mono

The kernel notes when each stream began: by that the recordings are laid beside what was said, to a tick of 4 ms.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from machine.inside.hands import call, kitchen, now, service, status, tell, until, workshop

VOICE = Path("/run/voice")
FORMAT = ("-q", "-t", "raw", "-f", "S16_LE", "-r", "48000", "-c", "1", "--buffer-time=500000")
BOXES = ("kitchen", "workshop")
PLACES = (*BOXES, "server")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stream:
    """One end of a card's cable: what is played there is heard by the box, and the other way round."""

    def __init__(self, box: str, way: str, seconds: float) -> None:
        program, file = ("aplay", f"{box}.raw") if way == "p" else ("arecord", f"{box}.heard")
        self._status = Path(f"/proc/asound/{box}/pcm1{way}/sub0/status")
        command = [program, *FORMAT, f"--samples={round(seconds * 48_000)}", "-D", f"hw:{box},1", str(VOICE / file)]
        self.process = subprocess.Popen(command)

    def began(self) -> float:
        """When its first sample went through, by the clock that all streams share; 0 while it does not run."""
        told = dict(line.partition(":")[::2] for line in self._status.read_text().splitlines() if ":" in line)
        told = {name.strip(): value.strip() for name, value in told.items()}
        return float(told["trigger_time"]) if told.get("state") == "RUNNING" else 0.0


def used_s() -> dict[str, float]:
    """Processor time of each service so far; with one instruction a nanosecond, this counts instructions."""
    used = {}
    for place in PLACES:
        pid = service(place, "MainPID")["MainPID"]
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        used[place] = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return used


def media() -> dict[str, Any]:
    return {name: status(name).get("media") or {} for name in BOXES}


class Lateness:
    """Wakes every 10 ms before everything else inside. How late: that is QEMU's machine being busy, not the guest."""

    def __init__(self) -> None:
        self._late_ms: list[float] = []
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(50))
        while not self._ending:
            due = now() + 0.01
            time.sleep(0.01)
            self._late_ms.append(1000 * (now() - due))

    def end(self) -> dict[str, float]:
        self._ending = True
        self._thread.join()
        late = sorted(self._late_ms)
        return {"p99": late[len(late) * 99 // 100], "most": late[-1], "over_20": float(sum(ms > 20 for ms in late))}


def act(plan: list[tuple[float, str]], since: float, done: list[float]) -> None:
    for at_s, line in plan:
        time.sleep(max(0.0, since + at_s - now()))
        done.append(now() - since)
        subprocess.run(["bash", "-c", line], check=True)


def talk(seconds: float, plan: list[tuple[float, str]]) -> dict[str, Any]:
    """Let both voices speak and both ears listen for so long; return when each began, and what it cost."""
    ears = {name: Stream(name, "c", seconds + 1.0) for name in BOXES}
    mouths = {name: Stream(name, "p", seconds) for name in BOXES}
    streams = {"ear": ears, "mouth": mouths}
    until(lambda: all(s.began() for ends in streams.values() for s in ends.values()), 5, "all streams run", 0.02)
    began = {end: {name: s.began() for name, s in ends.items()} for end, ends in streams.items()}
    lateness = Lateness()
    since, before, done = now(), used_s(), list[float]()
    acting = threading.Thread(target=act, args=(plan, since, done))
    acting.start()
    states: set[str] = set()
    while now() - since < seconds - 2:
        states |= {str(status(name).get("state")) for name in BOXES}
        time.sleep(1.0)
    after, spent_s, at_end = used_s(), now() - since, media()
    acting.join()
    for ends in streams.values():
        for stream in ends.values():
            stream.process.wait(10)
    cost = {place: (after[place] - before[place]) / spent_s for place in PLACES}
    late_ms = lateness.end()
    return {
        "late_ms": late_ms,
        "began": began,
        "done": done,
        "cpu": cost,
        "media": at_end,
        "states": sorted(states),
        "spoke_s": spent_s,
    }


def main() -> None:
    plan = json.loads(sys.argv[1])
    call(kitchen, workshop)
    time.sleep(plan.get("settle_s", 2.0))
    facts = talk(plan["seconds"], [(float(at_s), str(line)) for at_s, line in plan.get("do", ())])
    kitchen.press("talk")
    until(lambda: all(status(name).get("state") == "idle" for name in BOXES), 10, "both idle", 0.05)
    tell(**facts)


if __name__ == "__main__":
    main()
