"""Rings and call letters: who may, how often, for how long, and what everybody hears."""

from collections.abc import Callable

import pytest

from callbox.wire.records import Row
from callbox.wire.signals import (
    Accepted,
    Deliver,
    Denied,
    EndRing,
    RingEnded,
    RouteClosed,
    RouteOpened,
    ServerMessage,
    SetCalls,
    Welcome,
)
from callbox.wire.told import Told
from server.house import BOTH, CELLAR, KITCHEN, KITCHEN2, WORKSHOP, WORKSHOP2, letters, open_room, send, talking
from server.people import Box
from server.room import Peer, accepted, call_id, denied, ring_of, route_of, submit_of


def test_every_device_that_is_here_gets_its_own_offer() -> None:
    room = open_room()
    here = [room.login(KITCHEN), room.login(KITCHEN2)]
    assert accepted(room.login(WORKSHOP).ask(ring_of(WORKSHOP, BOTH, 1)))
    assert [peer.last(Deliver).envelope.to_device for peer in here] == [KITCHEN.device, KITCHEN2.device]


def test_a_device_that_comes_while_it_rings_gets_the_offer_and_later_none() -> None:
    room = open_room()
    room.login(WORKSHOP).ask(ring_of(WORKSHOP, BOTH, 1))
    room.pass_time(59)
    assert letters(room.login(KITCHEN)) == 1
    room.pass_time(1)
    assert letters(room.login(KITCHEN2)) == 0


def test_an_offer_is_handed_out_again_to_a_device_that_reconnects() -> None:
    room = open_room()
    room.login(KITCHEN)
    room.login(WORKSHOP).ask(ring_of(WORKSHOP, BOTH, 1))
    assert letters(room.login(KITCHEN)) == 1


def test_an_offer_ends_soon_after_its_caller_has_gone_and_not_if_it_comes_back() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    workshop.leave()
    room.pass_time(11)
    workshop = room.login(WORKSHOP)
    room.pass_time(30)
    assert not kitchen.all(RingEnded)
    workshop.leave()
    room.pass_time(11.9)
    assert not kitchen.all(RingEnded)
    room.pass_time(0.2)
    assert kitchen.last(RingEnded).call_id == call_id(1)


@pytest.mark.parametrize("how", ["withdrawn", "60 s passed"])
def test_the_end_of_an_offer_is_told_to_who_got_it(how: str) -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    if how == "withdrawn":
        workshop.say(EndRing(call_id(1)))
    else:
        room.pass_time(60)
    assert kitchen.all(RingEnded) == [RingEnded(call_id(1))]
    assert letters(room.login(KITCHEN2)) == 0


def test_only_the_caller_withdraws() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    for other in (kitchen, room.login(CELLAR), room.login(WORKSHOP2)):
        other.say(EndRing(call_id(1)))
    assert not kitchen.all(RingEnded)


def test_rings_are_never_written_down() -> None:
    room = open_room()
    batches = room.store.batches
    workshop = room.login(WORKSHOP)
    after_login = room.store.batches
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    workshop.say(EndRing(call_id(1)))
    assert room.store.batches == after_login > batches
    room.start()
    assert letters(room.login(KITCHEN)) == 0


def test_after_a_restart_the_callers_box_offers_again() -> None:
    room = open_room()
    room.login(WORKSHOP).ask(ring_of(WORKSHOP, BOTH, 1))
    room.start()
    kitchen = room.login(KITCHEN)
    assert accepted(room.login(WORKSHOP).ask(ring_of(WORKSHOP, BOTH, 1)))
    assert letters(kitchen) == 1


def test_a_repeated_offer_costs_nothing_and_brings_only_what_is_new() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    answers = [workshop.ask(ring_of(WORKSHOP, [KITCHEN], 1)) for _ in range(6)]
    assert all(accepted(answer) for answer in answers)
    assert letters(kitchen) == 1
    workshop.ask(ring_of(WORKSHOP, [KITCHEN], 1, letter=1))
    assert letters(kitchen) == 2
    assert denied([workshop.ask(ring_of(WORKSHOP, [KITCHEN], 1)) for _ in range(5)][-1]) == "too-often"


# --- who may ring ---

_ROWS: list[tuple[Row, bool, str | None]] = [
    ("ring", False, None),
    ("ring", True, None),
    ("knock", True, None),
    ("knock", False, "not-allowed"),
    ("message", False, "not-allowed"),
    ("message", True, "not-allowed"),
    ("request", False, "not-allowed"),
    ("request", True, "not-allowed"),
]


@pytest.mark.parametrize(("row", "knock", "why"), _ROWS)
def test_the_row_decides(row: Row, knock: bool, why: str | None) -> None:
    room = open_room(row)
    kitchen = room.login(KITCHEN)
    answer = room.login(WORKSHOP).ask(ring_of(WORKSHOP, BOTH, 1, knock=knock))
    assert (denied(answer) if why else None) == why
    assert letters(kitchen) == (0 if why else 1)


def test_calls_disabled_refuses_and_says_so() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert accepted(kitchen.ask(lambda request: SetCalls(request, False)))
    answer = workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    assert answer == Denied(1, "calls-disabled", Told.NOT_ACCEPTING)
    room.start()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert kitchen.last(Welcome).calls_enabled is False
    assert denied(workshop.ask(ring_of(WORKSHOP, BOTH, 1))) == "calls-disabled"
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1)))


_LIES: list[tuple[str, Callable[[int], object]]] = [
    ("another's envelope", ring_of(CELLAR, BOTH, 1)),
    ("an envelope twice", ring_of(WORKSHOP, [KITCHEN, KITCHEN], 1)),
    ("two accounts", ring_of(WORKSHOP, [KITCHEN, CELLAR], 1)),
    ("its own account", ring_of(WORKSHOP, [WORKSHOP2], 1)),
]


@pytest.mark.parametrize(("what", "build"), _LIES, ids=[lie[0] for lie in _LIES])
def test_a_lying_ring_is_refused(what: str, build: Callable[[int], object]) -> None:
    room = open_room()
    kitchen = room.login(KITCHEN)
    assert denied(room.login(WORKSHOP).ask(build)) == "not-yours"  # type: ignore[arg-type]
    assert not letters(kitchen)


def test_a_call_to_nobody() -> None:
    room = open_room()
    assert denied(room.login(WORKSHOP).ask(ring_of(WORKSHOP, [Box("nobody")], 1))) == "no-such-account"


# --- how often ---


def ring_and_end(workshop: Peer, call: int) -> ServerMessage:
    answer = workshop.ask(ring_of(WORKSHOP, BOTH, call))
    workshop.say(EndRing(call_id(call)))
    return answer


def test_three_rings_at_once_then_one_in_two_minutes() -> None:
    room = open_room()
    workshop = room.login(WORKSHOP)
    assert [accepted(ring_and_end(workshop, call)) for call in range(4)] == [True, True, True, False]
    assert workshop.last(Denied).retry_after_s in range(119, 122)
    room.pass_time(119)
    assert not accepted(ring_and_end(workshop, 5))
    room.pass_time(1.1)
    assert [accepted(ring_and_end(workshop, call)) for call in (6, 7)] == [True, False]


def test_ten_rings_an_hour() -> None:
    room = open_room()
    workshop = room.login(WORKSHOP)
    rung = 0
    for minute in range(59):
        rung += accepted(ring_and_end(workshop, minute))
        room.pass_time(60)
    assert rung == 10
    room.pass_time(120)
    assert accepted(ring_and_end(workshop, 99))


def test_the_count_is_per_pair_and_no_reconnect_resets_it() -> None:
    room = open_room()
    cellar = room.login(CELLAR)
    room.allow(cellar, WORKSHOP, "ring")
    for call in range(3):
        ring_and_end(room.login(WORKSHOP), call)
    workshop = room.login(WORKSHOP2)
    assert denied(workshop.ask(ring_of(WORKSHOP2, BOTH, 9))) == "too-often"
    assert accepted(workshop.ask(ring_of(WORKSHOP2, [CELLAR], 10)))


def test_one_offer_at_a_time_the_callers_next_takes_its_place() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    other_device = room.login(WORKSHOP2).ask(ring_of(WORKSHOP2, BOTH, 2))
    assert (denied(other_device), other_device.told) == ("busy", Told.BUSY)  # type: ignore[union-attr]
    assert accepted(workshop.ask(ring_of(WORKSHOP, BOTH, 3)))
    assert kitchen.all(RingEnded) == [RingEnded(call_id(1))]


# --- blocked looks like switched off ---


def _tries(row: Row) -> tuple[list[ServerMessage], list[ServerMessage]]:
    """Return all that a caller hears, and all that a callee that comes late hears."""
    room = open_room(row)
    workshop = room.login(WORKSHOP)
    for call in range(5):
        workshop.ask(ring_of(WORKSHOP, BOTH, call, knock=call == 1))
        workshop.ask(ring_of(WORKSHOP, BOTH, call))
        workshop.ask(submit_of(WORKSHOP, KITCHEN, call, cls="call"))
        workshop.ask(route_of(KITCHEN, call))
        workshop.say(EndRing(call_id(call)))
    workshop.ask(ring_of(WORKSHOP, BOTH, 0, resume=True))
    room.pass_time(200)
    workshop.ask(ring_of(WORKSHOP, BOTH, 7))
    room.pass_time(61)
    workshop.ask(ring_of(WORKSHOP, BOTH, 7, resume=True))
    return [m for m in workshop.heard if not isinstance(m, Welcome)], room.login(KITCHEN).heard


def test_a_blocked_caller_hears_what_it_hears_of_a_box_that_is_switched_off() -> None:
    blocked, off = _tries("blocked"), _tries("ring")
    assert [*map(_shape, blocked[0])] == [*map(_shape, off[0])]
    assert {type(message) for message in off[0]} >= {Accepted, Denied, RouteOpened}


def _shape(message: ServerMessage) -> object:
    """Return what does not depend on chance."""
    if isinstance(message, RouteOpened):
        return (message.request, message.complete)
    return type(message) if isinstance(message, RouteClosed) or not hasattr(message, "request") else message


def test_a_blocked_call_reaches_nobody() -> None:
    room = open_room("blocked")
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert accepted(workshop.ask(ring_of(WORKSHOP, BOTH, 1)))
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1, cls="call")))
    workshop.say(EndRing(call_id(1)))
    later = room.login(KITCHEN2)
    assert not [m for m in kitchen.heard + later.heard if isinstance(m, Deliver | RingEnded)]


def test_blocking_stops_what_rings_and_ends_what_talks() -> None:
    room, kitchen, workshop, route = talking()
    workshop.ask(ring_of(WORKSHOP, BOTH, 2))
    room.allow(kitchen, WORKSHOP, "blocked")
    assert kitchen.all(RingEnded)[-1:] == [RingEnded(call_id(2))]
    assert workshop.all(RouteClosed) == [RouteClosed(route)]
    assert send(room, workshop, kitchen, route) == []


# --- call letters ---


def test_call_letters_pass_at_once_or_never() -> None:
    room = open_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1, cls="call")))
    assert letters(kitchen) == 1
    kitchen.leave()
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 2, cls="call")))
    assert letters(room.login(KITCHEN)) == 0


def test_the_called_may_answer_a_caller_that_it_is_a_stranger_to_for_90_seconds() -> None:
    room = open_room()
    room.pass_time(100)  # the server has not just started
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    answer = submit_of(KITCHEN, WORKSHOP, 1, cls="call")
    assert denied(kitchen.ask(answer)) == "not-allowed"
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    assert accepted(kitchen.ask(answer))
    room.pass_time(91)
    assert denied(kitchen.ask(answer)) == "not-allowed"


def test_a_stranger_cannot_use_call_letters_by_allowing_its_victim() -> None:
    room = open_room()
    room.pass_time(100)
    cellar, kitchen = room.login(CELLAR), room.login(KITCHEN)
    room.allow(cellar, KITCHEN, "ring")
    assert denied(cellar.ask(submit_of(CELLAR, KITCHEN, 1, cls="call"))) == "not-allowed"
    assert letters(kitchen) == 0


def test_call_letters_are_bounded() -> None:
    room = open_room()
    workshop = room.login(WORKSHOP)
    answers = [workshop.ask(submit_of(WORKSHOP, KITCHEN, number, cls="call")) for number in range(120)]
    assert [accepted(answer) for answer in answers] == [True] * 100 + [False] * 20
    room.pass_time(1.01)
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 999, cls="call")))
