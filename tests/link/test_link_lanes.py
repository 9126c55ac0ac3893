"""Media lanes of a session: joined by ticket, gone with the session, back with the next."""

from typing import TYPE_CHECKING

from callbox.link.events import (
    CloseLane,
    LaneClosed,
    LaneDown,
    LaneOpened,
    LanePonged,
    LaneReceived,
    LaneUp,
    LinkEffect,
    MediaReceived,
    OpenLane,
    PingLane,
    SessionUp,
)
from callbox.wire.media import pack_media
from callbox.wire.signals import (
    ClientMessage,
    JoinLane,
    LaneJoined,
    Refused,
)

if TYPE_CHECKING:
    from link.conftest import Rig


def test_a_media_lane_joins_by_ticket_once_the_session_is_up(rig: "Rig") -> None:
    assert rig.do(rig.session.want_lanes(1, rig.now)) == []
    assert rig.up()[-1] == OpenLane(1)
    rig.feed(LaneOpened(1))
    assert rig.said(rig.challenge(1), 1) == [JoinLane(b"ticket0")]
    assert (rig.session.lanes, rig.session.media_lanes) == ((), (0,))
    assert rig.server(LaneJoined(1), 1) == [LaneUp(1)]
    assert (rig.session.lanes, rig.session.media_lanes) == ((1,), (1,))


def test_media_goes_up_undecoded_and_only_from_lanes_that_are_up(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.up()
    message = pack_media(3, [b"sealed"])
    assert rig.feed(LaneReceived(1, message)) == []
    rig.lane_up(1)
    assert rig.feed(LaneReceived(1, message)) == [MediaReceived(1, message)]
    assert rig.feed(LaneReceived(0, message)) == [MediaReceived(0, message)]


def test_a_lost_lane_comes_back_without_touching_the_session(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.up()
    rig.lane_up(1)
    assert rig.feed(LaneClosed(1, "gone")) == [LaneDown(1)]
    assert OpenLane(1) in rig.run_until(rig.now + 0.3)
    rig.feed(LaneOpened(1))
    assert rig.said(rig.challenge(1), 1) == [JoinLane(b"ticket1")]
    assert rig.session.up


def test_a_silent_lane_costs_no_pings_in_a_call(rig: "Rig") -> None:
    """Whether it moves is seen by the voice itself, from what the kernel says; only the session is watched closely."""
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.up()
    rig.lane_up(1)
    rig.do(rig.session.in_call(True, rig.now))

    def pong(effect: LinkEffect) -> None:
        if effect == PingLane(0):
            rig.feed(LanePonged(0))

    soon = rig.run_until(rig.now + 10.0, pong)
    assert PingLane(0) in soon
    assert PingLane(1) not in soon
    assert LaneDown(1) in rig.run_until(rig.now + 60.0, pong)
    assert rig.session.up


def test_lanes_die_with_the_session_and_return_with_new_tickets(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(2, rig.now))
    rig.up()
    rig.lane_up(1)
    effects = rig.feed(LaneClosed(0, "gone"))
    assert {LaneDown(1), CloseLane(1), CloseLane(2)} <= set(effects)
    assert LaneDown(2) not in effects
    rig.run_until(rig.now + 0.3)
    effects = rig.log_in()
    assert effects[1:] == [OpenLane(1), OpenLane(2)]


def test_a_used_ticket_is_never_sent_again_and_lanes_end_with_the_tickets(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.up(tickets=2)
    sent: list[ClientMessage] = []
    for _ in range(4):
        rig.feed(LaneOpened(1))
        sent += rig.said(rig.challenge(1), 1)
        rig.server(Refused("bad-ticket"), 1)
        rig.run_until(rig.now + 10)
    assert sent == [JoinLane(b"ticket0"), JoinLane(b"ticket1")]
    assert rig.session.up


def test_each_lane_that_joins_brings_the_next_ticket(rig: "Rig") -> None:
    """Calls come and go for months in one session."""
    rig.up(tickets=1)
    for number in range(50):
        assert rig.do(rig.session.want_lanes(1, rig.now)) == [OpenLane(1)]
        rig.lane_up(1, ticket=b"next%d" % number)
        assert rig.do(rig.session.want_lanes(0, rig.now)) == [LaneDown(1), CloseLane(1)]


def test_no_more_lanes_than_the_server_takes(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(50, rig.now))
    rig.up(tickets=50)
    for number in range(1, 7):
        rig.lane_up(number)
    assert rig.session.lanes == tuple(range(1, 7))
    assert len([effect for effect in rig.seen if isinstance(effect, OpenLane)]) == 1 + 6


def test_lanes_are_opened_a_few_at_once_for_the_voice_already_goes(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(6, rig.now))
    rig.up()
    assert [effect.lane for effect in rig.seen if isinstance(effect, OpenLane)] == [0, 1, 2]
    rig.seen.clear()
    rig.lane_up(2)
    assert [effect.lane for effect in rig.seen if isinstance(effect, OpenLane)] == [3]


def test_a_ticket_is_shown_to_no_other_server(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.up()
    rig.feed(LaneOpened(1))
    assert rig.said(rig.challenge(1, server_id=b"x" * 32), 1) == []
    assert rig.session.up


def test_tickets_of_an_ended_session_are_forgotten(rig: "Rig") -> None:
    rig.do(rig.session.want_lanes(1, rig.now))
    rig.up(tickets=3)
    rig.feed(LaneClosed(0, "gone"))
    rig.run_until(rig.now + 0.3)
    rig.log_in(tickets=0)
    assert rig.seen[-1] == SessionUp(rig.welcome(0))
