"""Mail: taken in after the commit, once; handed over in order, again until acknowledged; within bounds."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.server.items import PutDevice
from callbox.server.settings import MailBounds, ServerSettings
from callbox.wire.signals import Accepted, Acknowledge, Deliver, Denied, ServerMessage, Submit, Welcome
from server.people import Box
from server.room import Peer, Room, accepted, denied, submit_of

KITCHEN, WORKSHOP, CELLAR = Box("kitchen"), Box("workshop"), Box("cellar")
DAY_S = 86_400.0


def allowed_room(**bounds: object) -> Room:
    """Return a room where workshop may write to kitchen."""
    room = Room(KITCHEN, WORKSHOP, settings=ServerSettings(mail=MailBounds(**bounds)))  # type: ignore[arg-type]
    kitchen = room.login(KITCHEN)
    room.allow(kitchen, WORKSHOP, "message")
    kitchen.leave()
    return room


_NUMBERS = {WORKSHOP.to(KITCHEN, number).message_id: number for number in range(100)}


def numbers(kitchen: Peer) -> list[int]:
    """Return which of workshop's letters kitchen was handed, as numbers, in order."""
    return [_NUMBERS[letter.envelope.message_id] for letter in kitchen.all(Deliver)]


def acknowledge(kitchen: Peer, *letters: int) -> None:
    keys = tuple((WORKSHOP.device, WORKSHOP.to(KITCHEN, number).message_id) for number in letters)
    kitchen.say(Acknowledge(keys))


def test_a_letter_is_accepted_only_after_the_commit() -> None:
    room = allowed_room()
    workshop = room.login(WORKSHOP)
    room.held = []
    envelope = WORKSHOP.to(KITCHEN, 1)
    workshop.say(Submit(1, envelope))
    workshop.say(Submit(2, envelope))  # an impatient retry
    assert not workshop.all(Accepted)
    room.release()
    assert workshop.all(Accepted) == [Accepted(1), Accepted(2)]
    assert len(room.store.mail(KITCHEN.device, 0, 10)) == 1


def test_mail_waits_through_a_restart_and_comes_in_order_until_acknowledged() -> None:
    room = allowed_room()
    workshop = room.login(WORKSHOP)
    for number in range(5):
        assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, number)))
    room.start()
    kitchen = room.login(KITCHEN)
    assert numbers(kitchen) == [0, 1, 2, 3, 4]
    acknowledge(kitchen, 0, 1, 3)
    kitchen = room.login(KITCHEN)
    assert numbers(kitchen) == [2, 4]
    acknowledge(kitchen, 2, 4)
    assert numbers(room.login(KITCHEN)) == []
    assert room.store.open().letters == ()


def test_a_connected_box_gets_mail_at_once() -> None:
    room = allowed_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(submit_of(WORKSHOP, KITCHEN, 7))
    assert kitchen.last(Deliver).envelope == WORKSHOP.to(KITCHEN, 7)


def test_a_submit_again_is_accepted_and_delivered_once() -> None:
    room = allowed_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    for _ in range(3):
        assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1)))
    room.start()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1)))
    assert numbers(kitchen) == [1]


def test_an_acknowledgement_lost_with_its_session_may_come_in_the_next() -> None:
    room = allowed_room()
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(submit_of(WORKSHOP, KITCHEN, 1))
    kitchen.leave()
    kitchen = room.login(KITCHEN)
    acknowledge(kitchen, 1)
    assert not room.store.open().letters


def test_the_window_bounds_what_is_on_its_way() -> None:
    room = allowed_room(window_items=4, window_bytes=64 * 1024)
    workshop = room.login(WORKSHOP)
    for number in range(10):
        workshop.ask(submit_of(WORKSHOP, KITCHEN, number))
    kitchen = room.login(KITCHEN)
    assert numbers(kitchen) == [0, 1, 2, 3]
    acknowledge(kitchen, 0, 1)
    assert numbers(kitchen) == [0, 1, 2, 3, 4, 5]
    acknowledge(kitchen, *range(2, 6))
    acknowledge(kitchen, *range(6, 10))
    assert numbers(kitchen) == list(range(10))


def test_large_letters_go_one_at_a_time_and_none_is_stuck() -> None:
    room = allowed_room(window_items=32, window_bytes=60 * 1024)
    workshop = room.login(WORKSHOP)
    for number in range(3):
        workshop.ask(submit_of(WORKSHOP, KITCHEN, number, size=64 * 1024))
    kitchen = room.login(KITCHEN)
    for number in range(3):
        assert numbers(kitchen) == list(range(number + 1))
        acknowledge(kitchen, number)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["send", "ack", "reconnect", "restart"]), min_size=5, max_size=60))
def test_in_any_story_nothing_is_lost_or_out_of_order(story: list[str]) -> None:
    """A receiver that drops doubles sees every accepted letter once and in order."""
    room = allowed_room(window_items=3)
    workshop, kitchen = room.login(WORKSHOP), room.login(KITCHEN)
    sent = 0
    seen: list[int] = []

    def look() -> None:
        for number in numbers(kitchen):
            if number not in seen:
                seen.append(number)

    for step in [*story, *["ack"] * 100]:
        if step == "send":
            assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, sent)))
            sent += 1
        elif step == "ack":
            look()
            unacknowledged = numbers(kitchen)[:2]
            kitchen.heard = [m for m in kitchen.heard if not isinstance(m, Deliver)] + kitchen.all(Deliver)[2:]
            acknowledge(kitchen, *unacknowledged)
        else:
            look()
            if step == "restart":
                room.start()
                workshop = room.login(WORKSHOP)
            kitchen = room.login(KITCHEN)
        look()
    assert seen == list(range(sent))
    assert not room.store.open().letters


# --- who may ---


def test_the_sender_is_the_session() -> None:
    room = Room(KITCHEN, WORKSHOP, CELLAR)
    workshop = room.login(WORKSHOP)
    assert denied(workshop.ask(submit_of(CELLAR, KITCHEN, 1))) == "not-yours"
    assert denied(workshop.ask(submit_of(Box("workshop", 2), KITCHEN, 1))) == "not-yours"


@pytest.mark.parametrize("to", [Box("nobody"), Box("kitchen", 2)])
def test_a_letter_needs_a_receiver(to: Box) -> None:
    room = Room(KITCHEN, WORKSHOP)
    assert denied(room.login(WORKSHOP).ask(submit_of(WORKSHOP, to, 1))) == "no-such-account"


def test_a_device_and_its_account_must_match() -> None:
    room = Room(KITCHEN, WORKSHOP, CELLAR)
    envelope = WORKSHOP.to(KITCHEN, 1)
    crossed = type(envelope)(
        "mail", envelope.message_id, "workshop", WORKSHOP.device, "cellar", KITCHEN.device, 60, 1, b"x"
    )
    answer = room.login(WORKSHOP).ask(lambda request: Submit(request, crossed))
    assert denied(answer) == "no-such-account"


def test_a_stranger_may_send_one_small_request_to_each_device() -> None:
    second = Box("kitchen", 2)
    room = Room(KITCHEN, WORKSHOP)
    room.store.apply([PutDevice(second.stored())])
    room.start()
    workshop = room.login(WORKSHOP)
    assert denied(workshop.ask(submit_of(WORKSHOP, KITCHEN, 0, size=5000))) == "too-large"
    for _ in range(2):  # a retry is the same letter
        assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1)))
    assert accepted(workshop.ask(submit_of(WORKSHOP, second, 1)))
    kitchen = room.login(KITCHEN)
    acknowledge(kitchen, 1)
    room.start()
    workshop = room.login(WORKSHOP)
    assert denied(workshop.ask(submit_of(WORKSHOP, KITCHEN, 2))) == "not-allowed"
    assert denied(workshop.ask(submit_of(WORKSHOP, second, 2))) == "not-allowed"


def test_a_request_that_was_not_stored_is_not_used_up() -> None:
    room = Room(KITCHEN, WORKSHOP)
    workshop = room.login(WORKSHOP)
    room.store.failing = True
    assert denied(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1))) == "no-storage"
    room.store.failing = False
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 2)))


def test_after_the_owner_decided_a_stranger_is_one_no_more() -> None:
    room = Room(KITCHEN, WORKSHOP)
    workshop, kitchen = room.login(WORKSHOP), room.login(KITCHEN)
    workshop.ask(submit_of(WORKSHOP, KITCHEN, 1))
    room.allow(kitchen, WORKSHOP, "message")
    assert all(accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, number))) for number in range(2, 6))


def test_a_reader_may_send_receipts_to_whoever_wrote_to_it() -> None:
    room = Room(KITCHEN, WORKSHOP)
    workshop, kitchen = room.login(WORKSHOP), room.login(KITCHEN)
    workshop.ask(submit_of(WORKSHOP, KITCHEN, 1))
    acknowledge(kitchen, 1)
    room.store.failing = True
    for number in (1, 2, 3):
        assert denied(kitchen.ask(submit_of(KITCHEN, WORKSHOP, number, cls="receipt"))) == "no-storage"
    room.store.failing = False
    receipts = [kitchen.ask(submit_of(KITCHEN, WORKSHOP, number, cls="receipt")) for number in (1, 2)]
    assert all(accepted(receipt) for receipt in receipts)
    kitchen.ask(submit_of(KITCHEN, WORKSHOP, 3, cls="mail"))  # its own one request
    assert denied(kitchen.ask(submit_of(KITCHEN, WORKSHOP, 4, cls="receipt"))) == "not-allowed"


def test_ones_own_other_device_is_no_stranger() -> None:
    second = Box("kitchen", 2)
    room = Room(KITCHEN)
    room.store.apply([PutDevice(second.stored())])
    room.start()
    kitchen = room.login(KITCHEN)
    assert all(accepted(kitchen.ask(submit_of(KITCHEN, second, number))) for number in range(3))
    assert denied(kitchen.ask(submit_of(KITCHEN, KITCHEN, 9))) == "not-allowed"


# --- a block looks like a box that is switched off ---


def _story(room: Room, workshop: Peer) -> list[ServerMessage]:
    """Return every answer to a sender that tries all it can, with fetches of the store counted in."""
    answers = []
    for number in range(8):
        answers.append(workshop.ask(submit_of(WORKSHOP, KITCHEN, number, size=20_000)))
        answers.append(workshop.ask(submit_of(WORKSHOP, KITCHEN, number, size=20_000)))
    room.pass_time(31 * DAY_S)
    workshop = room.login(WORKSHOP)
    answers.append(workshop.ask(submit_of(WORKSHOP, KITCHEN, 50, size=20_000)))
    answers.append(workshop.ask(submit_of(WORKSHOP, KITCHEN, 51, cls="receipt")))
    return answers


def _answers(row: str) -> tuple[list[ServerMessage], Room]:
    room = Room(KITCHEN, WORKSHOP, settings=ServerSettings(mail=MailBounds(bytes=400_000)))
    kitchen = room.login(KITCHEN)
    room.allow(kitchen, WORKSHOP, row)  # type: ignore[arg-type]
    kitchen.leave()
    return _story(room, room.login(WORKSHOP)), room


def test_a_block_answers_like_a_box_that_is_switched_off() -> None:
    (blocked, room), (off, _) = _answers("blocked"), _answers("ring")
    assert blocked == off
    assert {type(answer) for answer in off} == {Accepted, Denied}  # the story reaches the bounds too
    kitchen = room.login(KITCHEN)
    assert not kitchen.all(Deliver)


def test_a_blocked_letter_is_as_much_to_write_and_holds_nothing() -> None:
    room = Room(KITCHEN, WORKSHOP)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    room.allow(kitchen, WORKSHOP, "blocked")
    room.held = []
    workshop.say(Submit(1, WORKSHOP.to(KITCHEN, 1, size=3000)))
    (save,) = room.held
    letter = save.writes[-1].letter  # type: ignore[union-attr]
    assert letter.envelope.ciphertext == bytes(3000)
    room.release()
    assert accepted(workshop.last(Accepted))
    assert not kitchen.all(Deliver)


def test_the_blocked_cannot_fill_the_mailbox_of_who_blocks_them() -> None:
    room = Room(KITCHEN, WORKSHOP, CELLAR, settings=ServerSettings(mail=MailBounds(items=4, sender_percent=75)))
    kitchen, workshop, cellar = room.login(KITCHEN), room.login(WORKSHOP), room.login(CELLAR)
    room.allow(kitchen, WORKSHOP, "blocked")
    room.allow(kitchen, CELLAR, "message")
    kitchen.leave()
    for number in range(10):
        workshop.ask(submit_of(WORKSHOP, KITCHEN, number))
    assert all(accepted(cellar.ask(submit_of(CELLAR, KITCHEN, number))) for number in range(3))


# --- bounds ---

_FULL: list[tuple[str, dict[str, object], Callable[[int], int], int]] = [
    ("items", {"items": 8, "sender_percent": 100}, lambda _n: 100, 8),
    ("a sender's items", {"items": 8, "sender_percent": 25}, lambda _n: 100, 2),
    ("bytes", {"bytes": 100_000, "sender_percent": 100}, lambda _n: 30_000, 3),
    ("a sender's bytes", {"bytes": 100_000, "sender_percent": 25}, lambda _n: 10_000, 2),
]


@pytest.mark.parametrize(("what", "bounds", "size", "fits"), _FULL, ids=[case[0] for case in _FULL])
def test_a_mailbox_is_bounded(what: str, bounds: dict[str, object], size: Callable[[int], int], fits: int) -> None:
    room = allowed_room(**bounds)
    workshop = room.login(WORKSHOP)
    answers = [workshop.ask(submit_of(WORKSHOP, KITCHEN, number, size=size(number))) for number in range(fits + 2)]
    assert [accepted(answer) for answer in answers] == [True] * fits + [False, False]
    assert denied(answers[-1]) == "mailbox-full"
    kitchen = room.login(KITCHEN)
    acknowledge(kitchen, 0)
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 99, size=size(99))))


def test_undelivered_mail_dies_after_30_days_or_its_own_time() -> None:
    room = allowed_room()
    workshop = room.login(WORKSHOP)
    workshop.ask(submit_of(WORKSHOP, KITCHEN, 1, ttl_s=86_400))
    workshop.ask(submit_of(WORKSHOP, KITCHEN, 2, ttl_s=90 * 86_400))
    room.pass_time(DAY_S + 3600)
    assert numbers(room.login(KITCHEN)) == [2]
    room.pass_time(28 * DAY_S)
    assert len(room.store.open().letters) == 1
    room.pass_time(DAY_S)
    assert not room.store.open().letters


def test_a_jump_of_the_wall_clock_kills_no_mail() -> None:
    room = allowed_room()
    room.login(WORKSHOP).ask(submit_of(WORKSHOP, KITCHEN, 1, ttl_s=90 * 86_400))
    room.wall_ms += 3600 * 1000 * 24 * 365 * 10
    for _ in range(11):
        room.pass_time(3600)
    room.wall_ms -= 3600 * 1000 * 24 * 365 * 10
    room.pass_time(7300)
    assert numbers(room.login(KITCHEN)) == [1]
    assert any("clock-jumped" in line for line in room.audited)


def test_letters_on_their_way_to_the_disk_are_bounded() -> None:
    room = allowed_room(pending=3)
    workshop = room.login(WORKSHOP)
    room.held = []
    for number in range(5):
        workshop.say(Submit(number, WORKSHOP.to(KITCHEN, number)))
    assert [denied(answer) for answer in workshop.all(Denied)] == ["too-often"] * 2
    room.release()
    assert len(workshop.all(Accepted)) == 3


# --- a store that fails ---


def test_without_storage_nothing_is_accepted_and_it_heals() -> None:
    room = allowed_room()
    workshop = room.login(WORKSHOP)
    room.store.failing = True
    assert denied(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1))) == "no-storage"
    room.store.failing = False
    assert accepted(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1)))
    assert numbers(room.login(KITCHEN)) == [1]


def test_a_box_whose_mail_cannot_be_read_is_sent_away_to_come_again() -> None:
    room = allowed_room()
    room.login(WORKSHOP).ask(submit_of(WORKSHOP, KITCHEN, 1))
    room.store.failing = True
    kitchen = room.login(KITCHEN)
    assert kitchen.all(Welcome)
    assert kitchen.closed
    room.store.failing = False
    assert numbers(room.login(KITCHEN)) == [1]
