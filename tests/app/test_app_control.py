"""The control desk: what is answered at once, what waits, and for how long."""

from collections.abc import Mapping
from typing import Any

import pytest

from callbox.app.control import PATIENCE_S, WATCH_EVERY_S
from callbox.app.events import AskerLeft
from callbox.panel.meaning import RING_GUARD_S
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World


@pytest.fixture
def friends(world: World) -> list[SimulatedBox]:
    return world.friends("kitchen", "workshop")


def last(box: SimulatedBox, number: int) -> Mapping[str, Any] | None:
    return box.replies[number][-1] if box.replies[number] else None


def test_an_unknown_ask_is_a_sentence(friends: list[SimulatedBox]) -> None:
    reply = friends[0].ask("dance")
    assert (reply["ok"], "'dance'" in reply["error"]) == (False, True)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("call", {}),
        ("mute", {}),
        ("press", {"button": "talk", "hold_s": "long"}),
        ("allow", {"contact": "workshop", "row": []}),
        ("allow", {"contact": "workshop", "row": "ring", "dial": "first"}),
        ("silence", {"contact": "workshop"}),
        ("block", {}),
        ("message", {"contact": "workshop"}),
        ("messages", {"contact": "workshop", "last": "all", "read": False}),
        ("messages", {"contact": {}, "last": 5, "read": False}),
        ("messages", {"contact": None, "last": 0, "read": False}),
        ("sent", {"id": "tea"}),
        ("quiet hours", {"span": "always"}),
    ],
)
def test_an_ask_that_makes_no_sense_is_refused_and_the_box_lives(
    friends: list[SimulatedBox], what: str, words: dict[str, Any]
) -> None:
    assert not friends[0].ask(what, **words)["ok"]
    assert friends[0].ask("status")["ok"]


@pytest.mark.parametrize("what", ["hangup", "answer", "decline"])
def test_without_a_call_there_is_nothing_to_end_or_answer(friends: list[SimulatedBox], what: str) -> None:
    assert friends[0].ask(what)["error"] == "There is no call."


@pytest.mark.parametrize("what", ["answer", "decline"])
def test_what_does_not_ring_is_not_answered(world: World, friends: list[SimulatedBox], what: str) -> None:
    kitchen, workshop = friends
    world.call(kitchen, workshop)
    assert workshop.ask(what)["error"] == kitchen.ask(what)["error"] == "No call rings."
    assert (kitchen.state, workshop.state) == ("talking", "talking")


def test_synced_waits_for_the_server_and_no_longer_than_its_patience(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, _ = friends
    world.server.kill()
    kitchen.ask("allow", contact="stranger", row="knock")
    number = kitchen.ask_later("synced")
    world.run(PATIENCE_S - 0.5)
    assert last(kitchen, number) is None
    world.run(1.0)
    assert last(kitchen, number) == {"ok": False, "error": "The server cannot be reached now.", "cure": ""}


def test_a_call_waits_for_the_connection(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, workshop = friends
    world.server.kill()
    world.until(lambda: not kitchen.box.core.link.up, 60.0, "the box notices")
    number = kitchen.ask_later("call", contact="workshop")
    world.run(1.0)
    assert last(kitchen, number) is None
    world.server.start()
    world.until(lambda: workshop.state == "ringing", PATIENCE_S, "it rings")
    world.run(0.3)
    assert last(kitchen, number) == {"ok": True, "state": "ringing", "contact": "workshop"}


def test_who_has_left_is_not_answered(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, _ = friends
    world.server.kill()
    kitchen.ask("allow", contact="stranger", row="knock")
    number = kitchen.ask_later("synced")
    kitchen.box.handle(AskerLeft(number), world.now)
    world.run(PATIENCE_S + 1.0)
    assert last(kitchen, number) is None


def test_a_press_on_a_fresh_ring_is_held_back_until_it_counts(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, workshop = friends
    kitchen.ask("call", contact="workshop")
    rang_at = workshop.call.ringing_since
    assert rang_at is not None
    reply = workshop.ask("press", button="talk")
    assert reply == {"ok": True, "state": "talking"}
    assert world.now >= rang_at + RING_GUARD_S


def test_a_button_that_the_board_lacks_is_told_with_those_it_has(friends: list[SimulatedBox]) -> None:
    reply = friends[0].ask("press", button="trumpet")
    assert "'trumpet'" in reply["error"]
    assert "talk" in reply["cure"]


def test_a_watcher_hears_of_a_new_state_at_once_and_of_figures_four_times_a_second(
    world: World, friends: list[SimulatedBox]
) -> None:
    kitchen, workshop = friends
    number = kitchen.ask_later("watch")
    kitchen.ask("call", contact="workshop")
    assert kitchen.replies[number][-1]["state"] == kitchen.state
    world.run(RING_GUARD_S + 0.1)
    workshop.press("talk")
    world.until(lambda: kitchen.state == "talking", 1.0)
    world.run(2.0)
    told = len(kitchen.replies[number])
    world.run(5.0)
    assert 5.0 / WATCH_EVERY_S - 1 <= len(kitchen.replies[number]) - told <= 5.0 / WATCH_EVERY_S + 1


def test_a_text_is_sent_when_the_server_has_it(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, _ = friends
    world.server.kill()
    world.until(lambda: not kitchen.box.core.link.up, 60.0, "the box notices")
    written = kitchen.ask("message", contact="workshop", text="tea?")
    assert written["state"] == "queued"
    number = kitchen.ask_later("sent", id=written["id"])
    world.run(1.0)
    assert last(kitchen, number) is None
    world.server.start()
    world.until(lambda: last(kitchen, number) is not None, PATIENCE_S, "it is sent")
    assert kitchen.replies[number][-1]["state"] in ("sent", "delivered")
