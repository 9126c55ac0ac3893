"""What presses mean: every row of the table, and every press that belongs to a state that is over."""

from typing import Any

import pytest

from callbox.app.boards import find_board
from callbox.panel.contacts import contacts
from callbox.panel.gestures import (
    ButtonChanged,
    Gesture,
    Gestures,
    Held,
    Pressed,
    PressedTimes,
    Released,
    Repeated,
    Switched,
)
from callbox.panel.intents import (
    Answer,
    CallBack,
    ChangeVolume,
    Decline,
    Dial,
    EndRecording,
    HangUp,
    Intent,
    NotYet,
    OpenMenu,
    PlayNext,
    Record,
    SayLast,
    SetCalls,
    SetDoNotDisturb,
    SetMute,
    SpeakState,
)
from callbox.panel.meaning import IN_A_CALL, PanelView, meaning

CALLS = ("idle", "dialing", "ringing", "connecting", "talking", "reconnecting", "ending")
NOW = 10.0


def view(**changes: Any) -> PanelView:
    """An idle box that has been as it is since 0."""
    fields: dict[str, Any] = {"call": "idle", "call_since": 0.0, "muted": False, "muted_since": 0.0}
    return PanelView(**(fields | changes))


def press(button: str) -> Pressed:
    return Pressed(button, NOW)


def short(button: str) -> Released:
    return Released(button, NOW, 0.2, False)


def held(button: str) -> Held:
    return Held(button, NOW)


def long(button: str) -> Released:
    return Released(button, NOW, 1.5, True)


KNOWN = {"last_conversation": "workshop"}
ARMED = KNOWN | {"armed_call_back_until": NOW + 1}

ROWS: list[tuple[Gesture, dict[str, Any], tuple[Intent, ...]]] = [
    (press("talk"), {"call": "ringing"}, (Answer(),)),
    (short("talk"), {"call": "ringing"}, ()),
    (held("talk"), {"call": "ringing"}, ()),
    *((press("talk"), {"call": call}, (HangUp(),)) for call in sorted(IN_A_CALL)),
    *((short("talk"), {"call": call}, ()) for call in sorted(IN_A_CALL)),
    (press("talk"), {"call": "ending"}, (HangUp(),)),
    *((gesture("talk"), {"call": "ending"}, ()) for gesture in (short, held, long)),
    (press("talk"), {}, ()),
    (short("talk"), {"unread": 1}, (PlayNext(),)),
    (short("talk"), {"reading": True, "unread": 2}, (CallBack(),)),
    (short("talk"), KNOWN, (SayLast(),)),
    (short("talk"), ARMED, (CallBack(),)),
    (short("talk"), KNOWN | {"armed_call_back_until": NOW - 1}, (SayLast(),)),
    (short("talk"), {}, (SayLast(),)),
    (held("talk"), {}, (Record(),)),
    (held("talk"), {"reading": True}, (Record(),)),
    (long("talk"), {}, (EndRecording(),)),
    *((long("talk"), {"call": call}, ()) for call in CALLS if call != "idle"),
    (short("calls"), {"call": "ringing"}, (Decline(),)),
    (press("calls"), {"call": "ringing"}, ()),
    (held("calls"), {"call": "ringing"}, (Decline(with_text=True),)),
    (short("calls"), {}, (SetCalls(False),)),
    (short("calls"), {"calls_enabled": False}, (SetCalls(True),)),
    (short("calls"), {"call": "talking"}, (SetCalls(False),)),
    (held("calls"), {}, (SetDoNotDisturb(True),)),
    (held("calls"), {"do_not_disturb": True}, (SetDoNotDisturb(False),)),
    (long("calls"), {}, ()),
    (short("dial2"), {}, (Dial(2),)),
    (press("dial2"), {}, ()),
    (held("dial2"), {}, (Record(2),)),
    (long("dial2"), {}, (EndRecording(),)),
    (short("dial2"), {"call": "ending"}, (Dial(2),)),
    (held("dial2"), {"call": "ending"}, ()),
    *((short("dial2"), {"call": call}, ()) for call in CALLS if call not in ("idle", "ending")),
    (press("volume_up"), {}, (ChangeVolume(1),)),
    (press("volume_down"), {"call": "talking"}, (ChangeVolume(-1),)),
    (Repeated("volume_down", NOW), {}, (ChangeVolume(-1),)),
    (short("volume_up"), {}, ()),
    (Switched("switch.mute", True), {"call": "talking"}, (SetMute(True),)),
    (Switched("switch.mute", False), {}, (SetMute(False),)),
    (Switched("switch.hook", True), {}, (NotYet("hook switch"),)),
]
ROWS += [
    row
    for call in CALLS
    for row in (
        (press("mute"), {"call": call}, (SetMute(True),)),
        (press("mute"), {"call": call, "muted": True}, ()),
        (short("mute"), {"call": call, "muted": True}, (SetMute(False),)),
        (short("mute"), {"call": call, "muted": True, "muted_since": NOW + 0.02}, ()),
        (held("mute"), {"call": call, "muted": True}, (SpeakState(),)),
        (long("mute"), {"call": call, "muted": True}, ()),
        (long("mute"), {"call": call, "muted": True, "muted_since": NOW + 0.02}, (SetMute(False),)),
        (short("mute"), {"call": call, "muted": True, "mute_switched": True}, ()),
    )
]


@pytest.mark.parametrize(("gesture", "changes", "intents"), ROWS)
def test_table(gesture: Gesture, changes: dict[str, Any], intents: tuple[Intent, ...]) -> None:
    assert meaning(gesture, view(**changes)) == intents


ONE_BUTTON: list[tuple[Gesture, dict[str, Any], tuple[Intent, ...]]] = [
    (press("talk"), {"call": "ringing"}, ()),
    (short("talk"), {"call": "ringing"}, (Answer(),)),
    (long("talk"), {"call": "ringing"}, (Decline(with_text=True),)),
    (press("talk"), {"call": "talking"}, ()),
    (short("talk"), {"call": "talking"}, (HangUp(),)),
    (long("talk"), {"call": "talking"}, (SetMute(True),)),
    (long("talk"), {"call": "talking", "muted": True}, (SetMute(False),)),
    (long("talk"), {"call": "talking", "muted": True, "mute_switched": True}, ()),
    (short("talk"), {}, ()),
    (PressedTimes("talk", NOW, 1), {"unread": 1}, (PlayNext(),)),
    (PressedTimes("talk", NOW, 1), ARMED, (CallBack(),)),
    (PressedTimes("talk", NOW, 2), {}, (SetCalls(False),)),
    (PressedTimes("talk", NOW, 3), {}, (OpenMenu(),)),
    (PressedTimes("talk", NOW, 4), {}, ()),
    (PressedTimes("talk", NOW, 2), {"call": "talking"}, ()),
    (held("talk"), {}, (Record(),)),
    (long("talk"), {}, (EndRecording(),)),
    (short("talk"), {"call": "ending"}, (HangUp(),)),
    (long("talk"), {"call": "ending"}, ()),
]


@pytest.mark.parametrize(("gesture", "changes", "intents"), ONE_BUTTON)
def test_one_button(gesture: Gesture, changes: dict[str, Any], intents: tuple[Intent, ...]) -> None:
    assert meaning(gesture, view(one_button=True, **changes)) == intents


@pytest.mark.parametrize("one_button", [False, True])
def test_a_press_in_the_first_half_second_of_a_ring_does_not_answer(one_button: bool) -> None:
    def answers(rings_since: float) -> bool:
        seen = view(call="ringing", call_since=rings_since, one_button=one_button)
        return Answer() in meaning(press("talk"), seen) + meaning(short("talk"), seen)

    assert [answers(NOW - early) for early in (0.0, 0.3, 0.49, 0.51, 3.0)] == [False, False, False, True, True]


@pytest.mark.parametrize("button", ["talk", "calls", "dial1"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("one_button", [False, True])
def test_a_press_that_began_in_an_earlier_state_means_nothing(button: str, call: str, one_button: bool) -> None:
    seen = view(call=call, call_since=NOW + 0.1, unread=1, one_button=one_button)
    gestures: list[Gesture] = [press(button), held(button), short(button), long(button), PressedTimes(button, NOW, 1)]
    assert [meaning(gesture, seen) for gesture in gestures] == [()] * 5


@pytest.mark.parametrize(
    ("buttons", "intents"),
    [({"talk", "mute"}, [OpenMenu()]), ({"calls", "mute"}, [NotYet("reset")])],
)
def test_two_buttons_held_together_mean_nothing_of_their_own(buttons: set[str], intents: list[Intent]) -> None:
    seen = view(buttons_held=frozenset(buttons))
    assert [intent for button in sorted(buttons) for intent in meaning(held(button), seen)] == intents


class Desk:
    """A panel joined to the least of a box: it obeys intents, so that presses meet the state they made."""

    def __init__(self, **changes: Any) -> None:
        self.gestures = Gestures(contacts(find_board("breadboard")))
        self.seen = view(**changes)
        self.done: list[Intent] = []

    def become(self, now: float, **changes: Any) -> None:
        fields = {name: getattr(self.seen, name) for name in PanelView.__slots__}
        if changes.get("call", self.seen.call) != self.seen.call:
            changes["call_since"] = now
        if changes.get("muted", self.seen.muted) != self.seen.muted:
            changes["muted_since"] = now
        self.seen = PanelView(**(fields | changes))

    def move(self, button: str, pressed: bool, now: float) -> None:
        self._obey(self.gestures.handle(ButtonChanged(button, pressed), now), now)

    def wait(self, until: float) -> None:
        while (deadline := self.gestures.deadline) is not None and deadline <= until:
            self._obey(self.gestures.tick(deadline), deadline)

    def _obey(self, gestures: list[Gesture], now: float) -> None:
        for gesture in gestures:
            for intent in meaning(gesture, self.seen):
                self.done.append(intent)
                match intent:
                    case Answer():
                        self.become(now, call="talking")
                    case HangUp() | Decline():
                        self.become(now, call="idle")
                    case SetMute(on=on):
                        self.become(now, muted=on)

    def press(self, button: str, at: float, seconds: float = 0.2) -> None:
        self.wait(at)
        self.move(button, True, at)
        self.wait(at + seconds)
        self.move(button, False, at + seconds)
        self.wait(at + seconds + 0.1)


def test_answering_and_hanging_up_are_one_press_each_and_nothing_else() -> None:
    desk = Desk(call="ringing", unread=1, last_conversation="workshop")
    desk.press("talk", 10.0)
    desk.press("talk", 20.0)
    assert desk.done == [Answer(), HangUp()]


def test_answering_comes_within_20_ms_of_the_press() -> None:
    desk = Desk(call="ringing")
    desk.move("talk", True, 10.0)
    desk.wait(10.02)
    assert desk.done == [Answer()]


def test_a_button_already_down_when_it_rings_does_not_answer() -> None:
    desk = Desk()
    desk.move("talk", True, 10.0)
    desk.wait(10.2)
    desk.become(10.3, call="ringing")
    desk.wait(11.0)
    desk.move("talk", False, 11.2)
    desk.wait(12.0)
    assert desk.done == []


def test_mute_twice_is_muted_then_open_and_a_hold_leaves_it_as_it_was() -> None:
    desk = Desk(call="talking")
    muted = []
    for number, seconds in enumerate((0.2, 0.2, 1.5, 0.2, 1.5)):
        desk.press("mute", 10.0 + number * 2, seconds)
        muted.append(desk.seen.muted)
    assert muted == [True, False, False, True, True]
    assert desk.done.count(SpeakState()) == 2


def test_a_chord_whose_talk_hung_up_opens_no_menu() -> None:
    both = frozenset({"talk", "mute"})
    held = Held("talk", 10.0)
    assert meaning(held, view(call="idle", call_since=10.02, buttons_held=both)) != (OpenMenu(),)
    assert meaning(held, view(call="idle", call_since=9.0, buttons_held=both)) == (OpenMenu(),)


def test_a_jammed_mute_button_stays_muted() -> None:
    desk = Desk(call="talking")
    desk.move("mute", True, 10.0)
    desk.wait(1000.0)
    assert desk.seen.muted


def test_a_decline_that_comes_too_late_leaves_calls_on() -> None:
    desk = Desk(call="ringing")
    desk.move("calls", True, 10.0)
    desk.wait(10.1)
    desk.become(10.15, call="idle")
    desk.move("calls", False, 10.3)
    desk.wait(11.0)
    assert desk.done == []


@pytest.mark.parametrize("call", ["ringing", "talking"])
def test_a_storm_of_10_khz_on_every_pin_for_a_minute_answers_nothing_and_unmutes_nothing(call: str) -> None:
    desk = Desk(call=call, muted=True)
    changes = [(ButtonChanged(name, True), ButtonChanged(name, False)) for name in find_board("breadboard").buttons]
    told: list[Gesture] = []
    handled = 0
    for change_number in range(60 * 10_000):
        now = 10.0 + change_number * 1e-4
        for change in changes:
            told += desk.gestures.handle(change[change_number % 2], now)
            handled += 1
    desk.wait(80.0)
    assert handled == 7 * 600_000
    assert told == []
    assert desk.done == []
    desk.press("mute", 90.0)
    assert desk.done == [SetMute(False)]  # the storm is over, and the button still works
