"""Device records, prekeys, logins, fingerprints: who signed what, and what people compare."""

from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.base.errors import CallboxError, WrongUse
from callbox.crypto.errors import Untrusted
from callbox.crypto.identity import Identity
from callbox.crypto.records import (
    card_fingerprint,
    fingerprint,
    record_bytes,
    safety_number,
    verify_login,
    verify_prekey,
    verify_record,
)
from callbox.wire.codec import encode_record, login_transcript
from callbox.wire.records import DeviceRecord, SignedRecord

ANNA = Identity.create("anna", SeededChance("anna"), 5)
BERT = Identity.create("bert", SeededChance("bert"), 5)


def signed_by(record: DeviceRecord, account: bytes, device: bytes) -> SignedRecord:
    data = encode_record(record)
    message = record_bytes(data)
    account_key, device_key = (Ed25519PrivateKey.from_private_bytes(seed) for seed in (account, device))
    return SignedRecord(data, account_key.sign(message), device_key.sign(message))


def test_a_record_verifies_and_names_its_device() -> None:
    record = verify_record(ANNA.record, ANNA.account_public)
    assert (record.account, record.device, record.kind, record.created_ms, record.sequence) == (
        "anna",
        ANNA.device,
        "box",
        5,
        1,
    )
    assert verify_record(ANNA.record) == record


@pytest.mark.parametrize("name", ["record", "by_account", "by_device"])
def test_a_record_with_any_part_changed_is_untrusted(name: str) -> None:
    value = getattr(ANNA.record, name)
    for place in range(0, len(value), 7):
        changed = value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
        with pytest.raises(Untrusted):
            verify_record(msgspec.structs.replace(ANNA.record, **{name: changed}))


def test_a_record_of_another_account_key_is_untrusted() -> None:
    with pytest.raises(Untrusted, match="another account"):
        verify_record(ANNA.record, BERT.account_public)


def test_both_signatures_are_needed() -> None:
    """A server that adds a device of its own to Anna's account has no signature of her account key."""
    account, device, mallory = bytes(31) + b"a", bytes(31) + b"d", bytes(31) + b"m"
    record = DeviceRecord(
        "anna",
        Ed25519PrivateKey.from_private_bytes(account).public_key().public_bytes_raw(),
        "0" * 16,
        Ed25519PrivateKey.from_private_bytes(device).public_key().public_bytes_raw(),
        bytes(32),
        bytes(32),
        "box",
        1,
        1,
    )
    assert verify_record(signed_by(record, account, device)) == record
    for signers in ((mallory, device), (account, mallory), (device, account)):
        with pytest.raises(Untrusted):
            verify_record(signed_by(record, *signers))


@given(st.binary(max_size=400), st.binary(max_size=70), st.binary(max_size=70))
def test_any_bytes_are_untrusted(record: bytes, by_account: bytes, by_device: bytes) -> None:
    with pytest.raises(Untrusted):
        verify_record(SignedRecord(record, by_account, by_device))


def test_a_login_is_for_one_challenge_and_one_device() -> None:
    parts: tuple[Any, ...] = (bytes(32), bytes(32), bytes(32), ANNA.device, 7)
    signature = ANNA.sign_login(login_transcript(*parts))
    verify_login(ANNA.device_record, login_transcript(*parts), signature)
    others = (b"\1" * 32, b"\1" * 32, b"\1" * 32, BERT.device, 8)
    for place, other in enumerate(others):
        changed = (*parts[:place], other, *parts[place + 1 :])
        with pytest.raises(Untrusted):
            verify_login(ANNA.device_record, login_transcript(*changed), signature)
    with pytest.raises(Untrusted):
        verify_login(BERT.device_record, login_transcript(*parts), signature)
    revoked = msgspec.structs.replace(ANNA.device_record, revoked=True)
    with pytest.raises(Untrusted, match="revoked"):
        verify_login(revoked, login_transcript(*parts), signature)


def test_a_signature_of_one_kind_does_not_serve_as_another() -> None:
    """Each signed text begins with its own label: a prekey that reads like a login transcript proves no login."""
    key, *_ = ANNA.new_prekeys(1, fallback=False)
    with pytest.raises(Untrusted):
        verify_login(ANNA.device_record, key.key, key.signature)
    verify_prekey(ANNA.device_record, key)
    with pytest.raises(Untrusted):
        verify_prekey(ANNA.device_record, msgspec.structs.replace(key, fallback=True))
    with pytest.raises(Untrusted):
        verify_prekey(BERT.device_record, key)


def test_fingerprints_for_cards_and_for_people_are_the_same_letters() -> None:
    letters = card_fingerprint(ANNA.account_public)
    assert len(letters) == 32
    assert fingerprint(ANNA.account_public).replace(" ", "") == letters
    assert [len(group) for group in fingerprint(ANNA.account_public).split()] == [4] * 8
    assert letters != card_fingerprint(BERT.account_public)


def test_a_safety_number_is_the_same_from_both_sides() -> None:
    number = safety_number(ANNA.account_public, BERT.account_public)
    assert number == safety_number(BERT.account_public, ANNA.account_public)
    assert [len(group) for group in number.split()] == [5] * 12
    assert number.replace(" ", "").isdigit()
    assert number != safety_number(ANNA.account_public, bytes(32))


def test_what_people_compare_never_changes() -> None:
    """Numbers that were compared and written down must stay good in every later version."""
    assert fingerprint(bytes(32)) == FINGERPRINT_OF_ZERO
    assert safety_number(bytes(32), b"\1" * 32) == SAFETY_NUMBER_OF_ZERO_AND_ONES


def test_an_identity_survives_its_export() -> None:
    fallback = ANNA.new_prekeys(5, fallback=True)
    again = Identity.restore(ANNA.export())
    assert again.record == ANNA.record
    assert again.new_prekeys(5, fallback=True) == fallback
    verify_login(ANNA.device_record, b"transcript", again.sign_login(b"transcript"))


def test_prekeys_come_again_until_they_are_published() -> None:
    identity = Identity.create("carl", SeededChance(3), 5)
    first = identity.new_prekeys(10, fallback=True)
    assert [key.fallback for key in first] == [False] * 10 + [True]
    assert set(identity.new_prekeys(10, fallback=True)) == set(first)
    assert set(identity.new_prekeys(12, fallback=True)) > set(first)
    identity.mark_published()
    assert not set(identity.new_prekeys(10, fallback=True)) & set(first)


@pytest.mark.parametrize("damage", [b"", b"junk", b"\xc1", b"\x85"])
def test_a_damaged_identity_is_told_in_words(damage: bytes) -> None:
    with pytest.raises(CallboxError, match="damaged"):
        Identity.restore(damage)


def test_a_cut_identity_is_told_in_words() -> None:
    exported = ANNA.export()
    for size in range(0, len(exported), 97):
        with pytest.raises(CallboxError, match="damaged"):
            Identity.restore(exported[:size])


def test_a_name_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(WrongUse):
        Identity.create("two words", SeededChance(1), 1)


def test_the_same_chance_gives_the_same_keys_of_ours() -> None:
    """All but Olm's own keys, which vodozemac draws itself."""
    one, two = (Identity.create("anna", SeededChance(9), 5) for _ in range(2))
    assert (one.account_public, one.device) == (two.account_public, two.device)


FINGERPRINT_OF_ZERO = "2W6M LMWC TQQK 4LHK DNPR 7CEQ 6B6U ZUSF"
SAFETY_NUMBER_OF_ZERO_AND_ONES = "54842 48927 98163 03223 19998 15934 83560 87867 91410 87904 89932 94118"
