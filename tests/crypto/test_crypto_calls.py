"""A call's handshake as it really travels: in letters, over Olm, through a server that keeps every envelope.

The server replays, delays, crosses and readdresses what it captured. What must hold: it never proves a caller again.
"""

from dataclasses import dataclass, field

import msgspec
import pytest

from callbox.crypto.errors import HandshakeRefused, Undecryptable, Untrusted
from callbox.crypto.handshake import RINGING_LIFE_S, CalleeHandshake, CallerHandshake
from callbox.crypto.handshakes import OpenHandshakes
from callbox.wire.bodies import Body, CallAck, CallAnswer, CallOffer, CallReveal, CallRinging, Probe, Text
from callbox.wire.signals import Envelope
from crypto.people import Person, callee, caller, person


@dataclass
class Server:
    """Passes letters on and keeps a copy of each."""

    captured: list[tuple[Person, Person, Envelope]] = field(default_factory=list)

    def carry(self, sender: Person, receiver: Person, body: Body) -> Body:
        envelope = sender.seal(receiver, "call", body)
        self.captured.append((sender, receiver, envelope))
        return receiver.open(sender, envelope).body


def call(server: Server, alice: Person, bob: Person, seed: str) -> tuple[CallerHandshake, CalleeHandshake]:
    """Run a whole handshake through the server."""
    outgoing = caller(alice, bob, seed)
    offer = server.carry(alice, bob, outgoing.offer)
    assert isinstance(offer, CallOffer)
    incoming = callee(bob, alice, offer, "callee " + seed)
    ringing = server.carry(bob, alice, incoming.ringing)
    assert isinstance(ringing, CallRinging)
    reveal = server.carry(alice, bob, outgoing.ringing(ringing))
    assert isinstance(reveal, CallReveal)
    incoming.revealed(reveal, 0.0)
    answer = server.carry(bob, alice, incoming.answer())
    assert isinstance(answer, CallAnswer)
    ack = server.carry(alice, bob, outgoing.answered(answer))
    assert isinstance(ack, CallAck)
    incoming.acked(ack)
    assert outgoing.keys.code == incoming.keys.code
    return outgoing, incoming


def test_no_captured_envelope_opens_again() -> None:
    server, alice, bob = Server(), person("alice"), person("bob")
    call(server, alice, bob, "first")
    assert len(server.captured) == 5
    for number, (sender, receiver, envelope) in enumerate(server.captured):
        with pytest.raises(Undecryptable):
            receiver.open(sender, envelope, now=100.0 * number)
        with pytest.raises(Undecryptable):
            receiver.restarted().open(sender, envelope, now=100.0 * number)


def test_no_captured_envelope_serves_elsewhere() -> None:
    """Back to its sender, to a third box, or as if from a third box."""
    alice, bob, carol = person("alice"), person("bob"), person("carol")
    held_back = caller(alice, bob)
    envelope = alice.seal(bob, "call", held_back.offer)
    for wrong in (
        msgspec.structs.replace(envelope, to_account="carol", to_device=carol.device),
        msgspec.structs.replace(envelope, from_account="carol", from_device=carol.device),
    ):
        with pytest.raises((Untrusted, Undecryptable)):
            bob.open(alice, wrong)
        with pytest.raises((Untrusted, Undecryptable)):
            carol.open(alice, wrong)
    with pytest.raises((Untrusted, Undecryptable)):
        alice.open(bob, msgspec.structs.replace(envelope, from_account="bob", from_device=bob.device))
    assert bob.open(alice, envelope).body == held_back.offer


def test_a_ring_relabelled_as_mail_is_refused() -> None:
    alice, bob = person("alice"), person("bob")
    envelope = alice.seal(bob, "call", caller(alice, bob).offer)
    with pytest.raises(Untrusted, match="travel"):
        bob.open(alice, msgspec.structs.replace(envelope, cls="mail"))


def test_mail_and_calls_do_not_open_on_each_others_sessions() -> None:
    alice, bob = person("alice"), person("bob")
    for sender, receiver in ((alice, bob), (bob, alice)):
        receiver.open(sender, sender.seal(receiver, "mail", Text("hi")))
        receiver.open(sender, sender.seal(receiver, "call", Probe()))
    envelope = alice.seal(bob, "call", caller(alice, bob).offer)
    with pytest.raises(Undecryptable):
        bob.open(alice, msgspec.structs.replace(envelope, cls="mail"))


def test_a_replay_that_olm_cannot_notice_stays_silent() -> None:
    """The worst case: the session began under a fallback key, Bob's ringing came over another, crossed session, and
    Bob's box has lost its sessions since. Then Olm opens the captured offer and even the captured reveal once more.
    """
    alice, bob = person("alice"), person("bob", prekeys=0)
    bob.prekeys = list(bob.identity.new_prekeys(0, fallback=True))
    bob.identity.mark_published()
    outgoing = caller(alice, bob)
    offer_letter = alice.seal(bob, "call", outgoing.offer)
    bob.open(alice, offer_letter)
    incoming = callee(bob, alice, outgoing.offer)
    reveal = outgoing.ringing(incoming.ringing)
    reveal_letter = alice.seal(bob, "call", reveal)
    assert bob.open(alice, reveal_letter).body == reveal
    incoming.revealed(reveal, 0.0)
    assert incoming.proven

    bob.sessions.forget_all()
    offer = bob.open(alice, offer_letter).body
    assert isinstance(offer, CallOffer)
    again = callee(bob, alice, offer, "a fresh key")
    assert bob.open(alice, reveal_letter).body == reveal  # Olm lets it through ...
    with pytest.raises(HandshakeRefused, match="proof"):
        again.revealed(reveal, 0.0)  # ... and the fresh key does not
    assert not again.proven
    with pytest.raises(HandshakeRefused):
        again.answer()


def test_a_call_held_back_stays_silent() -> None:
    """The server keeps Alice's offer for a day: Bob's box rings only if Alice's still answers the fresh key."""
    alice, bob = person("alice"), person("bob")
    outgoing = caller(alice, bob)
    envelope = alice.seal(bob, "call", outgoing.offer)
    outgoing.forget()  # she gave up long ago
    offer = bob.open(alice, envelope, now=86_400.0).body
    assert isinstance(offer, CallOffer)
    book = OpenHandshakes()
    incoming = callee(bob, alice, offer, now=86_400.0)
    book.add("alice", alice.device, incoming, 86_400.0)
    with pytest.raises(HandshakeRefused):
        outgoing.ringing(incoming.ringing)
    book.tick(86_400.0 + RINGING_LIFE_S)
    assert len(book) == 0
    assert not incoming.proven


def test_both_call_each_other_at_once_over_crossed_sessions() -> None:
    """Two offers cross, each in the first letter of a session of its own; both handshakes come to their end."""
    alice, bob = person("alice"), person("bob")
    from_alice, from_bob = caller(alice, bob, "a"), caller(bob, alice, "b", call_id=bytes(16))
    first, second = alice.seal(bob, "call", from_alice.offer), bob.seal(alice, "call", from_bob.offer)
    at_bob, at_alice = bob.open(alice, first).body, alice.open(bob, second).body
    assert isinstance(at_bob, CallOffer)
    assert isinstance(at_alice, CallOffer)
    server = Server([(alice, bob, first), (bob, alice, second)])
    sides = (
        (alice, bob, from_alice, callee(bob, alice, at_bob, "kb")),
        (bob, alice, from_bob, callee(alice, bob, at_alice, "ka")),
    )
    ringings = [server.carry(there, here, incoming.ringing) for here, there, _, incoming in sides]
    for (here, there, outgoing, incoming), ringing in zip(sides, ringings, strict=True):
        assert isinstance(ringing, CallRinging)
        reveal = server.carry(here, there, outgoing.ringing(ringing))
        assert isinstance(reveal, CallReveal)
        incoming.revealed(reveal, 0.0)
        assert outgoing.keys.code == incoming.keys.code
    assert from_alice.keys.code != from_bob.keys.code
    for number, (sender, receiver, envelope) in enumerate(server.captured):
        with pytest.raises(Undecryptable):
            receiver.open(sender, envelope, now=100.0 * number)


def test_messages_of_two_calls_of_the_same_people_do_not_cross() -> None:
    """The server holds both calls' letters and hands each to the other call's handshake."""
    alice, bob = person("alice"), person("bob")
    one, two = caller(alice, bob, 1), caller(alice, bob, 2, call_id=bytes(16))
    at_one, at_two = callee(bob, alice, one.offer, "1"), callee(bob, alice, two.offer, "2")
    with pytest.raises(HandshakeRefused, match="another call"):
        at_one.revealed(two.ringing(at_two.ringing), 0.0)
    with pytest.raises(HandshakeRefused, match="another call"):
        one.ringing(at_two.ringing)
