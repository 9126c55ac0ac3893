"""Lights: each state looks different by rhythm alone, live tells the truth, an idle box asks for no wake-ups."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.app.boards import find_board, list_boards
from callbox.panel.lights import ALL_LIGHTS, CallLook, LightState, lights, next_change

IDLE = LightState(live=False, muted=False, call="idle")
states = st.builds(
    LightState,
    live=st.booleans(),
    muted=st.booleans(),
    call=st.sampled_from(get_args(CallLook)),
    call_since=st.floats(0.0, 100.0),
    calls=st.sampled_from(["on", "disabled", "quiet"]),
    unread=st.integers(0, 9),
    status=st.sampled_from(["off", "connecting", "connected", "fault"]),
)
times = st.floats(100.0, 1e6)
wirings = st.sampled_from(
    [
        ALL_LIGHTS,
        {"live": ("live",)},
        {"live": ("live",), "call": ("call", "mute", "calls", "message", "status")},
        *(find_board(name).shown_on for name in list_boards()),
    ]
)


def state(**changes: Any) -> LightState:
    fields: dict[str, Any] = {"live": False, "muted": False, "call": "idle"}
    return LightState(**(fields | changes))


def rhythm(light: str, shown: LightState, start: float = 0.0, seconds: float = 4.0) -> list[tuple[float, float]]:
    """Return when a light goes on and for how long, found by jumping from change to change."""
    flashes, now, lit_since = [], start, None
    while now <= start + seconds:
        level = lights(shown, now)[light]
        if level and lit_since is None:
            lit_since = now
        elif not level and lit_since is not None:
            flashes.append((round(lit_since - start, 3), round(now - lit_since, 3)))
            lit_since = None
        change = next_change(shown, now)
        if change is None:
            break
        now = change
    return flashes if lit_since is None else [*flashes, (round(lit_since - start, 3), float("inf"))]


STEADY = [(0.0, float("inf"))]


@pytest.mark.parametrize(
    ("light", "changes", "flashes"),
    [
        ("live", {"live": True}, STEADY),
        ("mute", {"muted": True}, STEADY),
        ("call", {"call": "talking"}, STEADY),
        ("call", {"call": "connecting"}, STEADY),
        ("call", {"call": "ending"}, []),
        ("call", {"call": "ringing"}, [(0.0, 0.12), (0.24, 0.12), (1.0, 0.12), (1.24, 0.12)]),
        ("call", {"call": "dialing"}, [(0.0, 1.0)]),
        ("call", {"call": "reconnecting"}, [(0.0, 0.1), (0.35, 0.4), (0.9, 0.1)]),
        ("call", {"call": "knock"}, [(0.0, 0.15)]),
        ("calls", {"calls": "disabled"}, STEADY),
        ("calls", {"calls": "quiet"}, [(0.0, 1.0)]),
        ("message", {"unread": 1}, [(0.0, 0.2)]),
        ("message", {"unread": 3}, [(0.0, 0.2), (0.4, 0.2), (0.8, 0.2)]),
        ("message", {"unread": 9}, [(0.0, 0.2), (0.4, 0.2), (0.8, 0.2), (1.2, 0.2)]),
        ("status", {"status": "connected"}, STEADY),
        ("status", {"status": "connecting"}, [(0.0, 1.0)]),
        ("status", {"status": "fault"}, [(0.0, 0.2), (0.4, 0.2), (0.8, 0.2), (1.2, 0.2)]),
    ],
)
def test_table(light: str, changes: dict[str, Any], flashes: list[tuple[float, float]]) -> None:
    assert rhythm(light, state(**changes), seconds=1.5) == flashes
    others = lights(state(**changes), 0.0).keys() - {light}
    assert all(not rhythm(other, state(**changes)) for other in others)


def test_an_idle_box_is_dark_and_wants_no_wake_ups() -> None:
    assert set(lights(IDLE, 0.0).values()) == {0.0}
    assert next_change(IDLE, 0.0) is None
    assert next_change(state(live=True, muted=True, call="talking", calls="disabled", status="connected"), 3.3) is None


def test_a_ring_shows_in_the_moment_it_begins() -> None:
    assert lights(state(call="ringing", call_since=12.87), 12.87)["call"] == 1.0


@given(states, times, wirings)
def test_live_is_lit_if_and_only_if_samples_go_anywhere(shown: LightState, now: float, wiring: Any) -> None:
    assert lights(shown, now, wiring)["live"] == float(shown.live)


@given(states, times, wirings)
def test_nothing_changes_before_the_next_change(shown: LightState, now: float, wiring: Any) -> None:
    before, change = lights(shown, now, wiring), next_change(shown, now, wiring)
    ahead = 5.0 if change is None else change - now - 2e-6
    assert all(lights(shown, now + ahead * part, wiring) == before for part in (0.25, 0.5, 0.75, 1.0) if ahead > 0)
    assert change is None or (change > now and lights(shown, change, wiring) != before)


@pytest.mark.parametrize(
    "changes", [{"call": call} for call in get_args(CallLook)] + [{"unread": 9}, {"status": "fault"}]
)
def test_no_light_flashes_more_than_three_times_in_any_second(changes: dict[str, Any]) -> None:
    for light in ALL_LIGHTS:
        starts = [start for start, _ in rhythm(light, state(**changes), seconds=10.0)]
        assert all(sum(0 <= other - start < 1.0 for other in starts) <= 3 for start in starts)


def test_a_pause_follows_the_blinks_for_messages() -> None:
    assert [start for start, _ in rhythm("message", state(unread=2), seconds=5.0)] == [0.0, 0.4, 2.2, 2.6, 4.4, 4.8]


def test_states_of_the_call_light_differ_in_rhythm() -> None:
    looks = ["idle", "dialing", "ringing", "talking", "reconnecting", "knock"]
    assert len({tuple(rhythm("call", state(call=call))) for call in looks}) == len(looks)


def test_a_shared_light_shows_the_first_of_its_states_that_is_not_dark() -> None:
    wiring = {"live": ("live",), "call": ("call", "mute", "message")}
    quiet_moment = 0.3  # between two blinks for a message
    assert lights(state(unread=1), 0.0, wiring)["call"] == 1.0
    assert lights(state(unread=1), quiet_moment, wiring)["call"] == 0.0
    assert lights(state(unread=1, muted=True), quiet_moment, wiring)["call"] == 1.0
    assert lights(state(unread=1, muted=True, call="ringing"), 0.2, wiring) == {"live": 0.0, "call": 0.0}
