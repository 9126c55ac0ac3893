"""The people desk: what a person decides is kept, told to the server, and told again until it knows."""

import pytest

from app.desk import MADE_MS, Desk, peer
from callbox.app.people import People
from callbox.base.errors import WrongUse
from callbox.conversations.contacts import Contacts
from callbox.conversations.controls import Controls
from callbox.crypto.records import card_fingerprint
from callbox.wire.records import Row
from callbox.wire.signals import Accepted, Denied, SetCalls, SetRow, Welcome


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def contacts() -> Contacts:
    return Contacts({})


@pytest.fixture
def people(desk: Desk, contacts: Contacts) -> People:
    return People(desk.core, contacts, Controls())


def welcome(*rows: tuple[str, Row], calls_enabled: bool = True) -> Welcome:
    return Welcome(b"session", (), MADE_MS, 50, calls_enabled, rows)


def test_who_may_call_gets_the_next_free_dial_button(people: People) -> None:
    slots = [people.allow({"contact": name, "row": "ring"})["dial"] for name in ("a", "b")]
    assert slots == [1, 2]
    assert people.allow({"contact": "a", "row": "ring"})["dial"] == 1
    assert people.allow({"contact": "c", "row": "message"})["dial"] is None
    assert people.by_dial(2) == "b"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"contact": "kitchen", "row": "ring"}, "own name"),
        ({"contact": "a", "row": "everything"}, "not something"),
        ({"contact": "a", "row": "ring", "dial": 10}, "no dial button 10"),
        ({"contact": "", "row": "ring"}, "name"),
    ],
)
def test_what_cannot_be_allowed_is_refused(people: People, words: dict[str, object], complaint: str) -> None:
    with pytest.raises(WrongUse, match=complaint):
        people.allow(words)
    assert people.listed() == []


def test_the_server_is_told_until_it_has_answered(desk: Desk, people: People) -> None:
    people.allow({"contact": "a", "row": "ring"})
    desk.settle()
    assert desk.link.asked == [SetRow(1, "a", "ring")]
    assert not people.told_everything
    desk.answer(Accepted(1))
    assert people.told_everything


def test_a_name_that_the_server_does_not_take_is_said_once(desk: Desk, people: People) -> None:
    people.allow({"contact": "a", "row": "ring"})
    desk.settle()
    desk.answer(Denied(1, "no-such-account"))
    assert people.told_everything
    assert any("permission of a" in line for line in desk.log)


def test_an_answer_to_an_earlier_wish_does_not_count(desk: Desk, people: People) -> None:
    people.allow({"contact": "a", "row": "ring"})
    desk.settle()
    people.allow({"contact": "a", "row": "blocked"})
    desk.settle()
    desk.core.replied(1, Accepted(1))
    assert not people.told_everything


def test_the_server_hears_of_no_wish_that_is_not_on_the_card(desk: Desk, people: People) -> None:
    people.allow({"contact": "a", "row": "blocked"})
    assert desk.link.asked == []
    desk.settle()
    assert desk.link.asked == [SetRow(1, "a", "blocked")]


def test_what_was_decided_offline_is_told_later(desk: Desk, people: People) -> None:
    desk.link.connected = False
    people.allow({"contact": "a", "row": "ring"})
    people.set_calls(False)
    desk.settle()
    assert desk.link.asked == []
    desk.link.connected = True
    people.session_up(welcome())
    assert desk.link.asked == [SetRow(1, "a", "ring"), SetCalls(2, False)]


def test_a_server_that_knows_everything_is_told_nothing(desk: Desk, people: People) -> None:
    people.allow({"contact": "a", "row": "ring"})
    desk.settle()
    asked = len(desk.link.asked)
    people.session_up(welcome(("a", "ring")))
    assert len(desk.link.asked) == asked


def test_a_clock_that_nobody_set_knows_no_quiet_hours(desk: Desk, people: People) -> None:
    people.set_quiet_hours("00:00-23:59")
    before = (people.minute_of_week, people.quiet_now())
    people.clock_trusted, people.utc_offset_s = True, 2 * 3600
    assert before == (None, False)
    assert (people.minute_of_week, people.quiet_now()) == (10 * 60, True)  # 08:00 UTC


def test_only_a_confirmed_contact_can_be_called(desk: Desk, people: People, contacts: Contacts) -> None:
    with pytest.raises(WrongUse, match="not among your contacts"):
        people.known("a")
    with pytest.raises(WrongUse, match="own name"):
        people.known(desk.core.identity.account)
    people.allow({"contact": "a", "row": "ring"})
    assert people.known("a") == "a"
    for key in (peer("one").account_public, peer("other").account_public):
        contacts.pin("a", key, card_fingerprint(key))
    with pytest.raises(WrongUse, match="new box"):
        people.known("a")


@pytest.mark.parametrize(("row", "may"), [("ring", True), ("knock", True), ("message", False), ("blocked", False)])
def test_an_offer_is_taken_up_only_of_who_may_call(people: People, row: Row, may: bool) -> None:
    people.allow({"contact": "a", "row": row})
    assert people.may_call("a") is may
    assert not people.may_call("stranger")
