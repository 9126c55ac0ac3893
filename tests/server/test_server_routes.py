"""Media routes: who may open them, who hears whom on them, and what becomes of them when something breaks."""

import pytest

from callbox.server.events import Received
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import pack_media, unpack_media
from callbox.wire.signals import (
    CloseRoute,
    EndRing,
    LaneJoined,
    Refused,
    RouteClosed,
    RouteOpened,
    SetRow,
    Welcome,
)
from server.house import BOTH, CELLAR, KITCHEN, KITCHEN2, WORKSHOP, WORKSHOP2, letters, open_room, send, talking
from server.people import Box
from server.room import accepted, call_id, denied, media, opened, ring_of, route_of


def test_media_flows_both_ways_unchanged_once_both_are_there() -> None:
    room, kitchen, workshop, route = talking()
    assert workshop.all(RouteOpened)[-1] == RouteOpened(2, route, complete=True)  # its own request's number again
    assert send(room, kitchen, workshop, route) == [media(route)]
    assert send(room, workshop, kitchen, route) == [media(route)]


def test_media_goes_nowhere_while_the_route_is_half() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    route = opened(workshop.ask(route_of(KITCHEN, 1))).route
    assert send(room, workshop, kitchen, route) == []
    assert send(room, kitchen, workshop, route) == []  # it knows the number, and has not opened it


def test_media_on_anothers_route_reaches_nobody() -> None:
    room, kitchen, workshop, route = talking()
    for intruder in (room.login(CELLAR), room.login(KITCHEN2), room.login(WORKSHOP2)):
        room.give(Received(intruder.number, media(route)))
        assert not intruder.closed
    assert kitchen.media == workshop.media == []


def test_a_guessed_number_reaches_nobody() -> None:
    room, kitchen, workshop, route = talking()
    for guess in (0, 1, route ^ 1, route + 1, 2**32 - 1):
        assert send(room, workshop, kitchen, guess) == []
    assert room.server.counters["media.dropped"] == 5


def test_two_calls_do_not_mix() -> None:
    room, kitchen, workshop, first = talking()
    cellar, other = room.login(CELLAR), room.login(KITCHEN2)
    room.allow(other, CELLAR, "ring")
    cellar.ask(ring_of(CELLAR, [KITCHEN2], 5))
    cellar.ask(route_of(KITCHEN2, 5, token=5))
    second = opened(other.ask(route_of(CELLAR, 5, token=5))).route
    assert second != first
    assert send(room, cellar, other, second) == [media(second)]
    assert send(room, cellar, other, first) == []
    assert kitchen.media == workshop.media == []


@pytest.mark.parametrize("differs", ["token", "call", "peer"])
def test_both_must_say_the_same(differs: str) -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    workshop.say(EndRing(call_id(1)))
    workshop.ask(ring_of(WORKSHOP, BOTH, 2))
    workshop.ask(route_of(KITCHEN, 1))
    answer = {"token": route_of(WORKSHOP, 1, token=2), "call": route_of(WORKSHOP, 2), "peer": route_of(WORKSHOP2, 1)}
    assert not opened(kitchen.ask(answer[differs])).complete
    assert not any(message.complete for message in workshop.all(RouteOpened))


def test_a_route_needs_a_ring_of_this_call_in_the_last_90_seconds() -> None:
    room = open_room()
    room.pass_time(100)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert denied(workshop.ask(route_of(KITCHEN, 1))) == "no-ring"
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    assert denied(workshop.ask(route_of(KITCHEN, 2))) == "no-ring"
    assert denied(room.login(CELLAR).ask(route_of(KITCHEN, 1))) == "no-ring"
    room.pass_time(89.9)
    assert not opened(workshop.ask(route_of(KITCHEN, 1))).complete
    room.pass_time(0.2)
    assert denied(kitchen.ask(route_of(WORKSHOP, 1, token=3))) == "no-ring"
    assert opened(kitchen.ask(route_of(WORKSHOP, 1))).complete  # of a route that was begun in time


def test_half_a_route_is_closed_after_90_seconds() -> None:
    room = open_room()
    workshop = room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    route = opened(workshop.ask(route_of(KITCHEN, 1))).route
    room.pass_time(90)
    assert workshop.all(RouteClosed) == [RouteClosed(route)]


def test_a_route_outlives_a_lost_connection_by_60_seconds() -> None:
    room, kitchen, workshop, route = talking()
    workshop.leave()
    room.pass_time(59)
    assert not kitchen.all(RouteClosed)
    assert send(room, kitchen, workshop, route) == []
    workshop = room.login(WORKSHOP)
    assert send(room, kitchen, workshop, route) == []  # not before it opened it again
    again = opened(workshop.ask(route_of(KITCHEN, 1)))
    assert again == RouteOpened(1, route, complete=True)
    assert kitchen.all(RouteOpened)[-1] == RouteOpened(1, route, complete=True)
    assert send(room, kitchen, workshop, route) == [media(route)]


def test_a_route_whose_side_stays_away_is_closed() -> None:
    room, kitchen, workshop, route = talking()
    workshop.leave()
    room.pass_time(60)
    assert kitchen.all(RouteClosed) == [RouteClosed(route)]
    room.pass_time(30)
    assert denied(room.login(WORKSHOP).ask(route_of(KITCHEN, 1))) == "no-ring"


def test_after_a_restart_a_pair_that_may_call_opens_its_route_again_in_time() -> None:
    for waited_s, works in ((89, True), (91, False)):
        room, *_ = talking()
        room.start()
        room.pass_time(waited_s)
        kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
        answers = [kitchen.ask(route_of(WORKSHOP, 1)), workshop.ask(route_of(KITCHEN, 1))]
        assert [isinstance(answer, RouteOpened) for answer in answers] == [works, works]
        if works:
            assert opened(answers[1]).complete
            assert send(room, kitchen, workshop, opened(answers[1]).route)


def test_after_a_restart_strangers_have_no_route_and_one_side_alone_has_no_media() -> None:
    room, *_ = talking()
    room.start()
    kitchen, cellar = room.login(KITCHEN), room.login(CELLAR)
    assert denied(cellar.ask(route_of(KITCHEN, 1))) == "no-ring"
    workshop = room.login(WORKSHOP)
    route = opened(workshop.ask(route_of(KITCHEN, 1))).route
    assert not opened(kitchen.ask(route_of(WORKSHOP, 1, token=9))).complete
    assert send(room, workshop, kitchen, route) == []


def test_closing_is_told_to_the_other_side_and_only_members_close() -> None:
    room, kitchen, workshop, route = talking()
    room.login(CELLAR).say(CloseRoute(route))
    assert send(room, kitchen, workshop, route)
    workshop.say(CloseRoute(route))
    assert kitchen.all(RouteClosed) == [RouteClosed(route)]
    assert not workshop.all(RouteClosed)
    assert send(room, kitchen, workshop, route) == []


def test_a_device_has_few_routes() -> None:
    room = open_room()
    workshop = room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    answers = [workshop.ask(route_of(KITCHEN, 1, token=number)) for number in range(6)]
    assert [isinstance(answer, RouteOpened) for answer in answers] == [True] * 4 + [False] * 2
    assert denied(answers[-1]) == "busy"


def test_a_restarted_box_resumes_its_call_without_a_ring_and_gets_a_new_route() -> None:
    room, kitchen, workshop, route = talking()
    workshop = room.login(WORKSHOP)
    for _ in range(5):  # not counted as rings
        assert accepted(workshop.ask(ring_of(WORKSHOP, [KITCHEN], 1, resume=True)))
    assert letters(kitchen) == 6
    kitchen.ask(route_of(WORKSHOP, 1, token=2))
    fresh = opened(workshop.ask(route_of(KITCHEN, 1, token=2)))
    assert fresh.complete
    assert fresh.route != route
    assert kitchen.all(RouteClosed) == [RouteClosed(route)]
    assert send(room, kitchen, workshop, route) == []


@pytest.mark.parametrize("who", [WORKSHOP2, CELLAR])
def test_nobody_else_resumes_a_call(who: Box) -> None:
    room, kitchen, _workshop, _route = talking()
    assert denied(room.login(who).ask(ring_of(who, [KITCHEN], 1, resume=True))) == "no-ring"
    assert letters(kitchen) == 1


# --- media messages ---


@pytest.mark.parametrize(
    "data",
    [
        b"\x02",
        b"\x02\0\0\0\1",
        media(1)[:-1],
        pack_media(1, [b"x"] * 13),
        pack_media(1, [b"x" * 4096]),
        pack_media(1, [b""]),
    ],
)
def test_malformed_media_closes_its_connection(data: bytes) -> None:
    room, kitchen, workshop, _route = talking()
    with pytest.raises(MalformedMessage):
        room.server.relay(workshop.number, data)
    room.give(Received(workshop.number, data))
    assert workshop.last(Refused).why == "malformed"
    assert not kitchen.closed


def frames(*numbers: int) -> list[bytes]:
    return [frame for number in numbers for frame in unpack_media(media(1, number))[1]]


def test_of_the_copies_of_a_frame_one_goes_on_over_the_lane_that_the_receiver_itself_uses() -> None:
    room, kitchen, workshop, route = talking()
    lanes = {
        box: [room.lane(peer, ticket) for ticket in peer.last(Welcome).tickets[:2]]
        for box, peer in ((KITCHEN, kitchen), (WORKSHOP, workshop))
    }
    for sender in lanes[WORKSHOP]:
        room.give(Received(sender.number, media(route, 1)))
    assert [len(lane.media) for lane in lanes[KITCHEN]] == [1, 0]
    room.give(Received(lanes[KITCHEN][1].number, media(route, 2)))
    room.give(Received(lanes[WORKSHOP][0].number, media(route, 3)))
    assert lanes[KITCHEN][1].media == [media(route, 3)]
    lanes[KITCHEN][1].leave()
    room.give(Received(lanes[WORKSHOP][0].number, media(route, 4)))
    assert [unpack_media(message)[1] for message in lanes[KITCHEN][0].media] == [frames(1), frames(3, 4)], "3 was owed"
    lanes[KITCHEN][0].leave()
    room.give(Received(lanes[WORKSHOP][0].number, media(route, 5)))
    assert [unpack_media(message)[1] for message in kitchen.media] == [frames(4, 5)]
    assert {lane.last(LaneJoined).lane for lane in lanes[KITCHEN]} == {1, 2}


def test_a_set_row_of_ones_own_is_refused() -> None:
    room = open_room()
    assert denied(room.login(KITCHEN).ask(lambda request: SetRow(request, "kitchen", "ring"))) == "not-yours"
