"""The spoken menu: where a press leads, and that no press in it ever means anything outside of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.panel import menu as menus
from callbox.panel.gestures import ButtonChanged, Contact, Gestures, Held, Pressed, Released, Switched
from callbox.panel.menu import ENTRIES, SILENCE_S, Closed, Do, Effect, Enter, Item, Menu, SayChoice, SayItem

ITEMS = [Item("why"), Item("delete"), Item("request", "attic"), Item("network")]
WHY, DELETE, REQUEST, NETWORK = ITEMS


def pressed(menu: Menu, *buttons: str, at: float = 10.0) -> list[Effect]:
    """Press buttons one after the other; return what the last press did."""
    effects: list[Effect] = []
    for button in buttons:
        effects = menu.handle(Pressed(button, at), at)
        assert menu.handle(Released(button, at, 0.1, False), at + 0.1) == []
    return effects


def opened(items: Sequence[Item] = ITEMS, one_button: bool = False) -> Menu:
    menu = Menu(one_button)
    assert menu.open(items, 10.0) == [SayItem(items[0], first=True)]
    return menu


@pytest.mark.parametrize(
    ("buttons", "effects"),
    [
        (("volume_up",), [SayItem(DELETE)]),
        (("mute", "mute"), [SayItem(REQUEST)]),
        (("volume_down",), [SayItem(NETWORK)]),
        (("volume_up",) * 4, [SayItem(WHY)]),
        (("talk",), [Do(WHY)]),
        (("talk", "talk"), [Do(WHY)]),
        (("mute", "talk"), [Enter(DELETE, "keep")]),
        (("mute", "talk", "mute"), [SayChoice(DELETE, "delete")]),
        (("mute", "talk", "volume_down"), [SayChoice(DELETE, "delete")]),
        (("mute", "talk", "mute", "talk"), [Do(DELETE, "delete"), Closed(quietly=True)]),
        (("mute", "talk", "talk"), [Do(DELETE, "keep"), Closed(quietly=True)]),
        (("mute", "talk", "calls"), [SayItem(DELETE)]),
        (("calls",), [Closed()]),
        (("dial1",), []),
    ],
)
def test_where_presses_lead(buttons: tuple[str, ...], effects: list[Effect]) -> None:
    assert pressed(opened(), *buttons) == effects


def test_numbers_can_be_said_again_and_again() -> None:
    compare = Item("compare", "attic")
    menu = opened([compare])
    assert pressed(menu, "talk") == [Enter(compare, "leave")]
    for _ in range(3):
        assert pressed(menu, *(["mute"] if _ == 0 else []), "talk") == [Enter(compare, "again")]
    assert pressed(menu, "mute", "talk") == [Do(compare, "same"), Closed(quietly=True)]


def test_with_one_button_a_press_steps_and_a_hold_chooses() -> None:
    menu = opened(one_button=True)
    assert menu.handle(Pressed("talk", 11.0), 11.0) == []
    assert menu.handle(Released("talk", 11.0, 0.1, False), 11.1) == [SayItem(DELETE)]
    assert menu.handle(Held("talk", 12.0), 13.0) == [Enter(DELETE, "keep")]
    assert menu.handle(Released("talk", 12.0, 1.2, True), 13.2) == []


def test_ten_seconds_of_silence_close_it_and_words_are_no_silence() -> None:
    menu = opened()
    menu.spoke(12.0)
    assert menu.deadline == 12.0 + SILENCE_S
    assert menu.tick(21.9) == []
    pressed(menu, "mute", at=21.9)
    assert menu.tick(31.8) == []
    assert menu.tick(31.9) == [Closed()]
    assert menu.deadline is None


def test_a_ring_closes_it_at_once() -> None:
    menu = opened()
    assert menu.close(11.0) == [Closed(quietly=True)]
    assert menu.close(11.0) == []


def test_the_first_choice_changes_nothing() -> None:
    assert {entry.choices[0] for entry in ENTRIES.values() if entry.choices} <= {"leave", "keep"}


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.sampled_from(["talk", "mute", "calls", "volume_up", "dial1"]), st.floats(0.02, 3.0)), max_size=30
    ),
    st.floats(0.0, 20.0),
    st.booleans(),
)
def test_whatever_is_pressed_no_press_that_began_in_the_menu_means_anything_outside_of_it(
    moves: list[tuple[str, float]], ring_at: float, one_button: bool
) -> None:
    """Random presses, of any length, across each other; a ring that closes the menu at any moment."""
    gestures = Gestures({name: Contact() for name in ("talk", "mute", "calls", "volume_up", "dial1")})
    menu, down, now = Menu(one_button), set[str](), 10.0
    menu.open(ITEMS, now)
    began_in_it: dict[str, bool] = {}
    for button, wait_s in moves:
        now += wait_s
        made = gestures.tick(now)
        if now >= 10.0 + ring_at:
            menu.close(now)
        down ^= {button}
        made += gestures.handle(ButtonChanged(button, button in down), now)
        for gesture in made:
            assert not isinstance(gesture, Switched)
            if isinstance(gesture, Pressed):
                began_in_it[gesture.button] = menu.is_open
            if menu.takes(gesture):
                menu.handle(gesture, now)
            else:
                assert not menu.is_open
                assert not began_in_it[gesture.button]


def test_the_table_in_its_document_is_fresh() -> None:
    document = (Path(menus.__file__).parent / "MENU.md").read_text()
    assert menus.table() in document
