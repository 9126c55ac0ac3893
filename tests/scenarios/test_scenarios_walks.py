"""Random walks: presses, cuts, kills, restarts and pulled plugs in any order, seeded.

At every instant of a walk the live light is lit if and only if sound of the microphone is encoded. After it, when
everything works again, the world settles: nothing rings, all are idle, every call has its line and its reason, every
text came once, and the stores hold what the boxes know.
"""

import random
from collections.abc import Callable

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import LAST_TONES_S, both_hear, talk

FACT_S = 0.025  # the light follows the samples by less than this: a packet, and one cycle of the engine
SEEDS = (0, *range(2, 8), 14, 119)
STEPS = 30
FAULT_SEEDS = (*range(10), 37, 45, 47, 59, 98, 122)


class Walk:
    """One world and everything that may happen in it."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.chance = random.Random(seed)
        self.boxes = self.world.friends("kitchen", "workshop")
        self.written: list[tuple[str, str]] = []
        self.done: list[str] = []
        self.wrong_since: dict[str, float] = {}
        self.world.at_every_step(self.check_live)

    def check_live(self) -> None:
        for box in self.boxes:
            sounds = self.world.now - box.tap.sound_encoded_at < FACT_S
            if not box.on or box.light("live") == sounds:
                self.wrong_since.pop(box.name, None)
                continue
            since = self.wrong_since.setdefault(box.name, self.world.now)
            assert self.world.now - since < FACT_S, f"{box.name}: live light {box.light('live')}\n{self.story()}"

    def story(self) -> str:
        return f"{self.done}\n{self.world.story(80)}"

    def step(self) -> None:
        """Do one thing and let a random time pass, often very short, sometimes long."""
        box = self.chance.choice(self.boxes)
        act = self.chance.choice(ACTS)
        self.done.append(f"{self.world.now - 1000:.3f} {act.__name__} {box.name}")
        act(self, box)
        self.world.run(self.chance.choice((0.0, 0.005, 0.02, 0.3, 0.8, 2.0, 5.0)))

    def mend(self) -> None:
        """Let everything work again, and wait until every box is back."""
        self.mend_now()
        self.world.run(35.0)  # the longest pause before a box tries its server again

    def mend_now(self) -> None:
        if self.world.server.core is None:
            self.world.server.start()
        for box in self.boxes:
            self.world.network.restore(box.name)
            box.card.plug()
            box.store.fail_with = None
            if not box.on:
                box.start()


def press(walk: Walk, box: SimulatedBox) -> None:
    if box.on:
        button = walk.chance.choice(("talk", "talk", "talk", "dial1", "dial1", "mute", "calls"))
        box.press(button, walk.chance.choice((0.05, 0.1, 1.2) if button != "dial1" else (0.05, 0.1)))


def call_and_answer(walk: Walk, box: SimulatedBox) -> None:
    """So that walks are in calls often enough."""
    other = next(other for other in walk.boxes if other is not box)
    if box.on and other.on:
        box.ask_later("call", contact=other.name)
        walk.world.run(walk.chance.choice((0.1, 0.7, 0.9)))
        if other.on and other.state == "ringing":
            other.press("talk")


def write(walk: Walk, box: SimulatedBox) -> None:
    other = next(other for other in walk.boxes if other is not box)
    if box.on and box.ask("message", contact=other.name, text=f"text {len(walk.written)}")["ok"]:
        walk.written.append((other.name, f"text {len(walk.written)}"))


def cut(walk: Walk, box: SimulatedBox) -> None:
    walk.world.network.cut(box.name, noticed_s=walk.chance.choice((0.0, 0.5)))


def go_dark(walk: Walk, box: SimulatedBox) -> None:
    walk.world.network.blackhole(box.name)


def restore(walk: Walk, box: SimulatedBox) -> None:
    walk.world.network.restore(box.name)


def kill(walk: Walk, box: SimulatedBox) -> None:
    if box.on:
        walk.world.run(0.05)  # what was asked of it is on its disk
        box.kill()


def kill_now(walk: Walk, box: SimulatedBox) -> None:
    box.kill()


def switch_on(walk: Walk, box: SimulatedBox) -> None:
    for one in walk.boxes:
        if not one.on:
            one.start()


def restart_server(walk: Walk, box: SimulatedBox) -> None:
    if walk.world.server.core is not None:
        walk.world.server.kill()
        walk.world.run(walk.chance.choice((0.0, 0.2, 1.0)))
        walk.world.server.start()


def pull_or_plug(walk: Walk, box: SimulatedBox) -> None:
    (box.card.unplug if box.card.plugged else box.card.plug)()


ACTS: tuple[Callable[[Walk, SimulatedBox], None], ...] = (
    press, press, press, press, call_and_answer, call_and_answer, call_and_answer, write, cut, go_dark, restore,
    restore, restore, kill, switch_on, switch_on, restart_server, pull_or_plug,
)  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_walk_settles(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(STEPS):
        walk.step()
    walk.mend()
    world, boxes = walk.world, walk.boxes
    states = {"idle" if box.state == "ending" else box.state for box in boxes}
    assert states in ({"idle"}, {"talking"}, {"dialing", "ringing"}), walk.story()
    for box in boxes:
        if box.state not in ("idle", "ending"):
            box.ask("hangup")
    world.run(LAST_TONES_S)
    check_settled(walk)
    check_stores(walk)
    for box in boxes:
        if not box.box.people.controls.calls_enabled or box.box.people.controls.do_not_disturb:
            box.ask("calls", on=True)
            box.ask("quiet", on=False)
            box.ask("synced")
        box.ask("mute", on=False)
    world.run(240.0)  # the server's patience with so many rings
    talk(world, boxes[0], boxes[1])
    both_hear(world, boxes[0], boxes[1])


def check_settled(walk: Walk) -> None:
    """Nothing rings, sounds or is lit, and nothing of a call is left."""
    for box in walk.boxes:
        assert box.state == "idle", walk.story()
        assert not box.light("live"), walk.story()
        assert not box.light("call"), walk.story()
        assert not box.hears_sound(), walk.story()
        assert box.box.calling.media.current is None, walk.story()


def check_stores(walk: Walk, both_know: bool = True) -> None:
    """After a restart each box knows the same; every text is there once, in order; every call has a reason."""
    kitchen, workshop = walk.boxes
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        before = box.thread(other.name)
        got = [item["text"] for item in before if item["kind"] == "text" and not item["outgoing"]]
        sent = [text for to, text in walk.written if to == box.name]
        assert [text for text in got if text.startswith("text")] == sent, walk.story()
        assert all(item["state"] in ("delivered", "heard") for item in before if item["kind"] == "text"), walk.story()
        assert all(item["reason"] for item in before if item["kind"] == "call")
        assert box.box.status()["fault"] is None
        assert "current_call" not in box.store.load("state"), walk.story()
        box.kill()
        box.start()
        walk.world.run(1.0)
        assert box.thread(other.name) == before, walk.story()
    if not both_know:
        return
    shared = {item["id"]: item for item in kitchen.thread("workshop") if item["kind"] == "call" and item["answered"]}
    theirs = {item["id"] for item in workshop.thread("kitchen") if item["kind"] == "call" and item["answered"]}
    assert set(shared) == theirs, walk.story()


FAULTS: tuple[Callable[[Walk, SimulatedBox], None], ...] = (cut, go_dark, kill_now, restart_server)


@pytest.mark.parametrize("seed", FAULT_SEEDS)
def test_one_fault_in_the_middle_of_setting_up_a_call(seed: int) -> None:
    walk = Walk(seed)
    world, chance = walk.world, walk.chance
    kitchen, workshop = walk.boxes
    if chance.random() < 0.5:  # they have met before: no prekeys need to be claimed
        talk(world, kitchen, workshop)
        kitchen.press("talk")
        world.run(2.0)
    while_answering = chance.random() < 0.5
    kitchen.hold("dial1")
    world.run(0.1)
    kitchen.release("dial1")
    if while_answering:
        world.run(0.8)
        workshop.hold("talk")
    world.run(0.015)  # the press has stood still for long enough
    world.run(chance.random() * 0.06)
    fault, hit = chance.choice(FAULTS), chance.choice(walk.boxes)
    walk.done.append(f"{world.now - 1000:.3f} {fault.__name__} {hit.name}, answering: {while_answering}")
    fault(walk, hit)
    world.run(chance.choice((0.02, 0.5, 2.0)))
    workshop.release("talk")
    walk.mend_now()
    world.run(6.0)
    if workshop.state == "ringing" and kitchen.state == "dialing":
        workshop.press("talk")
        world.run(4.0)
    if fault is kill_now:  # killed before it had written down that there is a call: the other side waits for a while
        world.until(lambda: kitchen.state == workshop.state, 32.0, "both are in the call, or none")
        world.run(0.5)
    assert (kitchen.state, workshop.state) in (("talking", "talking"), ("idle", "idle")), walk.story()
    if kitchen.state == "talking":
        both_hear(world, kitchen, workshop)
        kitchen.press("talk")
    world.run(LAST_TONES_S)
    check_settled(walk)
    check_stores(walk, both_know=fault is not kill_now)
    world.run(130.0)
    talk(world, kitchen, workshop)
