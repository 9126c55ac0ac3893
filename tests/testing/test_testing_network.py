"""The simulated network: ordered and complete like TCP, late like TCP, the same every time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.testing.network import (
    Conditions,
    End,
    Hear,
    Network,
    PipeClosed,
    PipeEvent,
    PipeOpened,
    PipePonged,
    PipeReceived,
)

TEN_MS = Conditions(delay_ms=10)


class Wire:
    """One network with a server that keeps what it hears, and pipes from places."""

    def __init__(self, conditions: Conditions = TEN_MS, seed: int = 1) -> None:
        self.network = Network(SeededChance(seed), conditions)
        self.heard: list[tuple[float, PipeEvent]] = []
        self.server_heard: list[tuple[float, PipeEvent]] = []
        self.server_ends: list[End] = []
        self.network.listen(self.accept)

    def accept(self, end: End) -> Hear:
        self.server_ends.append(end)
        return lambda event: self.server_heard.append((self.network.now, event))

    def connect(self, place: str = "kitchen") -> End:
        return self.network.connect(place, lambda event: self.heard.append((self.network.now, event)))

    def run(self, until: float) -> None:
        while (deadline := self.network.deadline) is not None and deadline <= until:
            self.network.advance(deadline)
        self.network.advance(until)

    def received(self) -> list[bytes]:
        return [event.data for _, event in self.server_heard if isinstance(event, PipeReceived)]


def opened(conditions: Conditions = TEN_MS, seed: int = 1) -> tuple[Wire, End]:
    wire = Wire(conditions, seed)
    end = wire.connect()
    wire.run(1.0)
    assert [event for _, event in wire.heard] == [PipeOpened()]
    return wire, end


def test_a_pipe_opens_after_three_round_trips() -> None:
    wire, _ = opened()
    assert wire.heard[0][0] == pytest.approx(0.06)


def test_a_message_takes_the_ways_delay_and_no_more() -> None:
    wire, end = opened()
    end.send(b"hello")
    wire.run(2.0)
    [(at, event)] = wire.server_heard[1:]
    assert event == PipeReceived(b"hello")
    assert at == pytest.approx(1.01)


def test_a_ping_comes_back_after_one_round_trip() -> None:
    wire, end = opened()
    end.ping()
    wire.run(2.0)
    [(at, event)] = wire.heard[1:]
    assert event == PipePonged()
    assert at == pytest.approx(1.02)


def test_a_slow_line_is_shared_by_all_pipes_of_a_place() -> None:
    wire, one = opened(Conditions(delay_ms=0, rate_kbps=8))
    two = wire.connect()
    wire.run(2.0)
    one.send(b"x" * 910)
    two.send(b"y" * 910)
    wire.run(10.0)
    times = [at for at, event in wire.server_heard if isinstance(event, PipeReceived)]
    assert times == pytest.approx([3.0, 4.0])


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    loss=st.floats(0, 0.4),
    jitter_ms=st.floats(0, 100),
    dark=st.lists(st.tuples(st.floats(0.1, 4), st.floats(0.01, 3)), max_size=3),
)
def test_whatever_happens_messages_arrive_whole_once_and_in_order(
    seed: int, loss: float, jitter_ms: float, dark: list[tuple[float, float]]
) -> None:
    wire, end = opened(Conditions(delay_ms=20), seed)
    wire.network.set_conditions("kitchen", Conditions(20, jitter_ms, loss, rate_kbps=200))
    now = 1.0
    for number in range(60):
        now += 0.02
        wire.run(now)
        end.send(b"%d" % number)
        wire.server_ends[0].send(b"%d" % number)
    for wait_s, dark_s in dark:
        now += wait_s
        wire.run(now)
        wire.network.blackhole("kitchen")
        wire.run(now := now + dark_s)
        wire.network.restore("kitchen")
    wire.run(now + 400)
    expected = [b"%d" % number for number in range(60)]
    assert wire.received() == expected
    assert [event.data for _, event in wire.heard if isinstance(event, PipeReceived)] == expected


def test_loss_stalls_what_is_behind_it_as_tcp_does() -> None:
    wire, end = opened(Conditions(delay_ms=25))
    wire.network.set_conditions("kitchen", Conditions(delay_ms=25, loss=0.05))
    for number in range(1000):
        wire.run(1 + number * 0.02)
        end.send(number.to_bytes(2, "big"))
    wire.run(60)
    delays = [
        at - (1 + 0.02 * int.from_bytes(event.data, "big"))
        for at, event in wire.server_heard
        if isinstance(event, PipeReceived)
    ]
    late = sum(delay > 0.08 for delay in delays) / len(delays)
    assert min(delays) == pytest.approx(0.025)
    assert 0.05 < late < 0.6
    assert max(delays) >= 0.25


def test_the_same_seed_gives_the_same_network() -> None:
    def play(seed: int) -> list[tuple[float, PipeEvent]]:
        wire = Wire(Conditions(20, 15, 0.1, 100), seed)
        end = wire.connect()
        for number in range(100):
            wire.run(2 + number * 0.02)
            end.send(b"%d" % number)
        wire.run(60)
        return wire.server_heard

    assert play(7) == play(7)
    assert play(7) != play(8)


def test_a_blackhole_tells_nobody_and_holds_everything() -> None:
    wire, end = opened()
    wire.network.blackhole("kitchen")
    end.send(b"into the dark")
    end.ping()
    wire.run(20.0)
    assert len(wire.heard) == 1
    assert wire.received() == []
    assert end.open
    wire.network.restore("kitchen")
    wire.run(60.0)
    assert wire.received() == [b"into the dark"]


def test_what_is_on_its_way_into_a_blackhole_is_late_not_lost() -> None:
    wire, end = opened()
    end.send(b"first")
    wire.network.blackhole("kitchen")
    wire.run(2.0)
    wire.network.restore("kitchen")
    end.send(b"second")
    wire.run(10.0)
    assert wire.received() == [b"first", b"second"]


def test_the_server_loses_patience_with_a_half_open_pipe_and_the_box_hears_it_later() -> None:
    wire, _ = opened()
    wire.network.blackhole("kitchen")
    wire.run(30.9)
    assert isinstance(wire.server_heard[-1][1], PipeOpened)
    wire.run(31.0)
    assert isinstance(wire.server_heard[-1][1], PipeClosed)
    wire.network.restore("kitchen")
    wire.run(100.0)
    assert isinstance(wire.heard[-1][1], PipeClosed)


def test_a_cut_is_noticed_at_both_ends_and_loses_what_was_on_its_way() -> None:
    wire, end = opened()
    end.send(b"lost")
    wire.network.cut("kitchen", noticed_s=0.5)
    wire.run(2.0)
    assert [(at, type(event)) for at, event in wire.heard[1:]] == [(1.5, PipeClosed)]
    assert [(at, type(event)) for at, event in wire.server_heard[1:]] == [(1.5, PipeClosed)]
    assert not end.send(b"no")
    wire.connect()
    wire.run(3.0)
    [closed] = [event for _, event in wire.heard[2:]]
    assert isinstance(closed, PipeClosed)
    assert closed.kind == "network"
    wire.network.restore("kitchen")
    wire.connect()
    wire.run(4.0)
    assert len(wire.heard) == 4
    assert isinstance(wire.heard[3][1], PipeOpened)


def test_faults_of_one_place_leave_the_others_alone() -> None:
    wire, _ = opened()
    other = wire.connect("workshop")
    wire.run(2.0)
    wire.network.cut("kitchen")
    other.send(b"still here")
    wire.run(3.0)
    assert wire.received() == [b"still here"]


def test_a_server_that_died_closes_all_and_refuses_until_it_listens_again() -> None:
    wire, end = opened()
    wire.network.server_down()
    end.send(b"to nobody")
    wire.run(2.0)
    assert isinstance(wire.heard[-1][1], PipeClosed)
    assert wire.received() == []
    wire.connect()
    wire.run(3.0)
    [closed] = [event for _, event in wire.heard[2:]]
    assert isinstance(closed, PipeClosed)
    assert closed.kind == "refused"
    wire.network.listen(wire.accept)
    wire.connect()
    wire.run(4.0)
    assert len(wire.heard) == 4
    assert isinstance(wire.heard[3][1], PipeOpened)


def test_connecting_in_the_dark_waits_for_the_next_syn() -> None:
    wire = Wire()
    wire.network.blackhole("kitchen")
    wire.connect()
    wire.run(1.5)
    wire.network.restore("kitchen")
    wire.run(10.0)
    assert [at for at, _ in wire.heard] == pytest.approx([2.06])


def test_a_closed_end_hears_nothing_and_the_other_hears_all_that_was_said_before() -> None:
    wire, end = opened()
    wire.server_ends[0].send(b"unheard")
    end.send(b"last words")
    end.close()
    wire.run(2.0)
    assert len(wire.heard) == 1
    assert [type(event) for _, event in wire.server_heard[1:]] == [PipeReceived, PipeClosed]


def test_closing_before_it_opened_leaves_no_trace_at_the_server() -> None:
    wire = Wire()
    wire.connect().close()
    wire.run(5.0)
    assert (wire.heard, wire.server_heard) == ([], [])


def test_a_sender_holds_what_is_behind_a_window_of_unacknowledged_messages() -> None:
    wire, end = opened()
    wire.network.blackhole("kitchen")
    for _ in range(10):
        end.send(b"x" * 110)
    assert end.queued_bytes == 0
    end.send(b"x" * 110)
    assert end.queued_bytes == 200
