"""Linking's commitment and numbers, half-signed records, and files that a passphrase opens."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.base.errors import WrongUse
from callbox.crypto.errors import Untrusted
from callbox.crypto.identity import Candidate, Identity
from callbox.crypto.linking import check_nonce, link_numbers, link_token
from callbox.crypto.records import verify_half_record, verify_record
from callbox.crypto.sealed_file import MAGIC, Costs, derive, open_file, seal_file
from callbox.wire.records import SignedRecord

NONCE = bytes(range(32))
CHEAP = Costs(memory_kib=64, passes=1, lanes=1)


def test_the_token_and_the_numbers_are_what_they_were() -> None:
    """A second implementation can be held to these."""
    assert link_token(NONCE) == "bpeeq4hvuxmwty6ve4bryp73awk36y5w"
    assert link_numbers(bytes(32), b"record", NONCE) == "2870 1898 7151"


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_token_commits_to_one_nonce(one: bytes, other: bytes) -> None:
    check_nonce(link_token(one), one)
    if one != other:
        with pytest.raises(Untrusted):
            check_nonce(link_token(one), other)


def test_numbers_depend_on_key_record_and_nonce() -> None:
    base = link_numbers(bytes(32), b"record", NONCE)
    assert base != link_numbers(bytes([1]) + bytes(31), b"record", NONCE)
    assert base != link_numbers(bytes(32), b"recorD", NONCE)
    assert base != link_numbers(bytes(32), b"record", bytes(32))


def account() -> Identity:
    return Identity.create("kitchen", SeededChance("kitchen"), 1)


def test_a_candidate_becomes_a_device_only_by_its_accounts_signature() -> None:
    holder = account()
    candidate = Candidate.create("kitchen", holder.account_public, SeededChance("hall"), 2)
    assert verify_half_record(candidate.record, candidate.by_device).account == "kitchen"
    again = Candidate.restore(candidate.export())
    assert (again.record, again.by_device) == (candidate.record, candidate.by_device)
    device = again.joined(holder.sign_device(candidate.record, candidate.by_device).by_account)
    assert device.account_public == holder.account_public
    assert not device.account_seed
    restored = Identity.restore(device.export())
    assert (restored.device, restored.account_public) == (device.device, holder.account_public)
    stranger = Identity.create("kitchen", SeededChance("stranger"), 1)
    with pytest.raises(Untrusted):
        candidate.joined(stranger.sign_device(candidate.record, candidate.by_device).by_account)
    with pytest.raises(Untrusted):
        verify_half_record(candidate.record, bytes(64))
    with pytest.raises(Untrusted):
        verify_half_record(b"no record", bytes(64))


def test_a_linked_device_signs_and_revokes_nobody() -> None:
    holder = account()
    candidate = Candidate.create("kitchen", holder.account_public, SeededChance("hall"), 2)
    device = candidate.joined(holder.sign_device(candidate.record, candidate.by_device).by_account)
    with pytest.raises(WrongUse):
        device.revoke(holder.device_record)
    with pytest.raises(WrongUse):
        device.sign_device(candidate.record, candidate.by_device)


def test_a_revocation_is_the_accounts_alone_and_nothing_else_is() -> None:
    holder = account()
    gone = holder.revoke(holder.device_record)
    record = verify_record(gone, holder.account_public)
    assert record.revoked
    assert record.sequence == holder.device_record.sequence + 1
    with pytest.raises(Untrusted):
        verify_record(SignedRecord(gone.record, bytes(64), gone.by_device))
    with pytest.raises(Untrusted):
        verify_record(SignedRecord(holder.record.record, holder.record.by_account, bytes(64)))


def test_the_same_account_key_makes_another_device() -> None:
    holder = account()
    other = Identity.create("kitchen", SeededChance("new"), 3, account_seed=holder.account_seed)
    assert other.account_public == holder.account_public
    assert other.device != holder.device


def sealed(content: bytes = b"content", passphrase: str = "grüße 長い") -> bytes:
    salt = bytes(16)
    return seal_file(content, derive(passphrase, salt, CHEAP), salt, CHEAP, bytes(12))


def test_a_sealed_file_opens_with_its_passphrase_only() -> None:
    assert open_file(sealed(), "grüße 長い") == b"content"
    for passphrase in ("", "grüße", "another"):
        with pytest.raises(Untrusted):
            open_file(sealed(), passphrase)


def test_a_sealed_file_that_was_changed_anywhere_opens_not() -> None:
    whole = sealed()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        with pytest.raises(Untrusted):
            open_file(bytes(changed), "grüße 長い")
    for length in range(len(whole)):
        with pytest.raises(Untrusted):
            open_file(whole[:length], "grüße 長い")


@pytest.mark.parametrize("costs", [(2**31, 1, 1), (64, 1000, 1), (64, 0, 1), (8, 1, 64), (64, 1, 0)])
def test_a_file_cannot_ask_for_any_cost(costs: tuple[int, int, int]) -> None:
    head = msgspec.msgpack.encode((1, costs, bytes(16), bytes(12)))
    with pytest.raises(Untrusted):
        open_file(MAGIC + len(head).to_bytes(2, "big") + head + bytes(40), "any")


def test_the_usual_costs_are_those_that_are_told() -> None:
    assert (Costs().memory_kib, Costs().passes, Costs().lanes) == (65536, 3, 4)
