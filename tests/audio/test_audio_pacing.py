"""How often a microphone must be asked, on a card simulated to the microsecond."""

from random import Random

import pytest

from callbox.audio.devices.pacing import SHORTEST_S, Pace

RATE_HZ, WANTED, CYCLE_S = 48_000, 480, 0.01


def fetched(pieces: int, late_s: float, wobble_s: float = 0.0, cycles: int = 4000) -> tuple[float, float]:
    """Return sleeps per cycle, and how much later than possible a cycle was fetched on average, in s.

    The card hands over `pieces` samples at a time, `late_s` after their last one, and up to `wobble_s` later still.
    """
    pace, chance, now, sleeps, late_sum = Pace(RATE_HZ, WANTED), Random(1), 0.0, 0, 0.0
    for cycle in range(cycles):
        counts = cycle >= cycles // 2
        wobble = late_s + chance.random() * wobble_s
        nap_s = pace.nap_s(now)
        sleeps += counts and nap_s > 0
        now += nap_s
        while (there := int(max(0.0, now - wobble) * RATE_HZ + 1e-6) // pieces * pieces - cycle * WANTED) < WANTED:
            now += pace.pause_s(WANTED - there)
            sleeps += counts
        pace.came(there - WANTED, now)
        if counts:
            late_sum += now - ((cycle + 1) * CYCLE_S + late_s)
        now += 0.000_3  # the step
    return sleeps / (cycles // 2), late_sum / (cycles // 2)


@pytest.mark.parametrize("pieces", [48, 240, 480])
@pytest.mark.parametrize("late_s", [0.0, 0.000_4, 0.001_7])
def test_one_sleep_a_cycle_and_hardly_any_delay(pieces: int, late_s: float) -> None:
    sleeps, later_s = fetched(pieces, late_s)
    assert sleeps < 1.02
    assert later_s < 0.000_6


def test_an_unsteady_card_costs_a_second_sleep_now_and_then() -> None:
    sleeps, later_s = fetched(240, 0.000_4, wobble_s=0.001)
    assert sleeps < 1.1
    assert later_s < 0.002


def test_what_does_not_come_is_asked_for_ever_more_rarely() -> None:
    pace = Pace(RATE_HZ, WANTED)
    pace.pause_s(WANTED)
    pace.came(0, 0.01)
    assert pace.nap_s(0.0103) == pytest.approx(0.0097, abs=0.0001)
    assert [pace.pause_s(WANTED) for _ in range(7)] == [SHORTEST_S, 0.002, 0.004, 0.008, CYCLE_S, CYCLE_S, CYCLE_S]


def test_a_backlog_is_fetched_without_sleeping() -> None:
    """Or it would stay, as delay, for good."""
    pace = Pace(RATE_HZ, WANTED)
    pace.pause_s(WANTED)
    pace.came(WANTED, 0.01)
    assert pace.nap_s(0.0102) == 0.0
    pace.came(WANTED // 2, 0.0102)
    assert pace.nap_s(0.0104) == 0.0
    assert pace.pause_s(WANTED // 2) == CYCLE_S / 2


def test_who_comes_late_does_not_sleep() -> None:
    pace = Pace(RATE_HZ, WANTED)
    pace.pause_s(WANTED)
    pace.came(0, 0.01)
    assert pace.nap_s(0.03) == 0.0
