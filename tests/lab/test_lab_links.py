"""The lab's links and its arithmetic: what they draw is what was asked for, and what was late counts as late."""

from itertools import pairwise

import pytest

from callbox.base.chance import SeededChance
from callbox.base.errors import WrongUse
from callbox.testing.lab.conditions import CONDITIONS, Conditions, conditions_from
from callbox.testing.lab.frames import read_times, score, write_times
from callbox.testing.lab.way import OneWay


def arrivals(conditions: Conditions, count: int = 60_000, every_s: float = 0.01, size: int = 100) -> list[float | None]:
    way = OneWay(conditions, SeededChance(5))
    return [way.arrival(size, number * every_s) for number in range(count)]


def lost(conditions: Conditions) -> list[bool]:
    return [one is None for one in arrivals(conditions)]


def test_each_packet_is_lost_for_itself() -> None:
    gone = lost(Conditions(loss=0.05))
    assert sum(gone) / len(gone) == pytest.approx(0.05, abs=0.003)
    pairs = sum(one and other for one, other in pairwise(gone))
    assert pairs / sum(gone) == pytest.approx(0.05, abs=0.02)


def test_spells_have_their_length_and_their_share_of_time() -> None:
    gone = lost(Conditions(loss=0.05, spell_ms=60))
    assert sum(gone) / len(gone) == pytest.approx(0.05, abs=0.01)
    begun = sum(here and not before for before, here in pairwise(gone))
    assert sum(gone) / begun * 10 == pytest.approx(60, rel=0.25)


def test_packets_stay_in_order_unless_they_may_overtake() -> None:
    there = [one for one in arrivals(Conditions(delay_ms=40, jitter_ms=20), 2000) if one is not None]
    assert there == sorted(there)
    mixed = [one for one in arrivals(Conditions(delay_ms=40, jitter_ms=20, reorder=True), 2000) if one is not None]
    assert mixed != sorted(mixed)
    took_ms = [1000 * (at - number / 100) for number, at in enumerate(mixed)]
    assert 20 <= min(took_ms) < 22
    assert 58 < max(took_ms) <= 60.1


def test_a_narrow_link_takes_its_time_and_drops_what_its_queue_cannot_hold() -> None:
    there = arrivals(Conditions(rate_kbps=40, queue_ms=200), 1000)  # 80 kbit/s are offered
    assert there[0] == pytest.approx(0.02)
    assert sum(one is None for one in there) == pytest.approx(500, abs=15)
    assert max(at - number / 100 for number, at in enumerate(there) if at is not None) <= 0.221


def test_darkness_and_spikes_come_at_the_end_of_each_period() -> None:
    dark = arrivals(Conditions(dark_every_s=10, dark_s=2), 2000)
    assert [number for number, one in enumerate(dark) if one is None] == [*range(800, 1000), *range(1800, 2000)]
    held = arrivals(Conditions(delay_ms=25, spike_every_s=5, spike_ms=500), 500)
    assert held[449] == pytest.approx(4.515)
    assert held[450] == pytest.approx(5.0)
    assert held[490] == pytest.approx(5.0)


def test_the_same_seed_draws_the_same() -> None:
    rough = Conditions(delay_ms=40, jitter_ms=20, loss=0.05, spell_ms=30)
    assert arrivals(rough, 500) == arrivals(rough, 500)


def test_a_link_of_ones_own_is_read_or_refused_with_a_reason() -> None:
    assert conditions_from("delay_ms=25,loss=0.03,reorder=1") == Conditions(delay_ms=25, loss=0.03, reorder=True)
    for wrong in ("delay=25", "delay_ms=soon", ""):
        with pytest.raises(WrongUse):
            conditions_from(wrong)
    assert len(CONDITIONS) >= 10


def test_what_was_late_lost_or_missing_in_a_row_is_counted() -> None:
    sent = {number: number / 100 for number in range(100)}
    took_s = {**dict.fromkeys(range(100), 0.025), 10: 0.090, 11: 0.130, 12: 0.130}
    arrived = {number: sent[number] + took_s[number] for number in sent if number not in (13, 50)}
    was = score(sent, arrived)
    assert (was.frames, was.late_80, was.late_120, was.lost) == (100, 0.05, 0.04, 0.02)
    assert was.p50_ms == pytest.approx(25)
    assert was.longest_gap_ms == pytest.approx(30)
    assert score({}, {}).late_80 == 1.0


def test_times_survive_their_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("lab") / "sent"
    write_times(file, {1: 2.5, 7: 1000000.123456})
    assert read_times(file) == {1: 2.5, 7: 1000000.123456}
