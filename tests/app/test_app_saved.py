"""What a box finds in its store when it starts."""

import pytest

from app.desk import peer
from callbox.app.saved import Membership, UnfinishedCall, first_writes, keep_call, keep_epoch, load
from callbox.base.errors import CallboxError
from callbox.conversations.stores.memory import MemoryStore

MEMBERSHIP = Membership("here.example:8443", b"certificate", bytes(32))
CALL = UnfinishedCall(bytes(16), "workshop", "0123456789abcdef", outgoing=True, muted=True)


@pytest.fixture
def store() -> MemoryStore:
    made = MemoryStore()
    made.commit(first_writes(peer("kitchen"), MEMBERSHIP, epoch=1))
    return made


def test_an_empty_store_says_how_to_make_a_box() -> None:
    with pytest.raises(CallboxError) as caught:
        load(MemoryStore())
    assert "callbox join" in caught.value.cure


def test_the_first_writes_make_a_box() -> None:
    store, identity = MemoryStore(), peer("kitchen")
    store.commit(first_writes(identity, MEMBERSHIP, epoch=1))
    saved = load(store)
    assert saved.identity.device_record == identity.device_record
    assert (saved.membership, saved.connection_epoch, saved.current_call) == (MEMBERSHIP, 1, None)


def test_an_epoch_and_a_call_outlast_the_process(store: MemoryStore) -> None:
    store.commit([keep_epoch(7), keep_call(CALL)])
    saved = load(store)
    assert (saved.connection_epoch, saved.current_call) == (7, CALL)
    store.commit([keep_call(None)])
    assert load(store).current_call is None
