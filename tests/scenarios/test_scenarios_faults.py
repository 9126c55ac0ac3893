"""A full or read-only card, a sound device that is pulled, a contact whose key changed."""

import pytest

from callbox.conversations.stores import StoreFault
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, both_hear, mark_of, rings, talk

FULL = StoreFault("full", "The card is full.", "Free some space.")


def fault_shown(box: SimulatedBox) -> bool:
    """Status blinks fast: at least four changes in a second."""
    return len(box.rhythm("status", 1.0)) >= 4


def test_calls_work_on_a_full_card(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.store.fail_with = FULL
    for caller, callee in ((kitchen, workshop), (workshop, kitchen)):
        talk(world, caller, callee)
        caller.press("talk")
        all_idle(world, kitchen, workshop)
    assert fault_shown(workshop)
    assert "full" in workshop.box.status()["fault"]
    workshop.store.fail_with = None
    world.run(35.0)
    assert not fault_shown(workshop)
    assert workshop.box.status()["fault"] is None
    workshop.kill()
    workshop.start()
    world.run(1.0)
    assert workshop.call_lines("kitchen") == [("hung_up", True)] * 2, "written as soon as there was room"


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_no_text_is_acknowledged_that_was_not_stored(world: World, kind: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("message", contact="workshop", text="first")
    world.run(1.0)
    workshop.store.fail_with = StoreFault("full" if kind == "full" else "read-only", "No.", "Help.")
    sent = str(kitchen.ask("message", contact="workshop", text="second")["id"])
    world.run(5.0)
    assert mark_of(kitchen, sent) == "sent"
    assert "message" not in workshop.tones[1:], "not announced either"
    workshop.kill()
    workshop.store.fail_with = None
    workshop.start()
    world.until(lambda: mark_of(kitchen, sent) == "delivered", 5.0, "delivered")
    assert [item["text"] for item in workshop.thread("kitchen")] == ["first", "second"]


def test_a_text_that_cannot_be_stored_does_not_leave(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("message", contact="workshop", text="first")
    world.run(1.0)
    kitchen.store.fail_with = FULL
    told = kitchen.ask("message", contact="workshop", text="second")
    assert not told["ok"], "nobody is told that it is kept"
    assert "full" in told["error"]
    world.run(3.0)
    assert [item["text"] for item in workshop.thread("kitchen")] == ["first"]
    kitchen.store.fail_with = None
    world.run(35.0)
    assert [item["text"] for item in workshop.thread("kitchen")] == ["first", "second"]


def test_the_sound_device_is_pulled_in_a_call_and_comes_back(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.card.unplug()
    world.run(3.0)
    assert kitchen.state == workshop.state == "talking", "the call is kept"
    assert not kitchen.light("live")
    assert not kitchen.voice_leaves
    assert fault_shown(kitchen)
    assert not workshop.hears(kitchen)
    kitchen.card.plug()
    both_hear(world, kitchen, workshop, 2.0)
    assert kitchen.light("live")
    assert not fault_shown(kitchen)


def test_the_sound_device_is_pulled_again_and_again(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    for number in range(6):
        kitchen.card.unplug()
        world.run(0.05 + 0.3 * number)
        kitchen.card.plug()
        world.run(0.2 * number)
    both_hear(world, kitchen, workshop, 2.0)
    assert kitchen.card.opened == 1


def test_a_box_without_a_sound_device_rings_with_its_light(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.card.unplug()
    rings(world, kitchen, workshop)
    assert len(workshop.rhythm("call", 2.0)) >= 6
    workshop.press("talk")
    world.until(lambda: kitchen.state == workshop.state == "talking", 0.5, "both talk")
    workshop.card.plug()
    both_hear(world, kitchen, workshop, 2.0)


def test_a_mute_pressed_while_the_device_is_away_holds(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.card.unplug()
    world.run(0.5)
    kitchen.press("mute")
    kitchen.card.plug()
    world.run(2.0)
    assert not kitchen.light("live")
    assert not workshop.hears(kitchen)
    assert kitchen.hears(workshop)


def test_a_contact_with_another_key_does_not_ring(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("allow", contact="kitchen", row="ring", fingerprint="A" * 32)  # another card than the box has
    workshop.ask("synced")
    kitchen.press("dial1")
    world.run(4.0)
    all_idle(world, kitchen, workshop)
    assert "ring" not in workshop.tones
    assert workshop.call_lines("kitchen") == [("key_changed", False)]
    assert workshop.ask("call", contact="kitchen")["ok"] is False
    listed = {contact["name"]: contact["key_changed"] for contact in workshop.ask("contacts")["contacts"]}
    assert listed["kitchen"]
