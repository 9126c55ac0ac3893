"""Gestures: edges that stood still, holds, repeats, counted presses; and storms that mean nothing."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.app.boards import find_board
from callbox.base.time import Instant
from callbox.panel.boards import load_board
from callbox.panel.contacts import contacts
from callbox.panel.gestures import (
    ButtonChanged,
    Contact,
    Gesture,
    Gestures,
    Held,
    Pressed,
    PressedTimes,
    Released,
    Repeated,
    Switched,
)

ONE = {"talk": Contact()}


def play(gestures: Gestures, edges: list[tuple[float, str, bool]], until: float) -> list[tuple[Instant, Gesture]]:
    """Feed edges (when, button, pressed), jumping from deadline to deadline; return gestures and when they came.

    Times in the result are rounded to a microsecond.
    """
    told: list[tuple[Instant, Gesture]] = []
    for when, button, pressed in [*edges, (until, "", False)]:
        while (deadline := gestures.deadline) is not None and deadline <= when:
            told += [(deadline, gesture) for gesture in gestures.tick(deadline)]
        told += [(when, gesture) for gesture in gestures.handle(ButtonChanged(button, pressed), when)]
    return [(round(when, 6), _rounded(gesture)) for when, gesture in told]


def _rounded(gesture: Gesture) -> Gesture:
    return replace(gesture, held_s=round(gesture.held_s, 6)) if isinstance(gesture, Released) else gesture


def test_a_short_press_is_told_once_each_level_stood_still_with_the_times_of_the_edges() -> None:
    told = play(Gestures(ONE), [(1.0, "talk", True), (1.25, "talk", False)], 5.0)
    assert told == [
        (1.015, Pressed("talk", 1.0)),
        (1.265, Released("talk", 1.0, 0.25, False)),
    ]


def test_bounces_on_both_edges_count_as_one_press() -> None:
    bounces = [(1.0 + i * 0.003, "talk", i % 2 == 0) for i in range(5)]
    bounces += [(1.3 + i * 0.003, "talk", i % 2 == 1) for i in range(5)]
    told = [gesture for _, gesture in play(Gestures(ONE), bounces, 5.0)]
    assert told == [Pressed("talk", 1.012), Released("talk", 1.012, 0.3, False)]


def test_a_hold_is_told_while_the_button_is_down_and_its_release_says_so() -> None:
    told = play(Gestures(ONE), [(1.0, "talk", True), (3.0, "talk", False)], 5.0)
    assert told[1:] == [(2.0, Held("talk", 1.0)), (3.015, Released("talk", 1.0, 2.0, True))]


def test_a_release_just_before_the_second_is_over_is_no_hold() -> None:
    told = [gesture for _, gesture in play(Gestures(ONE), [(1.0, "talk", True), (1.995, "talk", False)], 5.0)]
    assert told == [Pressed("talk", 1.0), Released("talk", 1.0, 0.995, False)]


def test_a_spark_while_held_delays_the_hold_and_does_not_end_it() -> None:
    edges = [(1.0, "talk", True), (1.998, "talk", False), (2.001, "talk", True), (3.0, "talk", False)]
    told = play(Gestures(ONE), edges, 5.0)
    assert told[1] == (2.016, Held("talk", 1.0))
    assert len(told) == 3


def test_volume_repeats_while_held() -> None:
    told = play(
        Gestures({"volume_up": Contact(repeats=True)}), [(0.0, "volume_up", True), (1.6, "volume_up", False)], 5.0
    )
    times = [when for when, gesture in told if isinstance(gesture, Held | Repeated)]
    assert times == [1.0, 1.25, 1.5]


@pytest.mark.parametrize("presses", [1, 2, 3])
def test_presses_in_quick_succession_are_counted_in_one_button_mode(presses: int) -> None:
    edges = [edge for i in range(presses) for edge in ((i * 0.3, "talk", True), (i * 0.3 + 0.1, "talk", False))]
    told = play(Gestures({"talk": Contact(counts=True)}), edges, 5.0)
    counted = [(when, gesture) for when, gesture in told if isinstance(gesture, PressedTimes)]
    assert counted == [(round((presses - 1) * 0.3 + 0.35, 6), PressedTimes("talk", 0.0, presses))]


def test_presses_further_apart_are_counted_apart_and_a_hold_is_not_counted() -> None:
    edges = [(0.0, "talk", True), (0.1, "talk", False), (0.4, "talk", True), (0.5, "talk", False)]
    edges += [(2.0, "talk", True), (3.5, "talk", False)]
    told = [gesture for _, gesture in play(Gestures({"talk": Contact(counts=True)}), edges, 9.0)]
    assert [g for g in told if isinstance(g, PressedTimes)] == [
        PressedTimes("talk", 0.0, 1),
        PressedTimes("talk", 0.4, 1),
    ]


def test_with_several_buttons_nothing_waits_to_be_counted() -> None:
    gestures = Gestures(contacts(find_board("breadboard")))
    play(gestures, [(0.0, "talk", True), (0.1, "talk", False)], 0.2)
    assert gestures.deadline is None


def test_a_switch_tells_its_position_and_is_never_held() -> None:
    board = load_board("[button.talk]\npin = 17\n[switch.mute]\npin = 4\n", "my.toml")
    told = play(Gestures(contacts(board)), [(0.0, "switch.mute", True), (9.0, "switch.mute", False)], 10.0)
    assert [gesture for _, gesture in told] == [Switched("switch.mute", True), Switched("switch.mute", False)]


def test_what_is_down_now() -> None:
    gestures = Gestures({"talk": Contact(), "mute": Contact()})
    play(gestures, [(0.0, "talk", True), (0.0, "mute", True), (1.0, "mute", False)], 2.0)
    assert gestures.held == {"talk"}


def test_a_late_reader_does_not_turn_a_spark_into_a_press() -> None:
    gestures = Gestures(ONE)
    gestures.handle(ButtonChanged("talk", True), 1.0)
    # The loop was busy for 100 ms; the second edge waited in the queue with the time at which it happened.
    assert gestures.handle(ButtonChanged("talk", False), 1.001) == []
    assert gestures.tick(1.1) == []


def test_buttons_that_the_board_lacks_are_passed_over() -> None:
    gestures = Gestures(ONE)
    assert gestures.handle(ButtonChanged("nothing", True), 1.0) == []
    assert gestures.deadline is None


@given(st.lists(st.floats(0.0001, 0.0149), max_size=60))
def test_whatever_never_stands_still_is_never_a_gesture(gaps: list[float]) -> None:
    gestures, now, told = Gestures(ONE), 0.0, []
    for number, gap in enumerate(gaps):
        now += gap
        told += gestures.handle(ButtonChanged("talk", number % 2 == 0), now)
    assert told == []


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.sampled_from(["talk", "mute"]), st.booleans()), max_size=40))
def test_gestures_of_a_button_always_alternate_and_time_never_runs_back(steps: list[tuple[float, str, bool]]) -> None:
    gestures, now = Gestures({"talk": Contact(), "mute": Contact()}), 0.0
    edges = []
    for gap, button, pressed in steps:
        now += gap
        edges.append((now, button, pressed))
    told = play(gestures, edges, now + 5.0)
    assert [when for when, _ in told] == sorted(when for when, _ in told)
    for name in ("talk", "mute"):
        kinds = [type(gesture) for _, gesture in told if not isinstance(gesture, Switched) and gesture.button == name]
        pairs = [kind for kind in kinds if kind is not Held]
        assert pairs == [Pressed, Released] * (len(pairs) // 2) + [Pressed] * (len(pairs) % 2)
