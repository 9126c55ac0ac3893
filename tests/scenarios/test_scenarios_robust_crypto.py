"""Olm under stress: lost and old sessions, drained prekeys, replayed first letters, a server that tampers."""

import base64
import random
from collections.abc import Iterable

import msgspec
import pytest

from callbox.audio import ogg
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.signals import (
    ClaimPrekeys,
    ClientMessage,
    Deliver,
    Denied,
    Devices,
    Envelope,
    PrekeysLow,
    ServerMessage,
)
from scenarios.acts import all_idle, mark_of, talk
from scenarios.lies import LyingServer

SOUND = base64.b64encode(ogg.write([b"\xfb\x01" + bytes(120)] * 30)).decode()


def write(box: SimulatedBox, to: str, text: str) -> str:
    return str(box.ask("message", contact=to, text=text)["id"])


def texts(box: SimulatedBox, contact: str) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text"]


def id_of(box: SimulatedBox) -> str:
    return box.box.core.identity.device


# --- sessions that are lost or old --------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["kitchen", "workshop", "both"])
@pytest.mark.parametrize("what", ["lost", "old"])
def test_wedged_sessions_heal_and_nothing_is_lost_or_doubled(world: World, what: str, who: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    write(kitchen, "workshop", "one")
    write(workshop, "kitchen", "one back")
    world.run(1.0)
    wedged = [box for box in (kitchen, workshop) if who in (box.name, "both")]
    kept = {box.name: box.store.load("sessions") for box in wedged}
    for number in range(3):
        write(kitchen, "workshop", f"between {number}")
        write(workshop, "kitchen", f"between {number} back")
        world.run(0.5)
    for box in wedged:
        box.kill()
        box.store._tables["sessions"] = dict(kept[box.name]) if what == "old" else {}
        box.start()
    world.run(1.0)
    sent = write(kitchen, "workshop", "after"), write(workshop, "kitchen", "after, back")
    world.run(400.0)
    assert (mark_of(kitchen, sent[0]), mark_of(workshop, sent[1])) == ("delivered", "delivered")
    expected = ["one", "between 0", "between 1", "between 2", "after"]
    assert [text for text in texts(workshop, "kitchen") if "back" not in text] == expected
    assert [text for text in texts(kitchen, "workshop") if "back" in text] == [
        "one back", "between 0 back", "between 1 back", "between 2 back", "after, back",
    ]  # fmt: skip
    talk(world, kitchen, workshop)


def test_first_texts_stay_in_front_although_the_devices_come_to_be_known_otherwise(world: World) -> None:
    liar, claims = LyingServer(world), set[int]()
    kitchen, workshop = world.friends("kitchen", "workshop")

    def hear(box: str, message: ClientMessage) -> None:
        if box == "kitchen" and isinstance(message, ClaimPrekeys):
            claims.add(message.request)

    def lie(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        swallowed = box == "kitchen" and isinstance(message, Devices) and message.request in claims
        return [] if swallowed else [message]

    liar.hear, liar.lie = hear, lie
    write(kitchen, "workshop", "one")
    world.run(0.5)
    write(workshop, "kitchen", "hello")
    world.run(0.5)
    write(kitchen, "workshop", "two")
    world.run(2.0)
    assert [text for text in texts(workshop, "kitchen") if text != "hello"] == ["one", "two"]


# --- prekeys that run out -------------------------------------------------------------------------------------------


def drain(world: World, device: str) -> None:
    """Take all one-time keys of a device out of the server, as many claims would."""
    while prekeys_left(world, device):
        world.server.core._desk.directory.claim(device)  # type: ignore[union-attr]


def prekeys_left(world: World, device: str) -> int:
    assert world.server.core is not None
    return world.server.core._desk.directory.prekeys_left(device)


def test_without_one_time_keys_texts_and_calls_begin_under_the_fallback_key(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    liar.lie = lambda box, message: [] if isinstance(message, PrekeysLow) else [message]
    drain(world, id_of(workshop))
    sent = write(kitchen, "workshop", "hello")
    world.run(1.0)
    assert mark_of(kitchen, sent) == "delivered"
    talk(world, kitchen, workshop)
    given = [entry.key for _, message in liar.said if isinstance(message, Devices) for entry in message.devices]
    assert [key.fallback for key in given if key is not None and key.fallback] == [True, True]


def test_drained_again_and_again_it_refills_and_letters_under_the_fallback_key_open_still(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    device, held = id_of(workshop), list[Envelope]()

    def withholding(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if box == "workshop" and isinstance(message, Deliver):
            held.append(message.envelope)
            return []
        return [message]

    liar.lie = withholding
    drain(world, device)
    late = write(kitchen, "workshop", "under the fallback key")
    world.run(1.0)
    for _ in range(4):
        drain(world, device)
        workshop.kill()
        workshop.start()
        world.run(1.0)
        assert prekeys_left(world, device) >= 45, "it fills up"
    liar.lie = lambda box, message: [message]
    workshop.kill()
    workshop.start()
    world.run(2.0)
    assert mark_of(kitchen, late) == "delivered"
    assert texts(workshop, "kitchen") == ["under the fallback key"]
    assert not [line for line in workshop.logged if "does not open" in line]
    assert {envelope.olm_type for envelope in held} == {0}


def test_who_claims_without_end_is_told_to_wait_and_others_are_served(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    answers: list[ServerMessage | None] = []
    for _ in range(60):
        attic.box.core.request(lambda number: ClaimPrekeys(number, "workshop", ()), answers.append)
    attic.ask("status")
    world.run(1.0)
    assert sum(isinstance(answer, Devices) for answer in answers) <= 6
    assert all(answer.why == "too-often" for answer in answers if isinstance(answer, Denied))
    assert liar.heard
    talk(world, kitchen, workshop)


# --- replays --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("forgets", [False, True])
def test_replayed_first_letters_under_a_fallback_key_ring_nothing_and_say_nothing_twice(
    world: World, forgets: bool
) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    liar.lie = lambda box, message: [] if isinstance(message, PrekeysLow) else [message]
    drain(world, id_of(workshop))
    write(kitchen, "workshop", "hello")
    world.run(1.0)
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    captured = liar.envelopes("workshop")
    assert {envelope.cls for envelope in captured if envelope.olm_type == 0} == {"mail", "call"}
    workshop.kill()
    if forgets:
        workshop.store._tables["sessions"] = {}  # nothing is left that would know the letters again
    workshop.start()
    world.until(lambda: workshop.box.core.link.up, 5.0, "connected")
    tones = len(workshop.tones)
    order = random.Random(world.seed)
    for envelopes in (captured, captured[::-1], order.sample(captured, len(captured))):
        liar.tell(workshop, *map(Deliver, envelopes))
        world.run(2.0)
        assert workshop.state == "idle"
    assert workshop.tones[tones:] == []
    assert texts(workshop, "kitchen") == ["hello"]
    liar.lie = lambda box, message: [message]
    sent = write(kitchen, "workshop", "still there?"), write(workshop, "kitchen", "yes")
    world.run(400.0)
    assert (mark_of(kitchen, sent[0]), mark_of(workshop, sent[1])) == ("delivered", "delivered")
    assert sorted(texts(workshop, "kitchen")) == ["hello", "still there?", "yes"]
    world.until(lambda: workshop.state == "idle", 5.0)
    talk(world, kitchen, workshop)


# --- a server that tampers: texts, voice messages, marks, letters between own devices -------------------------------

KINDS = ("text", "voice", "mark", "own")
LIES = ("from_account", "from_device", "message_id", "cls", "version", "flipped", "cut", "longer", "forged", "olm_type")


def tampered(envelope: Envelope, lie: str, other: str) -> Envelope:
    changed = envelope.ciphertext
    values = {
        "from_account": ("from_account", "attic"),
        "from_device": ("from_device", other),
        "message_id": ("message_id", bytes(16)),
        "cls": ("cls", "mail" if envelope.cls == "receipt" else "receipt"),
        "version": ("version", 2),
        "flipped": ("ciphertext", changed[:-9] + bytes([changed[-9] ^ 1]) + changed[-8:]),
        "cut": ("ciphertext", changed[:-20]),
        "longer": ("ciphertext", changed + bytes(16)),
        "forged": ("ciphertext", random.Random(lie).randbytes(len(changed))),
        "olm_type": ("olm_type", 1 - envelope.olm_type),
    }
    name, value = values[lie]
    return msgspec.structs.replace(envelope, **{name: value})


def family(world: World) -> tuple[SimulatedBox, SimulatedBox, SimulatedBox, LyingServer]:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    hall = world.second(kitchen, "hall")
    write(kitchen, "workshop", "hello")
    write(workshop, "kitchen", "hello too")
    write(attic, "workshop", "hi")
    world.run(2.0)
    return kitchen, hall, workshop, LyingServer(world)


def say(kind: str, kitchen: SimulatedBox, hall: SimulatedBox, workshop: SimulatedBox) -> SimulatedBox:
    """Bring a letter of this kind about; return whom it is for."""
    if kind == "mark":
        workshop.ask("messages", contact="kitchen", last=9, read=True)
        return kitchen
    if kind == "voice":
        assert kitchen.ask("voice", contact="workshop", sound=SOUND)["ok"]
    else:
        write(kitchen, "workshop", "a secret")
    return hall if kind == "own" else workshop


def known(box: SimulatedBox) -> list[tuple[str, str, str]]:
    """Return what a box has been made to believe: every text and voice message with its state."""
    contact = "kitchen" if box.name == "workshop" else "workshop"
    return [(item["kind"], item.get("text", ""), item["state"]) for item in box.thread(contact) if "state" in item]


def believed(box: SimulatedBox, kind: str) -> list[tuple[str, str, str]]:
    """Return what only a letter of this kind can have made a box believe."""
    return [entry for entry in known(box) if kind != "mark" or entry[2] in ("delivered", "heard")]


@pytest.mark.parametrize("lies", [LIES[:5], LIES[5:]])  # the honest server stops at 32 that are not acknowledged
@pytest.mark.parametrize("kind", KINDS)
def test_a_letter_that_is_tampered_with_in_any_way_is_refused(world: World, kind: str, lies: tuple[str, ...]) -> None:
    kitchen, hall, workshop, liar = family(world)
    target = {"text": workshop, "voice": workshop, "mark": kitchen, "own": hall}[kind]
    device, other = id_of(target), id_of(world.boxes["attic"])
    taken: list[Envelope] = []

    def catching(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if isinstance(message, Deliver) and message.envelope.to_device == device:
            taken.append(message.envelope)
            return []
        return [message]

    liar.lie = catching
    liar.connections[target.name] = connection_of(world, target)
    before, logged = believed(target, kind), len(target.logged)
    for lie in lies:  # each with letters of its own: some lies use a letter's key up
        if kind == "mark":
            write(kitchen, "workshop", "read this")
            world.run(1.0)
        taken.clear()
        say(kind, kitchen, hall, workshop)
        world.run(1.0)
        assert taken, "the letter was on its way"
        liar.tell(target, *[Deliver(tampered(envelope, lie, other)) for envelope in taken])
        world.run(0.3)
        assert believed(target, kind) == before, lie
    assert len(target.logged) > logged, "the owner is told"
    assert target.state == "idle"


@pytest.mark.parametrize("kind", KINDS)
def test_letters_that_are_held_turned_round_and_repeated_arrive_once(world: World, kind: str) -> None:
    kitchen, hall, workshop, liar = family(world)
    target = {"text": workshop, "voice": workshop, "mark": kitchen, "own": hall}[kind]
    device, held = id_of(target), list[Envelope]()

    def holding(box: str, message: ServerMessage) -> Iterable[ServerMessage]:
        if isinstance(message, Deliver) and message.envelope.to_device == device:
            held.append(message.envelope)
            return []
        return [message]

    liar.lie = holding
    say(kind, kitchen, hall, workshop)
    say(kind, kitchen, hall, workshop)
    world.run(3.0)
    liar.lie = lambda box, message: [message]
    liar.connections[target.name] = connection_of(world, target)
    for envelopes in (held[::-1], held, held * 2):
        liar.tell(target, *map(Deliver, envelopes))
        world.run(2.0)
    assert not [line for line in target.logged if "does not open" in line]
    came = known(target)
    if kind == "mark":
        assert [state for _, text, state in came if text == "hello"] == ["heard"]
    elif kind == "voice":
        assert [kind for kind, _, _ in came].count("voice") == 2
    else:
        assert [text for _, text, _ in came].count("a secret") == 2


def connection_of(world: World, box: SimulatedBox) -> int:
    """Return the number of a box's connection: boxes of one account share a name."""
    core = world.server.core
    assert core is not None
    session = core._desk.sessions.of_device(id_of(box))
    assert session is not None
    return session.connection


def test_a_flood_of_letters_that_do_not_open_costs_little_and_heals(world: World) -> None:
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "hello")
    world.run(1.0)
    liar.connections["workshop"] = connection_of(world, workshop)
    envelope = liar.envelopes("workshop")[0]
    opened = workshop.box.core.sessions._failures
    for number in range(500):
        forged = msgspec.structs.replace(
            envelope, message_id=number.to_bytes(16, "big"), ciphertext=bytes([3]) + bytes(200), olm_type=1
        )
        liar.tell(workshop, Deliver(forged))
    world.run(1.0)
    assert len(opened[id_of(kitchen)]) <= 20
    assert sum("does not open" in line for line in workshop.logged) <= 20
    sent = write(kitchen, "workshop", "in the middle of it")
    world.run(200.0)
    assert mark_of(kitchen, sent) == "delivered"
    assert texts(workshop, "kitchen") == ["hello", "in the middle of it"]
