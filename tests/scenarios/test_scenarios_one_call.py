"""What the table of one call promises, and no other story shows: several at once, out of order, for what is left."""

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.signals import Deliver, RingEnded, ServerMessage
from scenarios.acts import RING_GUARD_S, all_idle, both_hear, rings, talk
from scenarios.lies import LyingServer


def cross(world: World, *boxes: SimulatedBox) -> None:
    """Press dial buttons at once."""
    for box in boxes:
        box.hold("dial1")
    world.run(0.1)
    for box in boxes:
        box.release("dial1")


@pytest.mark.parametrize("control", ["do not disturb", "calls off"])
def test_who_dials_is_reached_by_the_person_dialled_whatever_keeps_others_out(control: str) -> None:
    for seed in range(2):
        world = World(seed)
        kitchen, workshop = world.friends("kitchen", "workshop")
        if control == "calls off":
            kitchen.press("calls")  # the server refuses the workshop's offer, and kitchen's counts whatever its id
            kitchen.ask("synced")
        else:
            kitchen.press("calls", hold_s=1.2)
        cross(world, kitchen, workshop)
        world.until(lambda: workshop.state in ("ringing", "talking"), 2.0, "they meet")  # noqa: B023
        if workshop.state == "ringing":
            world.run(RING_GUARD_S)
            workshop.press("talk")
        both_hear(world, kitchen, workshop, 1.0)


def test_who_cross_calls_stop_the_ring_on_other_boxes_of_theirs(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall, attic = world.second(kitchen, "hall"), world.second(workshop, "attic")
    cross(world, kitchen, workshop)
    both_hear(world, kitchen, workshop, 1.0)
    world.until(lambda: hall.state == attic.state == "idle", 0.3, "nobody else rings on")
    kitchen.press("talk")
    all_idle(world, kitchen, workshop, hall, attic)
    world.run(1.0)
    assert not any(box.box.post.unread for box in (kitchen, workshop, hall, attic))


def test_a_box_that_comes_online_stops_when_the_callers_time_is_over(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)  # they know each other: sessions stand
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    workshop.kill()
    dialled_at = world.now
    kitchen.press("dial1")
    world.run(20.0)
    workshop.start()
    world.until(lambda: workshop.state == "ringing", 2.0, "workshop rings")
    world.until(lambda: workshop.state == "idle", 30.0, "it stops")
    assert world.now - dialled_at == pytest.approx(46.0, abs=1.5), "45 s, and a moment for their word to arrive"
    all_idle(world, kitchen, workshop)
    assert workshop.box.post.unread == 1


@pytest.mark.parametrize("first", ["answered", "declined"])
def test_an_answer_beats_a_decline_pressed_at_the_same_time(world: World, first: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    workshop.press("dial1")
    world.until(lambda: kitchen.state == hall.state == "ringing", 1.0, "both ring")
    world.run(RING_GUARD_S)
    hall.hold("calls")
    world.run(0.05)
    if first == "answered":
        kitchen.hold("talk")
        world.run(0.001)
        hall.release("calls")
    else:
        hall.release("calls")
        world.run(0.02)
        kitchen.hold("talk")
    both_hear(world, kitchen, workshop, 0.5)
    kitchen.release("talk")
    world.run(3.0)
    both_hear(world, kitchen, workshop)
    assert hall.state == "idle"


def test_a_hang_up_that_overtakes_its_call_leaves_no_ring(world: World) -> None:
    server = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    held: list[ServerMessage] = []

    def out_of_order(name: str, message: ServerMessage) -> list[ServerMessage]:
        if name == "workshop" and isinstance(message, Deliver) and message.envelope.cls == "call" and not held:
            held.append(message)
            return []
        return [message]

    server.lie = out_of_order
    kitchen.press("dial1")
    world.run(2.0)
    kitchen.press("talk")
    world.run(1.0)
    assert any(isinstance(message, RingEnded) for name, message in server.said if name == "workshop")
    workshop.tones.clear()
    server.tell(workshop, *held)
    world.run(50.0)
    assert workshop.state == "idle"
    assert "ring" not in workshop.tones
    all_idle(world, kitchen, workshop)
    rings(world, kitchen, workshop)
