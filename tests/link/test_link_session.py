"""The session core against a scripted server, with time turned by hand."""

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from callbox.link.events import (
    PROBE_LANE,
    CloseLane,
    EpochRolledBack,
    Incoming,
    LaneClosed,
    LaneDown,
    LaneOpened,
    LanePonged,
    LaneReceived,
    LinkEffect,
    LinkFault,
    OpenLane,
    PingLane,
    Replied,
    Retrying,
    SessionLost,
    SessionUp,
)
from callbox.link.states import State
from callbox.wire.codec import encode_message, login_transcript
from callbox.wire.signals import (
    Accepted,
    Challenge,
    Deliver,
    Envelope,
    FetchDevices,
    Login,
    PrekeysLow,
    Refused,
    RefusedWhy,
    RouteOpened,
    SetCalls,
)

if TYPE_CHECKING:
    from link.conftest import Rig

SERVER_ID = b"s" * 32
DEVICE = "00112233aabbccdd"


def test_the_way_up(rig: "Rig") -> None:
    assert rig.do(rig.session.start(rig.now)) == [OpenLane(0)]
    assert rig.feed(LaneOpened(0)) == []
    [login] = rig.said(rig.challenge())
    assert isinstance(login, Login)
    assert (login.account, login.device, login.connection_epoch) == ("kitchen", DEVICE, 8)
    transcript = login_transcript(SERVER_ID, b"n" * 32, login.nonce, DEVICE, 8)
    assert login.signature == b"signed:" + transcript[-57:]
    assert not rig.session.up
    assert rig.server(rig.welcome()) == [SessionUp(rig.welcome())]
    assert rig.session.up


def test_every_login_has_its_own_nonce_and_a_higher_epoch(rig: "Rig") -> None:
    rig.up()
    rig.feed(LaneClosed(0, "gone"))
    rig.run_until(rig.now + 1)
    rig.log_in()
    first, second = (message for message in rig.said(rig.seen) if isinstance(message, Login))
    assert first.nonce != second.nonce
    assert second.connection_epoch > first.connection_epoch


@pytest.mark.parametrize(
    ("steps", "why"),
    [(0, "does not answer."), (1, "says nothing"), (2, "does not answer the login")],
)
def test_each_step_of_the_way_up_has_its_timeout(rig: "Rig", steps: int, why: str) -> None:
    rig.do(rig.session.start(rig.now))
    if steps >= 1:
        rig.feed(LaneOpened(0))
    if steps >= 2:
        rig.challenge()
    assert rig.session.deadline == rig.now + 5.0
    rig.now += 5.0
    effects = rig.do(rig.session.tick(rig.now))
    assert effects[0] == CloseLane(0)
    assert isinstance(effects[-1], Retrying)
    assert why in effects[-1].why
    assert rig.session.state is State.WAITING


def test_it_tries_for_ever_with_growing_pauses(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    opened: list[float] = []
    for _ in range(200):
        assert rig.session.deadline is not None
        rig.feed(LaneClosed(0, "nobody listens", "refused"))
        rig.now = rig.session.deadline
        assert rig.do(rig.session.tick(rig.now)) == [OpenLane(0)]
        opened.append(rig.now)
    gaps = [later - earlier for earlier, later in pairwise(opened)]
    assert gaps[0] < 0.5
    assert all(15.0 <= gap <= 30.0 for gap in gaps[10:])
    assert not [effect for effect in rig.seen if isinstance(effect, SessionLost | LinkFault)]


@pytest.mark.parametrize(("lasted_s", "longest_s"), [(59.0, 30.0), (60.0, 0.2)])
def test_only_a_stable_minute_starts_the_backoff_anew(rig: "Rig", lasted_s: float, longest_s: float) -> None:
    rig.do(rig.session.start(rig.now))
    for _ in range(12):
        rig.feed(LaneClosed(0, "gone"))
        rig.now = rig.session.deadline or 0.0
        rig.do(rig.session.tick(rig.now))
    rig.log_in()
    rig.now += lasted_s
    [retrying] = [effect for effect in rig.feed(LaneClosed(0, "gone")) if isinstance(effect, Retrying)]
    assert longest_s / 2 <= retrying.delay_s <= longest_s


def test_requests_are_answered_once_each_and_by_number(rig: "Rig") -> None:
    rig.up()
    first, effects = rig.session.request(lambda number: FetchDevices(number, "workshop"), rig.now)
    assert rig.said(effects) == [FetchDevices(first, "workshop")]
    second, _ = rig.session.request(lambda number: SetCalls(number, False), rig.now)
    assert second != first
    assert rig.server(Accepted(second)) == [Replied(second, Accepted(second))]
    assert rig.server(Accepted(second)) == [Incoming(Accepted(second))]
    effects = rig.feed(LaneClosed(0, "the line is cut"))
    assert effects[:2] == [Replied(first, None), SessionLost("the line is cut")]


def test_a_request_without_a_session_is_answered_at_once_with_none(rig: "Rig") -> None:
    number, effects = rig.session.request(lambda number: SetCalls(number, True), rig.now)
    assert effects == [Replied(number, None)]
    assert rig.session.say(SetCalls(9, True), rig.now) == []


def test_a_route_that_becomes_complete_comes_as_a_message(rig: "Rig") -> None:
    rig.up()
    number, _ = rig.session.request(lambda number: SetCalls(number, True), rig.now)
    assert rig.server(RouteOpened(number, 5, False)) == [Replied(number, RouteOpened(number, 5, False))]
    assert rig.server(RouteOpened(number, 5, True)) == [Incoming(RouteOpened(number, 5, True))]


def test_letters_and_notices_come_as_messages(rig: "Rig") -> None:
    rig.up()
    letter = Deliver(Envelope("mail", b"m" * 16, "workshop", DEVICE, "kitchen", DEVICE, 60, 0, b"sealed"))
    assert rig.server(letter) == [Incoming(letter)]
    assert rig.server(PrekeysLow(3)) == [Incoming(PrekeysLow(3))]


def test_a_server_that_pongs_but_never_answers_is_given_up(rig: "Rig") -> None:
    rig.up()
    number, _ = rig.session.request(lambda number: SetCalls(number, True), rig.now)
    start = rig.now

    def pong(effect: LinkEffect) -> None:
        if effect == PingLane(0):
            rig.feed(LanePonged(0))

    effects = rig.run_until(start + 60.0, pong)
    assert Replied(number, None) in effects
    assert any(isinstance(effect, SessionLost) for effect in effects)


def test_a_slow_server_that_still_talks_is_not_given_up(rig: "Rig") -> None:
    rig.up()
    rig.session.request(lambda number: SetCalls(number, True), rig.now)
    for _ in range(20):
        rig.run_until(rig.now + 15.0)
        rig.server(PrekeysLow(1))
    assert rig.session.up


@pytest.mark.parametrize(("in_call", "noticed_s"), [(True, 10.0), (False, 45.0)])
def test_a_half_open_connection_is_noticed_in_time(rig: "Rig", in_call: bool, noticed_s: float) -> None:
    rig.up()
    rig.do(rig.session.in_call(in_call, rig.now))
    start = rig.now
    while rig.session.up:
        rig.now = rig.session.deadline or 0.0
        rig.do(rig.session.tick(rig.now))
    assert rig.now - start == pytest.approx(noticed_s)
    assert SessionLost("The server has gone silent.") in rig.seen
    assert CloseLane(0) in rig.seen


def silent_in_a_call(rig: "Rig") -> None:
    rig.up()
    rig.do(rig.session.in_call(True, rig.now))
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.lane_up(1)
    rig.run_until(rig.now + 1.4)
    assert OpenLane(PROBE_LANE) not in rig.seen
    rig.run_until(rig.now + 0.2)
    assert OpenLane(PROBE_LANE) in rig.seen


def test_after_a_moment_of_darkness_the_session_and_its_lanes_are_still_there(rig: "Rig") -> None:
    silent_in_a_call(rig)
    rig.run_until(rig.now + 2.0)
    assert rig.feed(LanePonged(0)) == [CloseLane(PROBE_LANE)]
    assert rig.feed(LaneOpened(PROBE_LANE)) == []
    assert rig.session.up
    assert rig.session.lanes == (1,)
    assert not [effect for effect in rig.seen if isinstance(effect, SessionLost | Retrying)]


def test_a_connection_is_dead_when_the_server_answers_a_fresh_one_and_the_old_stays_silent(rig: "Rig") -> None:
    silent_in_a_call(rig)
    effects = rig.feed(LaneOpened(PROBE_LANE))
    assert SessionLost("The server has gone silent.") in effects
    assert {CloseLane(0), CloseLane(1), OpenLane(0), CloseLane(PROBE_LANE)} <= set(effects)
    assert rig.session.state is State.OPENING
    rig.log_in()
    assert rig.session.up


def test_voice_that_is_heard_again_gives_the_session_time(rig: "Rig") -> None:
    silent_in_a_call(rig)
    assert CloseLane(PROBE_LANE) in rig.do(rig.session.media_flows(True, rig.now))
    rig.feed(LaneOpened(PROBE_LANE))
    rig.seen.clear()
    rig.run_until(rig.now + 20.0)
    assert rig.session.up
    assert OpenLane(PROBE_LANE) not in rig.seen
    rig.do(rig.session.media_flows(False, rig.now))
    rig.run_until(rig.now + 2.0)
    assert OpenLane(PROBE_LANE) in rig.seen


@pytest.mark.parametrize("end", ["stop", "hang up", "closed"])
def test_a_probe_ends_with_what_it_asks_about(rig: "Rig", end: str) -> None:
    silent_in_a_call(rig)
    if end == "stop":
        effects = rig.do(rig.session.stop(rig.now))
    elif end == "closed":
        effects = rig.feed(LaneClosed(0, "gone"))
    else:
        effects = rig.do(rig.session.in_call(False, rig.now))
    assert CloseLane(PROBE_LANE) in effects
    assert rig.feed(LaneOpened(PROBE_LANE)) == []


def test_a_probe_is_repeated_while_nothing_answers(rig: "Rig") -> None:
    silent_in_a_call(rig)
    before = rig.seen.count(OpenLane(PROBE_LANE))
    rig.run_until(rig.now + 7.5)
    assert rig.seen.count(OpenLane(PROBE_LANE)) >= before + 2
    assert rig.session.up


def test_in_a_call_attempts_follow_closely_for_the_whole_grace(rig: "Rig") -> None:
    rig.up()
    rig.do(rig.session.in_call(True, rig.now))
    rig.feed(LaneClosed(0, "Wi-Fi gone"))
    lost_at, attempts = rig.now, 0
    while rig.now < lost_at + 30.0:
        rig.now = rig.session.deadline or 0.0
        if OpenLane(0) in rig.do(rig.session.tick(rig.now)):
            attempts += 1
            rig.feed(LaneClosed(0, "no way to the server"))
    assert attempts >= 60


def test_a_call_that_begins_shortens_a_long_pause(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    for _ in range(12):
        rig.feed(LaneClosed(0, "gone"))
        rig.now = rig.session.deadline or 0.0
        rig.do(rig.session.tick(rig.now))
    rig.feed(LaneClosed(0, "gone"))
    rig.do(rig.session.in_call(True, rig.now))
    assert (rig.session.deadline or 0.0) <= rig.now + 0.5


def test_hurry_tries_at_once_and_doubts_what_seems_up(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    rig.feed(LaneClosed(0, "gone"))
    assert rig.do(rig.session.hurry(rig.now)) == [OpenLane(0)]
    assert rig.do(rig.session.hurry(rig.now)) == [CloseLane(0), OpenLane(0)]
    rig.log_in()
    assert rig.do(rig.session.hurry(rig.now)) == [PingLane(0)]
    rig.run_until(rig.now + 1.5)
    assert not rig.session.up


def test_another_server_is_never_logged_in_to(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    rig.feed(LaneOpened(0))
    effects = rig.challenge(server_id=b"x" * 32)
    assert rig.said(effects) == []
    assert effects[0] == CloseLane(0)
    assert isinstance(effects[1], LinkFault)
    assert rig.epoch == 7


def test_a_wrong_certificate_is_said_once_and_tried_slowly(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    for _ in range(3):
        effects = rig.feed(LaneClosed(0, "certificate is not of our authority", "certificate"))
        assert isinstance(effects[-1], Retrying)
        assert effects[-1].delay_s >= 30.0
        rig.now = rig.session.deadline or 0.0
        rig.do(rig.session.tick(rig.now))
    [fault] = [effect for effect in rig.seen if isinstance(effect, LinkFault)]
    assert "pose as the server" in fault.cure
    rig.log_in()
    rig.feed(LaneClosed(0, "certificate is not of our authority", "certificate"))
    assert len([effect for effect in rig.seen if isinstance(effect, LinkFault)]) == 2


@pytest.mark.parametrize(
    ("why", "fault", "slow"),
    [
        ("unknown-device", True, True),
        ("revoked", True, True),
        ("bad-signature", True, True),
        ("replaced", True, True),
        ("malformed", True, True),
        ("too-many", False, False),
        ("too-slow", False, False),
        ("stopping", False, False),
        ("epoch", False, False),
    ],
)
def test_refusals(rig: "Rig", why: RefusedWhy, fault: bool, slow: bool) -> None:
    rig.up()
    effects = rig.server(Refused(why, connection_epoch=41))
    assert any(isinstance(effect, LinkFault) for effect in effects) is fault
    [retrying] = [effect for effect in effects if isinstance(effect, Retrying)]
    assert (retrying.delay_s > 10.0) is slow
    assert (EpochRolledBack(41) in effects) is (why == "epoch")


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x09junk", b"\x01" + b"\x91" * 3000, encode_message(Accepted(1))[:-1]]
)
def test_nonsense_ends_the_connection_not_the_program(rig: "Rig", data: bytes) -> None:
    rig.up()
    effects = rig.feed(LaneReceived(0, data))
    assert CloseLane(0) in effects
    assert any(isinstance(effect, SessionLost) for effect in effects)


def test_what_a_dead_connection_still_reports_is_ignored(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    rig.feed(LaneClosed(0, "gone"))
    before = rig.session.deadline
    assert rig.feed(LaneOpened(0)) == []
    assert rig.server(rig.welcome()) == []
    assert rig.feed(LaneClosed(0, "gone again")) == []
    assert rig.session.deadline == before


def test_what_a_queue_still_holds_of_an_earlier_opening_is_ignored(rig: "Rig") -> None:
    """An old challenge answered on a new connection would look like a forged login."""
    [first] = rig.do(rig.session.start(rig.now))
    _, second = rig.do(rig.session.hurry(rig.now))
    assert isinstance(first, OpenLane)
    assert isinstance(second, OpenLane)
    assert first.opening != second.opening
    stale = Challenge(SERVER_ID, b"o" * 32)
    assert rig.feed(LaneOpened(0, opening=first.opening)) == []
    assert rig.feed(LaneReceived(0, encode_message(stale), opening=first.opening)) == []
    assert rig.feed(LaneClosed(0, "gone", opening=first.opening)) == []
    rig.feed(LaneOpened(0, opening=second.opening))
    rig.challenge()
    assert rig.server(rig.welcome()) == [SessionUp(rig.welcome())]


def test_a_welcome_that_was_not_asked_for_brings_no_session_up(rig: "Rig") -> None:
    rig.do(rig.session.start(rig.now))
    rig.feed(LaneOpened(0))
    rig.server(rig.welcome())
    assert not rig.session.up


def test_stop_answers_everything_and_leaves_no_timer(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(2, rig.now))
    rig.up()
    rig.lane_up(1)
    number, _ = rig.session.request(lambda number: SetCalls(number, True), rig.now)
    effects = rig.do(rig.session.stop(rig.now))
    assert {CloseLane(0), CloseLane(1), CloseLane(2)} <= set(effects)
    assert [one for one in effects if isinstance(one, Replied | SessionLost | LaneDown)] == [
        LaneDown(1),
        Replied(number, None),
        SessionLost("The box closed the session."),
    ]
    assert rig.session.deadline is None
    assert rig.do(rig.session.start(rig.now)) == [OpenLane(0)]
