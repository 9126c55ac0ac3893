"""Who may ring: silence, do not disturb, calls disabled, knock, block, message only, strangers: each its own thing."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import RING_GUARD_S, all_idle, both_hear, rings, talk


@dataclass
class Told:
    """Everything that a caller can see and hear, and when, in milliseconds since it dialled."""

    moments: list[tuple[int, str]] = field(default_factory=list)
    thread: list[tuple[str, object]] = field(default_factory=list)


def watched(world: World, caller: SimulatedBox, seconds: float = 62.0) -> Told:
    """Let the caller dial and note what its person, its log and its command line are told for `seconds`."""
    told = Told()
    seen: dict[str, object] = {"tones": len(caller.tones), "logged": len(caller.logged)}
    start = world.now

    def note() -> None:
        status = caller.box.status()
        now = {
            "lights": tuple(name for name in caller.pins.lights if caller.light(name)),
            "state": status["state"],
            "link": status["link"],
            "tones": len(caller.tones),
            "logged": len(caller.logged),
        }
        for what, value in now.items():
            if what in seen and seen[what] != value:
                what_it_was = caller.tones[-1] if what == "tones" else caller.logged[-1] if what == "logged" else value
                told.moments.append((round((world.now - start) * 1000), f"{what} {what_it_was}"))
        seen.update(now)

    world.at_every_step(note)
    caller.press("dial1")
    world.run(seconds)
    told.thread = [(item["kind"], item.get("reason", item.get("state"))) for item in caller.thread("workshop")]
    return told


def make_calls_meet_silence(how: str, world: World, kitchen: SimulatedBox, workshop: SimulatedBox) -> None:
    if how == "blocked":
        workshop.ask("block", contact="kitchen")
        workshop.ask("synced")
    else:
        workshop.stop()
    world.run(1.0)


@pytest.mark.parametrize("knew_each_other", [True, False])
def test_a_block_looks_like_a_box_that_is_switched_off(knew_each_other: bool) -> None:
    told = {}
    for how in ("blocked", "switched off"):
        world = World(7)
        kitchen, workshop = world.friends("kitchen", "workshop")
        if knew_each_other:
            talk(world, kitchen, workshop)
            kitchen.press("talk")
            all_idle(world, kitchen, workshop)
        world.run(20.0 - (world.now - 1000.0))
        make_calls_meet_silence(how, world, kitchen, workshop)
        world.run(25.0 - (world.now - 1000.0))
        kitchen.ask("message", contact="workshop", text="are you there?")
        told[how] = watched(world, kitchen)
        assert kitchen.state == "idle"
        assert not any(moment for moment in told[how].moments if "ringback" in moment[1])
    assert told["blocked"].thread == told["switched off"].thread
    assert told["blocked"].moments == told["switched off"].moments


def test_a_blocked_caller_leaves_nothing_here(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("block", contact="kitchen")
    workshop.ask("synced")
    kitchen.press("dial1")
    kitchen.ask("message", contact="workshop", text="hello?")
    world.run(60.0)
    assert workshop.thread("kitchen") == []
    assert not workshop.box.post.unread
    assert not workshop.hears_sound()
    assert "ring" not in workshop.tones
    assert [item["state"] for item in kitchen.thread("workshop") if item["kind"] == "text"] == ["sent"]


def test_blocking_while_talking_ends_the_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    workshop.ask("block", contact="kitchen")
    assert workshop.state == "idle"
    world.run(0.02)
    assert not workshop.light("live")
    world.until(lambda: not workshop.hears(kitchen) and not kitchen.hears(workshop), 1.0, "nobody is heard any more")
    all_idle(world, kitchen, workshop, within_s=40.0)


def test_blocking_the_person_who_rings_stops_the_ring_and_tells_them_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.ask("block", contact="kitchen")
    world.until(lambda: workshop.state == "idle", 0.3, "it stops ringing")
    world.run(30.0)
    assert kitchen.tones[-1] == "ringback"
    all_idle(world, kitchen, workshop, within_s=25.0)
    assert kitchen.call_lines("workshop") == [("no_answer", False)]


def test_a_silenced_caller_hears_ringing_and_then_no_answer(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("silence", contact="kitchen", on=True)
    shown = dict(workshop.pins.lights)
    history = len(workshop.pins.history)
    start = world.now
    kitchen.press("dial1")
    world.until(lambda: kitchen.tones[-1] == "ringback", 1.0, "kitchen hears ringing")
    world.until(lambda: kitchen.state == "ending", 50.0, "no answer")
    assert world.now - start == pytest.approx(45.0, abs=0.5)
    assert workshop.pins.lights == shown
    assert len(workshop.pins.history) == history, "no light moved"
    assert workshop.tones == []
    assert workshop.card.opened == 0, "the sound card was not even opened"
    all_idle(world, kitchen, workshop)
    assert kitchen.call_lines("workshop") == [("no_answer", False)]
    assert workshop.call_lines("kitchen") == [("silenced", False)]
    assert not workshop.box.post.unread
    assert workshop.ask("why")["items"][0]["chain"] == ["calls are enabled", "silenced"]
    kitchen.ask("message", contact="workshop", text="I rang")
    world.run(1.0)
    assert workshop.ask("status")["unread"] == 1, "text comes, and blinks"
    assert workshop.tones == []


def test_presses_while_a_silenced_caller_waits_are_those_of_an_idle_box(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    workshop.ask("silence", contact="kitchen", on=True)
    kitchen.press("dial1")
    world.run(2.0)
    workshop.press("talk")
    world.run(0.5)
    assert kitchen.state == "dialing", "nothing was answered"
    rings(world, workshop, attic, "dial2")
    attic.press("talk")
    both_hear(world, workshop, attic)
    workshop.press("talk")
    all_idle(world, workshop, attic)
    assert kitchen.state == "dialing"


def test_do_not_disturb(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.press("calls", hold_s=1.2)
    assert any(lit for lit, _ in workshop.rhythm("calls", 2.5))
    assert workshop.box.people.controls.calls_enabled
    kitchen.press("dial1")
    world.until(lambda: kitchen.tones[-1] == "congestion", 3.0, "unavailable")
    all_idle(world, kitchen, workshop)
    assert workshop.tones == []
    assert kitchen.call_lines("workshop") == [("unreachable", False)]
    assert workshop.call_lines("kitchen") == [("quiet", False)]
    assert workshop.ask("why")["items"][0]["chain"][-1]
    kitchen.ask("message", contact="workshop", text="sorry")
    world.run(1.0)
    assert "message" not in workshop.tones, "text comes silently"
    assert [item["text"] for item in workshop.thread("kitchen") if item["kind"] == "text"] == ["sorry"]
    workshop.press("calls", hold_s=1.2)
    rings(world, kitchen, workshop)


def test_calls_disabled_while_text_goes_on(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.press("calls")
    assert workshop.light("calls")
    workshop.ask("synced")
    kitchen.press("dial1")
    world.until(lambda: kitchen.tones[-1] == "congestion", 1.0, "kitchen is told at once")
    all_idle(world, kitchen)
    world.run(1.0)
    assert workshop.tones == []
    assert kitchen.call_lines("workshop") == [("calls_disabled", False)]
    assert workshop.call_lines("kitchen") == [("calls_disabled", False)], "from the caller's sealed notice"
    kitchen.ask("message", contact="workshop", text="then a text")
    world.run(1.0)
    assert [item["text"] for item in workshop.thread("kitchen") if item["kind"] == "text"] == ["then a text"]
    rings(world, workshop, kitchen)  # it may still call others itself
    kitchen.press("talk")
    both_hear(world, kitchen, workshop)


def test_calls_disabled_while_talking_lets_the_call_go_on(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    talk(world, kitchen, workshop)
    workshop.press("calls")
    workshop.ask("synced")
    both_hear(world, kitchen, workshop)
    assert workshop.light("calls")
    attic.press("dial2")
    world.until(lambda: attic.tones[-1] == "congestion", 2.0, "no new one")
    both_hear(world, kitchen, workshop)
    world.network.cut("workshop")
    world.run(1.0)
    world.network.restore("workshop")
    both_hear(world, kitchen, workshop, 1.5)


def test_calls_disabled_without_a_network_holds_and_is_told_later(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.network.cut("workshop")
    world.run(0.5)
    workshop.press("calls")
    assert workshop.light("calls")
    world.network.restore("workshop")
    workshop.ask("synced")
    kitchen.press("dial1")
    world.until(lambda: kitchen.tones[-1] == "congestion", 1.0, "kitchen is told")
    assert workshop.tones == []


def test_the_controls_outlive_a_restart(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("silence", contact="kitchen", on=True)
    workshop.press("calls")
    workshop.kill()
    workshop.start()
    world.run(1.0)
    assert workshop.light("calls")
    workshop.press("calls")
    workshop.ask("synced")
    kitchen.press("dial1")
    world.run(3.0)
    assert kitchen.tones[-1] == "ringback"
    assert workshop.tones == []


@pytest.mark.parametrize("whose", ["the caller only knocks", "the callee lets it only knock"])
def test_a_knock_is_a_light_without_a_sound(world: World, whose: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    if whose == "the caller only knocks":
        kitchen.ask_later("call", contact="workshop", knock=True)
    else:
        workshop.ask("allow", contact="kitchen", row="knock")
        workshop.ask("synced")
        kitchen.ask_later("call", contact="workshop", knock=True)
    world.until(lambda: workshop.state == "ringing", 1.0, "it knocks")
    rhythm = workshop.rhythm("call", 6.0)
    assert sum(lit for lit, _ in rhythm) == 3, f"one blink in two seconds: {rhythm}"
    assert workshop.tones == []
    assert workshop.card.opened == 0
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_an_unanswered_knock_is_a_line_in_the_thread(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask_later("call", contact="workshop", knock=True)
    world.run(47.0)
    all_idle(world, kitchen, workshop)
    assert workshop.call_lines("kitchen") == [("knocked", False)]
    assert kitchen.call_lines("workshop") == [("no_answer", False)]
    assert workshop.tones == []


def test_one_who_may_only_knock_and_dials_asks_by_a_light(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("allow", contact="kitchen", row="knock")
    workshop.ask("synced")
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it knocks")
    rhythm = workshop.rhythm("call", 6.0)
    assert sum(lit for lit, _ in rhythm) == 3, f"one blink in two seconds: {rhythm}"
    assert workshop.tones == []
    kitchen.says("Asking workshop.")
    call = kitchen.ask("status")["call"]
    assert (call["contact"], call["knock"]) == ("workshop", True)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    (line,) = workshop.thread("kitchen")
    assert (line["kind"], line["knock"], line["reason"]) == ("call", True, "cancelled")
    assert workshop.ask("why")["items"][0]["chain"] == ["calls are enabled", "may knock, not ring"]
    workshop.press("talk")
    workshop.says("kitchen knocked just now.")
    reply = kitchen.ask("call", contact="workshop")
    assert (reply["ok"], reply["state"]) == (True, "asking")
    world.run(RING_GUARD_S)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    kitchen.ask("message", contact="workshop", text="thanks")
    world.run(1.0)
    assert [item["text"] for item in workshop.thread("kitchen") if item["kind"] == "text"] == ["thanks"]


def test_one_who_may_only_write_does_not_ring(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("allow", contact="kitchen", row="message")
    workshop.ask("synced")
    kitchen.press("dial1")
    world.until(lambda: kitchen.state == "ending", 1.0, "kitchen is told")
    all_idle(world, kitchen, workshop)
    assert workshop.tones == []
    assert kitchen.call_lines("workshop") == [("not_allowed", False)]
    assert workshop.call_lines("kitchen") == [("not_allowed", False)]
    assert not any(lit for lit, _ in workshop.rhythm("message", 2.0))
    kitchen.ask("message", contact="workshop", text="may I call?")
    world.run(1.0)
    assert workshop.box.post.unread == 1
    assert workshop.tones == ["message"]


def test_a_stranger_never_rings_and_may_send_one_request(world: World) -> None:
    _, workshop = world.friends("kitchen", "workshop")
    stranger = world.box("stranger")
    stranger.ask("allow", contact="workshop", row="ring", dial=1)
    stranger.ask("synced")
    stranger.press("dial1")
    world.run(3.0)
    all_idle(world, stranger, workshop)
    assert workshop.tones == []
    assert workshop.thread("stranger") == []
    assert stranger.call_lines("workshop")[0][1] is False
    for text in ("it is me", "answer me"):
        stranger.ask("message", contact="workshop", text=text)
        world.run(2.0)
    texts = [item["text"] for item in workshop.thread("stranger") if item["kind"] == "text"]
    assert texts == ["it is me"], "one request, no more"
    listed = {contact["name"]: contact["permission"] for contact in workshop.ask("contacts")["contacts"]}
    assert listed["stranger"] == "request"
    stranger.press("dial1")
    world.run(3.0)
    assert "ring" not in workshop.tones
    workshop.ask("allow", contact="stranger", row="ring")
    workshop.ask("synced")
    rings(world, stranger, workshop)
    talked: Callable[[], bool] = lambda: workshop.state == stranger.state == "talking"  # noqa: E731
    workshop.press("talk")
    world.until(talked, 0.5, "the stranger is one no longer")
