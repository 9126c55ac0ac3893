"""Ringing, answering, refusing, hanging up, crossing: what a call does when nothing fails."""

import pytest

from callbox.app.saved import keep_call
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, both_hear, rings, talk


def test_press_to_ring_and_answer_to_voice_are_quick(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert rings(world, kitchen, workshop) < 0.3
    pressed_at = world.now
    workshop.hold("talk")
    both_hear(world, kitchen, workshop, 0.15)
    assert world.now - pressed_at < 0.15
    workshop.release("talk")
    world.run(1.0)
    assert workshop.state == "talking", "the release of the answering press does nothing"


@pytest.mark.parametrize("who_hangs_up", ["caller", "callee"])
def test_either_side_hangs_up(world: World, who_hangs_up: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    hanging, other = (kitchen, workshop) if who_hangs_up == "caller" else (workshop, kitchen)
    hanging.hold("talk")
    world.run(0.05)
    assert hanging.state == "idle", "on the press, not on the release"
    assert not hanging.light("live")
    hanging.release("talk")
    world.until(lambda: not other.light("live") and not other.light("call"), 0.2, "the other side hears of it")
    all_idle(world, kitchen, workshop)
    for box, peer in ((kitchen, "workshop"), (workshop, "kitchen")):
        assert box.call_lines(peer) == [("hung_up", True)]
        assert not box.box.post.unread, "an answered call is no news"


def test_nobody_answers_for_45_seconds(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    assert kitchen.tones[-1] == "ringback"
    world.until(lambda: kitchen.hears_tone(425), 5.0, "a ringback tone comes")
    began_at = workshop.call.since
    world.until(lambda: workshop.state == "idle", 50.0, "it stops ringing")
    assert world.now - began_at == pytest.approx(45.0, abs=0.1)
    all_idle(world, kitchen, workshop)
    assert kitchen.call_lines("workshop") == [("no_answer", False)]
    assert workshop.call_lines("kitchen") == [("no_answer", False)], "one line, though a missed-call notice came too"
    assert workshop.box.post.unread == 1
    assert any(lit for lit, _ in workshop.rhythm("message", 2.0))


def test_hanging_up_while_it_rings_stops_it_at_once(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    kitchen.hold("talk")
    world.until(lambda: workshop.state == "idle", 0.3, "workshop stops ringing")
    kitchen.release("talk")
    all_idle(world, kitchen, workshop)
    assert kitchen.call_lines("workshop") == [("cancelled", False)]
    assert workshop.call_lines("kitchen") == [("cancelled", False)]
    assert workshop.box.post.unread == 1, "a missed call"


def test_declining_is_one_short_press(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.press("calls")
    assert workshop.state == "idle"
    world.until(lambda: kitchen.tones[-1] == "busy", 0.5, "kitchen hears the busy tone")
    all_idle(world, kitchen, workshop)
    assert kitchen.call_lines("workshop") == [("declined", False)]
    assert workshop.call_lines("kitchen") == [("declined", False)]
    assert workshop.box.people.controls.calls_enabled, "the setting is as it was"
    assert not workshop.light("calls")
    assert not workshop.box.post.unread, "the person knows of it"


def test_holding_calls_declines_with_the_ready_text(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.press("calls", hold_s=1.2)
    assert workshop.state == "idle"
    all_idle(world, kitchen, workshop)
    texts = [item for item in kitchen.thread("workshop") if item["kind"] == "text"]
    assert [(text["text"], text["ready_made"]) for text in texts] == [("I can't talk right now.", True)]
    assert kitchen.call_lines("workshop") == [("declined", False)]
    assert workshop.box.people.controls.calls_enabled
    assert not workshop.box.people.controls.do_not_disturb


def test_a_second_caller_hears_busy_and_the_call_goes_on(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    talk(world, kitchen, workshop)
    attic.press("dial2")  # the attic's second contact
    world.until(lambda: attic.tones[-1] == "busy", 2.0, "attic hears busy")
    assert workshop.tones.count("tick") == 1
    assert workshop.box.post.unread == 1
    both_hear(world, kitchen, workshop)
    all_idle(world, attic)
    assert kitchen.state == workshop.state == "talking"
    assert attic.call_lines("workshop") == [("busy", False)]
    assert workshop.call_lines("attic") == [("busy", False)]


def test_both_call_each_other_at_once() -> None:
    winners = set()
    for seed in range(4):
        world = World(seed)
        kitchen, workshop = world.friends("kitchen", "workshop")
        cross(world, kitchen, workshop, after_s=0.003 * (seed // 2))
        world.until(lambda: kitchen.state == workshop.state == "dialing", 0.2, "both dial")  # noqa: B023
        ids = {box.call.call_id: box.name for box in (kitchen, workshop)}
        both_hear(world, kitchen, workshop, 0.5)
        caller = kitchen if kitchen.box.status()["call"]["outgoing"] else workshop
        assert caller.name == ids[min(ids)], "the lower call id wins"
        winners.add(caller.name)
        world.run(6.0)
        both_hear(world, kitchen, workshop)
        workshop.press("talk")
        all_idle(world, kitchen, workshop)
        for box, peer in ((kitchen, "workshop"), (workshop, "kitchen")):
            lines = box.call_lines(peer)
            assert lines.count(("hung_up", True)) == 1, f"seed {seed}"
            assert set(lines) <= {("hung_up", True), ("taken", False)}, f"seed {seed}"
            assert not box.box.post.unread, f"seed {seed}"
    assert winners == {"kitchen", "workshop"}, "both orders were seen"


def cross(world: World, one: SimulatedBox, other: SimulatedBox, after_s: float) -> None:
    """Press both dial buttons, the second `after_s` later."""
    for box in (one, other):
        box.hold("dial1")
    world.run(0.1)
    one.release("dial1")
    world.run(after_s)
    other.release("dial1")


def test_the_same_person_calls_again_because_their_box_lost_the_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.kill()
    kitchen.store.commit([keep_call(None)])  # its card was put back to an older state: it knows of no call
    world.run(0.2)
    kitchen.start()
    world.until(lambda: kitchen.box.core.link.up, 2.0, "kitchen connects")
    assert kitchen.state == "idle"
    world.run(1.0)
    rings(world, kitchen, workshop)
    assert not workshop.light("live"), "the microphone is shut while it rings"
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert workshop.call_lines("kitchen") == [("replaced", True), ("hung_up", True)]


def test_a_box_that_comes_online_rings_for_what_is_left(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)  # they know each other: sessions stand
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    workshop.kill()
    kitchen.press("dial1")
    world.run(20.0)
    assert kitchen.state == "dialing"
    workshop.start()
    world.until(lambda: workshop.state == "ringing", 2.0, "workshop rings")
    world.run(0.6)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_a_box_that_comes_online_too_late_shows_a_missed_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.kill()
    kitchen.press("dial1")
    world.run(60.0)
    assert kitchen.state == "idle"
    assert kitchen.call_lines("workshop") == [("unreachable", False)]
    workshop.start()
    world.run(3.0)
    assert workshop.state == "idle"
    assert workshop.call_lines("kitchen") == [("unreachable", False)]
    assert workshop.box.post.unread == 1


def test_dialling_a_button_that_calls_nobody(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    kitchen.press("dial2")
    assert kitchen.state == "idle"
    assert kitchen.tones[-1] == "error"
    assert not kitchen.light("call")


def test_talk_pressed_too_soon_after_the_ring_began_does_not_answer(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "workshop rings")
    workshop.press("talk")
    world.run(0.4)
    assert workshop.state == "ringing"
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_talk_that_was_down_before_it_rang_does_not_answer(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.hold("talk")
    rings(world, kitchen, workshop)
    workshop.release("talk")
    world.run(0.5)
    assert workshop.state == "ringing"
    assert kitchen.state == "dialing"


def test_presses_that_mean_nothing_change_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("dial1")  # in a call already
    kitchen.press("dial2")
    both_hear(world, kitchen, workshop)
    kitchen.press("talk")
    kitchen.press("talk")  # once more, out of impatience: says the last name, calls nobody
    all_idle(world, kitchen, workshop)
    assert kitchen.call_lines("workshop") == [("hung_up", True)]


def test_the_tone_at_the_end_can_be_cut_short_or_dialled_over(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.press("calls")
    world.until(lambda: kitchen.state == "ending", 0.5, "kitchen hears the busy tone")
    kitchen.press("talk")
    assert kitchen.state == "idle", "enough of that tone"
    rings(world, kitchen, workshop)
    workshop.press("calls")
    world.until(lambda: kitchen.state == "ending", 0.5, "kitchen hears the busy tone")
    rings(world, kitchen, workshop)  # no waiting for the end of the tone
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_pressing_talk_twice_calls_the_last_conversation_back(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    workshop.press("talk")
    world.run(0.5)
    assert workshop.state == "idle"
    workshop.press("talk")
    world.until(lambda: kitchen.state == "ringing", 1.0, "kitchen rings")
