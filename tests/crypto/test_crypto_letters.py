"""Letters: whatever a lying server relabels outside is refused, because it is repeated inside."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.errors import WrongUse
from callbox.crypto.errors import NoSession, Undecryptable, Untrusted
from callbox.crypto.letters import open_letter, seal_letter
from callbox.wire.bodies import CallAlerting, Heard, Inner, MissedCall, Probe, Text
from callbox.wire.codec import encode_inner
from crypto.people import CALL_ID, person, text_of

ANNA, BERT, CARL = person("anna"), person("bert"), person("carl")


def test_a_letter_arrives_as_it_was_written() -> None:
    anna, bert = person("anna"), person("bert")
    inner = bert.open(anna, anna.seal(bert, "mail", Text("Grüße 👋")))
    assert text_of(inner) == "Grüße 👋"
    assert (inner.from_account, inner.to_account, inner.sent_ms) == ("anna", "bert", 1000)


@pytest.mark.parametrize(
    "change",
    [
        {"from_account": "carl"},
        {"to_account": "carl"},
        {"from_device": CARL.device},
        {"to_device": CARL.device},
        {"version": 2},
    ],
)
def test_a_relabelled_envelope_is_refused(change: dict[str, Any]) -> None:
    anna, bert = person("anna"), person("bert")
    letter = anna.seal(bert, "mail", Text("for bert"))
    with pytest.raises(Untrusted):
        bert.open(anna, msgspec.structs.replace(letter, **change))
    assert text_of(bert.open(anna, letter)) == "for bert"  # refused before anything was spent on it


def test_another_message_id_is_refused() -> None:
    anna, bert = person("anna"), person("bert")
    letter = anna.seal(bert, "mail", Text("twice?"))
    with pytest.raises(Untrusted, match="message id"):
        bert.open(anna, msgspec.structs.replace(letter, message_id=bytes(16)))


def test_a_letter_passed_off_as_somebody_elses_does_not_open() -> None:
    anna, bert, carl = person("anna"), person("bert"), person("carl")
    letter = anna.seal(bert, "mail", Text("from anna"))
    forged = msgspec.structs.replace(letter, from_account="carl", from_device=carl.device)
    with pytest.raises(Undecryptable):
        bert.open(carl, forged)


@pytest.mark.parametrize("field", ["from_account", "to_account", "from_key", "to_key", "from_device", "to_device"])
def test_an_inside_that_disagrees_is_refused(field: str) -> None:
    """Written by the peer's own device: unknown-key-share, one's letter shown as another's."""
    anna, bert = person("anna"), person("bert")
    right: dict[str, Any] = {
        "message_id": bytes(16),
        "from_account": "anna",
        "from_device": anna.device,
        "from_key": anna.identity.account_public,
        "to_account": "bert",
        "to_device": bert.device,
        "to_key": bert.identity.account_public,
        "sent_ms": 1,
        "body": Text("hi"),
    }
    wrong = CARL.identity.account_public if field.endswith("key") else CARL.device
    wrong = "carl" if field.endswith("account") else wrong
    letter = anna.seal(bert, "mail", Probe())
    for inner, good in ((Inner(**right), True), (Inner(**right | {field: wrong}), False)):
        kind, ciphertext = anna.sessions.seal(bert.record, "mail", encode_inner(inner))
        envelope = msgspec.structs.replace(letter, message_id=bytes(16), olm_type=kind, ciphertext=ciphertext)
        if good:
            assert text_of(bert.open(anna, envelope)) == "hi"
        else:
            with pytest.raises(Untrusted):
                bert.open(anna, envelope)


@given(st.binary(max_size=300))
def test_a_malformed_inside_is_untrusted(data: bytes) -> None:
    kind, ciphertext = ANNA_TO_BERT.sessions.seal(BERT.record, "mail", data)
    envelope = msgspec.structs.replace(TEMPLATE, olm_type=kind, ciphertext=ciphertext)
    with pytest.raises(Untrusted):
        BERT.open(ANNA_TO_BERT, envelope)


@pytest.mark.parametrize(
    ("cls", "body", "good"),
    [
        ("mail", Text("hi"), True),
        ("mail", MissedCall(CALL_ID, 5), True),
        ("receipt", Heard((bytes(16),), "delivered"), True),
        ("call", CallAlerting(CALL_ID), True),
        ("mail", Probe(), True),
        ("call", Probe(), True),
        ("mail", CallAlerting(CALL_ID), False),
        ("call", Text("hi"), False),
        ("receipt", Text("hi"), False),
        ("mail", Heard((bytes(16),), "heard"), False),
    ],
)
def test_each_body_travels_in_its_class_only(cls: Any, body: Any, good: bool) -> None:
    anna, bert = person("anna"), person("bert")
    if good:
        assert bert.open(anna, anna.seal(bert, cls, body)).body == body
    else:
        with pytest.raises(ValueError, match="does not travel"):
            anna.seal(bert, cls, body)


def test_mail_relabelled_as_a_receipt_is_refused() -> None:
    """The same session opens it, so only the body tells: a stored text must not pass for a mark, nor the reverse."""
    anna, bert = person("anna"), person("bert")
    letter = anna.seal(bert, "mail", Text("hi"))
    with pytest.raises(Untrusted, match="travel"):
        bert.open(anna, msgspec.structs.replace(letter, cls="receipt"))


def test_letters_of_a_step_have_one_size() -> None:
    anna, bert = person("anna"), person("bert")
    anna.start(bert, "mail")
    sizes = {len(anna.seal(bert, "mail", Text("x" * length)).ciphertext) for length in (0, 1, 20, 40)}
    assert len(sizes) == 1


def test_a_text_too_long_is_told_in_words() -> None:
    anna, bert = person("anna"), person("bert")
    anna.start(bert, "mail")
    with pytest.raises(WrongUse, match="too long"):
        anna.seal(bert, "mail", Text("x" * 60_000))


def test_a_revoked_device_is_refused() -> None:
    anna, bert = person("anna"), person("bert")
    letter = anna.seal(bert, "mail", Text("hi"))
    revoked = msgspec.structs.replace(anna.record, revoked=True)
    with pytest.raises(Untrusted, match="revoked"):
        open_letter(bert.sessions, bert.identity, revoked, letter, 0.0)
    with pytest.raises(Untrusted, match="revoked"):
        bert.sessions.start(revoked, "mail", anna.prekeys[0])


def test_sealing_without_a_session_says_so() -> None:
    anna, bert = person("anna"), person("bert")
    with pytest.raises(NoSession):
        seal_letter(anna.sessions, anna.identity, bert.record, "mail", Text("hi"), bytes(16), 1, 1)


ANNA_TO_BERT = ANNA
TEMPLATE = ANNA.seal(BERT, "mail", Text("first"))
BERT.open(ANNA, TEMPLATE)
