"""The voice's way past the box: which lane, which route, and what is dropped."""

from collections.abc import Callable

import pytest

from callbox.app.media import SAVER_COPIES, copies
from callbox.app.settings import CallSettings
from callbox.app.voice import Voice
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import Command, NoteUnsent
from callbox.lanes.facts import LaneFacts
from callbox.link.events import CONTROL_LANE, LaneOpened, LaneReceived, Opening
from callbox.wire.media import MEDIA_TYPE, pack_media, unpack_media

ROUTE = 7


class NotedTransport:
    """Takes everything; notes lane and bytes."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.queued: dict[int, int] = {}
        self.said: dict[int, LaneFacts] = {}
        self.acknowledged: list[int] = []
        self.given_up: list[int] = []

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

    def facts(self, lane: int) -> LaneFacts | None:
        return self.said.get(lane)

    def acknowledge(self, lane: int) -> None:
        self.acknowledged.append(lane)

    def give_up(self, lane: int, why: str) -> None:
        self.given_up.append(lane)


class Way:
    """A voice between an engine that never ran and a transport that only notes."""

    def __init__(self) -> None:
        self.engine = Engine(SimulatedDevices([]), lambda fact: None)
        self.transport = NotedTransport()
        self.now = 1.0
        self.wakes: dict[float, Callable[[], None]] = {}
        self.voice = Voice(self.engine, self.transport, lambda: self.now, self.wake)

    def wake(self, due: float, act: Callable[[], None]) -> Callable[[], None]:
        self.wakes[due] = act
        return lambda: self.wakes.pop(due, None) and None

    def speak(self, frame: bytes = b"sealed") -> None:
        self.engine.outbound.put((self.now, frame))
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


def test_a_lane_that_takes_no_more_is_left_alone(way: Way) -> None:
    way.voice.attach(ROUTE)
    way.voice.lane_up(1)
    way.voice.lane_up(2)
    way.transport.queued = {1: 500}
    way.speak()
    assert [lane for lane, _ in way.transport.sent] == [2]


def test_a_calm_network_wakes_nobody_and_in_trouble_an_overdue_answer_does(way: Way) -> None:
    way.voice.attach(ROUTE)
    way.voice.lane_up(1)
    way.voice.lane_up(2)
    way.transport.said = {1: LaneFacts(500, holes=True, rtt_s=0.01, least_rtt_s=0.01)}
    for number in range(3):
        way.speak(b"%d" % number)
        assert way.wakes == {}
        way.now += 0.01
    way.speak(b"3")
    assert [unpack_media(message)[1] for lane, message in way.transport.sent if lane == 2] == [
        [b"0", b"1", b"2"],
        [b"3"],
    ]
    way.transport.said[2] = LaneFacts(500, holes=True, rtt_s=0.01, least_rtt_s=0.01)
    way.now += 0.01
    way.speak(b"4")
    [(due, act)] = way.wakes.items()
    assert way.now < due < way.now + 0.03
    del way.wakes[due]
    way.now = due
    act()
    way.voice.detach()
    assert way.wakes == {}


def test_a_lane_that_stays_stalled_is_given_up(way: Way) -> None:
    way.voice.attach(ROUTE)
    way.voice.lane_up(1)
    way.voice.lane_up(2)
    way.transport.said = {1: LaneFacts(500)}
    for _ in range(150):
        way.speak()
        way.now += 0.01
    assert set(way.transport.given_up) == {1}


def test_what_comes_where_nothing_of_ours_goes_is_acknowledged_at_once(way: Way) -> None:
    way.voice.attach(ROUTE)
    way.voice.lane_up(1)
    way.voice.lane_up(2)
    way.speak()
    way.voice.took(LaneReceived(1, pack_media(ROUTE, [b"frame"])))
    way.voice.took(LaneReceived(2, pack_media(ROUTE, [b"frame"])))
    assert way.transport.acknowledged == [2]


def test_the_rate_control_is_told_what_does_not_get_out(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Command] = []
    monkeypatch.setattr(way.engine, "command", told.append)
    way.voice.attach(ROUTE)
    way.voice.lane_up(1)
    way.speak()
    assert told == []
    way.transport.queued = {1: 500}
    way.speak()
    way.transport.queued = {}
    way.speak()
    assert told == [NoteUnsent(506), NoteUnsent(0)]
    way.transport.queued = {1: 500}
    way.speak()
    way.now += 0.2
    way.voice.pump()
    assert told[2:] == [NoteUnsent(506), NoteUnsent(500, dropped=1)]


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


def test_who_pays_by_the_byte_sends_little_twice() -> None:
    assert copies(CallSettings()) == 1.0
    assert copies(CallSettings(copies=0.5)) == 0.5
    assert copies(CallSettings(data_saver=True)) == SAVER_COPIES
    assert copies(CallSettings(data_saver=True, copies=0.0)) == 0.0
