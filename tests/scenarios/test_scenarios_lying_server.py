"""A server that lies: nothing false is taken for true, nobody rings or hears what they should not, the owner is told.

What it may do all the same is what SECURITY.md says: withhold, delay, see who and when, and pass off its own key as
that of a contact for whom neither a card nor compared numbers vouch.
"""

import random
from collections.abc import Iterable

import msgspec
import pytest

from callbox.base.chance import SeededChance
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.bodies import CallAlerting, CallEnd, CallOffer, CallTaken, Heard, MissedCall, Text
from callbox.wire.records import SignedKey
from callbox.wire.signals import (
    ClaimPrekeys,
    ClientMessage,
    Deliver,
    Denied,
    Devices,
    DevicesChanged,
    Envelope,
    FetchDevices,
    Refused,
    RingEnded,
    RouteClosed,
    RouteOpened,
    ServerMessage,
    Submit,
)
from callbox.wire.told import Told
from scenarios.acts import all_idle, both_hear, mark_of, rings, talk
from scenarios.lies import LyingServer, Puppet, met, prekey_of, texts, write


def handing_out(liar: LyingServer, account: str, *puppets: Puppet) -> None:
    """Let the server say that an account has these devices, whether there is one of this name or not."""
    asked: set[tuple[str, int]] = set()

    def hear(box: str, message: ClientMessage) -> None:
        if isinstance(message, ClaimPrekeys | FetchDevices) and message.account == account:
            asked.add((box, message.request))

    def lie(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if isinstance(message, Devices | Denied) and (box, message.request) in asked:
            yield Devices(message.request, account, tuple(puppet.entry() for puppet in puppets))
        else:
            yield message

    liar.hear, liar.lie = hear, lie


def compare_numbers(*boxes: SimulatedBox) -> None:
    for box in boxes:
        for other in boxes:
            if other is not box:
                assert box.ask("verify", contact=other.name)["verified"]


# --- replays, reordering, relabelling -----------------------------------------------------------------------------


def test_replaying_everything_rings_nothing_and_says_nothing_twice(world: World) -> None:
    kitchen, workshop, liar = met(world)
    before = {box.name: texts(box, other.name) for box, other in ((kitchen, workshop), (workshop, kitchen))}
    order = random.Random(world.seed)
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        captured = liar.envelopes(box.name)
        assert {envelope.cls for envelope in captured} == {"mail", "receipt", "call"}
        tones = len(box.tones)
        box.kill()
        world.run(0.2)
        box.start()  # it has forgotten which call letters came
        world.until(lambda: box.box.core.link.up, 5.0, "connected")  # noqa: B023
        for envelopes in (captured, captured[::-1], order.sample(captured, len(captured))):
            liar.tell(box, *map(Deliver, envelopes))
            world.run(1.0)
            assert box.state == "idle"
        assert box.tones[tones:] == [], "no sound"
        assert texts(box, other.name) == before[box.name]
        world.run(70.0)
        assert box.call_lines(other.name) == [("hung_up", True)]
    talk(world, workshop, kitchen)


@pytest.mark.parametrize("part", ["from_account", "from_device", "to_device", "message_id", "cls", "version"])
def test_a_relabelled_letter_is_refused_and_the_owner_told(world: World, part: str) -> None:
    kitchen, workshop, liar = met(world)
    attic = world.box("attic")
    values = {
        "from_account": "attic",
        "from_device": attic.box.core.identity.device,
        "to_device": attic.box.core.identity.device,
        "message_id": bytes(16),
        "cls": "receipt",
        "version": 2,
    }

    def lie(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if box == "workshop" and isinstance(message, Deliver) and message.envelope.cls == "mail":
            envelope = msgspec.structs.replace(message.envelope, **{part: values[part]})
            yield Deliver(envelope)
        else:
            yield message

    liar.lie = lie
    logged = len(workshop.logged)
    write(world, kitchen, "workshop", "for you alone")
    assert texts(workshop, "kitchen") == [("hello", ""), ("hello", "")]
    assert workshop.logged[logged:], "the owner is told"
    assert workshop.state == "idle"
    assert not [contact for contact in workshop.ask("contacts")["contacts"] if contact["name"] == "attic"]


def test_a_ring_held_back_stays_silent(world: World) -> None:
    kitchen, workshop, liar = met(world)
    held: list[Envelope] = []

    def lie(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if box == "workshop" and isinstance(message, Deliver | RingEnded):
            if isinstance(message, Deliver):
                held.append(message.envelope)
        else:
            yield message

    liar.lie = lie
    tones = len(workshop.tones)
    kitchen.press("dial1")
    world.run(60.0)
    assert kitchen.state == "idle"
    liar.lie = lambda box, message: [message]
    assert held
    liar.tell(workshop, *map(Deliver, held))
    world.run(10.0)
    assert workshop.state == "idle"
    assert "ring" not in workshop.tones[tones:]
    assert workshop.call_lines("kitchen")[-1] == ("unreachable", False), "the notice is kitchen's own"


# --- keys and records ---------------------------------------------------------------------------------------------


def test_a_stranger_with_the_device_id_of_a_friend_gets_none_of_the_friends_text(world: World) -> None:
    kitchen, workshop, liar = met(world)
    stranger = Puppet("mallory", kitchen.box.core.identity.device)
    handing_out(liar, "mallory", stranger)
    liar.tell(workshop, Deliver(stranger.seal(workshop, "mail", Text("psst"), prekey_of(workshop))))
    world.run(1.0)
    assert any("another account's device" in line for line in workshop.logged)
    sent = write(world, workshop, "kitchen", "for kitchen alone")
    assert mark_of(workshop, sent) == "delivered"
    assert texts(kitchen, "workshop")[-1] == ("for kitchen alone", "")
    talk(world, workshop, kitchen)


def test_another_key_for_a_compared_contact_gets_no_text_and_rings_nothing(world: World) -> None:
    kitchen, workshop, liar = met(world)
    compare_numbers(kitchen, workshop)
    fake = Puppet("kitchen")
    handing_out(liar, "kitchen", fake)
    liar.tell(workshop, DevicesChanged("kitchen"))
    sealed = len(liar.heard)
    sent = write(world, workshop, "kitchen", "a secret")
    submitted = [message.envelope for name, message in liar.heard[sealed:] if isinstance(message, Submit)]
    assert all(
        envelope.to_device == kitchen.box.core.identity.device for envelope in submitted if envelope.cls == "mail"
    )
    assert mark_of(workshop, sent) == "delivered", "kitchen is there all the same"
    for body in (Text("it is me"), MissedCall(bytes(16), 0)):
        liar.tell(workshop, Deliver(fake.seal(workshop, "mail", body, prekey_of(workshop))))
    liar.tell(workshop, Deliver(fake.seal(workshop, "receipt", Heard((bytes.fromhex(sent),), "heard"), None)))
    world.run(1.0)
    assert texts(workshop, "kitchen")[-1] == ("it is me", "from a new box that is not confirmed")
    again = write(world, workshop, "kitchen", "another secret")
    assert mark_of(workshop, again) == "delivered"
    assert texts(kitchen, "workshop")[-1] == ("another secret", "")
    assert mark_of(workshop, sent) == "delivered", "not heard"
    assert workshop.call_lines("kitchen") == [("hung_up", True)]
    assert any("new box" in line for line in workshop.logged)
    assert [c["key_changed"] for c in workshop.ask("contacts")["contacts"]] == [True]
    workshop.press("dial1")
    assert workshop.state == "idle"
    assert workshop.tones[-1] == "error"


def test_text_for_a_contact_by_card_never_goes_to_another_first_key(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.box("kitchen"), world.box("workshop")
    fake = Puppet("kitchen")
    handing_out(liar, "kitchen", fake)
    # First it is a stranger that writes and is known from then on; the card comes only after that.
    liar.tell(workshop, Deliver(fake.seal(workshop, "mail", Text("hi"), prekey_of(workshop))))
    world.run(1.0)
    print_of_card = kitchen.ask("card")["card"].split("#")[1]
    workshop.ask("allow", contact="kitchen", row="ring", dial=1, fingerprint=print_of_card)
    sent = write(world, workshop, "kitchen", "for who has the card")
    assert not [
        m for name, m in liar.heard if name == "workshop" and isinstance(m, Submit) and m.envelope.cls == "mail"
    ]
    assert mark_of(workshop, sent) == "queued"
    call = CallOffer(bytes(16), bytes(32))
    liar.tell(workshop, Deliver(fake.seal(workshop, "call", call, prekey_of(workshop))))
    world.run(1.0)
    assert workshop.state == "idle"
    liar.lie = lambda box, message: [message]
    workshop.kill()
    world.run(0.1)
    workshop.start()
    world.until(lambda: mark_of(workshop, sent) == "delivered", 5.0, "kitchen's own key came")
    assert texts(kitchen, "workshop")[-1][0] == "for who has the card"


def test_a_key_that_was_given_up_comes_back_for_nobody(world: World) -> None:
    kitchen, workshop, liar = met(world)
    old = kitchen.box.core.identity
    new = Puppet("kitchen")
    handing_out(liar, "kitchen", new)
    liar.tell(workshop, Deliver(new.seal(workshop, "mail", Text("my new box"), prekey_of(workshop))))
    world.run(1.0)
    compare_numbers_of_new = workshop.ask("verify", contact="kitchen")
    assert compare_numbers_of_new["verified"]
    liar.lie = lambda box, message: [message]
    assert old.account == "kitchen"
    lines = texts(workshop, "kitchen")
    write(world, kitchen, "workshop", "from the lost box")
    kitchen.press("dial1")
    world.run(3.0)
    assert texts(workshop, "kitchen") == lines
    assert workshop.state == "idle"
    assert any("given up" in line for line in workshop.logged)


def test_a_number_that_changes_while_it_is_compared_is_not_confirmed(world: World) -> None:
    _, workshop, liar = met(world)
    seen = workshop.ask("number", contact="kitchen")["number"]
    fake = Puppet("kitchen")
    handing_out(liar, "kitchen", fake)
    liar.tell(workshop, Deliver(fake.seal(workshop, "mail", Text("hi"), prekey_of(workshop))))
    world.run(1.0)
    reply = workshop.ask("verify", contact="kitchen", number=seen)
    assert not reply["ok"]
    assert "changed" in reply["error"]


def test_prekeys_that_the_device_did_not_sign_are_not_used(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    own = Puppet("mallory")

    def lie(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if not isinstance(message, Devices):
            return [message]
        entries = []
        for entry in message.devices:
            key = entry.key and SignedKey(own.prekeys[0].key, entry.key.signature, entry.key.fallback)
            entries.append(msgspec.structs.replace(entry, key=key))
        return [msgspec.structs.replace(message, devices=tuple(entries))]

    liar.lie = lie
    sent = write(world, kitchen, "workshop", "hello")
    assert mark_of(kitchen, sent) == "queued"
    assert any("did not sign" in line for line in kitchen.logged)
    kitchen.press("dial1")
    world.run(1.0)
    assert workshop.state == "idle"


def test_a_second_device_under_our_own_name_is_nobody(world: World) -> None:
    kitchen, workshop, liar = met(world)
    fake = Puppet("workshop")
    handing_out(liar, "workshop", fake)
    liar.tell(workshop, Deliver(fake.seal(workshop, "mail", Text("me"), prekey_of(workshop))))
    world.run(1.0)
    assert texts(workshop, "workshop") == []
    assert any("our name" in line for line in workshop.logged)
    both_hear_after(world, kitchen, workshop)


def both_hear_after(world: World, kitchen: SimulatedBox, workshop: SimulatedBox) -> None:
    """The box still works: a call."""
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


# --- calls --------------------------------------------------------------------------------------------------------


def test_a_contact_that_repeats_a_foreign_call_id_takes_nobodys_place(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    rings(world, kitchen, workshop)
    call_id = kitchen.call.call_id
    attic.box.core.chance = Repeating(call_id)
    attic.press("dial2")  # the attic's second contact: workshop
    world.run(0.5)
    workshop.press("talk")
    both_hear(world, kitchen, workshop, 1.0)
    assert not attic.hears(workshop)
    assert not workshop.hears(attic)
    assert attic.state != "talking"
    assert len(workshop.box.calling.handshakes._incoming) == 1
    assert liar.heard
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert not workshop.box.calling.handshakes._incoming


class Repeating(SeededChance):
    """Chance that gives a call the id of another."""

    def __init__(self, call_id: bytes) -> None:
        super().__init__("repeating")
        self._call_id = call_id

    def token(self, size: int) -> bytes:
        call_id, self._call_id = self._call_id, b""
        return call_id or super().token(size)


def test_another_contact_ends_takes_and_answers_no_foreign_call(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    rings(world, attic, workshop, "dial2")
    attic.press("talk")
    all_idle(world, attic, workshop)
    rings(world, kitchen, workshop)
    call_id, record = kitchen.call.call_id, workshop.box.core.identity.device_record
    for body in (CallTaken(call_id, "answered"), CallEnd(call_id, Told.HUNG_UP), CallAlerting(call_id)):
        attic.box.calling.handshakes.send(record, body)
        attic.ask("status")
        world.run(0.2)
    assert workshop.state == "ringing"
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_another_device_of_the_caller_ends_nothing_and_one_that_was_not_called_refuses_nothing(world: World) -> None:
    kitchen, workshop, liar = met(world)
    for box, other, ringing in ((kitchen, workshop, "ringing"), (workshop, kitchen, "dialing")):
        second = Puppet.second_device(box)
        handing_out(liar, box.name, second)
        rings(world, kitchen, workshop)
        call_id = kitchen.call.call_id
        for body in (CallTaken(call_id, "answered"), CallEnd(call_id, Told.DECLINED), CallEnd(call_id, Told.HUNG_UP)):
            liar.tell(other, Deliver(second.seal(other, "call", body, prekey_of(other))))
            world.run(0.2)
        assert other.state == ringing
        assert any("not from a device in that call" in line for line in other.logged)
        liar.lie = lambda name, message: [message]
        workshop.press("talk")
        both_hear(world, kitchen, workshop)
        kitchen.press("talk")
        all_idle(world, kitchen, workshop)


def test_the_server_cannot_open_a_microphone(world: World) -> None:
    kitchen, workshop, liar = met(world)
    rings(world, kitchen, workshop)
    for box in (kitchen, workshop):
        liar.tell(box, RouteOpened(1, 77, True), RouteOpened(999, 78, True))
    world.run(0.5)
    assert not kitchen.light("live")
    assert not workshop.light("live")
    assert not workshop.voice_leaves
    assert not kitchen.voice_leaves
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    workshop.press("mute")
    world.run(0.3)
    media = workshop.box.calling.media.current
    assert media is not None
    liar.tell(workshop, RouteClosed(media.route or 0), RouteOpened(999, 79, True))
    world.run(1.0)
    assert not workshop.voice_leaves, "muted stays muted, whatever the route does"
    assert not workshop.light("live")


def test_a_denied_roll_back_keeps_the_sessions_and_a_claimed_one_is_told(world: World) -> None:
    kitchen, workshop, liar = met(world)
    liar.tell(workshop, Refused("epoch", connection_epoch=0))
    world.until(lambda: not workshop.box.core.link.up, 1.0, "the session ends")
    world.until(lambda: workshop.box.core.link.up, 5.0, "and comes back")
    assert workshop.box.core.sessions.has(kitchen.box.core.identity.device, "mail")
    for _ in range(5):
        liar.tell(workshop, Refused("epoch", connection_epoch=2**63 - 1))
        world.run(0.1)
        world.until(lambda: workshop.box.core.link.up, 40.0, "it comes back")
    assert any("cannot be" in line for line in workshop.logged), workshop.logged
    liar.tell(workshop, Refused("epoch", connection_epoch=2**40))
    world.run(0.1)
    world.until(lambda: workshop.box.core.link.up, 10.0, "it comes back")
    assert any("set back" in line for line in workshop.logged)
    world.run(130.0)
    sent = write(world, workshop, "kitchen", "still there")
    world.until(lambda: mark_of(workshop, sent) == "delivered", 200.0, "delivered")
    both_hear_after(world, kitchen, workshop)


# --- bounds -------------------------------------------------------------------------------------------------------


def test_strangers_without_number_fill_nothing(world: World) -> None:
    _, workshop, liar = met(world)
    box = workshop.box
    for number in range(300):
        stranger = Puppet(f"stranger{number}")
        handing_out(liar, stranger.identity.account, stranger)
        liar.tell(workshop, Deliver(stranger.seal(workshop, "mail", Text("hi"), prekey_of(workshop))))
        world.run(0.05)
    world.run(1.0)
    assert box.people.requests <= 32
    assert len(box.directory._records) <= 256 + len(box.people.listed())
    liar.lie = lambda name, message: [] if isinstance(message, Devices) else [message]
    envelope = liar.envelopes("workshop")[-1]
    for number in range(1000):
        device = number.to_bytes(8, "big").hex()
        liar.tell(workshop, Deliver(msgspec.structs.replace(envelope, from_account=f"x{number}", from_device=device)))
    world.run(0.5)
    assert len(box.post.inbox._held) <= 32
