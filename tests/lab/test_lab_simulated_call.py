"""A whole voice over links that nobody tuned it for: spells, rates that halve, darkness, spikes. Seeded simulation.

The same conditions, between real processes and with real speech: `make bench-net ARGS=--voice`.
"""

import numpy as np
import pytest

from callbox.base.frames import RATE_HZ
from callbox.testing.lab.conditions import CONDITIONS, Conditions
from callbox.testing.lab.heard import Cycles, judge, longest_gap_ms, slowest_return_s, step_shares
from callbox.testing.lab.rows import VoiceRow
from callbox.testing.lab.simulated_call import talk
from callbox.testing.lab.tables import voices_table
from callbox.testing.playout import hum


def test_a_clean_link_is_left_alone() -> None:
    for heard in talk(CONDITIONS["clean-25"], 1, 5.0):
        assert (heard.delay_p95_ms, heard.made_up, heard.steps) == (10.0, 0.0, "near 100")


@pytest.mark.parametrize(
    ("link", "delay_ms", "made_up", "gap_ms"),
    [
        (CONDITIONS["loss-5-25"], 70, 0.01, 60),
        (Conditions(delay_ms=20, loss=0.1, spell_ms=20), 200, 0.03, 150),
        (CONDITIONS["narrow"], 300, 0.02, 200),
        (Conditions(delay_ms=80, jitter_ms=30, loss=0.02, rate_kbps=200), 300, 0.04, 250),
    ],
    ids=["loss", "bursts", "narrow", "cell"],
)
def test_on_a_bad_link_the_voice_is_nearly_whole(
    link: Conditions, delay_ms: float, made_up: float, gap_ms: float
) -> None:
    for heard in talk(link, 1, 12.0):
        assert heard.delay_ms <= delay_ms
        assert heard.made_up <= made_up
        assert heard.gap_ms <= gap_ms


def test_a_link_of_64_kbit_per_s_that_halves_leaves_little_of_a_gap() -> None:
    """The box that is behind it knows at once; the other is told by reports, over the same link."""
    heard_far, heard_near = talk(CONDITIONS["halved"], 1)
    assert heard_far.gap_ms <= 250
    assert heard_near.gap_ms <= 700
    for heard in (heard_far, heard_near):
        assert heard.made_up <= 0.08
        assert heard.delay_ms <= 300


def test_a_link_of_25_kbit_per_s_carries_a_voice() -> None:
    heard_far, heard_near = talk(CONDITIONS["thin"], 1, 15.0, begin_s=5.0)
    assert heard_far.made_up <= 0.05
    assert heard_near.made_up <= 0.1
    assert heard_far.gap_ms <= 200


@pytest.mark.parametrize(("name", "dark_s"), [("dark-half", 0.5), ("dark-2", 2.0), ("dark-5", 5.0), ("spikes", 0.5)])
def test_after_darkness_and_spikes_the_voice_is_back_at_once(name: str, dark_s: float) -> None:
    for heard in talk(CONDITIONS[name], 1):
        assert heard.gap_ms <= 1000 * dark_s + 400
        assert heard.back_s is not None
        assert name == "spikes" or heard.back_s <= 3.0
        assert heard.delay_ms <= 60


def test_what_was_made_up_in_a_row_is_a_gap_though_a_little_sound_is_between() -> None:
    made_up = [0] * 10 + [1] * 5 + [0] * 3 + [1] * 4 + [0] * 50 + [1] * 6
    assert longest_gap_ms(np.cumsum(made_up).astype(float)) == 120.0
    assert longest_gap_ms(np.zeros(10)) == 0.0


def test_the_time_back_to_the_usual_delay_is_found() -> None:
    at = np.arange(0, 20, 0.01)
    delay_ms = np.where((at >= 10) & (at < 11.5), 200.0, 20.0)
    concealed = np.cumsum((at >= 8) & (at < 10.2)).astype(float)
    assert slowest_return_s(Cycles(at, concealed, delay_ms), 1.0, [10.0]) == pytest.approx(1.49, abs=0.02)
    assert slowest_return_s(Cycles(at, concealed, delay_ms), 1.0, []) is None


def test_a_voice_that_came_late_is_judged_so_and_the_goal_stands_beside_it() -> None:
    voice, late = hum(9.0), round(0.080 * RATE_HZ)
    voice = (voice * np.repeat(np.random.default_rng(1).uniform(0.1, 1.0, 90), RATE_HZ // 10)).astype(np.int16)
    heard = np.concatenate((np.zeros(late, np.int16), voice))
    cycles = Cycles(np.arange(100.0, 109.0, 0.01), np.zeros(900), np.full(900, 30.0))
    was = judge((voice, 100.0), (heard, 100.0), cycles, np.zeros(900), (101.0, 107.0))
    assert was.m2e_ms == pytest.approx(80, abs=1)
    assert (was.missing, was.gap_ms, was.back_s, was.steps) == (0, 0.0, None, "near 100")
    [*_, line] = voices_table([VoiceRow("clean", "up", was, 1000.0)]).splitlines()
    assert "**80** (≤ 75)" in line


def test_the_steps_used_are_told_most_used_first() -> None:
    assert step_shares(np.array([0.0] * 30 + [1.0] * 70)) == "clear 70, near 30"
