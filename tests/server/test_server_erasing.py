"""Erasing: an account's own key takes everything of it away, for good, and the server signs that it did."""

import datetime
import hashlib
import json
from pathlib import Path

import pytest

from callbox.crypto.erasure import verify_statement
from callbox.crypto.errors import Untrusted
from callbox.server import authority
from callbox.server.items import (
    Blob,
    Forget,
    Invite,
    Letter,
    Prekey,
    PutAccount,
    PutBlob,
    PutBlobPart,
    PutDevice,
    PutInvite,
    PutLetter,
    PutPrekey,
    PutRequest,
    PutRow,
    Request,
    StoreSnapshot,
    Write,
)
from callbox.server.stores import carry_out
from callbox.server.stores.memory import MemoryStore
from callbox.server.stores.sql import SqlStore
from callbox.wire.signals import Devices, DevicesChanged, Erase, Erased, FetchDevices, Refused, ServerMessage, Welcome
from server.people import Box, digest
from server.room import AUTHORITY, START_MS, Peer, Room, accepted, denied, submit_of

KITCHEN, SECOND, WORKSHOP = Box("kitchen"), Box("kitchen", 2), Box("workshop")
SERVER_ID = hashlib.sha256(AUTHORITY).digest()
BLOB, THEIRS = digest("blob", size=16), digest("their blob", size=16)


@pytest.fixture
def room() -> Room:
    """Return a room where everybody knows everybody, and everything is held of the kitchen that can be."""
    room = Room(KITCHEN, SECOND, WORKSHOP)
    late = START_MS + 10**9
    room.store.apply(
        [
            PutPrekey(Prekey(KITCHEN.device, KITCHEN.prekey(1), 1)),
            PutInvite(Invite(digest("token"), "kitchen", 5, 6, used_by=KITCHEN.device)),
            PutRequest(Request("kitchen", "stranger", KITCHEN.device, bytes(16))),
            PutBlob(Blob(BLOB, "workshop", WORKSHOP.device, "kitchen", 1, (KITCHEN.device,), late)),
            PutBlobPart(BLOB, 0, b"sealed voice"),
            PutBlob(Blob(THEIRS, "kitchen", KITCHEN.device, "workshop", 1, (WORKSHOP.device,), late)),
            PutBlobPart(THEIRS, 0, b"sealed voice"),
        ]
    )
    room.start()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    room.allow(kitchen, WORKSHOP, "ring")
    room.allow(workshop, KITCHEN, "ring")
    assert accepted(workshop.ask(submit_of(WORKSHOP, SECOND, 1)))
    assert accepted(kitchen.ask(submit_of(KITCHEN, WORKSHOP, 2)))
    return room


def ask(room: Room, box: Box, peer: Peer | None = None, **about: str) -> tuple[Peer, ServerMessage]:
    peer = peer or room.login(box)
    signature = box.ask_to_erase(SERVER_ID, peer.last(Welcome).session, **about)
    return peer, peer.ask(lambda request: Erase(request, signature))


def held_of(snapshot: StoreSnapshot, box: Box) -> list[object]:
    """Return whatever names this account or device, letters and blobs for others left out."""
    words = (box.name, box.device)
    things: list[object] = [*snapshot.accounts, *snapshot.devices, *snapshot.prekeys, *snapshot.requests]
    things += [row for row in snapshot.rows if row[0] == box.name]
    things += [mark for mark in snapshot.letters if mark.to_device == box.device]
    things += [blob for blob in snapshot.blobs if blob.to_account == box.name]
    return [thing for thing in things if any(repr(word) in repr(thing) for word in words)]


def test_everything_of_an_account_goes_and_the_receipt_says_how_much(room: Room) -> None:
    peer, receipt = ask(room, KITCHEN)
    assert isinstance(receipt, Erased)
    facts = dict(line.split(": ") for line in receipt.statement.splitlines())
    assert facts["account"] == "kitchen"
    assert facts["server"] == SERVER_ID.hex()
    assert facts["session"] == peer.last(Welcome).session.hex()
    assert (facts["devices"], facts["letters"], facts["voice-messages"]) == ("2", "1", "1")
    assert peer.closed
    assert not held_of(room.store.open(), KITCHEN)
    assert not held_of(room.store.open(), SECOND)
    assert not [invite for invite in room.store.invites() if invite.name == "kitchen"]
    assert any(json.loads(line)["what"] == "erased" for line in room.audited)


def test_what_it_had_sent_still_arrives_and_the_rest_of_the_world_stays(room: Room) -> None:
    ask(room, KITCHEN)
    snapshot = room.store.open()
    assert [mark.from_account for mark in snapshot.letters] == ["kitchen"]
    assert [blob.blob for blob in snapshot.blobs] == [THEIRS]
    assert ("workshop", "kitchen", "ring") in snapshot.rows, "what others decided is theirs"
    assert [device.device for device in snapshot.devices] == [WORKSHOP.device]


@pytest.mark.parametrize("restarted", [False, True])
def test_nobody_finds_it_any_more(room: Room, restarted: bool) -> None:
    ask(room, KITCHEN)
    if restarted:
        room.start()
    workshop = room.login(WORKSHOP)
    assert denied(workshop.ask(lambda request: FetchDevices(request, "kitchen"))) == "no-such-account"
    assert denied(workshop.ask(submit_of(WORKSHOP, KITCHEN, 7))) == "no-such-account"
    assert room.login(KITCHEN).last(Refused).why == "unknown-device"


def test_its_other_devices_are_sent_away_and_its_contacts_hear_of_it(room: Room) -> None:
    second, workshop = room.login(SECOND), room.login(WORKSHOP)
    ask(room, KITCHEN)
    assert second.last(Refused).why == "unknown-device"
    assert workshop.last(DevicesChanged).account == "kitchen"


def test_a_device_without_the_account_key_erases_itself_alone(room: Room) -> None:
    second = room.login(SECOND)
    receipt = second.ask(Erase)
    assert isinstance(receipt, Erased)
    assert f"device: {SECOND.device}\n" in receipt.statement
    snapshot = room.store.open()
    assert [device.device for device in snapshot.devices if device.account == "kitchen"] == [KITCHEN.device]
    assert ("kitchen", "workshop", "ring") in snapshot.rows
    assert not [mark for mark in snapshot.letters if mark.to_device == SECOND.device]
    workshop = room.login(WORKSHOP)
    devices = workshop.ask(lambda request: FetchDevices(request, "kitchen"))
    assert isinstance(devices, Devices)
    assert len(devices.devices) == 1


@pytest.mark.parametrize("lie", ["another account's key", "for another account", "of an earlier session", "noise"])
def test_nobody_else_can_erase_it(room: Room, lie: str) -> None:
    peer = room.login(KITCHEN)
    session = peer.last(Welcome).session
    signature = {
        "another account's key": WORKSHOP.ask_to_erase(SERVER_ID, session, "kitchen"),
        "for another account": KITCHEN.ask_to_erase(SERVER_ID, session, "workshop"),
        "of an earlier session": KITCHEN.ask_to_erase(SERVER_ID, bytes(16)),
        "noise": bytes(64),
    }[lie]
    assert denied(peer.ask(lambda request: Erase(request, signature))) == "not-yours"
    assert held_of(room.store.open(), KITCHEN)
    assert not peer.closed


def test_a_full_disk_erases_nothing_and_says_so(room: Room) -> None:
    before = room.store.open()
    room.store.failing = True
    peer, answer = ask(room, KITCHEN)
    assert denied(answer) == "no-storage"
    room.store.failing = False
    assert len(held_of(room.store.open(), KITCHEN)) == len(held_of(before, KITCHEN))
    assert accepted(peer.ask(submit_of(KITCHEN, WORKSHOP, 9)))


def test_a_letter_that_comes_while_the_disk_works_goes_too(room: Room) -> None:
    workshop, kitchen = room.login(WORKSHOP), room.login(KITCHEN)
    room.held = []
    kitchen.say(Erase(99, KITCHEN.ask_to_erase(SERVER_ID, kitchen.last(Welcome).session)))
    workshop.say(submit_of(WORKSHOP, KITCHEN, 8)(98))
    held, room.held = room.held, []
    for effect in held:
        room.give(carry_out(room.store, effect))
    room.release()
    assert kitchen.last(Erased)
    assert not held_of(room.store.open(), KITCHEN)


def test_the_name_is_free_again(room: Room) -> None:
    ask(room, KITCHEN)
    token = room.invite("kitchen")
    peer = room.connect()
    peer.say(KITCHEN.enrol(token))
    assert not peer.closed
    assert held_of(room.store.open(), KITCHEN)


# --- the stores, and the signature --------------------------------------------------------------------------------


@pytest.mark.parametrize("account", ["kitchen", ""])
def test_both_stores_forget_alike(account: str, tmp_path: Path, room: Room) -> None:
    """The SQL store, given everything that the memory store holds, forgets the same and keeps the same."""
    snapshot = room.store.open()
    sql = SqlStore(tmp_path / "server.sqlite")
    sql.open()
    sql.apply(_again(room.store))
    assert _sorted(sql.open()) == _sorted(snapshot)
    forget = Forget(account, (KITCHEN.device,))
    for store in (sql, room.store):
        store.apply([forget])
        store.apply([forget])
    assert _sorted(sql.open()) == _sorted(room.store.open()) != _sorted(snapshot)
    assert sql.invites() == room.store.invites()


def _again(store: MemoryStore) -> list[Write]:
    held = store.open()
    letters = [letter for device in {mark.to_device for mark in held.letters} for letter in store.mail(device, 0, 99)]
    return [
        *map(PutAccount, held.accounts),
        *map(PutDevice, held.devices),
        *map(PutPrekey, held.prekeys),
        *(PutRow(*row) for row in held.rows),
        *map(PutLetter, letters),
        *map(PutRequest, held.requests),
        *map(PutInvite, store.invites()),
        *map(PutBlob, held.blobs),
        *(PutBlobPart(blob.blob, 0, b"sealed voice") for blob in held.blobs),
    ]


def _sorted(snapshot: StoreSnapshot) -> list[list[str]]:
    parts = (snapshot.accounts, snapshot.devices, snapshot.prekeys, snapshot.rows, snapshot.letters)
    return [sorted(map(repr, part)) for part in (*parts, snapshot.requests, snapshot.blobs)]


def test_no_byte_of_what_was_forgotten_stays_in_the_file(tmp_path: Path) -> None:
    store = SqlStore(tmp_path / "server.sqlite")
    store.open()
    letter = Letter(1, WORKSHOP.to(KITCHEN, 1, size=3000), 5, 10**15)
    store.apply([PutLetter(letter)])
    store.apply([Forget("kitchen", (KITCHEN.device,))])
    store.close()
    assert letter.envelope.ciphertext[:200] not in (tmp_path / "server.sqlite").read_bytes()


def test_the_authority_signs_and_nobody_else() -> None:
    issued = authority.make_authority(datetime.datetime.now(datetime.UTC))
    other = authority.make_authority(datetime.datetime.now(datetime.UTC))
    said = "account: kitchen\n"
    verify_statement(issued.der, said, authority.sign(issued, said.encode()))
    for certificate, statement, proof in (
        (other.der, said, authority.sign(issued, said.encode())),
        (issued.der, said + "x", authority.sign(issued, said.encode())),
        (issued.der, said, b""),
        (b"no certificate", said, authority.sign(issued, said.encode())),
    ):
        with pytest.raises(Untrusted, match="did not sign"):
            verify_statement(certificate, statement, proof)
