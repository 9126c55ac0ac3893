"""Texts: written, sealed, delivered once, heard; whatever is switched off or killed on the way."""

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, both_hear, mark_of, rings, talk


def write(box: SimulatedBox, to: str, text: str) -> str:
    return str(box.ask("message", contact=to, text=text)["id"])


def texts(box: SimulatedBox, contact: str) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text"]


def test_a_text_each_way_with_its_marks(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    sent = write(kitchen, "workshop", "Dinner is ready.")
    world.until(lambda: workshop.tones == ["message"], 1.0, "it arrives")
    assert workshop.box.post.unread == 1
    assert any(lit for lit, _ in workshop.rhythm("message", 2.0))
    assert mark_of(kitchen, sent) == "delivered"
    workshop.press("talk")  # plays the next unread message
    world.until(lambda: mark_of(kitchen, sent) == "heard", 1.0, "kitchen knows that it was heard")
    assert not workshop.box.post.unread
    assert not any(lit for lit, _ in workshop.rhythm("message", 2.5))
    write(workshop, "kitchen", "Coming!")
    world.run(1.0)
    assert texts(kitchen, "workshop") == texts(workshop, "kitchen") == ["Dinner is ready.", "Coming!"]


def test_a_text_makes_itself_heard_without_a_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "Dinner!")
    world.until(workshop.hears_sound, 1.0, "a tone sounds")
    assert not workshop.light("live")
    assert not workshop.voice_leaves
    world.run(2.0)
    assert not workshop.hears_sound()
    assert workshop.card.opened == 0, "the sound card is let go of"
    rings(world, kitchen, workshop)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_a_text_to_a_box_that_is_off(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "first")
    world.run(1.0)
    workshop.stop()
    later = [write(kitchen, "workshop", text) for text in ("second", "third")]
    world.run(5.0)
    assert [mark_of(kitchen, one) for one in later] == ["sent", "sent"]
    kitchen.stop()
    workshop.start()
    world.run(2.0)
    assert texts(workshop, "kitchen") == ["first", "second", "third"]
    kitchen.start()
    world.run(2.0)
    assert [mark_of(kitchen, one) for one in later] == ["delivered", "delivered"]


def test_a_first_text_to_a_box_that_was_never_met_and_is_off(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.stop()
    sent = write(kitchen, "workshop", "hello")
    world.run(3.0)
    assert mark_of(kitchen, sent) == "sent"
    workshop.start()
    world.until(lambda: mark_of(kitchen, sent) == "delivered", 3.0, "delivered")


def test_a_text_written_without_a_network(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.network.cut("kitchen")
    world.run(0.5)
    sent = write(kitchen, "workshop", "from the cellar")
    world.run(3.0)
    assert mark_of(kitchen, sent) == "queued"
    kitchen.kill()  # not even a restart loses it
    kitchen.start()
    world.run(1.0)
    world.network.restore("kitchen")
    world.until(lambda: mark_of(kitchen, sent) == "delivered", 35.0, "delivered")
    assert texts(workshop, "kitchen") == ["from the cellar"]


@pytest.mark.parametrize("after_ms", range(0, 17, 2))
def test_server_killed_around_the_submission(world: World, after_ms: int) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "before")
    world.run(1.0)
    sent = write(kitchen, "workshop", "the one")
    world.run(after_ms / 1000)
    world.server.kill()
    world.run(0.5)
    world.server.start()
    world.until(lambda: mark_of(kitchen, sent) == "delivered", 40.0, "delivered")
    assert texts(workshop, "kitchen") == ["before", "the one"]


@pytest.mark.parametrize("after_ms", range(0, 21, 4))
@pytest.mark.parametrize("who", ["kitchen", "workshop"])
def test_a_box_killed_around_the_delivery(world: World, who: str, after_ms: int) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(workshop, "kitchen", "hi")
    world.run(1.0)
    sent = write(kitchen, "workshop", "the one")
    world.run(after_ms / 1000)
    killed = world.boxes[who]
    killed.kill()
    world.run(0.5)
    killed.start()
    world.until(lambda: mark_of(kitchen, sent) == "delivered", 40.0, "delivered")
    assert texts(workshop, "kitchen") == ["hi", "the one"]


def test_text_goes_on_during_a_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    for number in range(5):
        write(kitchen, "workshop", f"line {number}")
        write(workshop, "kitchen", f"reply {number}")
    both_hear(world, kitchen, workshop)
    world.run(1.0)
    assert len(texts(kitchen, "workshop")) == len(texts(workshop, "kitchen")) == 10
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


def test_a_ring_overtakes_hundreds_of_waiting_texts(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "first")
    world.run(1.0)
    workshop.stop()
    for number in range(200):
        kitchen.ask_later("message", contact="workshop", text=f"text {number}")
    world.run(3.0)
    workshop.start()
    rings(world, kitchen, workshop)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    world.run(3.0)
    assert texts(workshop, "kitchen") == ["first", *(f"text {number}" for number in range(200))]


def test_what_cannot_be_a_text_is_refused_in_a_sentence(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    for contact, text in (("workshop", "  "), ("workshop", "x" * 50_000), ("nobody", "hi")):
        reply = kitchen.ask("message", contact=contact, text=text)
        assert reply["ok"] is False
        assert reply["error"].endswith(".")
    assert kitchen.thread("workshop") == []
