"""The power is cut while two boxes live, at seeded moments: what somebody was told is done is there when it is back.

    snapshot --> diary.py: texts, settings, calls --> QEMU killed --> the same disk, booted from cold --> after_cut.py

The disk keeps what the guest flushed and loses what it had only written: QEMU maps fresh blocks in memory until it is
told to flush. So a store that skips a sync is found out.
"""

import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from machine.figures import Figures
from machine.guest import READY, Guest, GuestLost

pytestmark = pytest.mark.machine
BOXES = ("kitchen", "workshop")
CUTS = int(os.environ.get("CALLBOX_CUTS", "3"))
SEED = int(os.environ.get("CALLBOX_CUTS_SEED", "1"))
LONGEST_S = 12.0
HARDLY_S = 0.6
BATCH = 8
WITHOUT = " ".join(
    f"systemd.mask={unit}"
    for unit in ("e2scrub_reap.service", "modprobe@drm.service", "systemd-logind.service", "getty.target")
)
"""What takes a third of a boot and has nothing to do with us."""


@dataclass
class Diary:
    """What the boxes said before the power went."""

    kept: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in BOXES})
    tried: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in BOXES})
    seen: list[str] = field(default_factory=list)
    quiet: dict[str, set[str]] = field(default_factory=lambda: {name: {""} for name in BOXES})
    """What a box's quiet hours may be: the last kept, and those tried since."""
    calls: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in BOXES})
    notes: int = 0

    def read(self, line: str) -> None:
        fact: dict[str, Any] = json.loads(line)
        self.notes += 1
        match fact:
            case {"note": "tries", "text": text, "sender": sender}:
                self.tried[sender].append(text)
            case {"note": "kept" | "taken", "text": text, "sender": sender}:
                self.kept[sender] += [text] if text not in self.kept[sender] else []
            case {"note": "seen", "text": text}:
                self.seen.append(text)
            case {"note": "tries", "quiet": span, "box": box}:
                self.quiet[box].add(span)
            case {"note": "kept", "quiet": span, "box": box}:
                self.quiet[box] = {span}
            case {"note": "ended", "call": caller, "id": call}:
                self.calls[caller].append(call)


def live_until_cut(guest: Guest, seed: int) -> Diary:
    """Let the boxes live for a seeded while and cut the power in the midst of it."""
    diary, chance = Diary(), random.Random(seed)
    living = guest.start_story("diary.py", seed, timeout_s=LONGEST_S * 10)
    lives_s = HARDLY_S + chance.uniform(0.0, LONGEST_S)
    ends = None
    for line in living.lines():
        diary.read(line)
        now = time.monotonic()
        ends = ends or now + lives_s
        if now >= ends:
            break
    assert diary.notes, living.last
    assert "rc" not in living.last, f"the diary broke off: {line}"
    guest.kill()
    while True:  # what had arrived here before the cut was said before it
        try:
            for line in living.lines():
                diary.read(line)
        except GuestLost:
            return diary


def judge(seed: int, diary: Diary, facts: dict[str, Any]) -> None:
    """Compare what was said with what is there."""
    for sender, receiver in (BOXES, BOXES[::-1]):
        arrived = facts["arrived"][receiver]
        lost = [text for text in diary.kept[sender] if text not in arrived]
        assert not lost, f"seed {seed}: {sender} had them, {receiver} has not: {lost}"
        doubled = {text for text in arrived if arrived.count(text) > 1}
        assert not doubled, f"seed {seed}: doubled at {receiver}: {doubled}"
        assert set(arrived) <= set(diary.tried[sender]), f"seed {seed}: from nobody: {arrived}"
        missing = [call for call in diary.calls[sender] if call not in facts["calls"][sender]]
        assert not missing, f"seed {seed}: calls without their line: {missing}"
        assert facts["quiet"][sender] in diary.quiet[sender], f"seed {seed}: {sender} forgot a setting"
    assert facts["integrity"] == {"kitchen": "ok", "workshop": "ok", "server": "ok"}, f"seed {seed}"
    assert facts["rests"] == dict.fromkeys(BOXES, "idle"), f"seed {seed}: a phantom"
    assert facts["faults"] == dict.fromkeys(BOXES), f"seed {seed}"
    assert set(facts["restarts"].values()) == {"0"}, f"seed {seed}: {facts['restarts']} {facts['errors']}"
    for what in ("file_system", "failed", "errors", "left_over"):
        assert not facts[what], f"seed {seed}: {what}: {facts[what]}"


def cut(guest: Guest, seed: int) -> tuple[Diary, dict[str, Any]]:
    """One power cut, from the snapshot to what is there after it."""
    if guest.is_on:
        guest.restore(READY)
    else:
        guest.boot(READY)
    diary = live_until_cut(guest, seed)
    guest.boot(settled=False, append=WITHOUT)
    guest.put("/run/story/wanted.json", json.dumps(diary.kept).encode())
    facts = guest.story("after_cut.py", "/run/story/wanted.json", timeout_s=180)
    judge(seed, diary, facts)
    return diary, facts


def survive(switched_off: Guest, seeds: range) -> None:
    for seed in seeds:
        began = time.monotonic()
        diary, facts = cut(switched_off, seed)
        kept = sum(map(len, diary.kept.values()))
        print(
            f"cut, seed {seed}: {kept} texts kept, {len(diary.seen)} seen, {sum(map(len, diary.calls.values()))} calls;"
            f" connected {facts['connected_at']:.0f} s after power, {len(facts['repaired'])} repairs by the kernel;"
            f" {time.monotonic() - began:.0f} s",
            flush=True,
        )


def test_what_was_not_flushed_is_lost_and_what_was_is_kept(switched_off: Guest) -> None:
    """The harness itself: a cut must hurt those who do not sync."""
    lost = kept = 0
    for _ in range(2):
        switched_off.kill()
        switched_off.boot(READY)
        switched_off.must(
            "cd /var/tmp; echo flushed >flushed; sync flushed .; sync; sleep 0.3;"
            " dd if=/dev/urandom of=unflushed bs=4k count=64 oflag=direct status=none"
        )
        switched_off.kill()
        switched_off.boot(settled=False)
        kept += switched_off.run("grep -q flushed /var/tmp/flushed").rc == 0
        lost += switched_off.run("test -s /var/tmp/unflushed").rc != 0
    assert (kept, lost) == (2, 2)


def test_a_power_cut_loses_nothing_that_was_promised(switched_off: Guest) -> None:
    survive(switched_off, range(SEED, SEED + min(CUTS, 3)))


@pytest.mark.cuts
@pytest.mark.parametrize("first", range(SEED, SEED + CUTS, BATCH), ids=lambda first: f"seeds_from_{first}")
def test_many_power_cuts_lose_nothing(switched_off: Guest, figures: Figures, first: int) -> None:
    seeds = range(first, min(first + BATCH, SEED + CUTS))
    survive(switched_off, seeds)
    figures.record("power cuts survived", seeds[-1] + 1 - SEED, "cuts")
