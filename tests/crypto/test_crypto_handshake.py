"""Call keys: the whole run, and every way to replay, delay, reorder, cross or forge its messages."""

from collections.abc import Callable
from functools import partial
from itertools import permutations
from typing import TypeAlias, TypeVar

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.chance import SeededChance
from callbox.crypto.errors import HandshakeRefused
from callbox.crypto.handshake import (
    RINGING_LIFE_S,
    CalleeHandshake,
    CallerHandshake,
    _commitment,
    _derive,
    _shared_secret,
)
from callbox.wire.bodies import CallAck, CallAnswer, CallReveal, CallRinging
from crypto.people import CALL_ID, callee, caller, person

ALICE, BOB, CAROL = person("alice"), person("bob"), person("carol")
Message: TypeAlias = CallRinging | CallReveal | CallAnswer | CallAck

# Every point of small order on Curve25519 and its twist, and their non-canonical spellings (RFC 7748 section 6.1).
SMALL_ORDER = [
    bytes(32),
    (1).to_bytes(32, "little"),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    (2**255 - 20).to_bytes(32, "little"),
    (2**255 - 19).to_bytes(32, "little"),
    (2**255 - 18).to_bytes(32, "little"),
    bytes(31) + b"\x80",
]


def pair(seed: str = "") -> tuple[CallerHandshake, CalleeHandshake]:
    outgoing = caller(ALICE, BOB, "caller" + seed)
    return outgoing, callee(BOB, ALICE, outgoing.offer, "callee" + seed)


def test_both_sides_end_with_the_same_keys_mirrored() -> None:
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    incoming.revealed(reveal, 1.0)
    incoming.acked(outgoing.answered(incoming.answer()))
    assert outgoing.keys.send_base == incoming.keys.receive_base
    assert outgoing.keys.receive_base == incoming.keys.send_base
    assert outgoing.keys.send_base != outgoing.keys.receive_base
    assert (outgoing.keys.code, outgoing.keys.route_token) == (incoming.keys.code, incoming.keys.route_token)
    assert [len(group) for group in outgoing.keys.code.split()] == [4, 4, 4]
    assert outgoing.keys.code.replace(" ", "").isdigit()


def test_keys_do_not_show_in_logs() -> None:
    outgoing, incoming = pair()
    outgoing.ringing(incoming.ringing)
    assert outgoing.keys.code not in repr(outgoing.keys)
    assert repr(outgoing.keys.send_base) not in repr(outgoing.keys)


def test_nothing_is_proven_before_the_reveal() -> None:
    outgoing, incoming = pair()
    assert not incoming.proven
    for attempt in (lambda: incoming.keys, incoming.answer, lambda: incoming.acked(CallAck(CALL_ID, bytes(32)))):
        with pytest.raises(HandshakeRefused):
            attempt()
    incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)
    assert incoming.proven


def test_the_committed_key_must_be_the_revealed_one() -> None:
    """A caller who commits to one key and, having seen e_r, reveals another that gives the code it wants.

    Everything else about its reveal is right, the mac included: only the commitment check stands in its way.
    """
    honest = caller(ALICE, BOB)
    incoming = callee(BOB, ALICE, honest.offer)
    other, nonce = X25519PrivateKey.from_private_bytes(SeededChance("liar").token(32)), bytes(32)
    public = other.public_key().public_bytes_raw()
    identities = (
        ALICE.identity.account_public
        + ALICE.identity.olm_signing_key
        + BOB.identity.account_public
        + BOB.identity.olm_signing_key
    )
    shared = _shared_secret(other, incoming.ringing.ephemeral)
    secrets = _derive(honest.offer, incoming.ringing, public, nonce, shared, identities)
    mac = secrets.mac(secrets.caller_mac_key, b"reveal")
    with pytest.raises(HandshakeRefused, match="committed"):
        incoming.revealed(CallReveal(CALL_ID, public, nonce, mac), 0.0)
    assert not incoming.proven

    # The same reveal is taken where it was committed to: so it is the check that refused it, not some slip above.
    committed = msgspec.structs.replace(honest.offer, commitment=_commitment(CALL_ID, BOB.device, public, nonce))
    lenient = callee(BOB, ALICE, committed)
    secrets = _derive(committed, lenient.ringing, public, nonce, shared, identities)
    lenient.revealed(CallReveal(CALL_ID, public, nonce, secrets.mac(secrets.caller_mac_key, b"reveal")), 0.0)
    assert lenient.proven


def test_a_commitment_is_for_one_device_of_the_callee() -> None:
    outgoing = caller(ALICE, CAROL)  # commits towards Carol's device; the server hands it to Bob's
    incoming = callee(BOB, ALICE, outgoing.offer)
    with pytest.raises(HandshakeRefused):
        incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)


def test_the_callee_key_is_good_once() -> None:
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    incoming.revealed(reveal, 0.0)
    with pytest.raises(HandshakeRefused, match="used"):
        incoming.revealed(reveal, 0.0)


def test_a_wrong_reveal_uses_the_callee_key_up() -> None:
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    with pytest.raises(HandshakeRefused):
        incoming.revealed(msgspec.structs.replace(reveal, mac=bytes(32)), 0.0)
    with pytest.raises(HandshakeRefused, match="used"):
        incoming.revealed(reveal, 0.0)


@pytest.mark.parametrize(("delay", "good"), [(RINGING_LIFE_S - 0.001, True), (RINGING_LIFE_S, False), (1e6, False)])
def test_a_held_back_reveal_stays_silent_after_60_seconds(delay: float, good: bool) -> None:
    outgoing = caller(ALICE, BOB)
    incoming = callee(BOB, ALICE, outgoing.offer, now=1000.0)
    reveal = outgoing.ringing(incoming.ringing)
    if good:
        incoming.revealed(reveal, 1000.0 + delay)
    else:
        with pytest.raises(HandshakeRefused, match="late"):
            incoming.revealed(reveal, 1000.0 + delay)
    assert incoming.proven is good


def test_a_replayed_offer_and_reveal_never_ring_again() -> None:
    """All that the server kept of one good call, played to the callee again: its fresh key does not match."""
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    incoming.revealed(reveal, 0.0)
    again = callee(BOB, ALICE, outgoing.offer, "another key")
    with pytest.raises(HandshakeRefused, match="proof"):
        again.revealed(reveal, 1.0)
    assert not again.proven


def test_a_second_ringing_is_refused() -> None:
    outgoing, incoming = pair()
    second = callee(BOB, ALICE, outgoing.offer, "second")
    reveal = outgoing.ringing(incoming.ringing)
    for ringing in (second.ringing, incoming.ringing):
        with pytest.raises(HandshakeRefused, match="revealed already"):
            outgoing.ringing(ringing)
    incoming.revealed(reveal, 0.0)  # the first is not harmed by it


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_keys_of_small_order_are_refused_by_both_sides(point: bytes) -> None:
    outgoing, incoming = pair()
    with pytest.raises(HandshakeRefused, match="unusable"):
        outgoing.ringing(CallRinging(CALL_ID, point))
    nonce = bytes(32)
    offer = msgspec.structs.replace(outgoing.offer, commitment=_commitment(CALL_ID, BOB.device, point, nonce))
    incoming = callee(BOB, ALICE, offer)
    with pytest.raises(HandshakeRefused, match="unusable"):
        incoming.revealed(CallReveal(CALL_ID, point, nonce, bytes(32)), 0.0)


def test_an_offer_without_our_suite_is_refused() -> None:
    offer = caller(ALICE, BOB).offer
    for suites in ((), (1, 4), (5, 70_000)):
        with pytest.raises(HandshakeRefused, match="suite"):
            callee(BOB, ALICE, msgspec.structs.replace(offer, suites=suites))


@pytest.mark.parametrize(
    "change",
    [
        {"resume": True},
        {"knock": True},
        {"suites": (5, 4)},
        {"commitment": bytes(32)},
        {"call_id": bytes(16)},
    ],
)
def test_every_field_of_the_offer_is_bound(change: dict[str, object]) -> None:
    """Changed between the two (by a broken Olm, say): the proof no longer fits."""
    outgoing = caller(ALICE, BOB)
    incoming = callee(BOB, ALICE, msgspec.structs.replace(outgoing.offer, **change))
    with pytest.raises(HandshakeRefused):
        incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)


def test_swapped_identities_give_other_keys() -> None:
    """The caller thinks it calls Carol, the server handed the offer to Bob under Carol's device id."""
    outgoing = CallerHandshake(
        CALL_ID,
        my_account_key=ALICE.identity.account_public,
        my_olm_signing_key=ALICE.identity.olm_signing_key,
        peer_account_key=CAROL.identity.account_public,
        peer_device_id=BOB.device,
        peer_olm_signing_key=BOB.identity.olm_signing_key,
        chance=SeededChance(1),
    )
    incoming = callee(BOB, ALICE, outgoing.offer)
    with pytest.raises(HandshakeRefused, match="proof"):
        incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)


def captured(seed: str) -> dict[str, Message]:
    """Return the messages of one good call, as an eavesdropper behind Olm would hold them."""
    outgoing, incoming = pair(seed)
    reveal = outgoing.ringing(incoming.ringing)
    incoming.revealed(reveal, 0.0)
    answer = incoming.answer()
    ack = outgoing.answered(answer)
    return {"ringing": incoming.ringing, "reveal": reveal, "answer": answer, "ack": ack}


CAPTURED = captured("other")
Kind = TypeVar("Kind", CallRinging, CallReveal, CallAnswer, CallAck)


def _as(kind: type[Kind], message: Message) -> Kind:
    assert isinstance(message, kind)
    return message


def test_crossed_messages_of_another_run_with_the_same_call_id_are_refused() -> None:
    """Every message of the other run, put in the place of ours at the moment where ours is due."""
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    with pytest.raises(HandshakeRefused):
        incoming.revealed(_as(CallReveal, CAPTURED["reveal"]), 0.0)

    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    incoming.revealed(reveal, 0.0)
    answer = incoming.answer()
    with pytest.raises(HandshakeRefused):
        outgoing.answered(_as(CallAnswer, CAPTURED["answer"]))
    ack = outgoing.answered(answer)
    with pytest.raises(HandshakeRefused):
        incoming.acked(_as(CallAck, CAPTURED["ack"]))
    incoming.acked(ack)

    outgoing, incoming = pair()
    crossed = _as(CallRinging, CAPTURED["ringing"])
    unmarked = CallRinging(crossed.call_id, crossed.ephemeral)  # as versions before this one sent it
    reveal = outgoing.ringing(unmarked)  # only a key, nothing to check yet
    with pytest.raises(HandshakeRefused):
        incoming.revealed(reveal, 0.0)


def test_a_key_for_an_earlier_offer_of_the_call_uses_nothing_up() -> None:
    """Both links were lost: the caller has offered anew, and the callee said its key for the first offer again."""
    outgoing, incoming = pair()
    with pytest.raises(HandshakeRefused, match="earlier offer"):
        outgoing.ringing(_as(CallRinging, CAPTURED["ringing"]))
    incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)
    assert incoming.proven


def test_macs_of_one_step_do_not_serve_for_another() -> None:
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    incoming.revealed(reveal, 0.0)
    answer = incoming.answer()
    with pytest.raises(HandshakeRefused):
        outgoing.answered(CallAnswer(CALL_ID, reveal.mac))
    for mac in (reveal.mac, answer.mac):
        with pytest.raises(HandshakeRefused):
            incoming.acked(CallAck(CALL_ID, mac))


@pytest.mark.parametrize("order", list(permutations(("ringing", "reveal", "answer", "ack"))))
def test_messages_out_of_order_are_refused_and_ring_nothing(order: tuple[str, ...]) -> None:
    """All 24 orders. Both sides draw the same numbers as in the captured run, so every message fits by its bytes."""
    outgoing, incoming = pair("other")

    def answered_and_acked() -> None:
        incoming.answer()
        incoming.acked(_as(CallAck, CAPTURED["ack"]))

    steps: dict[str, Callable[[], object]] = {
        "ringing": lambda: outgoing.ringing(_as(CallRinging, CAPTURED["ringing"])),
        "reveal": partial(incoming.revealed, _as(CallReveal, CAPTURED["reveal"]), 0.0),
        "answer": lambda: outgoing.answered(_as(CallAnswer, CAPTURED["answer"])),
        "ack": answered_and_acked,
    }
    needs = {"answer": "ringing", "ack": "reveal"}
    done: set[str] = set()
    for name in order:
        if name in needs and needs[name] not in done:
            with pytest.raises(HandshakeRefused):
                steps[name]()
        else:
            steps[name]()
            done.add(name)
        assert incoming.proven is ("reveal" in done)


def test_each_step_is_taken_once() -> None:
    outgoing, incoming = pair()
    incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)
    answer = incoming.answer()
    with pytest.raises(HandshakeRefused):
        incoming.answer()
    ack = outgoing.answered(answer)
    with pytest.raises(HandshakeRefused):
        outgoing.answered(answer)
    incoming.acked(ack)
    with pytest.raises(HandshakeRefused):
        incoming.acked(ack)


def test_an_ack_before_the_answer_opens_no_microphone() -> None:
    outgoing, incoming = pair("other")
    incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)
    with pytest.raises(HandshakeRefused, match="due"):
        incoming.acked(_as(CallAck, CAPTURED["ack"]))


def test_forgetting_drops_the_keys() -> None:
    outgoing, incoming = pair()
    incoming.revealed(outgoing.ringing(incoming.ringing), 0.0)
    outgoing.forget()
    incoming.forget()
    for side in (outgoing, incoming):
        with pytest.raises(HandshakeRefused):
            assert side.keys


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_any_reveal_but_the_real_one_is_refused(ephemeral: bytes, nonce: bytes, mac: bytes) -> None:
    _, incoming = pair()
    with pytest.raises(HandshakeRefused):
        incoming.revealed(CallReveal(CALL_ID, ephemeral, nonce, mac), 0.0)
    assert not incoming.proven


@given(st.integers(0, 2), st.integers(0, 255))
def test_any_flipped_bit_of_the_reveal_is_refused(which: int, bit: int) -> None:
    outgoing, incoming = pair()
    reveal = outgoing.ringing(incoming.ringing)
    name = ("ephemeral", "nonce", "mac")[which]
    value = int.from_bytes(getattr(reveal, name), "big") ^ 1 << bit
    with pytest.raises(HandshakeRefused):
        incoming.revealed(msgspec.structs.replace(reveal, **{name: value.to_bytes(32, "big")}), 0.0)
