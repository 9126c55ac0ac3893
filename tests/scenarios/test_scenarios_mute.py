"""The microphone: mute works with everything else dead, holds for one call, and the live light never lies."""

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, both_hear, rings, talk


def muted_here(box: SimulatedBox) -> bool:
    return box.light("mute") and not box.light("live") and not box.voice_leaves


def test_mute_acts_on_the_press_and_unmute_on_the_release(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.hold("mute")
    world.run(0.03)
    assert kitchen.light("mute")
    assert not kitchen.light("live")
    world.run(0.12)
    kitchen.release("mute")
    world.run(0.5)
    assert muted_here(kitchen)
    assert not workshop.hears(kitchen)
    kitchen.hold("mute")
    world.run(0.5)
    assert muted_here(kitchen), "not before the release"
    kitchen.release("mute")
    both_hear(world, kitchen, workshop, 0.3)


def test_holding_mute_leaves_it_as_it_was(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("mute", hold_s=1.5)
    both_hear(world, kitchen, workshop)
    kitchen.press("mute")
    kitchen.press("mute", hold_s=1.5)
    world.run(0.3)
    assert muted_here(kitchen)


def test_mute_is_kept_through_a_reconnect_and_cleared_at_the_end(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("mute")
    world.network.cut("kitchen")
    world.run(3.0)
    assert muted_here(kitchen)
    world.network.restore("kitchen")
    world.until(lambda: kitchen.state == workshop.state == "talking", 2.0, "both talk again")
    world.run(1.0)
    assert muted_here(kitchen)
    assert not workshop.hears(kitchen)
    assert kitchen.hears(workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert not kitchen.light("mute"), "cleared with its call"
    talk(world, workshop, kitchen)


@pytest.mark.parametrize("pressed_while", ["idle", "ringing", "dialling"])
def test_mute_pressed_before_a_call_holds_for_it(world: World, pressed_while: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    muted = kitchen if pressed_while == "dialling" else workshop
    if pressed_while == "idle":
        muted.press("mute")
        world.run(5.0)
    rings(world, kitchen, workshop)
    if pressed_while != "idle":
        muted.press("mute")
    workshop.press("talk")
    world.until(lambda: kitchen.state == workshop.state == "talking", 0.3, "both talk")
    world.run(0.5)
    other = workshop if muted is kitchen else kitchen
    assert muted_here(muted)
    assert not other.hears(muted)
    assert muted.hears(other)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert not muted.light("mute")
    talk(world, kitchen, workshop)


def test_a_press_of_mute_does_not_silence_the_ring(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.press("mute")
    kitchen.press("volume_up")
    world.run(1.0)
    world.until(lambda: workshop.hears_tone(660) or workshop.hears_tone(880), 4.0, "it rings on")
    world.until(lambda: kitchen.hears_tone(425), 6.0, "ringback goes on")


def test_mute_pressed_while_idle_outlives_a_call_that_nobody_answered(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.press("mute")
    rings(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert workshop.light("mute"), "there was no call yet that it could hold for"


@pytest.mark.parametrize("dead", ["network", "server", "other side", "sound card"])
def test_mute_works_with_everything_else_dead(world: World, dead: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    match dead:
        case "network":
            world.network.blackhole("kitchen")
        case "server":
            world.server.kill()
        case "other side":
            workshop.kill()
        case _:
            kitchen.card.unplug()
    world.run(0.2)
    for after_s in (0.0, 2.5):
        world.run(after_s)
        assert kitchen.light("live") == kitchen.voice_leaves == (dead != "sound card")
        kitchen.press("mute")
        world.run(0.1)
        assert muted_here(kitchen)
        kitchen.press("mute")
        world.run(0.1)
        assert not kitchen.light("mute")
        assert kitchen.light("live") == kitchen.voice_leaves == (dead != "sound card")


def test_an_answering_box_sends_nothing_before_the_caller_chose_it(world: World) -> None:
    """The ack is held back: the far end's box dies between its offer and the answer."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    kitchen.kill()
    workshop.hold("talk")
    world.run(8.0)
    assert not workshop.light("live")
    assert workshop.tap.sound_encoded_at == float("-inf"), "not one sample was encoded"
    all_idle(world, workshop, within_s=8.0)


def test_the_microphone_opens_for_calls_alone(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")

    def shut() -> None:
        for box in (kitchen, workshop):
            assert not box.voice_leaves, world.story()

    world.at_every_step(shut)
    rings(world, kitchen, workshop)
    workshop.press("calls", hold_s=1.2)
    all_idle(world, kitchen, workshop)
    workshop.ask("silence", contact="kitchen", on=True)
    kitchen.press("dial1")
    world.run(3.0)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert kitchen.tap.sound_encoded_at == workshop.tap.sound_encoded_at == float("-inf")
