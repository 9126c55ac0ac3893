"""Contacts: permissions, dial buttons, keys that are pinned, compared, and that change; and the record of consent."""

import msgspec
import pytest

from callbox.base.errors import WrongUse
from callbox.conversations.contacts import Contact, Contacts
from callbox.conversations.stores import StoreFault, Write
from callbox.conversations.stores.memory import MemoryStore

KEY, OTHER, THIRD = b"1" * 32, b"2" * 32, b"3" * 32


class Kept:
    """Contacts over a store: `again` is what a restarted box finds."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.contacts = Contacts({})

    def keep(self, writes: list[Write]) -> None:
        self.store.commit(writes)
        assert Contacts(self.store.load("contacts")).all() == self.contacts.all()

    def pin(self, key: bytes, fingerprint: str = "") -> str:
        outcome, writes = self.contacts.pin("kitchen", key, fingerprint)
        self.keep(writes)
        return outcome

    @property
    def kitchen(self) -> Contact:
        contact = self.contacts.get("kitchen")
        assert contact is not None
        return contact


@pytest.fixture
def kept() -> Kept:
    kept = Kept()
    kept.keep(kept.contacts.allow("Kitchen", "ring", at_ms=5, dial=1))
    return kept


def test_a_contact_is_found_however_its_name_is_written(kept: Kept) -> None:
    assert kept.contacts.get("KITCHEN") == kept.kitchen == kept.contacts.by_dial(1)
    assert kept.kitchen.name == "kitchen"
    assert kept.contacts.get("two words") is None
    assert kept.contacts.get("nobody") is None
    assert kept.contacts.by_dial(2) is None


def test_a_bad_name_is_wrong_use() -> None:
    with pytest.raises(WrongUse):
        Contacts({}).allow("a b", "ring", 0)


def test_a_dial_button_calls_one_contact(kept: Kept) -> None:
    kept.keep(kept.contacts.allow("workshop", "ring", 6, dial=1))
    workshop = kept.contacts.by_dial(1)
    assert workshop is not None
    assert (workshop.name, kept.kitchen.dial) == ("workshop", None)
    kept.keep(kept.contacts.allow("workshop", "knock", 7))
    assert kept.contacts.by_dial(1) == kept.contacts.get("workshop")


def test_the_first_key_is_pinned_and_not_compared(kept: Kept) -> None:
    assert kept.pin(KEY, "AAAA") == "pinned"
    assert (kept.kitchen.account_key, kept.kitchen.verified) == (KEY, False)
    assert kept.pin(KEY, "AAAA") == "same"
    kept.keep(kept.contacts.verify("kitchen", 6))
    assert kept.kitchen.verified
    assert kept.pin(KEY, "AAAA") == "same"


def test_a_changed_key_waits_for_the_owner(kept: Kept) -> None:
    kept.pin(KEY)
    kept.keep(kept.contacts.verify("kitchen", 6))
    assert kept.pin(OTHER) == "changed"
    assert (kept.kitchen.account_key, kept.kitchen.changed_key, kept.kitchen.current_key) == (KEY, OTHER, OTHER)
    assert kept.pin(KEY) == "same"
    assert kept.kitchen.current_key == OTHER, "going back must not wipe the trace"
    assert kept.pin(THIRD) == "changed"
    kept.keep(kept.contacts.confirm_new_key("kitchen", 7))
    confirmed = kept.kitchen
    assert (confirmed.account_key, confirmed.changed_key, confirmed.verified) == (THIRD, None, False)
    with pytest.raises(WrongUse, match="no new box"):
        kept.contacts.confirm_new_key("kitchen", 8)


def test_comparing_numbers_confirms_a_changed_key(kept: Kept) -> None:
    kept.pin(KEY)
    kept.pin(OTHER)
    kept.keep(kept.contacts.verify("kitchen", 7))
    assert (kept.kitchen.account_key, kept.kitchen.changed_key, kept.kitchen.verified) == (OTHER, None, True)


def test_a_card_decides_which_key_is_pinned(kept: Kept) -> None:
    kept.keep(kept.contacts.allow("kitchen", "ring", 6, fingerprint="CARD"))
    assert kept.pin(OTHER, "FAKE") == "changed"
    assert (kept.kitchen.account_key, kept.kitchen.changed_key) == (None, OTHER)
    assert kept.pin(KEY, "CARD") == "pinned"
    assert (kept.kitchen.account_key, kept.kitchen.changed_key) == (KEY, None)


def test_a_card_that_differs_from_the_pinned_key_wins(kept: Kept) -> None:
    kept.pin(OTHER, "FAKE")
    kept.keep(kept.contacts.verify("kitchen", 6))
    kept.keep(kept.contacts.allow("kitchen", "ring", 7, fingerprint="CARD"))
    assert kept.kitchen.account_key is None
    assert not kept.kitchen.verified
    assert kept.pin(OTHER, "FAKE") == "changed"
    assert kept.pin(KEY, "CARD") == "pinned"


def test_the_card_of_the_pinned_key_vouches_for_it_and_changes_nothing_else(kept: Kept) -> None:
    kept.pin(KEY, "CARD")
    before = kept.kitchen
    kept.keep(kept.contacts.allow("kitchen", "ring", 7, fingerprint="CARD"))
    assert kept.kitchen == msgspec.structs.replace(before, carded=True)


def test_the_card_of_a_compared_key_takes_nothing_back(kept: Kept) -> None:
    kept.pin(KEY, "CARD")
    kept.keep(kept.contacts.verify("kitchen", 6))
    kept.keep(kept.contacts.allow("kitchen", "ring", 7, fingerprint="CARD"))
    assert (kept.kitchen.account_key, kept.kitchen.verified) == (KEY, True)


def test_nor_does_that_of_a_new_box_that_was_compared(kept: Kept) -> None:
    kept.pin(KEY, "CARD")
    kept.pin(OTHER, "NEW")
    kept.keep(kept.contacts.verify("kitchen", 6))
    kept.pin(OTHER, "NEW")
    kept.keep(kept.contacts.allow("kitchen", "ring", 7, fingerprint="NEW"))
    assert (kept.kitchen.account_key, kept.kitchen.verified) == (OTHER, True)


def test_text_follows_a_new_key_only_where_nobody_vouched_for_the_old_one(kept: Kept) -> None:
    without_a_key = kept.kitchen
    assert without_a_key.text_key is None
    kept.pin(KEY, "CARD")
    kept.pin(OTHER, "FAKE")
    assert kept.kitchen.text_key == OTHER, "trust on first use: the newest one"
    kept.keep(kept.contacts.allow("kitchen", "ring", 7, fingerprint="CARD"))
    assert kept.kitchen.text_key == KEY, "a card says which"
    kept.keep(kept.contacts.verify("kitchen", 8))
    assert kept.kitchen.text_key == OTHER, "compared"
    kept.pin(THIRD)
    assert kept.kitchen.text_key == OTHER


def test_text_never_goes_to_a_first_key_that_is_not_the_cards(kept: Kept) -> None:
    kept.keep(kept.contacts.allow("kitchen", "ring", 6, fingerprint="CARD"))
    kept.pin(OTHER, "FAKE")
    assert kept.kitchen.text_key is None
    kept.pin(KEY, "CARD")
    assert kept.kitchen.text_key == KEY


def test_a_key_that_was_given_up_does_not_come_back(kept: Kept) -> None:
    kept.pin(KEY, "LOST")
    kept.pin(OTHER)
    kept.keep(kept.contacts.confirm_new_key("kitchen", 7))
    assert kept.pin(KEY, "LOST") == "former"
    assert (kept.kitchen.account_key, kept.kitchen.changed_key) == (OTHER, None)
    kept.keep(kept.contacts.allow("kitchen", "ring", 8, fingerprint="LOST"))
    assert kept.pin(KEY, "LOST") == "pinned", "unless a card says so"


def test_a_strangers_key_is_not_kept(kept: Kept) -> None:
    assert kept.contacts.pin("stranger", KEY) == ("same", [])
    assert kept.contacts.get("stranger") is None


def test_a_stranger_asks_once(kept: Kept) -> None:
    kept.keep(kept.contacts.requested("stranger", 6))
    assert kept.contacts.requested("stranger", 7) == []
    assert kept.contacts.requested("kitchen", 7) == []
    stranger = kept.contacts.get("stranger")
    assert stranger is not None
    assert stranger.permission == "request"


@pytest.mark.parametrize("command", ["silence", "breakthrough", "style", "verify", "confirm", "forget"])
def test_an_unknown_name_is_wrong_use(command: str, kept: Kept) -> None:
    contacts = kept.contacts
    with pytest.raises(WrongUse, match="There is no contact 'nobody'"):
        {
            "silence": lambda: contacts.silence("nobody", True, 0),
            "breakthrough": lambda: contacts.set_breakthrough("nobody", True, 0),
            "style": lambda: contacts.set_style("nobody", "light", True),
            "verify": lambda: contacts.verify("nobody", 0),
            "confirm": lambda: contacts.confirm_new_key("nobody", 0),
            "forget": lambda: contacts.forget("nobody"),
        }[command]()


def test_numbers_need_a_key(kept: Kept) -> None:
    with pytest.raises(WrongUse, match="No key"):
        kept.contacts.verify("kitchen", 0)


def test_settings_of_a_contact_are_kept(kept: Kept) -> None:
    kept.keep(kept.contacts.silence("kitchen", True, 6))
    kept.keep(kept.contacts.set_breakthrough("kitchen", True, 7))
    kept.keep(kept.contacts.set_style("kitchen", "rising", False))
    expected = Contact("kitchen", "ring", silenced=True, dial=1, breakthrough=True, ring_style="rising", notify=False)
    assert kept.kitchen == expected
    kept.keep(kept.contacts.silence("kitchen", False, 8))
    assert not kept.kitchen.silenced


def test_the_server_is_told_what_it_has_otherwise(kept: Kept) -> None:
    kept.keep(kept.contacts.allow("workshop", "blocked", 6))
    assert kept.contacts.rows_to_set([]) == [("kitchen", "ring"), ("workshop", "blocked")]
    assert kept.contacts.rows_to_set([("kitchen", "knock"), ("workshop", "blocked")]) == [("kitchen", "ring")]


def test_the_record_says_who_was_allowed_what_and_when(kept: Kept) -> None:
    kept.pin(KEY)
    kept.keep(kept.contacts.verify("kitchen", 6))
    kept.keep(kept.contacts.silence("kitchen", True, 7))
    kept.keep(kept.contacts.allow("kitchen", "blocked", 8))
    record = Contacts({}, kept.store.load("consents")).consents
    assert record == kept.contacts.consents
    assert [(line.at_ms, line.what) for line in record] == [
        (5, "ring"),
        (6, "numbers compared"),
        (7, "silenced"),
        (8, "blocked"),
    ]
    assert {line.name for line in record} == {"kitchen"}


def test_who_is_forgotten_leaves_no_trace(kept: Kept) -> None:
    kept.keep(kept.contacts.allow("workshop", "ring", 6))
    kept.keep(kept.contacts.forget("kitchen"))
    for contacts in (kept.contacts, Contacts(kept.store.load("contacts"), kept.store.load("consents"))):
        assert [contact.name for contact in contacts.all()] == ["workshop"]
        assert [line.name for line in contacts.consents] == ["workshop"]


def test_a_row_that_cannot_be_read_is_told() -> None:
    with pytest.raises(StoreFault, match="'contacts'") as told:
        Contacts({"kitchen": b"\xff\x00"})
    assert told.value.kind == "damaged"
