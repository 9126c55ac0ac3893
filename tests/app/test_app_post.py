"""The post desk: what cannot be written, what is kept once, and what goes on when a letter is refused."""

import msgspec
import pytest

from callbox.app.post import MAX_TEXT_BYTES
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.signals import Envelope


@pytest.fixture
def friends(world: World) -> list[SimulatedBox]:
    return world.friends("kitchen", "workshop")


def texts(box: SimulatedBox, contact: str) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text"]


@pytest.mark.parametrize(
    ("contact", "text", "complaint"),
    [
        ("stranger", "tea?", "not among your contacts"),
        ("kitchen", "tea?", "own name"),
        ("workshop", " \n", "nothing to send"),
        ("workshop", "é" * (MAX_TEXT_BYTES // 2 + 1), "too long"),
    ],
)
def test_what_cannot_be_sent_is_said_and_not_kept(
    friends: list[SimulatedBox], contact: str, text: str, complaint: str
) -> None:
    reply = friends[0].ask("message", contact=contact, text=text)
    assert complaint in reply["error"]
    assert texts(friends[0], contact) == []


def test_the_longest_text_arrives(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, workshop = friends
    text = "é" * (MAX_TEXT_BYTES // 2)
    kitchen.ask("message", contact="workshop", text=text)
    world.until(lambda: texts(workshop, "kitchen") == [text], 2.0, "it arrives")


def test_a_letter_that_is_delivered_again_is_one_message(
    world: World, friends: list[SimulatedBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen, workshop = friends
    came: list[Envelope] = []
    post = workshop.box.post
    take = post.delivered

    def noted(envelope: Envelope) -> None:
        came.append(envelope)
        take(envelope)

    monkeypatch.setattr(post, "delivered", noted)
    kitchen.ask("message", contact="workshop", text="tea?")
    world.run(1.0)
    mail = [envelope for envelope in came if envelope.cls == "mail"]
    take(mail[0])
    world.run(1.0)
    assert texts(workshop, "kitchen") == ["tea?"]
    assert workshop.box.post.unread == 1
    assert not [line for line in workshop.logged if "does not open" in line]


def test_a_letter_of_an_impossible_name_is_dropped(
    world: World, friends: list[SimulatedBox], monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen, workshop = friends
    post = workshop.box.post
    take = post.delivered
    monkeypatch.setattr(
        post, "delivered", lambda letter: take(msgspec.structs.replace(letter, from_account="Kitchen\x1b"))
    )
    kitchen.ask("message", contact="workshop", text="tea?")
    world.run(1.0)
    assert any("impossible name" in line for line in workshop.logged)
    assert workshop.box.post.unread == 0


def test_a_text_goes_from_queued_to_heard(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, workshop = friends
    workshop.kill()
    written = kitchen.ask("message", contact="workshop", text="tea?")
    assert written["state"] == "queued"

    def state() -> str | None:
        return kitchen.box.post.state_of(bytes.fromhex(written["id"]))

    world.until(lambda: state() == "sent", 2.0, "the server has it")
    workshop.start()
    world.until(lambda: state() == "delivered", 10.0, "the other box has it")
    workshop.ask("messages", contact="kitchen", last=5, read=True)
    world.until(lambda: state() == "heard", 2.0, "it was read")


def test_a_refused_text_says_why_and_is_given_up(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, workshop = friends
    kitchen.ask("allow", contact="nobody", row="message")
    kitchen.ask("message", contact="nobody", text="tea?")
    world.run(3.0)
    assert texts(workshop, "kitchen") == []
    kitchen.ask("message", contact="workshop", text="and you?")
    world.until(lambda: texts(workshop, "kitchen") == ["and you?"], 2.0, "other letters go on")
    assert any("letters to nobody wait" in line for line in kitchen.logged)


def test_reading_marks_what_was_shown_and_nothing_else(world: World, friends: list[SimulatedBox]) -> None:
    kitchen, workshop = friends
    for text in ("one", "two", "three"):
        kitchen.ask("message", contact="workshop", text=text)
    world.until(lambda: workshop.box.post.unread == 3, 2.0, "all arrive")
    shown = workshop.ask("messages", contact="kitchen", last=2, read=True)["items"]
    assert [item["text"] for item in shown] == ["two", "three"]
    assert workshop.box.post.unread == 1
