"""The outbox: one letter per device, in order, within the window, the same ciphertext until it is accepted."""

import pytest

from callbox.conversations.outbox import RETRY_S, WINDOW, Letter, Outbox, Stored
from callbox.conversations.retention import DAY_MS
from callbox.conversations.stores import Write
from callbox.conversations.stores.memory import MemoryStore
from callbox.wire.signals import DeniedWhy

BUILT = 1_700_000_000_000
NOW_MS = BUILT + 100 * DAY_MS


class Kept:
    """An outbox over a store; every change is checked against what a restarted box finds."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.outbox = Outbox({})

    def keep(self, writes: list[Write]) -> None:
        self.store.commit(writes)
        again = Outbox(self.store.load("outbox"))
        assert again.sealable() == self.outbox.sealable()
        assert len(again) == len(self.outbox)

    def queue(self, number: int, cls: Stored = "mail", devices: tuple[str, ...] = ("d1",), at_ms: int = NOW_MS) -> None:
        message_id = number.to_bytes(16, "big")
        self.keep(self.outbox.queue(message_id, "kitchen", cls, b"body", at_ms, devices)[1])

    def seal_all(self) -> None:
        for letter in self.outbox.sealable():
            self.keep(self.outbox.sealed(letter, 1, b"sealed " + letter.message_id))

    def submit(self) -> list[Letter]:
        letters = self.outbox.submittable(0.0)
        for letter in letters:
            self.outbox.submitted(letter)
        return letters

    def accept_all(self) -> list[int]:
        accepted = []
        while letters := self.submit():
            for letter in letters:
                accepted.append(number_of(letter))
                self.keep(self.outbox.accepted(letter))
        return accepted

    def deliver(self, number: int, device: str = "d1") -> None:
        self.keep(self.outbox.delivered(device, [number.to_bytes(16, "big")]))


def number_of(letter: Letter) -> int:
    return int.from_bytes(letter.message_id, "big")


def numbers(letters: list[Letter]) -> list[int]:
    return [number_of(letter) for letter in letters]


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_letters_leave_in_order_one_at_a_time_per_device(kept: Kept) -> None:
    for number in (1, 2, 3):
        kept.queue(number, devices=("d1", "d2"))
    kept.seal_all()
    first = kept.submit()
    assert [(letter.to_device, number_of(letter)) for letter in first] == [("d1", 1), ("d2", 1)]
    assert kept.submit() == []
    kept.keep(kept.outbox.accepted(first[1]))
    assert [(letter.to_device, number_of(letter)) for letter in kept.submit()] == [("d2", 2)]


def test_the_window_holds_what_is_not_delivered(kept: Kept) -> None:
    for number in range(WINDOW + 5):
        kept.queue(number)
    kept.seal_all()
    assert kept.accept_all() == list(range(WINDOW))
    assert kept.outbox.sealable() == []
    kept.deliver(0)
    kept.deliver(7)
    assert numbers(kept.outbox.sealable()) == [WINDOW, WINDOW + 1]
    kept.seal_all()
    assert kept.accept_all() == [WINDOW, WINDOW + 1]


def test_receipts_overtake_mail_that_is_not_sealed(kept: Kept) -> None:
    for number in range(WINDOW + 2):
        kept.queue(number)
    kept.seal_all()
    kept.queue(100, cls="receipt")
    assert numbers(kept.outbox.sealable()) == [100]
    kept.seal_all()
    assert kept.accept_all() == [*range(WINDOW), 100]
    assert len(kept.outbox) == WINDOW + 2, "an accepted receipt is gone"


def test_the_same_ciphertext_goes_again_after_the_link_was_lost(kept: Kept) -> None:
    kept.queue(1)
    kept.seal_all()
    first = kept.submit()
    kept.outbox.link_lost()
    assert kept.submit() == first
    restarted = Outbox(kept.store.load("outbox"))
    assert restarted.submittable(0.0) == first


def test_a_letter_waits_until_its_devices_are_known(kept: Kept) -> None:
    kept.queue(1, devices=())
    kept.queue(2, devices=())
    assert kept.outbox.unaddressed() == ["kitchen"]
    assert kept.outbox.sealable() == []
    kept.keep(kept.outbox.addressed("kitchen", []))
    kept.keep(kept.outbox.addressed("workshop", ["d9"]))
    assert kept.outbox.unaddressed() == ["kitchen"]
    kept.keep(kept.outbox.addressed("kitchen", ["d1", "d2"]))
    assert kept.outbox.unaddressed() == []
    found = [(letter.to_device, number_of(letter)) for letter in kept.outbox.sealable()]
    assert found == [("d1", 1), ("d2", 1), ("d1", 2), ("d2", 2)]


@pytest.mark.parametrize("why", ["mailbox-full", "no-storage", "too-often"])
def test_a_refused_letter_waits_and_is_not_overtaken(why: DeniedWhy, kept: Kept) -> None:
    kept.queue(1)
    kept.queue(2)
    kept.queue(3, devices=("d2",))
    kept.seal_all()
    letter, other = kept.submit()
    assert kept.outbox.refused(letter, why, now=100.0) == (False, [])
    kept.keep(kept.outbox.accepted(other))
    assert kept.outbox.submittable(100.0 + RETRY_S - 0.1) == []
    assert kept.outbox.deadline == 100.0 + RETRY_S
    assert kept.outbox.submittable(100.0 + RETRY_S) == [letter]
    kept.outbox.tick(100.0 + RETRY_S)
    assert kept.outbox.deadline is None


def test_the_server_may_ask_for_more_patience(kept: Kept) -> None:
    kept.queue(1)
    kept.seal_all()
    kept.outbox.refused(kept.submit()[0], "too-often", now=100.0, retry_after_s=600.0)
    assert kept.outbox.deadline == 700.0


@pytest.mark.parametrize("why", ["not-allowed", "no-such-account", "not-yours", "too-large"])
def test_what_can_never_go_is_given_up(why: DeniedWhy, kept: Kept) -> None:
    kept.queue(1)
    kept.queue(2)
    kept.seal_all()
    given_up, writes = kept.outbox.refused(kept.submit()[0], why, now=0.0)
    kept.keep(writes)
    assert given_up
    assert kept.accept_all() == [2]


def test_a_session_made_anew_seals_again_in_the_old_order(kept: Kept) -> None:
    for number in range(WINDOW + 2):
        kept.queue(number)
    kept.seal_all()
    submitted = kept.submit()
    kept.keep(kept.outbox.reseal("d1"))
    assert numbers(kept.outbox.sealable()) == list(range(WINDOW))
    assert kept.outbox.accepted(submitted[0]) == [], "an answer to the old ciphertext"
    for letter in kept.outbox.sealable():
        kept.keep(kept.outbox.sealed(letter, 0, b"anew"))
    assert kept.outbox.accepted(submitted[0]) == []
    assert kept.outbox.refused(submitted[0], "too-large", 0.0) == (False, [])
    assert kept.accept_all() == list(range(WINDOW))


def test_a_delivered_mark_may_overtake_the_servers_answer(kept: Kept) -> None:
    kept.queue(1)
    kept.queue(2)
    kept.seal_all()
    (letter,) = kept.submit()
    kept.deliver(1)
    assert kept.outbox.accepted(letter) == []
    assert kept.accept_all() == [2]


def test_a_lie_about_delivery_changes_nothing(kept: Kept) -> None:
    kept.queue(1)
    kept.deliver(1)
    kept.deliver(1, "d2")
    assert numbers(kept.outbox.sealable()) == [1]
    kept.seal_all()
    kept.deliver(1, "d2")
    assert kept.accept_all() == [1]


def test_a_letter_is_sealed_once(kept: Kept) -> None:
    kept.queue(1)
    (letter,) = kept.outbox.sealable()
    kept.keep(kept.outbox.sealed(letter, 1, b"first"))
    assert kept.outbox.sealed(letter, 1, b"second") == []
    assert [sealed.ciphertext for sealed in kept.submit()] == [b"first"]


def test_what_is_for_a_lost_device_or_a_forgotten_contact_is_dropped(kept: Kept) -> None:
    kept.queue(1, devices=("d1", "d2"))
    kept.queue(2, devices=())
    kept.seal_all()
    kept.submit()
    kept.keep(kept.outbox.without_device("d1"))
    assert [letter.to_device for letter in kept.outbox.submittable(0.0)] == []
    kept.outbox.link_lost()
    assert [letter.to_device for letter in kept.outbox.submittable(0.0)] == ["d2"]
    kept.keep(kept.outbox.without_account("kitchen"))
    assert len(kept.outbox) == 0
    assert kept.store.load("outbox") == {}


def test_what_nobody_took_for_thirty_days_is_given_up(kept: Kept) -> None:
    kept.queue(1, at_ms=NOW_MS - 30 * DAY_MS - 1)
    kept.queue(2, at_ms=NOW_MS - 30 * DAY_MS)
    kept.queue(3, at_ms=7)
    assert kept.outbox.expired(6000, BUILT) == ([], [])
    gone, writes = kept.outbox.expired(NOW_MS, BUILT)
    kept.keep(writes)
    assert numbers(gone) == [1]
    assert [(number_of(letter), letter.created_ms) for letter in kept.outbox.sealable()] == [
        (2, NOW_MS - 30 * DAY_MS),
        (3, NOW_MS),
    ]


def test_numbers_go_on_after_a_restart(kept: Kept) -> None:
    kept.queue(1)
    kept.seal_all()
    again = Outbox(kept.store.load("outbox"))
    (letter,), _ = again.queue(bytes(16), "kitchen", "mail", b"", NOW_MS, ["d1"])
    assert letter.number > kept.submit()[0].sealing
