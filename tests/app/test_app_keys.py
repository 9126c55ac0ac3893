"""The box's keys at the server: refilled in time, on disk before they are offered, and no epoch twice."""

import pytest

from app.desk import Desk
from callbox.app.keys import PREKEYS, REFILL_BELOW, Keys
from callbox.app.saved import Membership, first_writes, load
from callbox.conversations.stores.memory import MemoryStore
from callbox.wire.signals import Accepted, Denied, PublishPrekeys


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def keys(desk: Desk) -> Keys:
    store = MemoryStore()
    store.commit(first_writes(desk.core.identity, Membership("here:1", b"", bytes(32)), epoch=4))
    made = Keys(load(store))
    made.join(desk.core)
    return made


def published(desk: Desk) -> list[int]:
    return [len(asked.keys) for asked in desk.link.asked if isinstance(asked, PublishPrekeys)]


def test_enough_keys_need_no_more(desk: Desk, keys: Keys) -> None:
    keys.publish(REFILL_BELOW)
    desk.settle()
    assert published(desk) == []


def test_a_refill_brings_the_server_up_to_its_number_and_a_fallback(desk: Desk, keys: Keys) -> None:
    keys.publish(REFILL_BELOW - 1)
    assert published(desk) == [], "not before our copy is on disk"
    desk.settle()
    assert published(desk) == [PREKEYS - REFILL_BELOW + 1 + 1]


def test_one_refill_at_a_time_and_the_next_after_a_refusal(desk: Desk, keys: Keys) -> None:
    keys.publish(0)
    keys.publish(0)
    desk.settle()
    assert len(published(desk)) == 1
    desk.answer(Denied(1, "too-often"))
    keys.publish(0)
    desk.settle()
    assert len(published(desk)) == 2
    desk.answer(Accepted(2))


def test_an_epoch_is_handed_out_once(desk: Desk, keys: Keys) -> None:
    given = []
    for _ in range(3):
        given.append(keys.next_epoch())
        desk.settle()
    assert given == sorted(set(given))


def test_after_a_roll_back_epochs_begin_above_what_the_server_saw(desk: Desk, keys: Keys) -> None:
    keys.rolled_back(90)
    desk.settle()
    assert keys.next_epoch() > 90
    assert any("set back" in line for line in desk.log)
