"""What was said on one box of an account is on its other boxes too: sound, marks, and nothing that tells of a block."""

from typing import Any

import pytest

from callbox.app.own_voices import TABLE as OWN_VOICES
from callbox.testing.world import World
from callbox.wire.signals import BeginBlob, BlobPart, BlobPlace, Denied, ServerMessage
from scenarios.lies import LyingServer
from scenarios.test_scenarios_restored import restore_server
from scenarios.test_scenarios_voice_messages import FORTY_S, states, voices


def test_what_was_said_on_one_box_of_an_account_is_on_its_others_with_its_marks(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    spoken_id = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
    world.until(lambda: states(hall, "workshop") == ["delivered"], 20.0, "the hall has it")
    assert not hall.box.post.unread
    assert hall.tones == []
    world.until(lambda: world.server.store.open().blobs == (), 5.0, "nothing is left at the server")
    sounds = [box.ask("sound", id=spoken_id)["sound"] for box in (kitchen, hall, workshop)]
    assert sounds == [FORTY_S] * 3
    workshop.press("talk")
    world.until(lambda: states(hall, "workshop") == ["heard"] == states(kitchen, "workshop"), 60.0, "all know")
    assert states(workshop, "kitchen") == ["heard"]


def test_another_box_that_was_off_or_killed_meanwhile_gets_it_once(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    hall.stop()
    spoken_id = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
    world.until(lambda: states(kitchen, "workshop") == ["delivered"], 10.0, "it is delivered")
    kitchen.kill()
    workshop.press("talk")
    world.run(50.0)
    kitchen.start()
    world.run(5.0)
    hall.start()
    world.run(0.1)
    hall.kill()
    hall.start()
    world.until(lambda: states(hall, "workshop") == ["heard"] == states(kitchen, "workshop"), 20.0, "the hall has it")
    world.until(lambda: world.server.store.open().blobs == (), 60.0, "nothing is left at the server")
    assert hall.ask("sound", id=spoken_id)["sound"] == FORTY_S
    assert len(voices(workshop, "kitchen")) == 1


def test_to_whom_we_are_blocked_our_own_boxes_have_it_all_the_same(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    workshop.ask("block", contact="kitchen")
    world.run(2.0)
    spoken_id = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
    world.until(lambda: states(hall, "workshop") == ["sent"], 20.0, "the hall has its line")
    world.run(10.0)
    assert hall.ask("sound", id=spoken_id)["sound"] == FORTY_S
    assert voices(workshop, "kitchen") == []


def test_a_server_that_takes_no_copy_leaves_a_line_that_says_so(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    server = LyingServer(world)
    number = b""

    def refuse(name: str, message: ServerMessage) -> list[ServerMessage]:
        if isinstance(message, BlobPlace) and message.blob != number:
            return [Denied(message.request, "not-allowed")]
        return [message]

    number = bytes.fromhex(kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"])
    server.lie = refuse
    world.until(lambda: states(hall, "workshop") == ["delivered"], 20.0, "the hall has its line")
    assert "on the box where it was spoken" in str(voices(hall, "workshop")[0]["problem"])
    told = hall.ask("sound", id=number.hex())
    assert not told["ok"]
    assert "not here" in told["error"]


def test_what_was_refused_says_so_on_all_boxes_and_its_sound_is_on_all(world: World) -> None:
    kitchen, _ = world.box("kitchen"), world.box("workshop")
    hall = world.second(kitchen, "hall")
    kitchen.ask("allow", contact="workshop", row="ring")
    spoken_id = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
    world.until(lambda: states(hall, "workshop") == ["unsent"] == states(kitchen, "workshop"), 20.0, "both say so")
    assert {voices(box, "workshop")[0]["problem"] for box in (kitchen, hall)} == {"not-allowed"}
    world.run(10.0)
    assert hall.ask("sound", id=spoken_id)["sound"] == FORTY_S


@pytest.mark.parametrize("kitchen_away_s", [0, 200])
def test_a_server_that_was_restored_from_a_backup_gets_a_copy_again(world: World, kitchen_away_s: int) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall, attic = world.second(kitchen, "hall"), world.second(kitchen, "attic")
    hall.stop()
    spoken_id = ""

    def meanwhile() -> None:
        nonlocal spoken_id
        spoken_id = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
        world.until(lambda: states(attic, "workshop") == ["delivered"] == states(kitchen, "workshop"), 10.0, "sent")
        world.until(lambda: bool(attic.ask("sound", id=spoken_id)["ok"]), 10.0, "the attic has it")
        world.run(1.0)
        assert len(world.server.store.open().blobs) == 1, "the copy waits for the hall"

    restore_server(world, meanwhile)
    assert world.server.store.open().blobs == ()
    world.run(5.0)
    if kitchen_away_s:
        kitchen.stop()
        hall.start()
        world.run(float(kitchen_away_s))
        assert "on the box where it was spoken" in str(voices(hall, "workshop")[0]["problem"])
        kitchen.start()
    else:
        hall.start()
    world.until(lambda: bool(hall.ask("sound", id=spoken_id)["ok"]), 60.0, "the hall has it")
    for box in (kitchen, hall, attic):
        assert box.ask("sound", id=spoken_id)["sound"] == FORTY_S
        assert [(voice["state"], voice["problem"]) for voice in voices(box, "workshop")] == [("delivered", "")]
    world.until(lambda: world.server.store.open().blobs == (), 60.0, "nothing is left at the server")
    assert len(voices(workshop, "kitchen")) == 1


@pytest.mark.parametrize("who", ["kitchen", "hall", "server"])
@pytest.mark.parametrize("times", [1, 4])
def test_whoever_dies_while_another_copy_is_made_it_arrives(world: World, who: str, times: int) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    hall.stop()

    def meanwhile() -> None:
        kitchen.ask("voice", contact="workshop", sound=FORTY_S)
        world.until(lambda: states(kitchen, "workshop") == ["delivered"], 10.0, "it is delivered")
        world.run(2.0)

    restore_server(world, meanwhile)
    hall.start()
    world.until(lambda: bool(kitchen.store.load(OWN_VOICES)), 10.0, "another one is wanted")
    dying: Any = {"kitchen": kitchen, "hall": hall, "server": world.server}[who]
    for number in range(times):
        dying.kill()
        dying.start()
        world.run(0.03 + 0.06 * number)
    spoken_id = str(voices(hall, "workshop")[0]["id"])
    world.until(lambda: hall.ask("sound", id=spoken_id).get("sound") == FORTY_S, 120.0, "the hall has it")
    world.until(lambda: world.server.store.open().blobs == (), 60.0, "nothing is left at the server")
    assert not kitchen.store.load(OWN_VOICES)
    assert len(voices(hall, "workshop")) == 1


def test_a_server_that_always_forgets_the_copy_is_given_another_one_once(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    server = LyingServer(world)
    number = b""
    server.lie = lambda name, message: (
        [Denied(message.request, "no-blob")] if isinstance(message, BlobPart) and message.blob != number else [message]
    )
    number = bytes.fromhex(kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"])
    world.run(300.0)
    assert sum(isinstance(message, BeginBlob) for _, message in server.heard) == 3, "the message, a copy, another copy"
    assert "on the box where it was spoken" in str(voices(hall, "workshop")[0]["problem"])


@pytest.mark.parametrize("erased", [False, True])
def test_a_message_that_is_deleted_before_its_copy_left_leaves_none(world: World, erased: bool) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(kitchen, "hall")
    world.network.cut("kitchen")
    world.run(0.5)
    item_id = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
    assert kitchen.store.load(OWN_VOICES)
    if erased:
        kitchen.ask("erase contact", contact="workshop")
    else:
        kitchen.ask("delete", contact="workshop", id=item_id, last=None, all=False)
    world.run(0.5)
    assert not kitchen.store.load(OWN_VOICES), "the key of the copy goes with the message"
    world.network.restore("kitchen")
    world.run(60.0)
    assert voices(hall, "workshop") == voices(workshop, "kitchen") == []
    assert world.server.store.open().blobs == ()


def test_the_only_box_of_an_account_makes_no_copy(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    server = LyingServer(world)
    kitchen.ask("voice", contact="workshop", sound=FORTY_S)
    world.until(lambda: states(kitchen, "workshop") == ["delivered"], 20.0, "it arrives")
    assert sum(isinstance(message, BeginBlob) for _, message in server.heard) == 1
    assert len(voices(workshop, "kitchen")) == 1
