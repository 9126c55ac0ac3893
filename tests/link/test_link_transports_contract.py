"""One suite over every transport: the real one against a local TLS server, the simulated one on virtual time.

A `Bench` gives each member a server at the other end that echoes what it gets, with a few words that make it act:
b"close!" closes the connection, b"deaf!" stops reading.
"""

import pkgutil
from collections.abc import Callable
from typing import Protocol

import pytest

from callbox.base.chance import SeededChance
from callbox.link import transports
from callbox.link.events import LaneClosed, LaneOpened, LanePonged, LaneReceived, TransportEvent
from callbox.link.transports import Transport
from callbox.testing.network import End, Hear, Network, PipeEvent, PipeReceived
from callbox.testing.network_transport import SimulatedTransport


class Bench(Protocol):
    """What the suite needs of a member's world."""

    seen: list[TransportEvent]
    transport: Transport

    async def until(self, met: Callable[[], bool]) -> None:
        """Let the world go on until `met`; fail after a while."""
        ...

    async def settle(self) -> None:
        """Let everything happen that is already on its way."""
        ...

    async def stop_listening(self) -> None: ...

    def pose(self) -> None:
        """Have somebody else answer at the server's address."""
        ...


class SimulatedBench:
    def __init__(self) -> None:
        self.seen: list[TransportEvent] = []
        self._network = Network(SeededChance(1))
        self._network.listen(self._accept)
        self.transport: Transport = SimulatedTransport(self._network, "kitchen", self.seen.append)

    def _accept(self, end: End) -> Hear:
        def hear(event: PipeEvent) -> None:
            if isinstance(event, PipeReceived):
                if event.data == b"close!":
                    end.close()
                elif event.data == b"deaf!":
                    self._network.blackhole("kitchen")
                else:
                    end.send(event.data)

        return hear

    async def until(self, met: Callable[[], bool]) -> None:
        while not met():
            deadline = self._network.deadline
            assert deadline is not None, "nothing more will happen"
            assert deadline < 20
            self._network.advance(deadline)

    async def settle(self) -> None:
        self._network.advance(self._network.now + 0.5)

    async def stop_listening(self) -> None:
        self._network.server_down()

    def pose(self) -> None:
        self._network.posed_as = True


@pytest.fixture(params=[pytest.param("websocket", marks=pytest.mark.real), "simulated"])
def bench(request: pytest.FixtureRequest) -> Bench:
    made: Bench = SimulatedBench() if request.param == "simulated" else request.getfixturevalue("real_bench")
    return made


def test_every_member_of_the_family_is_tested_here() -> None:
    shared = {"_lane", "connecting", "dialling"}
    members = {module.name for module in pkgutil.iter_modules(transports.__path__)} - shared
    assert members == {"websocket"}, "give the new transport a bench above"


async def opened(bench: Bench, lane: int = 0) -> None:
    bench.transport.open(lane)
    await bench.until(lambda: LaneOpened(lane) in bench.seen)


async def test_open_reports_later_never_from_inside(bench: Bench) -> None:
    bench.transport.open(0)
    assert bench.seen == []
    await bench.until(lambda: bool(bench.seen))
    assert bench.seen == [LaneOpened(0)]


async def test_messages_arrive_whole_and_in_order(bench: Bench) -> None:
    await opened(bench)
    messages = [bytes([number]) * (1 + 37 * number) for number in range(200)] + [b"x" * 65536]
    assert all(bench.transport.send(0, message) for message in messages)
    await bench.until(lambda: len(bench.seen) == 1 + len(messages))
    assert bench.seen[1:] == [LaneReceived(0, message) for message in messages]


async def test_lanes_are_apart(bench: Bench) -> None:
    await opened(bench, 0)
    await opened(bench, 1)
    bench.transport.send(1, b"one")
    await bench.until(lambda: LaneReceived(1, b"one") in bench.seen)
    bench.transport.close(1)
    bench.transport.send(0, b"nought")
    await bench.until(lambda: LaneReceived(0, b"nought") in bench.seen)
    assert not [event for event in bench.seen if isinstance(event, LaneClosed)]


async def test_a_ping_is_answered(bench: Bench) -> None:
    await opened(bench)
    bench.transport.ping(0)
    await bench.until(lambda: LanePonged(0) in bench.seen)


async def test_what_is_not_open_takes_nothing(bench: Bench) -> None:
    assert not bench.transport.send(0, b"early")
    bench.transport.ping(0)
    bench.transport.close(0)
    assert bench.transport.queued_bytes(0) == 0
    bench.transport.open(0)
    assert not bench.transport.send(0, b"still early")
    await bench.until(lambda: LaneOpened(0) in bench.seen)
    await bench.settle()
    assert bench.seen == [LaneOpened(0)]


async def test_after_close_nothing_is_reported_and_the_number_is_free(bench: Bench) -> None:
    await opened(bench)
    for _ in range(20):
        bench.transport.send(0, b"last words")
    bench.transport.close(0)
    bench.seen.clear()
    await bench.settle()
    assert bench.seen == []
    await opened(bench)
    bench.transport.send(0, b"again")
    await bench.until(lambda: LaneReceived(0, b"again") in bench.seen)


async def test_closing_while_opening_reports_nothing(bench: Bench) -> None:
    bench.transport.open(0)
    bench.transport.close(0)
    await bench.settle()
    assert bench.seen == []


async def test_opening_an_open_lane_begins_anew(bench: Bench) -> None:
    await opened(bench)
    bench.seen.clear()
    await opened(bench)
    await bench.settle()
    assert bench.seen == [LaneOpened(0)]


async def test_the_server_closes(bench: Bench) -> None:
    await opened(bench)
    bench.transport.send(0, b"close!")
    await bench.until(lambda: len(bench.seen) > 1)
    [closed] = bench.seen[1:]
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "network"
    assert closed.why.endswith(".")
    assert not bench.transport.send(0, b"too late")


async def test_nobody_listens(bench: Bench) -> None:
    await bench.stop_listening()
    bench.transport.open(0)
    await bench.until(lambda: bool(bench.seen))
    [closed] = bench.seen
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "refused"
    assert "Nothing listens" in closed.why


async def test_another_server_is_not_talked_to(bench: Bench) -> None:
    bench.pose()
    bench.transport.open(0)
    await bench.until(lambda: bool(bench.seen))
    [closed] = bench.seen
    assert isinstance(closed, LaneClosed)
    assert closed.kind == "certificate"
    assert "not from the server that this box joined" in closed.why


async def test_a_clogged_media_lane_says_so_and_holds_little(bench: Bench) -> None:
    await opened(bench, 1)
    bench.transport.send(1, b"deaf!")
    await bench.settle()
    taken = 0
    while bench.transport.send(1, b"m" * 1000) and taken < 5000:
        taken += 1
        if taken % 50 == 0:
            await bench.settle()
    assert taken < 5000
    assert 1000 < bench.transport.queued_bytes(1) <= 16 * 1024
    await bench.settle()
    assert not [event for event in bench.seen if isinstance(event, LaneClosed)]


async def test_a_clogged_control_lane_ends_rather_than_lose_a_message(bench: Bench) -> None:
    await opened(bench, 0)
    bench.transport.send(0, b"deaf!")
    await bench.settle()
    for _ in range(200):
        if not bench.transport.send(0, b"c" * 65536):
            break
    await bench.until(lambda: any(isinstance(event, LaneClosed) for event in bench.seen))
    assert bench.transport.queued_bytes(0) == 0


async def test_all_that_is_reported_says_of_which_opening_it_is(bench: Bench) -> None:
    bench.transport.open(0, 41)
    await bench.until(lambda: bool(bench.seen))
    bench.transport.send(0, b"echo")
    bench.transport.ping(0)
    await bench.until(lambda: len(bench.seen) == 3)
    bench.transport.send(0, b"close!")
    await bench.until(lambda: len(bench.seen) == 4)
    assert [event.opening for event in bench.seen] == [41] * 4


async def test_shutdown_closes_all_lanes_in_silence(bench: Bench) -> None:
    await opened(bench, 0)
    await opened(bench, 1)
    bench.seen.clear()
    bench.transport.shutdown()
    await bench.settle()
    assert bench.seen == []
    assert not bench.transport.send(0, b"gone")
