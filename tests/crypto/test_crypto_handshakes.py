"""Several handshakes at once: devices that answer together, and the callee's bounded book."""

import pytest

from callbox.crypto.errors import HandshakeRefused
from callbox.crypto.handshake import RINGING_LIFE_S, CalleeHandshake
from callbox.crypto.handshakes import MAX_OPEN_PER_PEER, CallerHandshakes, OpenHandshakes
from callbox.wire.bodies import CallAnswer
from crypto.people import CALL_ID, callee, caller, person

ALICE, KITCHEN, STUDIO = person("alice"), person("kitchen"), person("studio")


def ringing_both() -> tuple[CallerHandshakes, CalleeHandshake, CalleeHandshake]:
    """Return a call towards two devices that both ring."""
    handshakes = CallerHandshakes(
        {KITCHEN.device: caller(ALICE, KITCHEN, "to kitchen"), STUDIO.device: caller(ALICE, STUDIO, "to studio")}
    )
    sides = []
    for who in (KITCHEN, STUDIO):
        side = callee(who, ALICE, handshakes[who.device].offer, who.device)
        side.revealed(handshakes.ringing(who.device, side.ringing), 0.0)
        sides.append(side)
    return handshakes, sides[0], sides[1]


def test_two_devices_answer_at_once_and_one_gets_the_call() -> None:
    handshakes, kitchen, studio = ringing_both()
    kitchen_answer, studio_answer = kitchen.answer(), studio.answer()
    ack = handshakes.answered(STUDIO.device, studio_answer)
    assert ack is not None
    assert handshakes.answered(KITCHEN.device, kitchen_answer) is None
    assert handshakes.winner == STUDIO.device
    studio.acked(ack)
    assert handshakes[STUDIO.device].keys.route_token == studio.keys.route_token
    with pytest.raises(HandshakeRefused):
        kitchen.acked(ack)  # the winner's ack, handed to the other device
    with pytest.raises(HandshakeRefused):
        handshakes[KITCHEN.device].keys.code.split()


def test_a_wrong_answer_does_not_win() -> None:
    handshakes, kitchen, studio = ringing_both()
    studio_answer = studio.answer()
    for wrong in (studio_answer, CallAnswer(CALL_ID, bytes(32)), CallAnswer(bytes(16), studio_answer.mac)):
        with pytest.raises(HandshakeRefused):
            handshakes.answered(KITCHEN.device, wrong)
    assert handshakes.winner is None
    assert handshakes.answered(KITCHEN.device, kitchen.answer()) is not None


def test_a_device_that_was_not_called_is_refused() -> None:
    handshakes, kitchen, _ = ringing_both()
    with pytest.raises(HandshakeRefused):
        handshakes.answered(ALICE.device, kitchen.answer())


def test_a_device_that_comes_late_is_not_revealed_to() -> None:
    handshakes, kitchen, _ = ringing_both()
    handshakes.answered(KITCHEN.device, kitchen.answer())
    late = callee(STUDIO, ALICE, handshakes[STUDIO.device].offer, "late")
    with pytest.raises(HandshakeRefused):
        handshakes.ringing(STUDIO.device, late.ringing)


def test_each_device_has_its_own_keys() -> None:
    _, kitchen, studio = ringing_both()
    assert kitchen.offer.commitment != studio.offer.commitment
    assert kitchen.keys.route_token != studio.keys.route_token
    assert kitchen.keys.send_base != studio.keys.send_base


def offered(book: OpenHandshakes, number: int, now: float, peer: str = "alice") -> CalleeHandshake:
    call_id = number.to_bytes(16, "big")
    side = callee(KITCHEN, ALICE, caller(ALICE, KITCHEN, call_id=call_id).offer, now=now)
    book.add(peer, ALICE.device, side, now)
    return side


def test_at_most_three_of_a_peer_wait() -> None:
    book = OpenHandshakes()
    for number in range(MAX_OPEN_PER_PEER):
        offered(book, number, 0.0)
    with pytest.raises(HandshakeRefused, match="too many"):
        offered(book, 99, 0.0)
    offered(book, 100, 0.0, peer="somebody else")
    with pytest.raises(HandshakeRefused, match="too many"):
        offered(book, 99, RINGING_LIFE_S - 0.1)
    offered(book, 99, RINGING_LIFE_S)
    assert len(book) == 1


def test_what_waits_for_a_reveal_is_known_by_device() -> None:
    book = OpenHandshakes()
    outgoing = caller(ALICE, KITCHEN)
    side = callee(KITCHEN, ALICE, outgoing.offer)
    book.add("alice", ALICE.device, side, 0.0)
    assert book.waiting("alice", ALICE.device) == [side]
    assert book.waiting("alice", STUDIO.device) == []
    side.revealed(outgoing.ringing(side.ringing), 1.0)
    assert book.waiting("alice", ALICE.device) == []


def test_three_devices_of_a_peer_share_its_bound() -> None:
    book = OpenHandshakes()
    for number, device in enumerate(("a" * 16, "b" * 16, "c" * 16)):
        side = callee(KITCHEN, ALICE, caller(ALICE, KITCHEN, call_id=number.to_bytes(16, "big")).offer)
        book.add("alice", device, side, 0.0)
    with pytest.raises(HandshakeRefused, match="too many"):
        book.check("alice", "d" * 16, caller(ALICE, KITCHEN).offer, 0.0)


def test_the_same_offer_twice_is_refused() -> None:
    book = OpenHandshakes()
    offered(book, 1, 0.0)
    with pytest.raises(HandshakeRefused, match="already"):
        offered(book, 1, 1.0)


def test_a_proven_call_stays_and_does_not_count() -> None:
    book = OpenHandshakes()
    outgoing = caller(ALICE, KITCHEN)
    side = callee(KITCHEN, ALICE, outgoing.offer)
    book.add("alice", ALICE.device, side, 0.0)
    side.revealed(outgoing.ringing(side.ringing), 1.0)
    for number in range(MAX_OPEN_PER_PEER):
        offered(book, number, 2.0)
    book.tick(RINGING_LIFE_S + 10)
    assert len(book) == 1
    assert book.get("alice", ALICE.device, CALL_ID) is side
    assert book.deadline is None


def test_a_fresh_offer_takes_the_place_of_an_older_one_of_its_call() -> None:
    book = OpenHandshakes()
    for number in range(MAX_OPEN_PER_PEER):
        offered(book, number, 0.0)
    again = callee(KITCHEN, ALICE, caller(ALICE, KITCHEN, "again", call_id=bytes(16)).offer, "fresh")
    book.add("alice", ALICE.device, again, 1.0)
    assert len(book) == MAX_OPEN_PER_PEER
    assert book.get("alice", ALICE.device, bytes(16)) is again


def test_a_resume_takes_the_place_of_its_own_proven_call() -> None:
    book = OpenHandshakes()
    outgoing = caller(ALICE, KITCHEN)
    side = callee(KITCHEN, ALICE, outgoing.offer)
    book.add("alice", ALICE.device, side, 0.0)
    resumed = callee(KITCHEN, ALICE, caller(ALICE, KITCHEN, "after restart", resume=True).offer, "fresh")
    side.revealed(outgoing.ringing(side.ringing), 1.0)
    book.add("alice", ALICE.device, resumed, 2.0)
    assert side.proven, "its keys are good until the new ones are"
    assert book.get("alice", ALICE.device, CALL_ID) is resumed


def test_a_message_for_no_call_of_this_device_is_refused() -> None:
    book = OpenHandshakes()
    offered(book, 1, 0.0)
    for peer, device, call in (
        ("bert", ALICE.device, 1),
        ("alice", STUDIO.device, 1),
        ("alice", ALICE.device, 2),
    ):
        with pytest.raises(HandshakeRefused):
            book.get(peer, device, call.to_bytes(16, "big"))


def test_a_closed_call_forgets_its_keys() -> None:
    book = OpenHandshakes()
    outgoing = caller(ALICE, KITCHEN)
    side = callee(KITCHEN, ALICE, outgoing.offer)
    book.add("alice", ALICE.device, side, 0.0)
    side.revealed(outgoing.ringing(side.ringing), 1.0)
    book.close("alice", ALICE.device, CALL_ID)
    book.close("alice", ALICE.device, CALL_ID)
    assert not side.proven
    assert len(book) == 0
