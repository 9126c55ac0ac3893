"""What buttons and lights promise, and no other story shows: holds, steps, switches, one button, rhythms."""

from pathlib import Path

import pytest

from callbox.conversations.stores import StoreFault
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, both_hear, rings, talk

ONE = "[button.talk]\npin = 17\n[light.live]\npin = 13\n[light.call]\npin = 12\n"
SWITCHED = "[button.talk]\npin = 17\n[button.mute]\npin = 27\n[switch.mute]\npin = 22\n[light.live]\npin = 13\n"
SWITCHED += "[light.mute]\npin = 12\n[light.call]\npin = 5\n"


def with_board(world: World, text: str, folder: Path) -> tuple[SimulatedBox, SimulatedBox]:
    """Return a box with a board of its own, and a friend of it."""
    file = folder / "own.toml"
    file.write_text(text)
    kitchen, workshop = world.box("kitchen", board=str(file)), world.box("workshop")
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        box.ask("allow", contact=other.name, row="ring", dial=1)
        box.ask("synced")
    return kitchen, workshop


def flashes(box: SimulatedBox, light: str, over_s: float) -> list[tuple[bool, float]]:
    """Watch a light; return its spans that were seen whole, rounded to a twentieth of a second."""
    return [(lit, round(20 * seconds) / 20) for lit, seconds in box.rhythm(light, over_s)[1:-1]]


# --- buttons ----------------------------------------------------------------------------------------------------


def test_talk_held_in_a_call_hangs_up_and_records_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk", hold_s=2.5)
    assert kitchen.state == "idle"
    all_idle(world, kitchen, workshop)
    assert "record" not in kitchen.tones
    assert [item["kind"] for item in kitchen.thread("workshop")] == ["call"]


def test_the_second_press_of_talk_counts_for_three_seconds(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    workshop.press("talk")
    workshop.says("kitchen.")
    world.run(3.0)
    workshop.press("talk")
    workshop.says("kitchen.")
    assert workshop.state == kitchen.state == "idle"
    world.run(2.0)
    workshop.press("talk")
    world.until(lambda: kitchen.state == "ringing", 1.0, "it is called")


def test_calls_is_switched_on_the_release(world: World) -> None:
    box = world.box("kitchen")
    box.hold("calls")
    world.run(0.6)
    assert not box.light("calls"), "it may become a hold yet"
    box.release("calls")
    world.run(0.05)
    assert box.light("calls")
    box.press("calls")
    assert not box.light("calls")


def test_volume_steps_with_a_tick_and_goes_on_while_it_is_held(world: World) -> None:
    box = world.box("kitchen")
    for button, left in (("volume_down", 0.7), ("volume_down", 0.6), ("volume_up", 0.7)):
        box.tones.clear()
        box.press(button)
        assert box.tones == ["tick"]
        assert box.box.front.volume == pytest.approx(left)
    box.tones.clear()
    box.press("volume_down", hold_s=1.6)
    assert box.tones == ["tick"] * 4, "one at the press, and from a second on four in each"
    assert box.box.front.volume == pytest.approx(0.3)
    box.press("volume_up", hold_s=5.0)
    assert box.box.front.volume == 1.0


def test_one_button_answers_hangs_up_mutes_declines_and_turns_calls_off(world: World, tmp_path: Path) -> None:
    kitchen, workshop = with_board(world, ONE, tmp_path)
    rings(world, workshop, kitchen)
    kitchen.hold("talk")
    world.run(0.3)
    assert kitchen.state == "ringing", "on the release: it may become a hold"
    kitchen.release("talk")
    both_hear(world, kitchen, workshop)
    kitchen.press("talk", hold_s=1.2)
    world.run(0.5)
    assert not kitchen.light("live")
    assert not workshop.hears(kitchen)
    kitchen.press("talk", hold_s=1.2)
    both_hear(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    rings(world, workshop, kitchen)
    kitchen.press("talk", hold_s=1.2)
    all_idle(world, kitchen, workshop)
    assert [item["text"] for item in workshop.thread("kitchen") if item["kind"] == "text"] == [
        "I can't talk right now."
    ]
    for enabled in (False, True):
        kitchen.press("talk")
        world.run(0.1)
        kitchen.press("talk")
        world.run(0.5)
        assert kitchen.ask("status")["calls_enabled"] is enabled
    kitchen.press("talk")
    kitchen.says("workshop.")
    kitchen.press("talk")
    world.until(lambda: workshop.state == "ringing", 1.0, "and calls back")


def test_a_mute_switch_is_the_truth_and_no_software_opens_the_microphone_over_it(world: World, tmp_path: Path) -> None:
    kitchen, workshop = with_board(world, SWITCHED, tmp_path)

    def shut() -> bool:
        return kitchen.light("mute") and not kitchen.light("live") and not kitchen.voice_leaves

    kitchen.pins.switch("mute", True)
    world.run(0.1)
    rings(world, workshop, kitchen)
    kitchen.press("talk")
    world.until(lambda: kitchen.hears(workshop), 1.0, "they talk")
    assert shut()
    kitchen.press("mute")
    kitchen.press("mute", hold_s=1.2)
    told = kitchen.ask("mute", on=False)
    assert not told["ok"]
    assert "switch" in told["error"]
    world.run(0.5)
    assert shut()
    kitchen.kill()
    kitchen.start()
    kitchen.pins.switch("mute", True)  # it is a thing of metal: it stays where it was
    world.until(lambda: kitchen.hears(workshop), 4.0, "they talk again")
    world.run(0.5)
    assert shut()
    workshop.press("talk")
    all_idle(world, kitchen, workshop)
    assert kitchen.light("mute"), "a call's end opens nothing either"
    kitchen.pins.switch("mute", False)
    world.run(0.1)
    assert not kitchen.light("mute")
    talk(world, workshop, kitchen)


# --- lights -----------------------------------------------------------------------------------------------------


def test_the_call_light_tells_each_state_by_its_rhythm(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert flashes(kitchen, "call", 2.0) == []
    assert not kitchen.light("call")
    kitchen.press("dial1")
    assert set(flashes(kitchen, "call", 7.0)) == {(True, 1.0), (False, 1.0)}, "outgoing: a slow pulse"
    seen = flashes(workshop, "call", 3.0)
    assert {seconds for lit, seconds in seen if lit} == {0.1}
    assert {seconds for lit, seconds in seen if not lit} == {0.1, 0.65}, "incoming: a double blink each second"
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    assert [lit for lit, _ in kitchen.rhythm("call", 3.0)] == [True], "in a call: steady"
    world.network.cut("kitchen")
    world.until(lambda: kitchen.state == "reconnecting", 1.0)
    lit = {seconds for lit, seconds in flashes(kitchen, "call", 6.0) if lit}
    assert len(lit) > 1, "reconnecting: an uneven flicker"
    world.network.restore("kitchen")
    both_hear(world, kitchen, workshop, 2.0)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


def test_the_calls_light_is_steady_when_disabled_and_pulses_in_quiet(world: World) -> None:
    box = world.box("kitchen")
    assert not box.light("calls")
    box.press("calls")
    assert [lit for lit, _ in box.rhythm("calls", 3.0)] == [True]
    box.press("calls")
    assert [lit for lit, _ in box.rhythm("calls", 3.0)] == [False]
    for begin, end in ({"on": True}, {"on": False}), ({"span": "00:00-23:59"}, {"span": None}):
        what = "quiet hours" if "span" in begin else "quiet"
        assert box.ask(what, **begin)["ok"]
        assert set(flashes(box, "calls", 6.0)) == {(True, 1.0), (False, 1.0)}, "a slow pulse"
        assert box.ask(what, **end)["ok"]
        assert [lit for lit, _ in box.rhythm("calls", 3.0)] == [False]


def test_the_message_light_counts_to_four(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert not workshop.light("message")
    for blinks in (1, 2, 3, 4, 4):
        kitchen.ask("message", contact="workshop", text="one more")
        world.run(2.0)
        period_s = 0.4 * blinks + 1.4
        assert sum(lit for lit, _ in workshop.rhythm("message", 2 * period_s)) in (2 * blinks, 2 * blinks + 1)
    workshop.ask("messages", contact=None, last=9, read=True)
    assert [lit for lit, _ in workshop.rhythm("message", 3.0)] == [False]


def test_the_status_light_tells_connected_connecting_and_a_fault(world: World) -> None:
    box = world.box("kitchen")
    assert [lit for lit, _ in box.rhythm("status", 3.0)] == [True]
    world.network.cut("kitchen")
    box.press("calls")
    assert box.light("calls"), "the other lights work without a network"
    world.run(1.0)
    assert set(flashes(box, "status", 6.0)) == {(True, 1.0), (False, 1.0)}, "connecting: slow"
    box.store.fail_with = StoreFault("full", "The card is full.", "Free some space.")
    box.press("calls")
    world.run(0.5)
    assert set(flashes(box, "status", 3.0)) == {(True, 0.2), (False, 0.2)}, "a fault: fast"
    box.press("mute", hold_s=1.2)
    box.says("There is no room left on the card.")
