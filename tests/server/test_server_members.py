"""Devices of an account at the server: adopted, changed, given up, linked, replaced; and what it refuses."""

import msgspec
import pytest

from callbox.server.events import MoveDecided
from callbox.server.members import MOST_LIVE
from callbox.server.open_links import LINK_S, MOST_LINKS
from callbox.wire.records import SignedRecord
from callbox.wire.signals import (
    AnswerLink,
    AskLink,
    Challenge,
    Devices,
    DevicesChanged,
    FetchDevices,
    LinkAnswered,
    LinkAsked,
    Linked,
    Moved,
    OpenLink,
    PublishPrekeys,
    PutRecord,
    Refused,
    Welcome,
)
from server.people import Box, digest
from server.room import Peer, Room, accepted, denied, submit_of

KITCHEN, HALL, WORKSHOP = Box("kitchen"), Box("kitchen", 2), Box("workshop")
TOKEN = "token-of-a-link"
NONCE = digest("nonce")


@pytest.fixture
def room() -> Room:
    return Room(KITCHEN, WORKSHOP)


def put(peer: Peer, record: SignedRecord) -> object:
    return peer.ask(lambda request: PutRecord(request, record))


def known(peer: Peer, account: str) -> dict[str, bool]:
    """Return the devices that the server tells of: id -> whether it is given up."""
    from callbox.wire.codec import decode_record

    answer = peer.ask(lambda request: FetchDevices(request, account))
    assert isinstance(answer, Devices)
    records = [decode_record(entry.record.record) for entry in answer.devices]
    return {record.device: record.revoked for record in records}


def show(room: Room, box: Box, record: SignedRecord | None, epoch: int = 900) -> Peer:
    """Log in as a device that shows its record along."""
    peer = room.connect()
    peer.say(msgspec.structs.replace(box.login(peer.last(Challenge), epoch), record=record))
    return peer


def test_an_account_puts_a_further_device_and_all_who_know_it_hear_so(room: Room) -> None:
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    room.allow(workshop, KITCHEN, "ring")
    assert accepted(put(kitchen, HALL.record()))  # type: ignore[arg-type]
    assert workshop.last(DevicesChanged).account == "kitchen"
    assert known(workshop, "kitchen") == {KITCHEN.device: False, HALL.device: False}
    room.start()
    assert room.login(HALL).all(Welcome)


def test_nobody_puts_a_device_of_somebody_else(room: Room) -> None:
    workshop = room.login(WORKSHOP)
    assert denied(put(workshop, HALL.record())) == "not-yours"  # type: ignore[arg-type]
    forged = SignedRecord(HALL.record().record, WORKSHOP.record().by_account, HALL.record().by_device)
    assert denied(put(room.login(KITCHEN), forged)) == "not-yours"  # type: ignore[arg-type]
    assert denied(put(room.login(KITCHEN), HALL.record(device=WORKSHOP.device))) == "not-yours"  # type: ignore[arg-type]


def test_an_older_record_does_not_count_and_the_same_one_does(room: Room) -> None:
    kitchen = room.login(KITCHEN)
    for sequence in (3, 3):
        assert accepted(put(kitchen, HALL.record(sequence=sequence)))  # type: ignore[arg-type]
    for sequence in (1, 2):
        assert denied(put(kitchen, HALL.record(sequence=sequence))) == "not-yours"  # type: ignore[arg-type]
    assert denied(put(kitchen, HALL.record(sequence=3, kind="other"))) == "not-yours"  # type: ignore[arg-type]


def test_a_revoked_device_is_sent_away_with_its_mail_and_stays_out(room: Room) -> None:
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    room.allow(kitchen, WORKSHOP, "ring")
    put(kitchen, HALL.record())
    hall = room.login(HALL)
    hall.leave()
    assert accepted(workshop.ask(submit_of(WORKSHOP, HALL, 1)))
    hall = room.login(HALL)
    assert accepted(put(kitchen, HALL.record(sequence=2, revoked=True)))  # type: ignore[arg-type]
    assert hall.last(Refused).why == "revoked"
    assert room.login(HALL).last(Refused).why == "revoked"
    assert not room.store.mail(HALL.device, 0, 10)
    assert known(workshop, "kitchen") == {KITCHEN.device: False, HALL.device: True}
    assert denied(workshop.ask(submit_of(WORKSHOP, HALL, 2))) == "no-such-account"
    assert denied(put(kitchen, HALL.record())) == "not-yours"  # type: ignore[arg-type]
    room.start()
    assert room.login(HALL).last(Refused).why == "revoked"


def test_a_revocation_needs_no_signature_of_the_lost_device_a_link_does(room: Room) -> None:
    kitchen = room.login(KITCHEN)
    unsigned = SignedRecord(HALL.record().record, HALL.record().by_account, bytes(64))
    assert denied(put(kitchen, unsigned)) == "not-yours"  # type: ignore[arg-type]
    put(kitchen, HALL.record())
    gone = HALL.record(sequence=2, revoked=True)
    assert accepted(put(kitchen, SignedRecord(gone.record, gone.by_account, bytes(64))))  # type: ignore[arg-type]


def test_an_account_has_so_many_devices_and_no_more(room: Room) -> None:
    kitchen = room.login(KITCHEN)
    for which in range(2, MOST_LIVE + 1):
        assert accepted(put(kitchen, Box("kitchen", which).record()))  # type: ignore[arg-type]
    assert denied(put(kitchen, Box("kitchen", 99).record())) == "too-large"  # type: ignore[arg-type]
    put(kitchen, HALL.record(sequence=2, revoked=True))
    assert accepted(put(kitchen, Box("kitchen", 99).record()))  # type: ignore[arg-type]


def test_a_full_disk_puts_nothing(room: Room) -> None:
    kitchen = room.login(KITCHEN)
    room.store.failing = True
    assert denied(put(kitchen, HALL.record())) == "no-storage"  # type: ignore[arg-type]
    room.store.failing = False
    assert known(kitchen, "kitchen") == {KITCHEN.device: False}


def test_a_device_that_the_server_forgot_shows_its_record(room: Room) -> None:
    assert show(room, HALL, None).last(Refused).why == "unknown-device"
    assert show(room, HALL, HALL.record()).all(Welcome)
    room.start()
    assert room.login(HALL, 901).all(Welcome)


def test_a_record_that_does_not_hold_lets_nobody_in(room: Room) -> None:
    other = Box("stranger")
    for record in (
        other.record(account="kitchen", device=HALL.device),
        SignedRecord(HALL.record().record, HALL.record().by_account, bytes(64)),
        HALL.record(sequence=1, revoked=True),
    ):
        assert show(room, HALL, record).last(Refused).why in ("unknown-device", "revoked")
    assert show(room, other, other.record()).last(Refused).why == "unknown-device"


def test_the_epoch_of_the_last_login_is_told(room: Room) -> None:
    assert room.login(KITCHEN, 5).last(Welcome).known_epoch == 0
    assert room.login(KITCHEN, 9).last(Welcome).known_epoch == 5


def test_a_move_is_told_to_boxes_that_know_the_word(room: Room) -> None:
    moved = Moved("new.example:8443", 1, b"proof")
    old, new = room.login(WORKSHOP), show(room, KITCHEN, KITCHEN.record())
    room.give(MoveDecided(moved))
    assert new.all(Moved) == [moved]
    assert not old.all(Moved)
    assert show(room, KITCHEN, KITCHEN.record(), 901).all(Moved) == [moved]
    room.give(MoveDecided(None))
    assert not show(room, KITCHEN, KITCHEN.record(), 902).all(Moved)


def test_prekeys_are_replaced_as_a_whole(room: Room) -> None:
    kitchen = room.login(KITCHEN)
    first = tuple(KITCHEN.prekey(number) for number in range(10))
    fresh = tuple(KITCHEN.prekey(number) for number in range(20, 25))
    assert accepted(kitchen.ask(lambda request: PublishPrekeys(request, first)))
    assert accepted(kitchen.ask(lambda request: PublishPrekeys(request, fresh, replace=True)))
    assert room.login(KITCHEN).last(Welcome).prekeys_left == 5
    room.start()
    assert room.login(KITCHEN).last(Welcome).prekeys_left == 5


# --- links --------------------------------------------------------------------------------------------------------


def opened(room: Room, token: str = TOKEN) -> Peer:
    kitchen = room.login(KITCHEN)
    assert accepted(kitchen.ask(lambda request: OpenLink(request, token)))
    return kitchen


def asking(room: Room, box: Box = HALL, token: str = TOKEN) -> Peer:
    peer = room.connect()
    record = box.record()
    peer.say(AskLink(token, record.record, record.by_device))
    return peer


def test_a_link_from_invite_to_login(room: Room) -> None:
    kitchen, hall = opened(room), asking(room)
    asked = kitchen.last(LinkAsked)
    assert (asked.record, asked.by_device) == (HALL.record().record, HALL.record().by_device)
    kitchen.say(AnswerLink(TOKEN, NONCE))
    assert hall.last(LinkAnswered) == LinkAnswered(NONCE)
    room.pass_time(600.0)  # a person takes their time
    assert not hall.closed
    put(kitchen, HALL.record())
    assert hall.last(Linked).record == HALL.record()
    hall.say(HALL.login(hall.last(Challenge), 1))
    assert hall.all(Welcome)


def test_a_device_that_missed_the_answer_hears_it_again(room: Room) -> None:
    kitchen, hall = opened(room), asking(room)
    hall.leave()
    put(kitchen, HALL.record())
    assert asking(room).last(Linked).record == HALL.record()


def test_an_opener_that_comes_back_is_told_who_waits(room: Room) -> None:
    opened(room).leave()
    asking(room)
    assert opened(room).last(LinkAsked).record == HALL.record().record


def test_no_token_a_second_device_a_no_and_too_late(room: Room) -> None:
    assert asking(room).last(Refused).why == "bad-invite"
    kitchen, hall = opened(room), asking(room)
    assert asking(room, Box("kitchen", 3)).last(Refused).why == "bad-invite"
    kitchen.say(AnswerLink(TOKEN, NONCE, agreed=False))
    assert not hall.last(LinkAnswered).agreed
    assert asking(room).last(Refused).why == "bad-invite"
    opened(room, "another-token")
    late = asking(room, token="another-token")
    room.pass_time(LINK_S + 1.0)
    assert late.last(Refused).why == "too-slow"
    assert asking(room, token="another-token").last(Refused).why == "bad-invite"


def test_only_a_record_of_that_account_and_key_may_ask(room: Room) -> None:
    opened(room)
    for box in (Box("stranger"), Box("workshop", 2)):
        assert asking(room, box).last(Refused).why == "bad-record"
    peer = room.connect()
    peer.say(AskLink(TOKEN, HALL.record().record, bytes(64)))
    assert peer.last(Refused).why == "bad-record"


def test_nobody_else_answers_or_takes_over_a_link(room: Room) -> None:
    opened(room)
    hall, workshop = asking(room), room.login(WORKSHOP)
    workshop.say(AnswerLink(TOKEN, NONCE))
    assert not hall.all(LinkAnswered)
    assert denied(workshop.ask(lambda request: OpenLink(request, TOKEN))) == "too-large"


def test_links_fill_no_memory(room: Room) -> None:
    kitchen = room.login(KITCHEN)
    for number in range(MOST_LINKS + 10):
        assert accepted(kitchen.ask(lambda request, number=number: OpenLink(request, f"token {number}")))  # type: ignore[misc]
    assert len(room.server._desk.links._links) == 1
