"""Real buttons and lights: contacts of the kernel's GPIO chip closed and opened, its lines read back."""

import statistics
from typing import Any

import pytest

from machine.figures import Figures
from machine.guest import Guest

pytestmark = pytest.mark.machine

STORM_HZ = 1500.0
STORM_CPU_PERCENT = 5.0
"""More than without the storm."""
PRESS_TO_LIGHT_MS = 50.0
"""15 ms of stillness, 2 ms that the kernel waits, and the box's own work."""


def panel(guest: Guest, story: str) -> dict[str, Any]:
    return dict(guest.story("panel.py", story, timeout_s=180))


def test_a_whole_call_by_buttons_alone_and_each_light_tells_the_truth(guest: Guest, figures: Figures) -> None:
    seen = panel(guest, "whole_call")
    idle = {"kitchen": "status", "workshop": "status"}
    talking = {"kitchen": "live call status", "workshop": "live call status"}
    assert seen["before"] == idle
    assert seen["rings"]
    assert seen["calling"]
    assert not seen["live_while_ringing"]
    assert seen["talking"] == talking
    assert seen["muted"] == {"kitchen": "live call status", "workshop": "mute call status"}
    assert seen["unmuted"] == talking
    assert seen["after"] == idle
    assert seen["kept"] == {"reason": "hung_up", "answered": True, "outgoing": False}
    figures.record("dial button to far-end ring light", 1000 * seen["press_to_ring_s"], "ms")
    figures.record("talk button to both live lights", 1000 * seen["answer_to_live_s"], "ms")


def test_the_calls_button_declines_and_held_it_says_why(guest: Guest) -> None:
    seen = panel(guest, "decline")
    for held in ("held 0.08", "held 1.3"):
        assert seen[held]["kept"] == {"reason": "declined", "answered": False, "outgoing": False}, held
        assert "calls" not in seen[held]["lights"].split(), "declining is no setting"
    assert seen["texts"] == ["I can't talk right now."]


def test_calls_disabled_by_the_button_let_nothing_ring(guest: Guest) -> None:
    seen = panel(guest, "calls_off")
    assert seen["rang"] == 0
    assert seen["caller"] == "idle"
    assert seen["lights"] == "calls status"
    assert seen["kept"]["reason"] == "calls_disabled"
    assert seen["rings_again"]


def test_a_press_shows_at_once(guest: Guest, figures: Figures) -> None:
    seen = panel(guest, "latency")
    first, *muting = [1000 * took_s for took_s in seen["muting_s"]]
    unmuting = [1000 * took_s for took_s in seen["unmuting_s"]]
    assert len(muting) >= 20
    p95 = statistics.quantiles(muting, n=20)[-1]
    figures.record("press to light (mute), first press after the start", first, "ms")
    figures.record("press to light (mute), median", statistics.median(muting), "ms")
    figures.record("press to light (mute), p95", p95, "ms")
    figures.record("release to light (unmute), median", statistics.median(unmuting), "ms")
    assert p95 < PRESS_TO_LIGHT_MS
    assert first < 2 * PRESS_TO_LIGHT_MS


def test_a_storm_on_every_contact_answers_nothing_and_unmutes_nothing(guest: Guest, figures: Figures) -> None:
    seen = panel(guest, "storm")
    for state in ("ringing", "talking"):
        storm = seen[state]
        assert storm["changes_per_s_and_pin"] > STORM_HZ, storm
        assert storm["state"] == state, storm
        assert (storm["mute_dark"], storm["live_lit"]) == (0, 0), storm
        assert storm["cpu_percent"] - storm["calm_percent"] < STORM_CPU_PERCENT, storm
        figures.record(f"storm while {state}: changes per second and contact", storm["changes_per_s_and_pin"], "1/s")
        figures.record(f"storm while {state}: the box's processor time", storm["cpu_percent"], "%")
        figures.record(f"calm while {state}: the box's processor time", storm["calm_percent"], "%")
    assert seen["restarts"] == "0"


def test_a_button_that_is_stuck_answers_nothing_and_blocks_nothing(guest: Guest) -> None:
    seen = panel(guest, "stuck")
    assert seen["rings"] == "ringing"
    assert seen["mute_works"]
    assert seen["declined"]["reason"] == "declined"
    assert seen["lights"] == "mute status", "a mute pressed while it rings is for the next call"
    assert seen["works_again"] == "talking"
