"""The lanes on simulated TCP, on every row of the lab, with fixed seeds; and whatever link hypothesis thinks of.

The same decisions run between real processes in `make bench-net`; there, the kernel is the judge.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.lanes.lane import MOST_OWED
from callbox.testing.lab.conditions import CONDITIONS, Conditions
from callbox.testing.lab.simulated import by_lanes, by_udp
from callbox.testing.lab.tcp import Agenda, TcpLane
from callbox.testing.lab.way import OneWay

SEEDS = (1, 2, 3)
LONG_S = 15.0


def one_connection(conditions: Conditions, count: int, seed: int = 1, every_s: float = 0.01) -> list[tuple[float, int]]:
    """Send numbered messages over one simulated connection; return when each was delivered, in that order."""
    agenda = Agenda()
    there, back = (OneWay(conditions, SeededChance(f"{seed} {way}")) for way in ("there", "back"))
    delivered: list[tuple[float, int]] = []
    lane = TcpLane(
        agenda, there, back, lambda data: delivered.append((agenda.now, int.from_bytes(data[:4], "big"))), 0.05
    )
    for number in range(count):
        agenda.at(number * every_s, lambda number=number: lane.send(number.to_bytes(4, "big").ljust(90)))  # type: ignore[misc]
    agenda.run(count * every_s + 60)
    assert lane.facts.unacked == 0
    return delivered


@pytest.mark.parametrize("name", ["clean-25", "loss-5-25", "spells-60", "jitter-reorder", "dark-half"])
def test_simulated_tcp_delivers_everything_once_and_in_order(name: str) -> None:
    delivered = one_connection(CONDITIONS[name], 800)
    assert [number for _, number in delivered] == list(range(800))
    assert [at for at, _ in delivered] == sorted(at for at, _ in delivered)


def test_a_loss_in_simulated_tcp_holds_up_what_is_behind_it_for_a_good_round_trip() -> None:
    delivered = one_connection(CONDITIONS["loss-5-25"], 3000)
    took_ms = sorted(1000 * (at - number / 100) for at, number in delivered)
    assert took_ms[1500] < 60
    assert 85 < took_ms[-150] < 250


def test_a_clean_link_is_charged_nothing() -> None:
    one, several = (by_lanes(CONDITIONS["clean-25"], 1, 5.0, lanes=lanes) for lanes in (1, 6))
    assert several.bytes_per_s == one.bytes_per_s
    assert (several.spread.counters.again, several.spread.counters.repeated) == (0, 0)
    assert several.score.p99_ms == pytest.approx(25.0)


@pytest.mark.parametrize("name", ["loss-5", "loss-5-25", "spells-30"])
def test_fewer_frames_are_late_or_lost_than_by_udp(name: str) -> None:
    lanes = [by_lanes(CONDITIONS[name], seed, LONG_S, lanes=6).score for seed in SEEDS]
    udp = [by_udp(CONDITIONS[name], seed, LONG_S) for seed in SEEDS]
    assert sum(one.late_80 for one in lanes) < 0.8 * sum(one.late_80 for one in udp)
    assert sum(one.late_120 for one in lanes) < 0.5 * sum(one.late_120 for one in udp)
    assert sum(one.lost for one in lanes) == 0


def test_spells_longer_than_a_slice_cost_little_more_than_udp_loses() -> None:
    """60 ms of silence at 100 ms round trip: what is lost in a spell can only be told when it is too late."""
    lanes = [by_lanes(CONDITIONS["spells-60"], seed, LONG_S, lanes=6).score for seed in SEEDS]
    udp = [by_udp(CONDITIONS["spells-60"], seed, LONG_S) for seed in SEEDS]
    assert sum(one.late_120 for one in lanes) < 1.25 * sum(one.late_120 for one in udp)


@pytest.mark.parametrize("name", ["dark-half", "spikes"])
def test_after_darkness_and_spikes_the_voice_is_back_as_soon_as_by_udp(name: str) -> None:
    lanes, udp = by_lanes(CONDITIONS[name], 1, LONG_S, lanes=6).score, by_udp(CONDITIONS[name], 1, LONG_S)
    assert lanes.late_120 < udp.late_120 + 0.01
    assert lanes.longest_gap_ms < udp.longest_gap_ms + 100


def test_each_degree_is_worth_its_bytes() -> None:
    none, usual = (by_lanes(CONDITIONS["loss-5-25"], 1, LONG_S, lanes=6, extra=extra) for extra in (0.0, 1.0))
    single = by_lanes(CONDITIONS["loss-5-25"], 1, LONG_S, lanes=1, extra=1.0)
    assert usual.score.late_80 < none.score.late_80 < single.score.late_80
    assert none.bytes_per_s < usual.bytes_per_s < 2 * none.bytes_per_s


@settings(max_examples=15)
@given(
    conditions=st.builds(
        Conditions,
        delay_ms=st.floats(0, 150),
        jitter_ms=st.floats(0, 30),
        loss=st.floats(0.001, 0.3),
        spell_ms=st.sampled_from([0.0, 20.0, 100.0]),
        rate_kbps=st.sampled_from([0.0, 60.0, 200.0]),
        dark_every_s=st.sampled_from([0.0, 1.5]),
        dark_s=st.floats(0, 1),
        reorder=st.booleans(),
    ),
    lanes=st.integers(1, 6),
    extra=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_on_any_link_little_is_kept_and_nothing_arrives_that_was_not_sent(
    conditions: Conditions, lanes: int, extra: float, seed: int
) -> None:
    run = by_lanes(conditions, seed, 1.0, lanes=lanes, extra=extra)
    counters = run.spread.counters
    assert run.spread.waiting_bytes <= 13 * 88
    assert all(len(lane.owed) <= MOST_OWED for lane in run.spread._lanes.values())
    assert counters.sent + counters.stale <= 300 + counters.again
    assert (counters.again + counters.repeated) * 88 <= extra * 300 * 88 + 4096
