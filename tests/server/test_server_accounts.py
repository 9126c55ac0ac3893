"""Prekeys are handed out once, rows and settings are safe before they are accepted, and every bound holds."""

import json
from functools import partial

import pytest

from callbox.server.settings import AccountBounds, PrekeyBounds, ServerSettings
from callbox.wire.signals import (
    Accepted,
    ClaimPrekeys,
    Denied,
    Devices,
    FetchDevices,
    PrekeysLow,
    PublishPrekeys,
    ServerMessage,
    SetRow,
    Welcome,
)
from server.people import Box
from server.room import Peer, Room, accepted, denied

KITCHEN, WORKSHOP = Box("kitchen"), Box("workshop")


def publish(peer: Peer, box: Box, *numbers: int, fallback: bool = False) -> ServerMessage:
    keys = tuple(box.prekey(number, fallback) for number in numbers)
    return peer.ask(lambda request: PublishPrekeys(request, keys))


def claim(peer: Peer, box: Box) -> bytes | None:
    answer = peer.ask(lambda request: ClaimPrekeys(request, box.name))
    assert isinstance(answer, Devices), answer
    (device,) = answer.devices
    return device.key.key if device.key else None


def test_one_time_keys_go_out_once_then_the_fallback_again_and_again() -> None:
    room = Room(KITCHEN, WORKSHOP)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert claim(workshop, KITCHEN) is None
    assert accepted(publish(kitchen, KITCHEN, 1, 2))
    assert accepted(publish(kitchen, KITCHEN, 1, fallback=True))
    got = [claim(workshop, KITCHEN) for _ in range(4)]
    fallback = KITCHEN.prekey(1, True).key
    assert got == [KITCHEN.prekey(1).key, KITCHEN.prekey(2).key, fallback, fallback]


def test_a_claimed_key_stays_claimed_through_a_restart_and_a_repeated_publish() -> None:
    room = Room(KITCHEN, WORKSHOP)
    publish(room.login(KITCHEN), KITCHEN, 1, 2)
    assert claim(room.login(WORKSHOP), KITCHEN) == KITCHEN.prekey(1).key
    room.start()
    kitchen = room.login(KITCHEN)
    assert accepted(publish(kitchen, KITCHEN, 1, 2))
    assert room.login(KITCHEN).last(Welcome).prekeys_left == 1
    workshop = room.login(WORKSHOP)
    assert [claim(workshop, KITCHEN), claim(workshop, KITCHEN)] == [KITCHEN.prekey(2).key, None]


def test_a_claim_is_answered_after_the_commit_but_also_without_storage() -> None:
    room = Room(KITCHEN, WORKSHOP)
    publish(room.login(KITCHEN), KITCHEN, 1)
    workshop = room.login(WORKSHOP)
    room.held = []
    workshop.say(ClaimPrekeys(1, "kitchen"))
    assert not workshop.all(Devices)
    room.store.failing = True
    room.release()
    assert workshop.all(Devices)


def test_keys_that_are_not_safe_are_not_here_so_that_they_come_again() -> None:
    room = Room(KITCHEN, WORKSHOP)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    publish(kitchen, KITCHEN, 1)
    room.store.failing = True
    assert denied(publish(kitchen, KITCHEN, 2, fallback=True)) == "no-storage"
    room.store.failing = False
    got = [claim(workshop, KITCHEN) for _ in range(2)]
    assert got == [KITCHEN.prekey(1).key, None], "only what was safe before"
    assert accepted(publish(kitchen, KITCHEN, 2, fallback=True))
    room.start()
    assert claim(room.login(WORKSHOP), KITCHEN) == KITCHEN.prekey(2, True).key


def test_only_the_devices_named_give_a_key() -> None:
    room = Room(KITCHEN, WORKSHOP)
    publish(room.login(KITCHEN), KITCHEN, 1)
    workshop = room.login(WORKSHOP)
    for build in (lambda n: FetchDevices(n, "kitchen"), lambda n: ClaimPrekeys(n, "kitchen", ("0" * 16,))):
        answer = workshop.ask(build)
        assert isinstance(answer, Devices)
        assert [(device.record, device.key) for device in answer.devices] == [(KITCHEN.record(), None)]
    assert claim(workshop, KITCHEN)


def test_a_box_is_asked_for_more_below_twenty() -> None:
    room = Room(KITCHEN, WORKSHOP)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    publish(kitchen, KITCHEN, *range(21))
    claim(workshop, KITCHEN)
    assert not kitchen.all(PrekeysLow)
    claim(workshop, KITCHEN)
    assert kitchen.all(PrekeysLow) == [PrekeysLow(19)]


def test_a_device_keeps_at_most_fifty_and_only_keys_that_it_signed() -> None:
    room = Room(KITCHEN, WORKSHOP)
    kitchen = room.login(KITCHEN)
    assert denied(publish(kitchen, KITCHEN, *range(51))) == "too-large"
    assert accepted(publish(kitchen, KITCHEN, *range(50)))
    assert denied(publish(kitchen, KITCHEN, 50)) == "too-large"
    assert accepted(publish(kitchen, KITCHEN, 7))  # known already
    assert denied(publish(kitchen, WORKSHOP, 1)) == "not-yours"


def test_claims_and_fetches_are_bounded_per_pair_and_account() -> None:
    bounds = PrekeyBounds(claims=6, fetches=3, window_s=600)
    room = Room(KITCHEN, WORKSHOP, settings=ServerSettings(prekeys=bounds))
    workshop, kitchen = room.login(WORKSHOP), room.login(KITCHEN)
    for _ in range(6):
        claim(workshop, KITCHEN)
    answer = workshop.ask(lambda request: ClaimPrekeys(request, "kitchen"))
    assert answer == Denied(7, "too-often", None, 601)
    claim(kitchen, WORKSHOP)
    for _ in range(3):
        assert isinstance(workshop.ask(lambda request: FetchDevices(request, "kitchen")), Devices)
    assert denied(workshop.ask(lambda request: FetchDevices(request, "kitchen"))) == "too-often"
    room.pass_time(600)
    claim(workshop, KITCHEN)


def test_the_blocked_get_the_same_answer_about_devices() -> None:
    room = Room(KITCHEN, WORKSHOP)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    publish(kitchen, KITCHEN, 1, 2)
    room.allow(kitchen, WORKSHOP, "blocked")
    assert claim(workshop, KITCHEN) == KITCHEN.prekey(1).key
    assert isinstance(workshop.ask(lambda request: FetchDevices(request, "kitchen")), Devices)


def test_accounts_that_are_not_here() -> None:
    room = Room(WORKSHOP)
    workshop = room.login(WORKSHOP)
    assert denied(workshop.ask(lambda request: FetchDevices(request, "kitchen"))) == "no-such-account"
    assert denied(workshop.ask(lambda request: ClaimPrekeys(request, "kitchen"))) == "no-such-account"


def test_rows_are_kept_also_for_who_is_not_here_yet_and_told_at_login() -> None:
    room = Room(KITCHEN)
    room.allow(room.login(KITCHEN), WORKSHOP, "knock")
    room.start()
    assert room.login(KITCHEN).last(Welcome).rows == (("workshop", "knock"),)
    assert {"owner": "kitchen", "other": "workshop", "row": "knock"}.items() <= json.loads(room.audited[0]).items()


def test_a_row_that_is_not_safe_is_not_accepted() -> None:
    room = Room(KITCHEN)
    kitchen = room.login(KITCHEN)
    room.store.failing = True
    assert denied(kitchen.ask(lambda request: SetRow(request, "workshop", "ring"))) == "no-storage"


def test_rows_are_bounded() -> None:
    room = Room(KITCHEN, settings=ServerSettings(accounts=AccountBounds(rows=2)))
    kitchen = room.login(KITCHEN)
    names = ["a1", "a2", "a1", "a3"]
    answers = [kitchen.ask(partial(SetRow, account=name, row="ring")) for name in names]
    assert [accepted(answer) for answer in answers] == [True, True, True, False]


@pytest.mark.parametrize("gone", ["session", "connection"])
def test_an_outcome_that_comes_after_its_session_is_for_nobody(gone: str) -> None:
    room = Room(KITCHEN)
    kitchen = room.login(KITCHEN)
    room.held = []
    kitchen.say(SetRow(1, "workshop", "ring"))
    kitchen.leave()
    if gone == "session":
        kitchen = room.login(KITCHEN)
    room.release()
    assert not kitchen.all(Accepted)
