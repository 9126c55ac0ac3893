"""Blobs: announced, put in parts, handed out to whom they are for, and to nobody else."""

from dataclasses import replace

import pytest

from callbox.server.settings import BlobBounds, ServerSettings
from callbox.wire.codec import PART_BYTES
from callbox.wire.signals import Accepted, BeginBlob, BlobPart, BlobPlace, Denied, DropBlob, GetPart, PutPart, Welcome
from server.house import CELLAR, KITCHEN, KITCHEN2, WORKSHOP, WORKSHOP2, open_room
from server.people import digest
from server.room import Peer, Room, accepted, denied

DAY_S = 86_400


def blob_id(number: int) -> bytes:
    return digest("blob", number, size=16)


def data(number: int, part: int) -> bytes:
    return digest("part", number, part, size=PART_BYTES)


def begin(peer: Peer, number: int = 1, parts: int = 4, to: str = "kitchen") -> int | str:
    """Announce a blob; return which part comes next, or why not."""
    answer = peer.ask(lambda request: BeginBlob(request, blob_id(number), to, parts))
    return answer.next_part if isinstance(answer, BlobPlace) else denied(answer)


def put(peer: Peer, part: int, number: int = 1) -> bool | str:
    answer = peer.ask(lambda request: PutPart(request, blob_id(number), part, data(number, part)))
    return accepted(answer) or denied(answer)


def send(peer: Peer, number: int = 1, parts: int = 4) -> None:
    """Announce a blob for kitchen and put all of it."""
    assert begin(peer, number, parts) == 0
    assert all(put(peer, part, number) is True for part in range(parts))


def get(peer: Peer, part: int = 0, number: int = 1) -> bytes | str:
    answer = peer.ask(lambda request: GetPart(request, blob_id(number), part))
    return answer.data if isinstance(answer, BlobPart) else denied(answer)


def drop(peer: Peer, number: int = 1) -> bool:
    return accepted(peer.ask(lambda request: DropBlob(request, blob_id(number))))


def bounded(**bounds: int | float) -> Room:
    """Return a room whose server keeps other bounds for blobs."""
    room = open_room("message")
    room.settings = ServerSettings(blobs=BlobBounds(**bounds))  # type: ignore[arg-type]  # passed through
    room.start()
    return room


def test_a_blob_comes_out_as_it_went_in_and_goes_when_every_device_has_it() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    assert workshop.last(Welcome).blob_parts == 64
    send(workshop)
    kitchen, kitchen2 = room.login(KITCHEN), room.login(KITCHEN2)
    assert [get(kitchen, part) for part in range(4)] == [data(1, part) for part in range(4)]
    assert get(kitchen, 4) == "no-blob"
    assert drop(kitchen)
    assert drop(kitchen), "said again, because the answer was lost"
    assert get(kitchen2, 3) == data(1, 3)
    assert drop(kitchen2)
    assert get(kitchen2) == "no-blob"
    assert room.store.open().blobs == ()


@pytest.mark.parametrize("row", ["request", "message", "knock", "ring", "blocked"])
def test_who_may_write_may_send_and_who_is_blocked_sees_no_difference(row: str) -> None:
    room = open_room(row)  # type: ignore[arg-type]  # one of the rows
    workshop = room.login(WORKSHOP)
    if row == "request":
        assert begin(workshop) == "not-allowed"
        return
    send(workshop)
    assert begin(workshop) == 4
    assert (get(room.login(KITCHEN)) == data(1, 0)) is (row != "blocked")
    kept = [room.store.blob_part(blob_id(1), part) for part in range(4)]
    assert (kept == [bytes(PART_BYTES)] * 4) is (row == "blocked"), "what never arrives is not kept"


def test_a_stranger_and_a_name_that_is_nobodys_are_refused() -> None:
    cellar = open_room().login(CELLAR)
    assert begin(cellar) == "not-allowed"
    assert begin(cellar, to="attic") == "no-such-account"


def test_nobody_else_learns_that_there_is_a_blob() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    send(workshop)
    for other in (CELLAR, WORKSHOP, WORKSHOP2):
        assert get(room.login(other)) == "no-blob" == get(room.login(other), number=99)
    assert drop(room.login(CELLAR))
    assert get(room.login(KITCHEN)) == data(1, 0), "only who it is for, or from, lets it go"


def test_another_box_cannot_put_into_a_blob_or_take_its_number() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    assert begin(workshop) == 0
    second = room.login(WORKSHOP2)
    assert put(second, 0) == "no-blob"
    assert begin(second) == "not-yours"
    assert begin(workshop, parts=8) == "not-yours"


def test_parts_come_in_order_and_a_part_again_is_one_part() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    assert begin(workshop) == 0
    assert put(workshop, 1) == "no-blob"
    assert put(workshop, 0) is True
    assert put(workshop, 0) is True
    assert begin(workshop) == 1
    assert put(workshop, 4) == "no-blob"
    assert get(room.login(KITCHEN)) == "no-blob", "what is not whole is not handed out"


@pytest.mark.parametrize("after", range(5))
def test_a_server_killed_after_any_part_goes_on_where_it_was(after: int) -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    assert begin(workshop) == 0
    for part in range(after):
        assert put(workshop, part) is True
    room.start()
    workshop = room.login(WORKSHOP)
    assert begin(workshop) == after
    for part in range(after, 4):
        assert put(workshop, part) is True
    room.start()
    kitchen = room.login(KITCHEN)
    assert [get(kitchen, part) for part in range(4)] == [data(1, part) for part in range(4)]


def test_a_part_that_dies_with_the_server_was_not_accepted() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    assert begin(workshop) == 0
    room.held = []
    workshop.say(PutPart(77, blob_id(1), 0, data(1, 0)))
    assert not [answer for answer in workshop.all(Accepted) if answer.request == 77]
    room.held = None
    room.start()
    assert begin(room.login(WORKSHOP)) == 0


def test_a_full_disk_accepts_nothing_and_goes_on_later() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    room.store.failing = True
    assert begin(workshop) == "no-storage"
    room.store.failing = False
    assert begin(workshop) == 0
    room.store.failing = True
    assert put(workshop, 0) == "no-storage"
    room.store.failing = False
    assert [put(workshop, part) for part in range(4)] == [True] * 4
    kitchen = room.login(KITCHEN)
    room.store.failing = True
    assert get(kitchen) == "no-storage"
    room.store.failing = False
    assert get(kitchen) == data(1, 0)


def test_what_nobody_fetches_goes_after_30_days_and_what_is_not_whole_after_three() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    send(workshop)
    assert begin(workshop, 2) == 0
    room.pass_time(3.1 * DAY_S)
    assert [blob.blob for blob in room.store.open().blobs] == [blob_id(1)]
    assert put(workshop, 0, 2) == "no-blob"
    room.pass_time(27 * DAY_S)
    assert room.store.open().blobs == ()
    assert room.server.counters["now.blobs"] == 0


def test_a_drop_that_is_not_safe_is_said_again_and_then_nothing_is_left() -> None:
    room = open_room("message")
    send(room.login(WORKSHOP))
    kitchen, kitchen2 = room.login(KITCHEN), room.login(KITCHEN2)
    assert drop(kitchen)
    room.store.failing = True
    assert not drop(kitchen2)
    assert room.server.counters["now.blobs"] == 1
    room.store.failing = False
    assert drop(kitchen2)
    assert room.store.open().blobs == ()
    assert room.server.counters["now.blobs"] == 0


def test_of_two_drops_the_one_that_is_not_safe_is_said_again() -> None:
    room = open_room("message")
    send(room.login(WORKSHOP))
    kitchen, kitchen2 = room.login(KITCHEN), room.login(KITCHEN2)
    room.store.failing = True
    assert not drop(kitchen)
    room.store.failing = False
    assert drop(kitchen2)
    assert len(room.store.open().blobs) == 1
    assert drop(kitchen)
    assert room.store.open().blobs == ()


def test_a_blob_that_waits_for_a_revoked_device_alone_goes() -> None:
    room = open_room("message")
    send(room.login(WORKSHOP))
    assert drop(room.login(KITCHEN))
    stored = room.store._devices.pop(KITCHEN2.device)
    room.start()
    room.pass_time(13 * 3600)
    assert room.store.open().blobs == ()
    assert stored.account == "kitchen"


def test_its_sender_may_take_it_back() -> None:
    room = open_room("message")
    workshop = room.login(WORKSHOP)
    assert begin(workshop) == 0
    assert put(workshop, 0) is True
    assert drop(workshop)
    assert put(workshop, 1) == "no-blob"
    assert room.store.open().blobs == ()


def test_one_sender_fills_a_quarter_and_a_blocked_one_nothing_of_others() -> None:
    room = bounded(bytes=16 * PART_BYTES * 4, sender_percent=25)
    workshop = room.login(WORKSHOP)
    assert [begin(workshop, number, 8) for number in (1, 2)] == [0, 0]
    assert begin(workshop, 3, 1) == "mailbox-full"
    kitchen = room.login(KITCHEN)
    room.allow(kitchen, WORKSHOP, "blocked")
    room.allow(kitchen, CELLAR, "message")
    assert begin(workshop, 4, 1) == "mailbox-full", "a blocked sender meets the same bound"
    assert begin(room.login(CELLAR), 5, 16) == 0


def test_sizes_numbers_and_rates_are_bounded() -> None:
    room = bounded(parts=16, unfinished=2, burst=3, refill_s=10)
    workshop = room.login(WORKSHOP)
    assert begin(workshop, 1, 32) == "too-large"
    assert [begin(workshop, number, 1) for number in (1, 2, 3)] == [0, 0, "too-often"]
    assert put(workshop, 0, 1) is True
    assert [begin(workshop, number, 1) for number in (3, 4)] == [0, "too-often"]
    assert put(workshop, 0, 2) is True
    answer = workshop.ask(lambda request: BeginBlob(request, blob_id(4), "kitchen", 1))
    assert isinstance(answer, Denied)
    assert (answer.why, answer.retry_after_s) == ("too-often", 11)
    room.pass_time(10)
    assert begin(workshop, 4, 1) == 0


def test_parts_are_paced() -> None:
    room = open_room("message")
    send(room.login(WORKSHOP), parts=64)
    kitchen = room.login(KITCHEN)
    answers = [get(kitchen, 0) for _ in range(70)]
    assert answers[:64] == [data(1, 0)] * 64
    assert answers[-1] == "too-often"
    room.pass_time(1)
    assert get(kitchen, 0) == data(1, 0)


def test_settings_that_take_no_blobs_are_told_in_the_welcome() -> None:
    room = bounded(parts=8)
    assert room.login(WORKSHOP).last(Welcome).blob_parts == 8
    assert replace(room.store.open(), blobs=()) == room.store.open()
