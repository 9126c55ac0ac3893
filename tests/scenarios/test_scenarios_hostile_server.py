"""Anything at all from the server, valid, mutated or random, while a box is idle, rings or talks."""

import random

import pytest

from callbox.testing.world import World
from callbox.wire.codec import encode_message
from callbox.wire.signals import (
    Devices,
    DevicesChanged,
    PrekeysLow,
    RingEnded,
    RouteClosed,
    RouteOpened,
    ServerMessage,
    Welcome,
)
from scenarios.lies import LyingServer, Puppet, met, texts

INPUTS = 400  # per state


def valid_messages(liar: LyingServer, chance: random.Random) -> list[ServerMessage]:
    device = bytes(8).hex()
    made: list[ServerMessage] = [
        RingEnded(bytes(16)),
        RouteOpened(chance.randrange(200), chance.randrange(2**32), bool(chance.randrange(2))),
        RouteClosed(chance.randrange(2**32)),
        PrekeysLow(chance.choice((0, 19, 2**63 - 1))),
        DevicesChanged("workshop"),
        Devices(chance.randrange(200), "workshop", (Puppet("workshop", device).entry(),)),
        Welcome(bytes(16), (), 0, 0, bool(chance.randrange(2)), (("workshop", "blocked"),)),
    ]
    return made + [message for _, message in liar.said]


@pytest.mark.parametrize("state", ["idle", "ringing", "talking"])
def test_random_and_mutated_messages_meet_typed_handling_only(world: World, state: str) -> None:
    kitchen, workshop, liar = met(world)
    chance = random.Random(f"{world.seed} {state}")
    corpus = [encode_message(message) for message in valid_messages(liar, chance)]
    for _ in range(INPUTS):
        if not workshop.box.core.link.up:
            world.until(lambda: workshop.box.core.link.up, 40.0, "it connects again")
        if state not in ("idle", workshop.state) and chance.random() < 0.05:
            kitchen.ask_later("call", contact="workshop")
            world.run(0.7)
            if state == "talking" and workshop.state == "ringing":
                workshop.press("talk")
        liar.tell_bytes(workshop, mutated(chance, corpus))
        world.run(chance.choice((0.0, 0.0, 0.01)))
    world.run(100.0)
    for box in (kitchen, workshop):
        if box.state != "idle":
            box.ask("hangup")
    world.run(10.0)
    assert workshop.ask("status")["ok"]
    assert workshop.box.core.link.up
    assert not workshop.light("live")
    assert {text for text, _ in texts(workshop, "kitchen")} == {"hello"}
    assert len(workshop.box.core._replies) < 10


def mutated(chance: random.Random, corpus: list[bytes]) -> bytes:
    """Return random bytes, a whole message, or one with some bits, bytes or pieces changed."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(chance.randrange(200))
    data = bytearray(chance.choice(corpus))
    if kind < 0.4:
        return bytes(data)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(data))
        act = chance.randrange(4)
        if act == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif act == 1:
            del data[at:]
        elif act == 2:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
        else:
            other = chance.choice(corpus)
            data[at:] = other[min(at, len(other) - 1) :]
        if not data:
            return b""
    return bytes(data)
