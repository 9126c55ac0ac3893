"""How much may be on the way: little before anything is known, then what the hop delivers, for a little while."""

import pytest

from callbox.lanes.facts import LaneFacts, wire_bytes
from callbox.lanes.flow import AHEAD_S, FIRST_BYTES, LEAST_BYTES, REMEMBER_S, Flow
from callbox.lanes.spread import Spread

RTT_S = 0.05


def delivering(flow: Flow, bytes_per_s: float, since: float, until: float) -> None:
    for tick in range(round(since * 20), round(until * 20)):
        flow.acked(round(bytes_per_s / 20), tick / 20)


def test_before_anything_is_known_it_is_little_and_more_where_the_way_is_long() -> None:
    assert Flow().allowed(RTT_S) == FIRST_BYTES
    assert Flow().allowed(0.5) > 10_000


def test_then_it_is_what_was_delivered_of_late_for_a_round_trip_and_a_bit() -> None:
    flow = Flow()
    delivering(flow, 20_000, 0.0, 3.0)
    assert flow.allowed(RTT_S) == pytest.approx(20_000 * (RTT_S + AHEAD_S), rel=0.1)
    delivering(flow, 4_000, 3.0, 3.5)
    assert flow.bytes_per_s > 15_000, "the best of late: a moment's loss is no new rate"
    delivering(flow, 4_000, 3.5, 3.5 + REMEMBER_S + 0.6)
    assert flow.bytes_per_s == pytest.approx(4_000, rel=0.1)
    delivering(flow, 200, 6.0, 10.0)
    assert flow.allowed(RTT_S) == LEAST_BYTES, "enough to find out that it carries more"


def test_darkness_is_told_and_is_not_taken_for_a_rate() -> None:
    flow = Flow()
    delivering(flow, 20_000, 0.0, 3.0)
    assert not flow.dark(3.1)
    assert flow.dark(3.5)
    delivering(flow, 20_000, 23.0, 23.4)
    assert flow.bytes_per_s > 15_000
    assert not flow.dark(23.5)


class ThinHop:
    """One lane over a link of 3,000 bytes/s with a queue; its kernel takes whatever it gets."""

    def __init__(self) -> None:
        self.spread = Spread(7)
        self.spread.set_lanes([1])
        self.queued = 0.0
        self.most_queued = 0.0

    def run(self, since: float, until: float, size: int) -> None:
        for tick in range(round(since * 100), round(until * 100)):
            now = tick / 100
            self.queued = max(0.0, self.queued - 30)
            for lane in self.spread.look_at(now):
                rtt_s = RTT_S + self.queued / 3000
                self.spread.note(lane, LaneFacts(round(self.queued), 0, False, rtt_s, 0.01, RTT_S), now)
            for _, message in self.spread.send([(now, bytes(size))], lambda _: True, now):
                self.queued += wire_bytes(len(message), masked=True)
            self.most_queued = max(self.most_queued, self.queued)


def test_a_thin_hop_is_not_buried_under_what_nobody_waits_for_and_its_rate_is_told() -> None:
    hop = ThinHop()
    hop.run(0.0, 1.0, 100)
    assert hop.most_queued < FIRST_BYTES
    hop.most_queued = 0.0
    hop.run(1.0, 4.0, 100)
    assert hop.most_queued < 0.45 * 3000
    assert hop.spread.counters.stale > 200
    assert hop.spread.carries_bits_per_s(4.0) == pytest.approx(24_000, rel=0.5)
    assert (hop.spread.counters.again, hop.spread.counters.repeated) == (0, 0)


def test_what_a_thin_hop_can_carry_is_not_held_back() -> None:
    hop = ThinHop()
    hop.run(0.0, 1.0, 100)
    for tick in range(10, 40):
        hop.run(tick / 10, tick / 10 + 0.01, 80)  # 10 frames a second
        hop.queued = max(0.0, hop.queued - 270)
    assert hop.spread.carries_bits_per_s(4.0) == 0
    assert hop.spread.waiting_bytes == 0


def test_fresh_lanes_are_not_held_back_by_what_lost_ones_owed() -> None:
    spread = Spread(7)
    spread.set_lanes([1])
    for tick in range(30):
        spread.send([(tick / 100, bytes(100))], lambda _: True, tick / 100)
    assert spread.waiting_bytes > 0
    spread.set_lanes([2])
    assert {lane for lane, _ in spread.send([(0.3, bytes(100))], lambda _: True, 0.3)} == {2}
    assert spread.waiting_bytes == 0
