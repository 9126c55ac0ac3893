"""A server that goes on at another address: boxes follow it once they reached it there, and not before."""

import pytest

from callbox.server.events import SendTo, ServerEffect
from callbox.testing.world import World
from callbox.wire.codec import encode_message
from callbox.wire.signals import Moved
from scenarios.acts import both_hear, talk

OLD, NEW = "server.simulated:8443", "new.simulated:8443"


def place(box_name: str, world: World) -> str:
    return world.boxes[box_name].box.own.moving.membership.address


def test_boxes_follow_a_server_that_moves(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.server.move(NEW)
    world.run(2.0)
    assert place("kitchen", world) == place("workshop", world) == NEW
    assert kitchen.ask("status")["server"] == NEW
    assert NEW in kitchen.ask("card")["card"]
    world.network.deserted.add(OLD)
    kitchen.kill()
    kitchen.start()
    world.until(lambda: kitchen.box.core.link.up, 5.0, "connected at the new address")
    talk(world, kitchen, workshop)


def test_a_box_that_was_off_follows_when_it_comes_by(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    kitchen.stop()
    world.server.move(NEW)
    world.run(5.0)
    kitchen.start()
    world.run(2.0)
    assert place("kitchen", world) == NEW


def test_an_address_where_nobody_answers_is_left_again_and_tried_later(world: World) -> None:
    world.network.deserted.add(NEW)
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.server.move(NEW)
    world.run(60.0)
    assert kitchen.box.core.link.up
    assert place("kitchen", world) == OLD
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    world.network.deserted.discard(NEW)
    world.run(700.0)
    assert place("kitchen", world) == NEW
    assert kitchen.box.core.link.up


def test_a_call_goes_on_and_the_box_goes_after_it(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    world.server.move(NEW)
    world.run(10.0)
    both_hear(world, kitchen, workshop)
    assert place("kitchen", world) == OLD
    kitchen.press("talk")
    world.run(15.0)
    assert place("kitchen", world) == place("workshop", world) == NEW


@pytest.mark.parametrize(
    "after_s",
    [
        pytest.param(0.0, marks=pytest.mark.soak),
        0.004,
        pytest.param(0.01, marks=pytest.mark.soak),
        0.03,
        pytest.param(0.1, marks=pytest.mark.soak),
    ],
)
def test_a_box_that_is_killed_while_it_follows_is_at_one_of_both(world: World, after_s: float) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    world.server.move(NEW)
    world.run(after_s)
    kitchen.kill()
    kitchen.start()
    world.until(lambda: kitchen.box.core.link.up, 40.0, "connected")
    world.run(3.0)
    assert place("kitchen", world) == NEW


def test_nobody_but_the_authority_moves_a_box(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    connections = [session.connection for session in world.server.core._desk.sessions._by_device.values()]  # type: ignore[union-attr]
    for proof in (b"", b"no signature", bytes(72)):
        for connection in connections:
            world.server.say(SendTo(connection, encode_message(Moved("evil.example:8443", world.wall_ms, proof))))
    world.run(3.0)
    assert place("kitchen", world) == OLD
    assert kitchen.box.core.link.up
    assert any("not believed" in line for line in kitchen.logged)


def test_an_older_word_is_not_followed_back(world: World) -> None:
    world.friends("kitchen", "workshop")
    said: list[Moved] = []

    def note(effect: ServerEffect) -> list[ServerEffect]:
        from callbox.wire.codec import decode_server_message

        if isinstance(effect, SendTo) and isinstance(message := decode_server_message(effect.data), Moved):
            said.append(message)
        return [effect]

    world.server.twist = note
    world.server.move(NEW)
    world.run(3.0)
    world.server.move(OLD)
    world.run(3.0)
    assert place("kitchen", world) == OLD
    for session in list(world.server.core._desk.sessions._by_device.values()):  # type: ignore[union-attr]
        world.server.say(SendTo(session.connection, encode_message(said[0])))
    world.run(3.0)
    assert place("kitchen", world) == OLD
