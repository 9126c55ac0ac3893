"""What every store of the server does alike; and what only a file can do wrong."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from callbox.server.events import FetchMail, FindInvite, Save, Stored, StoreEffect, StoreFailed
from callbox.server.items import (
    Blob,
    DropLetter,
    DropPrekey,
    DropRequests,
    ForgetBlob,
    Invite,
    Letter,
    Prekey,
    PutAccount,
    PutBlob,
    PutBlobPart,
    PutCalls,
    PutDevice,
    PutInvite,
    PutLetter,
    PutPrekey,
    PutRequest,
    PutRow,
    Request,
    SetEpoch,
    StoreSnapshot,
    Write,
    mark_of,
)
from callbox.server.stores import ServerStore, StoreFault, carry_out, carry_out_all
from callbox.server.stores.memory import MemoryStore
from callbox.server.stores.sql import SqlStore
from server.people import Box, digest

KITCHEN, WORKSHOP = Box("kitchen"), Box("workshop")
Opener = Callable[[], ServerStore]


@pytest.fixture(params=["memory", "sql"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Return what closes the store and opens it anew, as after a restart."""
    memory = MemoryStore()
    opened: list[ServerStore] = []

    def opener() -> ServerStore:
        for earlier in opened:
            earlier.close()
        store: ServerStore = memory if request.param == "memory" else SqlStore(tmp_path / "server.sqlite")
        store.open()
        opened.append(store)
        return store

    return opener


def letter(number: int, void: bool = False) -> Letter:
    return Letter(number, WORKSHOP.to(KITCHEN, number), 5, 10_000 + number, void)


def test_everything_comes_back_after_a_restart(reopen: Opener) -> None:
    prekeys = [Prekey(KITCHEN.device, KITCHEN.prekey(number, number == 3), number) for number in range(1, 4)]
    request = Request("kitchen", "workshop", KITCHEN.device, digest("id", size=16))
    writes: list[Write] = [
        PutAccount(KITCHEN.account()),
        PutDevice(KITCHEN.stored()),
        *(PutPrekey(prekey) for prekey in prekeys),
        PutRow("kitchen", "workshop", "knock"),
        PutLetter(letter(8)),
        PutLetter(letter(9, void=True)),
        PutRequest(request),
    ]
    reopen().apply(writes)
    snapshot = reopen().open()
    assert snapshot == StoreSnapshot(
        accounts=(KITCHEN.account(),),
        devices=(KITCHEN.stored(),),
        store_id=snapshot.store_id,
        prekeys=tuple(prekeys),
        rows=(("kitchen", "workshop", "knock"),),
        letters=(mark_of(letter(8)), mark_of(letter(9, void=True))),
        requests=(request,),
        last_number=9,
    )


def test_each_write_changes_what_it_says_and_may_be_repeated(reopen: Opener) -> None:
    store = reopen()
    prekey = Prekey(KITCHEN.device, KITCHEN.prekey(1), 1)
    store.apply([PutAccount(KITCHEN.account()), PutDevice(KITCHEN.stored()), PutPrekey(prekey), PutLetter(letter(1))])
    store.apply([PutRequest(Request("kitchen", "workshop", device, b"1" * 16)) for device in ("one", "two")])
    changes: list[Write] = [
        SetEpoch(KITCHEN.device, 2**62),
        PutCalls("kitchen", False),
        PutPrekey(replace(prekey, used=True)),
        PutRow("kitchen", "workshop", "ring"),
        PutRow("kitchen", "workshop", "blocked"),
        DropRequests("kitchen", "workshop"),
        PutLetter(replace(letter(1), number=5)),
    ]
    for _ in range(2):
        store.apply(changes)
    after = reopen().open()
    assert after.devices[0].connection_epoch == 2**62
    assert after.accounts[0].calls_enabled is False
    assert after.prekeys == (replace(prekey, used=True),)
    assert after.rows == (("kitchen", "workshop", "blocked"),)
    assert after.requests == ()
    assert [mark.number for mark in after.letters] == [5]
    store = reopen()
    for _ in range(2):
        store.apply(
            [
                DropPrekey(KITCHEN.device, prekey.key.key),
                DropLetter(KITCHEN.device, WORKSHOP.device, letter(1).envelope.message_id),
            ]
        )
    assert (store.open().prekeys, store.open().letters) == ((), ())


def test_mail_comes_in_order_from_a_number_on_without_void_letters(reopen: Opener) -> None:
    store = reopen()
    store.apply([PutLetter(letter(number, void=number == 4)) for number in (6, 2, 4, 3, 5)])
    store.apply([PutLetter(Letter(1, KITCHEN.to(WORKSHOP, 1), 5, 6))])
    assert store.mail(KITCHEN.device, 2, 2) == (letter(3), letter(5))
    assert [found.number for found in store.mail(KITCHEN.device, 0, 99)] == [2, 3, 5, 6]
    assert store.mail("nobody", 0, 99) == ()


def test_invites_are_found_as_they_are_now(reopen: Opener) -> None:
    store = reopen()
    invite = Invite(digest("token"), "kitchen", 5, 6)
    assert store.invite(invite.token_hash) is None
    store.apply([PutInvite(invite)])
    used = replace(invite, first_contact_ms=7, used_by="device")
    store.apply([PutInvite(used), PutInvite(Invite(digest("other"), "workshop", 1, 2))])
    assert reopen().invite(invite.token_hash) == used
    assert [found.name for found in reopen().invites()] == ["workshop", "kitchen"]


def test_blobs_keep_their_parts_until_they_are_forgotten(reopen: Opener) -> None:
    store = reopen()
    blobs = [Blob(bytes([n]) * 16, "workshop", "w1", "kitchen", 4, ("k1", "k2"), 50 + n, n == 2) for n in (1, 2)]
    store.apply([PutBlob(blob) for blob in blobs])
    for _ in range(2):  # a part that is put again is one part
        store.apply([PutBlobPart(blobs[0].blob, part, bytes([part]) * 9) for part in (0, 1, 2)])
    store.apply([PutBlobPart(blobs[1].blob, 0, b"other")])
    assert reopen().open().blobs == (replace(blobs[0], next_part=3), replace(blobs[1], next_part=1))
    store = reopen()
    assert [store.blob_part(blobs[0].blob, part) for part in (1, 3)] == [b"\x01" * 9, None]
    changed = replace(blobs[0], waiting=("k2",), expires_ms=99)
    store.apply([PutBlob(changed)])
    for _ in range(2):
        store.apply([ForgetBlob(blobs[1].blob)])
    assert reopen().open().blobs == (replace(changed, next_part=3),)
    assert reopen().blob_part(blobs[1].blob, 0) is None


def test_a_group_of_saves_is_one_commit_in_order_with_what_lies_between() -> None:
    store = MemoryStore()
    effects: list[StoreEffect] = [
        Save(1, (PutLetter(letter(1)),)),
        Save(2, (PutLetter(letter(2)),)),
        FetchMail(3, KITCHEN.device, 0, 9),
        Save(4, (PutLetter(letter(3)),)),
        FindInvite(5, b"none"),
    ]
    outcomes = carry_out_all(store, effects)
    assert [outcome.ticket for outcome in outcomes] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
    assert store.batches == 2
    assert outcomes[2].letters == (letter(1), letter(2))  # type: ignore[union-attr]


def test_one_bad_save_does_not_take_the_others_down(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "server.sqlite")
    store.open()
    bad = Save(2, (PutRow("kitchen", "workshop", None),))  # type: ignore[arg-type]  # refused by the database
    outcomes = carry_out_all(store, [Save(1, (PutLetter(letter(1)),)), bad, Save(3, (PutLetter(letter(3)),))])
    assert [type(outcome) for outcome in outcomes] == [Stored, StoreFailed, Stored]
    assert [mark.number for mark in store.open().letters] == [1, 3]


def test_a_failing_store_says_so_in_a_sentence() -> None:
    store = MemoryStore()
    store.failing = True
    outcome = carry_out(store, FetchMail(7, KITCHEN.device, 0, 1))
    assert outcome == StoreFailed(7, "The store is full.")


# --- files ---


def test_a_store_that_has_turned_read_only_is_read_on(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "server.sqlite")
    store.open()
    store.apply([PutLetter(letter(1))])
    assert store._engine is not None
    with store._engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StoreFault, match="readonly"):
        store.apply([PutLetter(letter(2))])
    assert store.mail(KITCHEN.device, 0, 9) == (letter(1),)
    assert store.invites() == ()
    assert store.invite(b"") is None
    assert store.blob_part(b"", 0) is None
    store.close()


def test_a_batch_is_all_or_nothing(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "server.sqlite")
    store.open()
    with pytest.raises(StoreFault, match="failed"):
        store.apply([PutLetter(letter(1)), PutRow("kitchen", "workshop", None)])  # type: ignore[arg-type]
    assert store.open().letters == ()


def test_another_process_sees_an_invite_at_once(tmp_path: Path) -> None:
    server, command = SqlStore(tmp_path / "server.sqlite"), SqlStore(tmp_path / "server.sqlite")
    server.open()
    command.open()
    invite = Invite(digest("token"), "kitchen", 5, 6)
    command.apply([PutInvite(invite)])
    assert server.invite(invite.token_hash) == invite


@pytest.mark.parametrize("damage", ["not a database", "torn page", "cut short"])
def test_a_damaged_store_is_told_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "server.sqlite"
    store = SqlStore(path)
    store.open()
    store.apply([PutLetter(letter(number)) for number in range(300)])
    store.close()
    data = path.read_bytes()
    torn = bytearray(data)
    torn[8192:20480] = b"\xa5" * 12288
    path.write_bytes({"not a database": b"x" * 9000, "torn page": bytes(torn), "cut short": data[:9000]}[damage])
    before = path.read_bytes()
    with pytest.raises(StoreFault, match="is damaged") as caught:
        SqlStore(path).open()
    assert "backup" in caught.value.cure
    assert path.read_bytes() == before


def test_a_store_of_another_version_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "server.sqlite"
    store = SqlStore(path)
    store.open()
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99'")
    connection.close()
    with pytest.raises(StoreFault, match="schema version 99"):
        SqlStore(path).open()


def test_every_commit_is_synced(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "server.sqlite")
    store.open()
    with store._transaction() as connection:
        pragmas = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    assert pragmas == ["wal", 2]


def test_the_file_and_what_sqlite_puts_beside_it_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "server.sqlite")
    store.open()
    store.apply([PutCalls("kitchen", True)])
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    store.close()
    assert {"server.sqlite", "server.sqlite-wal"} <= modes.keys()
    assert set(modes.values()) == {0o600}
