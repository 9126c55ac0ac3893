"""The contract that every store meets, whatever keeps the bytes."""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callbox.base.reasons import Reason
from callbox.conversations.items import BlobKey, CallItem, Item, TextItem, VoiceItem
from callbox.conversations.stores import (
    Delete,
    DeleteItem,
    DeleteSound,
    ForgetThread,
    Put,
    PutItem,
    PutSound,
    Store,
    StoreFault,
    Write,
)
from callbox.conversations.stores.memory import MemoryStore
from callbox.conversations.stores.sqlite import SqliteStore
from callbox.crypto.fields import FieldCipher

OpenStore = Callable[[], Store]


def text(number: int, contact: str = "kitchen", words: str = "tea?") -> TextItem:
    return TextItem(number.to_bytes(16, "big"), contact, False, 1_000 + number, words, "delivered")


def call(number: int, contact: str = "kitchen") -> CallItem:
    return CallItem(
        number.to_bytes(16, "big"), contact, False, 5, Reason.QUIET, False, 0.0, ("calls are on", "quiet"), heard=False
    )


def test_rows_come_back_oldest_first_after_a_restart(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([Put("contacts", "b", b"1"), Put("contacts", "a", b"2"), Put("seen", "a", b"3")])
    store.commit([Put("contacts", "c", b""), Put("contacts", "b", b"1b")])
    again = open_store()
    assert list(again.load("contacts").items()) == [("b", b"1b"), ("a", b"2"), ("c", b"")]
    assert again.load("seen") == {"a": b"3"}
    assert again.load("nothing") == {}


def test_deleted_rows_stay_deleted(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([Put("t", "a", b"1"), Put("t", "b", b"2")])
    store.commit([Delete("t", "a"), Delete("t", "never there"), Delete("none", "b")])
    store.commit([])
    assert open_store().load("t") == {"b": b"2"}


def test_writes_of_one_commit_act_in_their_order(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([Put("t", "a", b"1"), Delete("t", "a"), Put("t", "a", b"2"), Put("t", "b", b"3"), Delete("t", "b")])
    assert open_store().load("t") == {"a": b"2"}


def test_items_are_paged_newest_first(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([PutItem(text(number, contact)) for number, contact in enumerate(["a", "b", "a", "a", "b"])])
    again = open_store()

    def numbers(items: list[Item]) -> list[int]:
        return [int.from_bytes(item.id, "big") for item in items]

    assert numbers(again.items()) == [4, 3, 2, 1, 0]
    assert numbers(again.items(limit=2)) == [4, 3]
    assert numbers(again.items("a")) == [3, 2, 0]
    assert numbers(again.items("a", limit=1, before=text(3).id)) == [2]
    assert numbers(again.items(before=text(3).id)) == [2, 1, 0]
    assert numbers(again.items("nobody")) == []
    assert numbers(again.items(before=b"unknown")) == []
    assert numbers(again.items(limit=0)) == []


def test_an_item_keeps_its_place_when_it_changes(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([PutItem(text(1)), PutItem(call(2)), PutItem(text(3))])
    store.commit([PutItem(text(1, words="changed"))])
    again = open_store()
    assert again.items() == [text(3), call(2), text(1, words="changed")]
    assert again.item(call(2).id) == call(2)
    assert again.item(b"unknown") is None


def test_deleted_items_and_forgotten_threads_are_gone(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([PutItem(text(1, "a")), PutItem(text(2, "b")), PutItem(text(3, "b")), PutItem(text(4, "a"))])
    store.commit([DeleteItem(text(4).id), DeleteItem(b"unknown"), ForgetThread("b"), ForgetThread("nobody")])
    again = open_store()
    assert again.items() == [text(1, "a")]
    again.commit([PutItem(text(5, "b"))])
    assert again.items("b") == [text(5, "b")]


def voice(number: int, contact: str = "kitchen") -> VoiceItem:
    blob = BlobKey(bytes(32), bytes(range(32)), 4)
    return VoiceItem(number.to_bytes(16, "big"), contact, False, 5, 12_500, "coming", b"", blob)


def test_sounds_keep_their_parts_and_go_with_their_message(open_store: OpenStore) -> None:
    store = open_store()
    parts = [PutSound(voice(1).id, "kitchen", 1, b"-b"), PutSound(voice(1).id, "kitchen", 0, b"a")]
    store.commit([PutItem(voice(1)), *parts])
    store.commit([PutItem(voice(2)), PutSound(voice(2).id, "kitchen", 0, bytes(70_000))])
    store.commit([PutItem(voice(3, "workshop")), PutSound(voice(3).id, "workshop", 0, b"c")])
    store.commit([PutSound(voice(1).id, "kitchen", 1, b"-again")])
    again = open_store()
    assert again.items()[-1] == voice(1)
    assert [again.sound(voice(number).id) for number in (1, 2, 3, 4)] == [b"a-again", bytes(70_000), b"c", b""]
    again.commit([DeleteItem(voice(1).id), DeleteSound(voice(2).id), DeleteSound(b"unknown"), ForgetThread("workshop")])
    again = open_store()
    assert [again.sound(voice(number).id) for number in (1, 2, 3)] == [b"", b"", b""]
    assert again.items() == [voice(2)]


def test_keys_and_values_may_be_anything(open_store: OpenStore) -> None:
    store = open_store()
    store.commit([Put("t", "台所/🔔|x", b"\x00\xff" * 40_000), PutItem(text(1, "台所", "\x00é🙂"))])
    again = open_store()
    assert again.load("t") == {"台所/🔔|x": b"\x00\xff" * 40_000}
    assert again.items("台所") == [text(1, "台所", "\x00é🙂")]


def test_a_failing_card_leaves_a_simulated_store_as_it_was() -> None:
    store = MemoryStore()
    store.commit([Put("t", "a", b"1")])
    store.fail_with = StoreFault("full", "no room")
    with pytest.raises(StoreFault, match="no room"):
        store.commit([Put("t", "a", b"2"), PutItem(text(1))])
    store.fail_with = None
    assert (store.load("t"), store.items()) == ({"a": b"1"}, [])


KEYS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(1, 6)
IDS = [number.to_bytes(16, "big") for number in range(1, 7)]
WRITES = st.one_of(
    st.builds(Put, KEYS, KEYS, st.binary(max_size=3)),
    st.builds(Delete, KEYS, KEYS),
    st.builds(PutItem, st.builds(text, NUMBERS, KEYS, st.text(max_size=3))),
    st.builds(DeleteItem, NUMBERS.map(lambda number: number.to_bytes(16, "big"))),
    st.builds(PutSound, st.sampled_from(IDS), KEYS, st.integers(0, 2), st.binary(max_size=3)),
    st.builds(DeleteSound, st.sampled_from(IDS)),
    st.builds(ForgetThread, KEYS),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(WRITES, max_size=6), max_size=5))
def test_both_stores_agree_on_any_history(
    batches: list[list[Write]], open_store: OpenStore, request: pytest.FixtureRequest
) -> None:
    kept, model = open_store(), MemoryStore()
    kept.commit([Delete(table, key) for table in "abc" for key in kept.load(table)])
    kept.commit([DeleteItem(item.id) for item in kept.items()])
    kept.commit([DeleteSound(number) for number in IDS])
    for batch in batches:
        kept.commit(batch)
        model.commit(batch)
    kept = kept if isinstance(kept, MemoryStore) else open_store()
    assert [kept.load(table) for table in "abc"] == [model.load(table) for table in "abc"]
    assert kept.items() == model.items()
    assert [kept.sound(number) for number in IDS] == [model.sound(number) for number in IDS]
    assert [kept.items(contact) for contact in "abc"] == [model.items(contact) for contact in "abc"]


def test_the_boxs_own_cipher_seals_a_store(store_path: Path) -> None:
    store = SqliteStore(store_path, FieldCipher(b"k" * 32))
    store.commit([Put("t", "a", b"1"), PutItem(text(1)), PutItem(text(2, "workshop"))])
    store.close()
    with pytest.raises(StoreFault, match="another key"):
        SqliteStore(store_path, FieldCipher(b"x" * 32))
    again = SqliteStore(store_path, FieldCipher(b"k" * 32))
    assert (again.load("t"), again.items()) == ({"a": b"1"}, [text(2, "workshop"), text(1)])
    again.close()


def test_a_sound_lies_sealed_on_the_card_and_in_its_place(store_path: Path) -> None:
    store = SqliteStore(store_path, FieldCipher(b"k" * 32))
    store.commit([PutItem(voice(1)), PutSound(voice(1).id, "kitchen", 0, b"said in confidence" * 99)])
    store.close()
    for file in store_path.parent.iterdir():
        assert b"said in confidence" not in file.read_bytes()
    with contextlib.closing(sqlite3.connect(store_path)) as thief, thief:
        thief.execute("UPDATE sounds SET part = 1")
    with pytest.raises(StoreFault, match="damaged"):
        SqliteStore(store_path, FieldCipher(b"k" * 32)).sound(voice(1).id)
