"""Random walks with voice messages: recorded, cut, killed, called in between, in any order, seeded.

What was released is on the other box once, in order, with the very same sound; nothing else is; and at every instant
the live light is lit if and only if sound of the microphone is encoded.
"""

from collections.abc import Callable

import pytest

from callbox.testing.box import SimulatedBox
from scenarios.test_scenarios_walks import (
    Walk,
    call_and_answer,
    cut,
    go_dark,
    kill,
    kill_now,
    press,
    pull_or_plug,
    restart_server,
    restore,
    switch_on,
)


def record(walk: Walk, box: SimulatedBox) -> None:
    if box.on:
        box.card.plug()
        box.ask("mute", on=False)
        if box.state != "idle" and walk.chance.random() < 0.8:
            box.ask("hangup")
            walk.world.run(3.0)
    if box.on:
        button = walk.chance.choice(("talk", "dial1"))
        box.press(button, walk.chance.choice((1.2, 2.5, 4.0, 4.0, 14.0)))


def mute_meanwhile(walk: Walk, box: SimulatedBox) -> None:
    if box.on:
        box.hold("dial1")
        walk.world.run(walk.chance.choice((1.2, 2.0)))
        if box.on:
            box.press("mute")
        box.release("dial1")


ACTS: tuple[Callable[[Walk, SimulatedBox], None], ...] = (
    record, record, record, record, record, mute_meanwhile, press, press, call_and_answer, cut, go_dark, restore,
    restore, kill, kill_now, switch_on, switch_on, restart_server, pull_or_plug,
)  # fmt: skip
FEW = (28,)  # seven messages
MANY = [pytest.param(seed, marks=pytest.mark.soak) for seed in range(42) if seed not in FEW]


@pytest.mark.parametrize("seed", [*FEW, *MANY])
def test_every_voice_message_arrives_once_and_in_order(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(25):
        box, act = walk.chance.choice(walk.boxes), walk.chance.choice(ACTS)
        walk.done.append(f"{walk.world.now - 1000:.3f} {act.__name__} {box.name}")
        act(walk, box)
        walk.world.run(walk.chance.choice((0.0, 0.02, 0.3, 2.0, 5.0)))
    walk.mend()
    for box in walk.boxes:
        if box.state not in ("idle", "ending"):
            box.ask("hangup")
    walk.world.run(60.0)
    kitchen, workshop = walk.boxes
    for sender, receiver in ((kitchen, workshop), (workshop, kitchen)):
        said = [item for item in sender.thread(receiver.name) if item["kind"] == "voice" and item["outgoing"]]
        came = [item for item in receiver.thread(sender.name) if item["kind"] == "voice" and not item["outgoing"]]
        assert [item["id"] for item in came] == [item["id"] for item in said], walk.story()
        assert {item["state"] for item in [*said, *came]} <= {"delivered", "heard"}, walk.story()
        for item in came:
            number = bytes.fromhex(str(item["id"]))
            assert sender.store.sound(number) == receiver.store.sound(number) != b""

    assert walk.world.server.store.open().blobs == (), walk.story()
    assert all(set(box.store._sounds) == set(kitchen.store._sounds) for box in walk.boxes), "nothing half is left"
    assert all(box.store.load("blobs_done") == {} for box in walk.boxes), walk.story()
