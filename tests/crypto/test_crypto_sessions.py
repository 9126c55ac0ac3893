"""Olm sessions: two per device, crossed starts, replays, restarts, and the bounds on failure."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.base.errors import CallboxError
from callbox.crypto.errors import NoSession, Undecryptable, Untrusted
from callbox.crypto.identity import Identity
from callbox.crypto.sessions import (
    FAILURE_WINDOW_S,
    MAX_FAILURES,
    MAX_SESSIONS,
    MAX_UNANSWERED_CALLS,
    RENEWAL_PAUSE_S,
    Sessions,
)
from callbox.wire.bodies import CallAlerting, CallEnd, Probe, Text
from callbox.wire.records import SignedKey
from callbox.wire.signals import Envelope
from callbox.wire.told import Told
from crypto.people import CALL_ID, Person, person, text_of

PADDED = bytes(256)


def people(prekeys: int = 10) -> tuple[Person, Person]:
    return person("anna", prekeys), person("bert", prekeys)


def test_a_ring_ahead_of_2000_mails_loses_nothing() -> None:
    anna, bert = people()
    mails = [anna.seal(bert, "mail", Text(f"mail {number}")) for number in range(2000)]
    ring = anna.seal(bert, "call", CallAlerting(CALL_ID))
    assert bert.open(anna, ring).body == CallAlerting(CALL_ID)
    for number, mail in enumerate(mails):
        assert bert.open(anna, mail).body == Text(f"mail {number}")


def test_on_one_shared_session_the_ring_would_lose_mail() -> None:
    """Why there are two sessions: what the test above would show if the ring went over the one of mail."""
    anna, bert = people()
    mails = [anna.seal(bert, "mail", Text(f"mail {number}")) for number in range(200)]
    overtaking = anna.seal(bert, "mail", Text("as a ring would"))
    bert.open(anna, overtaking)
    lost = 0
    for number, mail in enumerate(mails):
        try:
            bert.open(anna, mail, now=number * FAILURE_WINDOW_S)
        except Undecryptable:
            lost += 1
    assert lost > 100


def test_mail_in_any_order_within_32_opens() -> None:
    anna, bert = people()
    mails = [anna.seal(bert, "mail", Text(str(number))) for number in range(32)]
    random.Random(4).shuffle(mails)
    assert sorted(int(text_of(bert.open(anna, mail))) for mail in mails) == list(range(32))


@pytest.mark.parametrize("first_to_hear", ["anna", "bert", "both"])
def test_crossed_starts_lose_nothing_and_settle(first_to_hear: str) -> None:
    """Both start a session at the same moment; their first letters cross."""
    anna, bert = people()
    from_anna = [anna.seal(bert, "mail", Text(f"a{number}")) for number in range(3)]
    from_bert = [bert.seal(anna, "mail", Text(f"b{number}")) for number in range(3)]
    got: list[object] = []
    if first_to_hear in ("bert", "both"):
        got += [bert.open(anna, letter).body for letter in from_anna]
    got += [anna.open(bert, letter).body for letter in from_bert]
    if first_to_hear == "anna":
        got += [bert.open(anna, letter).body for letter in from_anna]
    assert len(got) == 6
    for turn in range(10):
        letter = anna.seal(bert, "mail", Text(f"{turn}"))
        assert bert.open(anna, letter).body == Text(f"{turn}")
        letter = bert.seal(anna, "mail", Text(f"{turn}"))
        assert anna.open(bert, letter).body == Text(f"{turn}")
        assert letter.olm_type == 1


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["a says", "b says", "a hears", "b hears", "a restarts", "b restarts"]), max_size=60))
def test_crossing_conversations_lose_nothing(turns: list[str]) -> None:
    """Letters in order each way, delivered after any delay, with crossed starts and boxes killed in between."""
    people_by_name = dict(zip("ab", people(prekeys=30), strict=True))
    wire: dict[str, list[Envelope]] = {"a": [], "b": []}  # towards whom
    sent, heard = {"a": 0, "b": 0}, {"a": 0, "b": 0}

    def hear(name: str, other: str) -> None:
        letter = wire[name].pop(0)
        assert text_of(people_by_name[name].open(people_by_name[other], letter)) == str(heard[name])
        heard[name] += 1

    for turn in turns:
        name, _, what = turn.partition(" ")
        other = "b" if name == "a" else "a"
        if what == "says":
            text = Text(str(sent[other]))
            wire[other].append(people_by_name[name].seal(people_by_name[other], "mail", text))
            sent[other] += 1
        elif what == "restarts":
            people_by_name[name] = people_by_name[name].restarted()
        elif wire[name]:
            hear(name, other)
    for name, other in (("a", "b"), ("b", "a")):
        while wire[name]:
            hear(name, other)
    assert heard == sent


def test_a_letter_opens_once() -> None:
    anna, bert = people()
    letters = [anna.seal(bert, "mail", Text("once")) for _ in range(3)]
    for letter in letters:
        bert.open(anna, letter)
    for letter in letters:
        with pytest.raises(Undecryptable):
            bert.open(anna, letter)


def test_a_restart_forgets_no_replay() -> None:
    anna, bert = people()
    letter = anna.seal(bert, "mail", Text("once"))
    bert.open(anna, letter)
    with pytest.raises(Undecryptable):
        bert.restarted().open(anna, letter)


def test_a_first_letter_under_a_fallback_key_brings_no_dropped_session_back() -> None:
    """The one letter that Olm lets a server replay: its session was dropped, the key that made it is still here."""
    anna, bert = people(prekeys=0)
    (fallback,) = bert.identity.new_prekeys(0, fallback=True)
    bert.identity.mark_published()
    bert.prekeys = [fallback] * (MAX_SESSIONS + 1)
    first = anna.seal(bert, "call", CallAlerting(CALL_ID))
    bert.open(anna, first)
    for _ in range(MAX_SESSIONS):
        anna.start(bert, "call")
        bert.open(anna, anna.seal(bert, "call", Probe()))
    for box in (bert, bert.restarted()):
        with pytest.raises(Undecryptable, match="dropped"):
            box.open(anna, first)


def test_a_failed_letter_changes_nothing() -> None:
    anna, bert = people()
    bert.open(anna, anna.seal(bert, "mail", Text("hello")))
    bert.sessions.changed()
    before = bert.identity.export()
    for kind in (0, 1):
        with pytest.raises(Undecryptable):
            bert.sessions.open(anna.record, "mail", kind, bytes(100), 0.0)
    assert bert.sessions.changed() == {}
    assert len(before) == len(bert.identity.export())
    assert text_of(bert.open(anna, anna.seal(bert, "mail", Text("still here")))) == "still here"


def test_a_damaged_first_letter_uses_no_prekey_up() -> None:
    anna, bert = people()
    anna.start(bert, "mail")
    kind, ciphertext = anna.sessions.seal(bert.record, "mail", PADDED)
    damaged = ciphertext[:-1] + bytes([ciphertext[-1] ^ 1])
    with pytest.raises(Undecryptable):
        bert.sessions.open(anna.record, "mail", kind, damaged, 0.0)
    assert bert.sessions.open(anna.record, "mail", kind, ciphertext, 0.0) == PADDED
    assert set(bert.sessions.changed()) == {"account", f"{anna.device}/mail"}


def test_a_first_letter_of_somebody_else_does_not_open() -> None:
    anna, bert = people()
    mallory = person("mallory")
    mallory.start(bert, "mail")
    kind, ciphertext = mallory.sessions.seal(bert.record, "mail", PADDED)
    with pytest.raises(Undecryptable):
        bert.sessions.open(anna.record, "mail", kind, ciphertext, 0.0)


@settings(max_examples=200)
@given(st.integers(-2, 300), st.binary(max_size=600), st.booleans())
def test_any_bytes_are_undecryptable(kind: int, data: bytes, versioned: bool) -> None:
    anna, bert = FUZZED
    ciphertext = b"\x03" + data if versioned else data
    with pytest.raises(Undecryptable):
        Sessions(bert.identity, {}).open(anna.record, "mail", kind, ciphertext, 0.0)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_mutated_letter_is_undecryptable(place: int, change: int) -> None:
    anna, bert = FUZZED
    fresh = bytearray(FIRST_LETTER[1])
    fresh[place % len(fresh)] ^= change
    sessions = Sessions(bert.identity, {})
    try:
        sessions.open(anna.record, "mail", FIRST_LETTER[0], bytes(fresh), 0.0)
    except Undecryptable:
        return
    assert bytes(fresh) != FIRST_LETTER[1]  # Olm's own framing leaves a few bytes unauthenticated; the text is not


def test_twenty_failures_a_minute_are_tried() -> None:
    anna, bert = people()
    good = anna.seal(bert, "mail", Text("good"))
    for number in range(MAX_FAILURES):
        with pytest.raises(Undecryptable):
            bert.sessions.open(anna.record, "mail", 1, b"junk", number * 0.1)
    with pytest.raises(Undecryptable, match="too many"):
        bert.open(anna, good, now=FAILURE_WINDOW_S - 0.1)
    assert text_of(bert.open(anna, good, now=FAILURE_WINDOW_S)) == "good"


def test_failures_of_one_device_do_not_harm_another() -> None:
    anna, bert = people()
    carl = person("carl")
    for _ in range(MAX_FAILURES + 5):
        with pytest.raises(Undecryptable):
            bert.sessions.open(anna.record, "mail", 1, b"junk", 0.0)
    assert text_of(bert.open(carl, carl.seal(bert, "mail", Text("hi")))) == "hi"


def test_a_wedged_session_is_renewed_once_an_hour_and_works_again() -> None:
    anna, bert = people()
    bert.open(anna, anna.seal(bert, "mail", Text("before")))
    bert.sessions.forget_all()  # restored from an old backup
    with pytest.raises(Undecryptable):
        bert.open(anna, anna.seal(bert, "mail", Text("lost")))
    assert bert.sessions.may_renew(anna.device, "mail", 10.0)
    bert.sessions.renew(anna.record, "mail", anna.prekeys.pop(), 10.0)
    anna.open(bert, bert.seal(anna, "mail", Probe()))
    assert text_of(bert.open(anna, anna.seal(bert, "mail", Text("after")))) == "after"
    assert not bert.sessions.may_renew(anna.device, "mail", 10.0 + RENEWAL_PAUSE_S - 1)
    with pytest.raises(NoSession):
        bert.sessions.renew(anna.record, "mail", anna.prekeys.pop(), 11.0)
    assert bert.sessions.may_renew(anna.device, "mail", 10.0 + RENEWAL_PAUSE_S)
    assert bert.sessions.may_renew(anna.device, "call", 11.0)


def test_a_call_session_that_nobody_answers_is_made_anew() -> None:
    anna, bert = people()
    anna.start(bert, "call")
    for _ in range(MAX_UNANSWERED_CALLS):
        assert anna.sessions.has(bert.device, "call")
        anna.sessions.seal(bert.record, "call", PADDED)
    assert not anna.sessions.has(bert.device, "call")
    letter = anna.seal(bert, "call", CallEnd(CALL_ID, Told.HUNG_UP))  # starts one
    assert bert.open(anna, letter).body == CallEnd(CALL_ID, Told.HUNG_UP)
    assert anna.sessions.has(bert.device, "call")


def test_call_sessions_take_gaps_up_to_the_bound() -> None:
    """All but the last of 1,000 rings were dropped by the server: the last one still opens."""
    anna, bert = people()
    bert.open(anna, anna.seal(bert, "call", Probe()))
    anna.open(bert, bert.seal(anna, "call", Probe()))
    letters = [anna.seal(bert, "call", CallAlerting(CALL_ID)) for _ in range(MAX_UNANSWERED_CALLS)]
    assert bert.open(anna, letters[-1]).body == CallAlerting(CALL_ID)


def test_a_prekey_must_be_signed_by_the_device() -> None:
    anna, bert = people()
    carl = person("carl")
    key = bert.prekeys[0]
    for wrong in (
        carl.prekeys[0],
        SignedKey(carl.prekeys[0].key, key.signature),
        SignedKey(key.key, key.signature, fallback=True),
        SignedKey(key.key, bytes(64)),
    ):
        with pytest.raises(Untrusted):
            anna.sessions.start(bert.record, "mail", wrong)
    assert not anna.sessions.has(bert.device, "mail")


def test_sealing_needs_a_session() -> None:
    anna, bert = people()
    with pytest.raises(NoSession):
        anna.sessions.seal(bert.record, "mail", PADDED)
    anna.start(bert, "mail")
    with pytest.raises(NoSession):
        anna.sessions.seal(bert.record, "call", PADDED)


def test_forgetting_a_device_is_stored() -> None:
    anna, bert = people()
    anna.start(bert, "mail")
    anna.sessions.changed()
    anna.sessions.forget(bert.device)
    assert anna.sessions.changed() == {f"{bert.device}/mail": b""}
    assert not Sessions(anna.identity, {f"{bert.device}/mail": b""}).has(bert.device, "mail")


def test_only_what_changed_is_handed_over() -> None:
    anna, bert = people()
    anna.seal(bert, "mail", Text("hi"))
    assert set(anna.sessions.changed()) == {f"{bert.device}/mail"}
    assert anna.sessions.changed() == {}


@pytest.mark.parametrize("stored", [b"junk", b"\x82", b"\xc1" * 10])
def test_a_damaged_store_is_told_in_words(stored: bytes) -> None:
    anna, bert = people()
    with pytest.raises(CallboxError, match="damaged"):
        Sessions(anna.identity, {f"{bert.device}/mail": stored})


FUZZED = people()
FUZZED[0].start(FUZZED[1], "mail")
FIRST_LETTER = FUZZED[0].sessions.seal(FUZZED[1].record, "mail", PADDED)


def with_id_of(other: Person, name: str) -> Person:
    """Make an account whose device has chosen the id of another account's device."""
    chosen = bytes.fromhex(other.device)

    class Choosing(SeededChance):
        def token(self, size: int) -> bytes:
            return chosen if size == len(chosen) else super().token(size)

    identity = Identity.create(name, Choosing(name), wall_ms=0)
    return Person(identity, Sessions(identity, {}), list(identity.new_prekeys(5, fallback=False)))


@pytest.mark.parametrize("who_begins", ["anna", "mallory"])
def test_a_stranger_with_the_device_id_of_a_friend_gets_and_sends_nothing_in_its_name(who_begins: str) -> None:
    anna, bert = people()
    mallory = with_id_of(anna, "mallory")
    assert mallory.device == anna.device
    if who_begins == "anna":
        bert.open(anna, anna.seal(bert, "mail", Text("hello")))
        with pytest.raises(Undecryptable):
            bert.open(mallory, mallory.seal(bert, "mail", Text("I am mallory")))
        answer = bert.seal(anna, "mail", Text("for anna alone"))
        assert text_of(anna.open(bert, answer)) == "for anna alone"
    else:
        bert.open(mallory, mallory.seal(bert, "mail", Text("I am mallory")))
        with pytest.raises(NoSession):
            bert.sessions.seal(anna.record, "mail", PADDED)
        again = mallory.sessions.seal(bert.record, "mail", PADDED)
        with pytest.raises(Undecryptable):
            bert.sessions.open(anna.record, "mail", *again, 0.0)
    bert = bert.restarted()
    bert.start(anna, "mail")
    assert text_of(anna.open(bert, bert.seal(anna, "mail", Text("still for anna")))) == "still for anna"
