"""Voice messages and a server that forgot: set back to its backup, or without the sound that a letter names."""

import pytest

from callbox.testing.world import World
from callbox.wire.signals import BlobPart, Denied, GetPart
from scenarios.lies import LyingServer
from scenarios.test_scenarios_restored import restore_server
from scenarios.test_scenarios_voice_messages import FORTY_S, states, voices


def test_a_server_that_was_restored_from_a_backup_gets_the_sound_again(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.stop()

    def meanwhile() -> None:
        kitchen.ask("voice", contact="workshop", sound=FORTY_S)
        world.until(lambda: states(kitchen, "workshop") == ["sent"], 5.0, "the server has it")

    restore_server(world, meanwhile)
    assert world.server.store.open().blobs == ()
    world.run(5.0)
    workshop.start()
    world.until(lambda: workshop.box.post.unread == 1, 60.0, "it arrives")
    world.until(lambda: states(kitchen, "workshop") == ["delivered"], 10.0, "and its mark")
    assert world.server.store.open().blobs == ()


def test_a_message_that_waits_in_a_box_that_is_off_survives_a_restored_server(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.network.cut("kitchen")
    kitchen.ask("voice", contact="workshop", sound=FORTY_S)
    kitchen.kill()
    world.network.restore("kitchen")
    restore_server(world, lambda: None)
    kitchen.start()
    world.until(lambda: states(kitchen, "workshop") == ["delivered"], 20.0, "it arrives")
    assert states(workshop, "kitchen") == ["delivered"]


def test_a_sound_that_the_server_forgot_is_awaited_until_its_sender_is_back(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    server = LyingServer(world)
    server.lie = lambda name, message: [] if isinstance(message, BlobPart) else [message]

    def meanwhile() -> None:
        kitchen.ask("voice", contact="workshop", sound=FORTY_S)
        world.until(lambda: states(workshop, "kitchen") == ["coming"], 5.0, "it was named to the workshop")

    restore_server(world, meanwhile)
    world.server.twist = lambda effect: [effect]
    kitchen.kill()
    world.run(6 * 3600.0)
    assert states(workshop, "kitchen") == ["coming"], "nobody knows yet that it will not come"
    kitchen.start()
    world.until(lambda: workshop.box.post.unread == 1, 3700.0, "it arrives")
    world.run(0.1)
    assert workshop.ask("sound", id=str(voices(workshop, "kitchen")[0]["id"]))["sound"] == FORTY_S


@pytest.mark.soak  # two days of idle boxes take ten seconds
def test_a_sound_that_nobody_brings_again_is_lost_after_days(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    server = LyingServer(world)
    server.lie = lambda name, message: (
        [Denied(message.request, "no-blob")] if isinstance(message, BlobPart) else [message]
    )
    kitchen.ask("voice", contact="workshop", sound=FORTY_S)
    world.run(24 * 3600.0)
    assert states(workshop, "kitchen") == ["coming"]
    world.until(lambda: states(workshop, "kitchen") == ["lost"], 3 * 24 * 3600.0, "it is given up")
    assert "does not have it" in str(voices(workshop, "kitchen")[0]["problem"])
    asked = sum(isinstance(message, GetPart) for _, message in server.heard)
    assert asked < 80
