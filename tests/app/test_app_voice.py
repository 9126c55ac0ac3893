"""The voice's way past the box: which lane, which route, and what is dropped."""

import pytest

from callbox.app.voice import Voice
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.link.events import CONTROL_LANE, LaneOpened, LaneReceived, Opening
from callbox.wire.media import MEDIA_TYPE, pack_media

ROUTE = 7


class NotedTransport:
    """Takes everything; notes lane and bytes."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.queued: dict[int, int] = {}

    def open(self, lane: int, opening: Opening = 0) -> None: ...

    def ping(self, lane: int) -> None: ...

    def close(self, lane: int) -> None: ...

    def shutdown(self) -> None: ...

    def readdress(self, server: str) -> None: ...

    def send(self, lane: int, data: bytes) -> bool:
        self.sent.append((lane, data))
        return True

    def queued_bytes(self, lane: int) -> int:
        return self.queued.get(lane, 0)


class Way:
    """A voice between an engine that never ran and a transport that only notes."""

    def __init__(self) -> None:
        self.engine = Engine(SimulatedDevices([]), lambda fact: None)
        self.transport = NotedTransport()
        self.voice = Voice(self.engine, self.transport, lambda: 1.0)

    def speak(self, frame: bytes = b"sealed") -> None:
        self.engine.outbound.put((1.0, frame))
        self.voice.pump()

    def heard(self) -> list[bytes]:
        return list(self.engine.inbound.drain())


@pytest.fixture
def way() -> Way:
    return Way()


def test_without_a_route_the_voice_is_dropped_and_not_kept(way: Way) -> None:
    way.speak()
    way.voice.attach(ROUTE)
    way.voice.pump()
    assert way.transport.sent == []


def test_the_sessions_own_connection_carries_it_until_a_lane_is_up(way: Way) -> None:
    way.voice.attach(ROUTE)
    way.speak()
    way.voice.lane_up(2)
    way.speak()
    way.voice.lane_down(2)
    way.speak()
    assert [lane for lane, _ in way.transport.sent] == [CONTROL_LANE, 2, CONTROL_LANE]
    assert way.transport.sent[0][1] == pack_media(ROUTE, [b"sealed"])


def test_of_several_lanes_the_emptiest_is_taken(way: Way) -> None:
    way.voice.attach(ROUTE)
    way.voice.lane_up(1)
    way.voice.lane_up(2)
    way.transport.queued = {1: 500}
    way.speak()
    assert [lane for lane, _ in way.transport.sent] == [2]


def test_only_frames_of_the_attached_route_are_heard(way: Way) -> None:
    ours, foreign = (LaneReceived(0, pack_media(route, [b"frame"])) for route in (ROUTE, ROUTE + 1))
    assert way.voice.took(ours)
    assert way.heard() == []
    way.voice.attach(ROUTE)
    assert way.voice.took(foreign)
    assert way.voice.took(ours)
    assert way.heard() == [b"frame"]
    way.voice.detach()
    assert way.voice.took(ours)
    assert way.heard() == []


def test_what_is_no_media_is_the_boxs(way: Way) -> None:
    assert not way.voice.took(LaneReceived(0, b"\x01control"))
    assert not way.voice.took(LaneOpened(0))


def test_malformed_media_is_counted_and_goes_no_further(way: Way) -> None:
    way.voice.attach(ROUTE)
    assert way.voice.took(LaneReceived(0, bytes([MEDIA_TYPE]) + b"\xff"))
    assert (way.voice.malformed, way.heard()) == (1, [])
