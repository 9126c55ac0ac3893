"""What goes on which lane, what goes again, what goes nowhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.lanes.facts import LaneFacts, wire_bytes
from callbox.lanes.lane import MOST_OWED
from callbox.lanes.spread import LOST_S, MOST_PENDING, PROBE_S, REPLACE_S, STALE_S, Spread
from callbox.lanes.trouble import BAD, Budget, Trouble
from callbox.wire.media import MAX_FRAMES, MAX_MEDIA_BYTES, unpack_media

RTT_S = 0.050
ONE = wire_bytes(5 + 2 + 88, masked=True)  # a message of one frame of the tests, on the wire


def frame(number: int, size: int = 88) -> bytes:
    return number.to_bytes(4, "big").ljust(size, b"\1")


def facts(unacked: int = 0, holes: bool = False, rtt_s: float = RTT_S, unsent: int = 0) -> LaneFacts:
    return LaneFacts(unacked, unsent, holes, rtt_s, 0.001, RTT_S)


class Hop:
    """A spread and what it sent; every lane takes everything."""

    def __init__(self, lanes: int = 4, extra: float = 1.0) -> None:
        self.spread = Spread(7, extra=extra)
        self.spread.flow.bytes_per_s = 25_000.0  # it is known to carry what is sent
        self.spread._room = 20_000.0
        self.lanes = list(range(1, lanes + 1))
        self.spread.set_lanes(self.lanes)
        self.sent: list[tuple[float, int, list[int]]] = []

    def send(self, now: float, *numbers: int, free: list[int] | None = None, captured: float | None = None) -> None:
        fresh = [(now if captured is None else captured, frame(number)) for number in numbers]
        for lane, message in self.spread.send(fresh, (self.lanes if free is None else free).__contains__, now):
            route, frames = unpack_media(message)
            assert route == 7
            self.sent.append((now, lane, [int.from_bytes(one[:4], "big") for one in frames]))

    def note(self, now: float, lane: int, said: LaneFacts | None) -> None:
        self.spread.note(lane, said, now)

    def answered(self, now: float, lost: int = 0) -> None:
        """Let everything be acknowledged that was sent a round trip ago; what went on lane `lost` never is."""
        for number, lane in self.spread._lanes.items():
            owed = sum(one.wire_bytes for one in lane.owed if one.sent_at > now - RTT_S or number == lost)
            self.note(now, number, facts(owed))

    def shake(self, times: int, now: float = 0.0) -> None:
        for number in range(times):
            self.spread.trouble.stalled(now - 0.2 * (times - number - 1))


def test_a_calm_hop_stays_on_one_lane_and_sends_nothing_twice() -> None:
    hop = Hop()
    for number in range(200):
        now = number / 100
        hop.send(now, number)
        for lane in hop.spread.look_at(now):
            hop.note(now, lane, facts(5 * ONE))  # 50 ms of frames are on the way
    assert {lane for _, lane, _ in hop.sent} == {1}
    assert [numbers for _, _, numbers in hop.sent] == [[number] for number in range(200)]


def test_frames_that_a_stalled_lane_owes_go_once_more_together_and_new_ones_avoid_it() -> None:
    hop = Hop()
    for number in range(8):
        hop.send(number / 100, number)
    hop.note(0.080, 1, facts(7 * ONE, holes=True))  # the first one arrived, the second is missing
    hop.send(0.080, 8)
    again, fresh = hop.sent[-2:]
    assert again == (0.080, 2, [1, 2, 3, 4, 5, 6, 7])
    assert fresh[1] != 1
    assert fresh[2] == [8]
    hop.send(0.090, 9)
    assert [numbers for _, _, numbers in hop.sent[-1:]] == [[9]], "once more, not for ever"
    assert hop.spread.counters.again == 7


def test_a_lane_that_caught_up_is_used_again() -> None:
    hop = Hop(lanes=2)
    hop.send(0.0, 1)
    hop.note(0.2, 1, facts(ONE))
    hop.send(0.2, 2)
    hop.note(0.3, 1, facts(0))
    hop.note(0.3, 2, facts(ONE))
    hop.send(0.31, 3)
    assert [(lane, numbers) for _, lane, numbers in hop.sent] == [(1, [1]), (2, [2]), (1, [2]), (1, [3])]


def test_an_acknowledgement_that_only_takes_its_time_is_no_stall() -> None:
    """Linux waits up to 40 ms for something to send it along with; a queue on the way makes all of them late."""
    hop = Hop()
    hop.send(0.0, 1)
    hop.note(RTT_S + 0.040, 1, facts(ONE))
    assert hop.spread.counters.stalls == 0
    hop.note(0.3, 1, facts(ONE, rtt_s=0.3))
    assert hop.spread.counters.stalls == 0


@pytest.mark.parametrize(("age_s", "again"), [(STALE_S - 0.002, 1), (STALE_S + 0.002, 0)])
def test_a_stale_frame_goes_neither_first_nor_again(age_s: float, again: int) -> None:
    hop = Hop()
    hop.send(0.0, 1)
    hop.note(age_s, 1, facts(ONE))
    hop.send(age_s, 2, captured=0.0)
    assert hop.spread.counters.again == again
    assert hop.spread.counters.stale == 1 - again


def test_with_no_lane_free_frames_wait_and_grow_stale() -> None:
    hop = Hop()
    for number in range(6000):
        hop.send(number / 100, number, free=[])
        assert hop.spread.waiting_bytes <= 13 * 88
    assert hop.spread.deadline is not None
    hop.send(59.99)
    numbers = [number for _, _, sent in hop.sent for number in sent]
    assert numbers == list(range(6000 - len(numbers), 6000))
    assert hop.spread.counters.stale + hop.spread.counters.sent == 6000


def test_a_sender_that_floods_fills_no_memory() -> None:
    hop = Hop()
    hop.send(0.0, *range(1000), free=[])
    assert hop.spread.waiting_bytes == MOST_PENDING * 88
    assert hop.spread.counters.stale == 1000 - MOST_PENDING


def test_in_shaky_weather_lanes_take_turns() -> None:
    hop = Hop()
    hop.shake(1)
    for number in range(40):
        for lane in hop.spread.look_at(number / 100):
            hop.note(number / 100, lane, facts(0))
        hop.send(number / 100, number)
    assert {lane for _, lane, _ in hop.sent} == {1, 2, 3, 4}
    assert sum(len(numbers) for _, _, numbers in hop.sent) == 40


def test_in_bad_weather_each_frame_goes_again_a_slice_later_on_another_lane() -> None:
    hop = Hop()
    hop.shake(6)
    assert hop.spread.trouble.degree == 2
    for number in range(30):
        hop.answered(number / 100)
        hop.send(number / 100, number)
    at = {number: [(now, lane) for now, lane, numbers in hop.sent if number in numbers] for number in range(20)}
    assert all(len(copies) == 2 for copies in at.values())
    for first, second in at.values():
        assert first[1] != second[1]
        assert 0.009 < second[0] - first[0] < 0.045
    assert hop.spread.counters.repeated >= 20


def test_what_has_arrived_is_not_repeated() -> None:
    hop = Hop()
    hop.shake(6)
    for number in range(30):
        for lane in hop.lanes:
            hop.note(number / 100, lane, facts(0))
        hop.send(number / 100, number)
    assert hop.spread.counters.repeated == 0


def test_nothing_is_repeated_where_bytes_queue() -> None:
    hop = Hop()
    hop.shake(6)
    for lane in hop.lanes:
        hop.note(0.0, lane, facts(0, rtt_s=RTT_S + 0.2))
    for number in range(30):
        hop.send(number / 100, number)
    assert hop.spread.counters.repeated == 0


def test_copies_stay_within_what_is_allowed() -> None:
    hop = Hop(extra=0.25)
    hop.shake(60)
    for number in range(1000):
        hop.shake(1, number / 100)
        hop.answered(number / 100)
        hop.send(number / 100, number)
    assert 200 <= hop.spread.counters.repeated + hop.spread.counters.again <= 250 + 4096 / 88


def test_none_at_all_where_nothing_extra_is_allowed() -> None:
    hop = Hop(extra=0.0)
    hop.send(0.0, 1)
    hop.note(0.1, 1, facts(ONE, holes=True))
    hop.send(0.1, 2)
    assert [(lane, numbers) for _, lane, numbers in hop.sent] == [(1, [1]), (2, [2])]


def test_when_all_lanes_have_stalled_frames_go_on_for_a_moment_and_then_now_and_then() -> None:
    """Perhaps only acknowledgements are lost; but in the dark, little that waits to be repeated comes back sooner."""
    hop = Hop(lanes=2)
    for number in range(100):
        now = number / 100
        for lane in hop.lanes:
            hop.note(now, lane, facts(99 * ONE, holes=True))
        hop.send(now, number)
    stalled_at = max(lane.stalled_since or 0.0 for lane in hop.spread._lanes.values())
    assert 0.1 < stalled_at < 0.2
    moment = [numbers for now, _, numbers in hop.sent if stalled_at < now < stalled_at + PROBE_S - 0.001]
    assert all(len(numbers) == 1 for numbers in moment)
    assert len(moment) >= 3
    later = [(now, numbers) for now, _, numbers in hop.sent if now > 0.3]
    assert len(later) == pytest.approx(0.7 / PROBE_S, abs=2)
    assert all(1 <= len(numbers) <= MAX_FRAMES for _, numbers in later)
    assert [number for _, numbers in later for number in numbers] == list(range(later[0][1][0], later[-1][1][-1] + 1))


def test_of_lanes_in_turn_one_whose_answer_is_late_comes_last() -> None:
    """The longer an answer takes, the likelier something is lost: the lane that rested longest is the worst, then."""
    hop = Hop(lanes=3)
    hop.shake(1)
    for lane in hop.lanes:
        hop.note(0.0, lane, facts(0))
    for number, now in ((1, 0.0), (2, 0.032), (3, 0.0635)):
        hop.answered(now, lost=1)
        hop.send(now, number, free=[1, 2])
    assert hop.spread.counters.stalls == 0
    assert [lane for _, lane, _ in hop.sent] == [1, 2, 2]


def test_a_lane_that_stays_stalled_is_given_up_only_while_others_move() -> None:
    hop = Hop(lanes=2)
    hop.send(0.0, 1)
    hop.note(0.2, 1, facts(ONE))
    assert hop.spread.worn_out(0.2 + REPLACE_S) == []
    assert hop.spread.worn_out(0.3 + REPLACE_S) == [1]
    hop.send(0.21, 2)
    hop.note(0.5, 2, facts(ONE))
    assert hop.spread.worn_out(0.3 + REPLACE_S) == []
    assert hop.spread.worn_out(0.3 + LOST_S) == [1]


def test_what_a_lost_lane_owed_goes_over_another() -> None:
    hop = Hop()
    hop.send(0.0, 1)
    hop.send(0.01, 2)
    hop.spread.set_lanes([2, 3])
    hop.lanes = [2, 3]
    hop.send(0.02, 3)
    assert [numbers for _, lane, numbers in hop.sent if lane != 1] == [[1, 2, 3]]


def test_a_kernel_that_says_nothing_costs_nothing() -> None:
    hop = Hop()
    for number in range(100):
        now = number / 100
        for lane in hop.spread.look_at(now):
            hop.note(now, lane, None)
        hop.send(now, number)
    assert [numbers for _, _, numbers in hop.sent] == [[number] for number in range(100)]


def test_the_other_ends_lane_is_preferred_while_calm() -> None:
    hop = Hop()
    hop.spread.prefer(3)
    hop.send(0.0, 1)
    hop.spread.prefer(9)
    hop.send(0.01, 2)
    assert [lane for _, lane, _ in hop.sent] == [3, 3]


def test_trouble_rises_at_once_and_fades() -> None:
    trouble = Trouble()
    assert trouble.at(0.0) == 0
    trouble.stalled(1.0)
    assert trouble.at(1.0) == 1
    for number in range(int(BAD) + 1):
        trouble.stalled(1.5 + number / 2)
    assert trouble.at(3.5) == 2
    assert trouble.at(20.0) == 0


def test_stalls_within_a_moment_have_one_cause() -> None:
    trouble = Trouble()
    for number in range(6):
        trouble.stalled(1.0 + number / 100)
    assert trouble.at(1.1) == 1


def test_a_budget_saves_up_no_more_than_a_burst() -> None:
    budget = Budget(0.5)
    budget.earn(1_000_000)
    assert budget.spend(4096)
    assert not budget.spend(1)
    budget.earn(100)
    assert budget.spend(50)


@given(
    sizes=st.lists(st.integers(1, 1500), max_size=60),
    free=st.sets(st.integers(1, 6), max_size=6),
    degree=st.integers(0, 6),
)
def test_every_message_keeps_the_bounds_of_the_wire_and_the_order(
    sizes: list[int], free: set[int], degree: int
) -> None:
    hop = Hop(lanes=6)
    hop.shake(degree)
    frames = [(0.0, bytes([number]) * size) for number, size in enumerate(sizes)]
    messages = hop.spread.send(frames, free.__contains__, 0.0)
    parts = [unpack_media(message)[1] for _, message in messages]
    assert all(len(message) <= MAX_MEDIA_BYTES for _, message in messages)
    assert all(1 <= len(part) <= MAX_FRAMES for part in parts)
    assert {lane for lane, _ in messages} <= free
    first = list(dict.fromkeys(one[0] for part in parts for one in part))
    assert first == list(range(len(first)))
    assert bool(first) == bool(sizes and free)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5000), st.booleans(), st.floats(0, 0.1)), max_size=300))
def test_whatever_the_kernel_says_what_is_remembered_stays_bounded(
    said: list[tuple[int, int, bool, float]],
) -> None:
    hop = Hop()
    now = 0.0
    for number, (lane, unacked, holes, passed_s) in enumerate(said):
        now += passed_s
        hop.note(now, lane, facts(unacked, holes))
        hop.send(now, number % 256)
        assert hop.spread.waiting_bytes <= 88 * (2 + STALE_S / 0.0001)
        assert all(len(lane.owed) <= MOST_OWED for lane in hop.spread._lanes.values())
