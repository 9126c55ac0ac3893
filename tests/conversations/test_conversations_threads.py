"""Threads: order of arrival, marks that only go up, one line per call, and what blinks."""

import msgspec
import pytest

from callbox.base.reasons import Reason
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.items import BlobKey, CallItem, TextItem, TextState, VoiceItem
from callbox.conversations.retention import DAY_MS, Retention, expired
from callbox.conversations.seen import Seen
from callbox.conversations.stores import DeleteItem, PutItem, Write
from callbox.conversations.stores.memory import MemoryStore
from callbox.conversations.threads import Threads

A, B, C = b"a" * 16, b"b" * 16, b"c" * 16
BUILT = 1_700_000_000_000
NOW = BUILT + 1000 * DAY_MS
KITCHEN = Contact("kitchen", "ring")


class Kept:
    """Threads over a store; every change is checked against what a restarted box finds."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.threads = Threads()

    def keep(self, writes: list[Write]) -> None:
        self.store.commit(writes)
        assert Threads(self.store.items()).items() == self.threads.items()

    def missed(self, call_id: bytes, reason: Reason, **more: bool) -> CallItem | None:
        item, writes = self.threads.call_ended(
            call_id, "kitchen", outgoing=more.get("outgoing", False), at_ms=1, reason=reason,
            answered=more.get("answered", False), chain=("a", "b"),
        )  # fmt: skip
        self.keep(writes)
        return item


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_a_text_goes_up_and_never_down(kept: Kept) -> None:
    item, writes = kept.threads.text_written(A, "kitchen", "tea?", 5)
    kept.keep(writes)
    assert (item.state, item.outgoing) == ("queued", True)
    steps: list[tuple[TextState, TextState]] = [
        ("sent", "sent"),
        ("heard", "heard"),
        ("delivered", "heard"),
        ("sent", "heard"),
    ]
    for mark, state in steps:
        kept.keep(kept.threads.mark([A, b"unknown"], mark))
        assert kept.threads.get(A) == msgspec.structs.replace(item, state=state)


def test_only_the_contact_itself_can_mark_its_texts(kept: Kept) -> None:
    kept.keep(kept.threads.text_written(A, "kitchen", "tea?", 5)[1])
    assert kept.threads.mark([A], "heard", contact="workshop") == []
    assert len(kept.threads.mark([A], "heard", contact="kitchen")) == 1


def test_a_text_that_came_twice_is_there_once(kept: Kept) -> None:
    item, writes = kept.threads.text_received(A, "kitchen", "tea!", 5)
    kept.keep(writes)
    assert item is not None
    assert item.state == "delivered"
    assert kept.threads.text_received(A, "kitchen", "tea!", 6) == (None, [])
    assert kept.threads.text_received(A, "workshop", "not your id", 6) == (None, [])
    assert kept.threads.mark([A], "heard") == [], "marks are for our own texts"


def test_an_unsent_text_says_why_and_may_still_turn_out_delivered(kept: Kept) -> None:
    kept.keep(kept.threads.text_written(A, "kitchen", "tea?", 5)[1])
    kept.keep(kept.threads.unsent(A, "not-allowed"))
    (item,) = kept.threads.items()
    assert isinstance(item, TextItem)
    assert (item.state, item.problem) == ("unsent", "not-allowed")
    kept.keep(kept.threads.mark([A], "delivered"))
    assert kept.threads.unsent(A, "again") == []
    assert kept.threads.unsent(b"unknown", "x") == []


def test_unread_blinks_until_it_was_heard(kept: Kept) -> None:
    kept.keep(kept.threads.text_received(A, "kitchen", "one", 5)[1])
    kept.missed(B, Reason.QUIET)
    kept.keep(kept.threads.text_written(C, "kitchen", "mine", 5)[1])
    assert [item.id for item in kept.threads.unread()] == [A, B]
    kept.keep(kept.threads.heard([A, C, b"unknown"]))
    assert [item.id for item in kept.threads.unread()] == [B]
    kept.keep(kept.threads.heard([A, B]))
    assert kept.threads.unread() == []
    assert kept.threads.heard([A, B]) == []


@pytest.mark.parametrize(
    ("reason", "more", "blinks"),
    [
        (Reason.NO_ANSWER, {}, True),
        (Reason.QUIET, {}, True),
        (Reason.BUSY, {}, True),
        (Reason.KNOCKED, {}, True),
        (Reason.CANCELLED, {}, True),
        (Reason.CALLS_DISABLED, {}, True),
        (Reason.KEY_CHANGED, {}, True),
        (Reason.SILENCED, {}, False),
        (Reason.DECLINED, {}, False),
        (Reason.ANSWERED_ELSEWHERE, {}, False),
        (Reason.HUNG_UP, {"answered": True}, False),
        (Reason.LOST, {"answered": True}, False),
        (Reason.NO_ANSWER, {"outgoing": True}, False),
    ],
)
def test_a_call_that_its_person_does_not_know_of_blinks(
    reason: Reason, more: dict[str, bool], blinks: bool, kept: Kept
) -> None:
    item = kept.missed(A, reason, **more)
    assert item is not None
    assert (kept.threads.unread() == [item]) == blinks


def test_a_blocked_call_leaves_nothing(kept: Kept) -> None:
    assert kept.missed(A, Reason.BLOCKED) is None
    assert kept.threads.items() == kept.store.items() == []


def test_a_call_has_one_line(kept: Kept) -> None:
    first = kept.missed(A, Reason.NO_ANSWER)
    assert kept.missed(A, Reason.FAILED) == first
    assert len(kept.threads.items()) == 1


@pytest.mark.parametrize(
    ("contact", "controls", "reason"),
    [
        (KITCHEN, Controls(), Reason.UNREACHABLE),
        (KITCHEN, Controls(calls_enabled=False), Reason.CALLS_DISABLED),
        (Contact("kitchen", "ring", silenced=True), Controls(), Reason.SILENCED),
        (Contact("kitchen", "message"), Controls(), Reason.NOT_ALLOWED),
        (Contact("kitchen", "blocked"), Controls(), None),
        (Contact("kitchen", "request"), Controls(), None),
    ],
)
def test_a_missed_call_notice_becomes_a_line(
    contact: Contact, controls: Controls, reason: Reason | None, kept: Kept
) -> None:
    item, writes = kept.threads.missed_noticed(A, contact, controls, 5, knock=True)
    kept.keep(writes)
    assert (item.reason if item else None) == reason
    if item is not None:
        assert item.knock
        assert item.chain


def test_a_notice_of_a_call_that_is_known_changes_nothing(kept: Kept) -> None:
    kept.missed(A, Reason.QUIET)
    assert kept.threads.missed_noticed(A, KITCHEN, Controls(), 5, knock=False) == (None, [])


def test_why_tells_the_newest_call_that_did_not_ring(kept: Kept) -> None:
    kept.missed(A, Reason.QUIET)
    kept.missed(B, Reason.SILENCED)
    kept.missed(C, Reason.HUNG_UP, answered=True)
    assert [call.id for call in kept.threads.why()] == [B]
    assert [call.id for call in kept.threads.why(5)] == [B, A]
    assert kept.threads.why()[0].chain == ("a", "b")


def anyone(name: str) -> bool:
    return True


def test_the_last_conversation_is_the_newest(kept: Kept) -> None:
    assert kept.threads.last_contact(anyone) is None
    kept.keep(kept.threads.text_received(A, "kitchen", "1", 500)[1])
    kept.keep(kept.threads.text_received(B, "workshop", "2", 3)[1])
    assert kept.threads.last_contact(anyone) == "workshop", "by arrival, not by date"
    assert kept.threads.last_contact(lambda name: name != "workshop") == "kitchen", "workshop does not count"
    kept.keep(kept.threads.heard([A]))
    assert kept.threads.last_contact(anyone) == "workshop"
    assert [item.id for item in kept.threads.items(limit=1)] == [B]
    assert [item.id for item in kept.threads.items("kitchen")] == [A]


def test_a_forgotten_thread_is_gone(kept: Kept) -> None:
    kept.keep(kept.threads.text_received(A, "kitchen", "1", 5)[1])
    kept.keep(kept.threads.text_received(B, "workshop", "2", 5)[1])
    kept.keep(kept.threads.forget("kitchen"))
    assert [item.id for item in kept.threads.items()] == [B]


def text(item_id: bytes, at_ms: int) -> TextItem:
    return TextItem(item_id, "kitchen", False, at_ms, "x", "delivered")


def call(item_id: bytes, at_ms: int) -> CallItem:
    return CallItem(item_id, "kitchen", False, at_ms, Reason.NO_ANSWER, False, 0.0)


@pytest.mark.parametrize(
    ("item", "goes"),
    [
        (text(A, NOW - 90 * DAY_MS), False),
        (text(A, NOW - 90 * DAY_MS - 1), True),
        (call(A, NOW - 30 * DAY_MS), False),
        (call(A, NOW - 30 * DAY_MS - 1), True),
        (text(A, NOW + DAY_MS), False),
    ],
)
def test_what_is_too_old_goes(item: TextItem | CallItem, goes: bool) -> None:
    assert expired([item], NOW, BUILT) == ([DeleteItem(A)] if goes else [])


def test_days_are_a_setting() -> None:
    assert expired([text(A, NOW - 2 * DAY_MS)], NOW, BUILT, Retention(text_days=1)) == [DeleteItem(A)]


ONE_DAY = NOW - DAY_MS
NOTHING = Retention(text_days=0, voice_days=0, call_days=0)


@pytest.mark.parametrize(
    ("item", "goes"),
    [
        (text(A, NOW), False),  # nobody has heard it
        (text(A, NOW - 30 * DAY_MS - 1), True),
        (msgspec.structs.replace(text(A, NOW), state="heard"), True),
        (msgspec.structs.replace(text(A, ONE_DAY), outgoing=True, state="sent"), False),
        (msgspec.structs.replace(text(A, NOW), outgoing=True, state="delivered"), True),
        (msgspec.structs.replace(text(A, NOW), outgoing=True, state="unsent"), True),
        (call(A, NOW), True),
        (msgspec.structs.replace(call(A, NOW), heard=False), False),
    ],
)
def test_with_no_days_at_all_things_stay_until_they_reached_their_person(item: TextItem | CallItem, goes: bool) -> None:
    assert expired([item], NOW, BUILT, NOTHING) == ([DeleteItem(A)] if goes else [])


def test_what_waits_to_be_sent_is_never_too_old() -> None:
    waiting = msgspec.structs.replace(text(A, NOW - 200 * DAY_MS), outgoing=True, state="queued")
    assert expired([waiting], NOW, BUILT) == []


BLOB = BlobKey(bytes(32), bytes(32), 4)


def test_a_voice_message_is_delivered_when_its_sound_is_and_not_with_the_letter_that_names_it(kept: Kept) -> None:
    item, writes = kept.threads.voice_spoken(A, "kitchen", 2_000, NOW, BLOB)
    kept.keep(writes)
    assert kept.threads.voices("queued") == [item]
    kept.keep(kept.threads.voice_named(A, C))
    for mark, state in (("delivered", "queued"), ("sent", "sent"), ("heard", "sent")):
        kept.keep(kept.threads.mark([C], mark, "kitchen"))  # type: ignore[arg-type]  # of the marks that there are
        assert kept.threads.voices(state), f"the letter says {mark}"  # type: ignore[arg-type]  # of the states
    assert kept.threads.mark([A], "delivered", "workshop") == []
    kept.keep(kept.threads.mark([A], "delivered", "kitchen"))
    (delivered,) = kept.threads.voices("delivered")
    assert delivered.blob is None, "its key is needed here no more"
    assert Threads(kept.store.items()).mark([C], "sent") == [], "marks only go up, after a restart too"


def test_the_letter_that_names_a_voice_message_may_be_refused(kept: Kept) -> None:
    kept.keep(kept.threads.voice_spoken(A, "kitchen", 2_000, NOW, BLOB)[1])
    kept.keep(kept.threads.voice_named(A, C))
    kept.keep(Threads(kept.store.items()).unsent(C, "not-allowed") and kept.threads.unsent(C, "not-allowed"))
    assert [item.problem for item in kept.threads.voices("unsent")] == ["not-allowed"]


def test_a_voice_message_blinks_once_its_sound_is_here(kept: Kept) -> None:
    item, writes = kept.threads.voice_coming(A, "kitchen", 2_000, NOW, BLOB)
    kept.keep(writes)
    assert kept.threads.voices("coming") == [item]
    assert kept.threads.unread() == []
    assert kept.threads.voice_coming(A, "workshop", 9, NOW, BLOB) == (None, [])
    kept.keep(kept.threads.voice_came(A, 2_000))
    assert [unread.id for unread in kept.threads.unread()] == [A]
    assert kept.threads.voice_came(A, 2_000) == kept.threads.voice_lost(A, "too late") == []
    kept.keep(kept.threads.heard([A]))
    assert kept.threads.unread() == []
    assert kept.threads.voices("heard")[0].blob is None


def test_a_sound_that_never_comes_is_lost_and_does_not_blink(kept: Kept) -> None:
    kept.keep(kept.threads.voice_coming(A, "kitchen", 2_000, NOW, BLOB)[1])
    kept.keep(kept.threads.voice_lost(A, "expired"))
    assert [item.problem for item in kept.threads.voices("lost")] == ["expired"]
    assert kept.threads.unread() == kept.threads.voices("coming") == []


def test_voice_messages_go_after_their_own_days(kept: Kept) -> None:
    for number, state in ((A, "heard"), (B, "coming"), (C, "queued")):
        item = VoiceItem(number, "kitchen", state == "queued", NOW - 31 * DAY_MS, 1, state)  # type: ignore[arg-type]
        kept.store.commit([PutItem(item)])
    assert expired(kept.store.items(), NOW, BUILT) == [DeleteItem(B), DeleteItem(A)]
    assert expired(kept.store.items(), NOW, BUILT, Retention(voice_days=0)) == [DeleteItem(B), DeleteItem(A)]


def test_impossible_dates_are_mended_and_cost_nothing() -> None:
    in_1970, in_2099 = text(A, 5000), call(B, NOW + 20_000 * DAY_MS)
    assert expired([in_1970, in_2099], NOW, BUILT) == [PutItem(text(A, NOW)), PutItem(call(B, NOW))]
    assert expired([in_1970, text(B, NOW)], 6000, BUILT) == [], "a box that woke in 1970 deletes nothing"


def test_threads_follow_what_retention_decided(kept: Kept) -> None:
    kept.keep(kept.threads.text_received(A, "kitchen", "old", NOW - 91 * DAY_MS)[1])
    kept.keep(kept.threads.text_received(B, "kitchen", "undated", 7)[1])
    kept.keep(kept.threads.drop(expired(kept.store.items(), NOW, BUILT)))
    assert [(item.id, item.at_ms) for item in kept.threads.items()] == [(B, NOW)]


def test_a_letter_is_seen_for_sixty_days() -> None:
    store = MemoryStore()
    seen = Seen({})
    for device, at_ms in (("d1", NOW - 61 * DAY_MS), ("d2", NOW - 60 * DAY_MS), ("d3", 7)):
        store.commit(seen.note(device, A, at_ms))
    assert ("d1", A) in seen
    assert ("d1", B) not in seen
    assert seen.expired(6000, BUILT) == []
    store.commit(seen.expired(NOW, BUILT))
    for kept in (seen, Seen(store.load("seen"))):
        assert [(device, A) in kept for device in ("d1", "d2", "d3")] == [False, True, True]
    store.commit(seen.expired(NOW + 59 * DAY_MS, BUILT))
    assert [(device, A) in seen for device in ("d1", "d2", "d3")] == [False, False, True]
