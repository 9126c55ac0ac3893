"""The spoken menu of whole boxes: opened, stepped through, listened to, and closed by whatever happens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World


def open_menu(world: World, box: SimulatedBox) -> None:
    """Hold talk and mute for a second."""
    box.hold("talk")
    world.run(0.05)
    box.hold("mute")
    world.run(1.1)
    box.release("mute")
    box.release("talk")
    box.says("Menu.")


def step_to(world: World, box: SimulatedBox, entry: str) -> None:
    """Step on until the box says this."""
    for _ in range(12):
        world.run(0.6)
        if entry in box.words:
            box.says(entry)
            return
        box.press("volume_up")
    raise AssertionError(f"{entry!r} is not in the menu: {box.words}")


def choose(world: World, box: SimulatedBox, entry: str, choice: str = "") -> None:
    """Open the menu, go to an entry, and to one of its choices."""
    open_menu(world, box)
    step_to(world, box, entry)
    box.press("talk")
    if choice:
        step_to(world, box, choice)
        box.press("talk")


def write(world: World, box: SimulatedBox, to: SimulatedBox, text: str) -> None:
    box.ask("message", contact=to.name, text=text)
    world.until(lambda: text in [item.get("text") for item in to.thread(box.name)], 1.0, "it arrives")
    world.run(1.0)


def test_it_opens_speaks_and_closes_after_ten_seconds_of_silence(world: World) -> None:
    box = world.box("kitchen")
    open_menu(world, box)
    box.says("Why it did not ring.")
    assert not box.light("mute"), "holding mute for the menu mutes nothing"
    world.run(9.0)
    assert box.box.spoken.menus.is_open
    box.press("mute")
    box.says("Network.")
    world.run(9.0)
    assert box.box.spoken.menus.is_open
    box.says("Menu closed.")
    box.press("mute")
    assert box.light("mute")


def test_mute_that_was_on_before_stays_on(world: World) -> None:
    box = world.box("kitchen")
    box.press("mute")
    world.run(0.5)
    open_menu(world, box)
    box.press("calls")
    box.says("Menu closed.")
    assert box.light("mute")


def test_one_button_opens_it_by_three_presses_steps_and_chooses(world: World, tmp_path: Path) -> None:
    board = tmp_path / "one.toml"
    board.write_text("[button.talk]\npin = 17\n[light.live]\npin = 13\n")
    box = world.box("kitchen", board=str(board))
    for _ in range(3):
        box.press("talk", hold_s=0.1)
        world.run(0.05)
    box.says("Menu.")
    box.says("Why it did not ring.")
    box.press("talk")
    box.says("Network.")
    box.press("talk", hold_s=1.2)
    box.says("Connected to server.simulated:8443 since 8 o'clock.")


def test_why_it_did_not_ring(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("quiet", on=True)
    workshop.press("dial1")
    world.run(6.0)
    choose(world, kitchen, "Why it did not ring.")
    kitchen.says("workshop called just now and did not ring.")
    kitchen.says("calls are on, do not disturb, may not break through.")
    chain = kitchen.ask("why")["items"][0]["chain"]
    assert chain == ["calls are enabled", "do not disturb", "may not break through"]


def test_with_every_call_heard_it_says_so(world: World) -> None:
    choose(world, world.box("kitchen"), "Why it did not ring.")
    world.boxes["kitchen"].says("Every call rang.")


def test_repeat_the_last_message(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "the code is 4711")
    workshop.press("talk")
    workshop.says("the code is 4711")
    world.run(1.0)
    choose(world, workshop, "Repeat the last message.")
    workshop.says("kitchen, just now.")
    workshop.says("the code is 4711")
    workshop.press("talk")
    workshop.says("the code is 4711")


@pytest.mark.parametrize("choice", ["Keep it.", "Delete it."])
def test_delete_the_last_message(world: World, choice: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "first")
    write(world, kitchen, workshop, "second")
    choose(world, workshop, "Delete the last message.", choice)
    workshop.says("Deleted." if choice == "Delete it." else "Kept.")
    left = ["first"] if choice == "Delete it." else ["first", "second"]
    assert [item["text"] for item in workshop.thread("kitchen")] == left
    workshop.kill()
    workshop.start()
    world.run(0.5)
    assert [item["text"] for item in workshop.thread("kitchen")] == left


@pytest.mark.parametrize(
    ("choice", "said", "row"),
    [
        ("Leave it.", "Nothing was changed.", "request"),
        ("May send messages.", "attic may send messages.", "message"),
        ("May knock.", "attic may knock.", "knock"),
        ("May ring.", "attic may ring.", "ring"),
        ("Block.", "attic is blocked.", "blocked"),
    ],
)
def test_a_stranger_asks_and_is_answered(world: World, choice: str, said: str, row: str) -> None:
    kitchen, attic = world.box("kitchen"), world.box("attic")
    attic.ask("allow", contact="kitchen", row="ring")
    write(world, attic, kitchen, "It is me, the new neighbour.")
    kitchen.press("talk")
    kitchen.says("attic asks to reach you.")
    kitchen.says("Answer in the menu.")
    assert not any("neighbour" in words for words in kitchen.words), "its text is not read before that"
    world.run(0.5)
    assert kitchen.box.post.unread == 0
    choose(world, kitchen, "attic asks to reach you.", choice)
    kitchen.says(said)
    if row in ("message", "knock", "ring"):
        kitchen.says("It is me, the new neighbour.")
    world.run(1.0)
    contact = kitchen.box.people.get("attic")
    assert contact is not None
    assert contact.permission == row
    assert not any("neighbour" in words for words in kitchen.words)


def test_compare_numbers(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "hello")
    number = str(workshop.ask("number", contact="kitchen")["number"])
    heard = {}
    for box, other in ((kitchen, "workshop"), (workshop, "kitchen")):
        choose(world, box, f"Compare numbers with {other}.")
        box.says(f"{other} must hear the same numbers.")
        world.run(4.0)
        heard[box.name] = "".join(character for character in " ".join(box.words) if character.isdigit())
        step_to(world, box, "The numbers are the same.")
        box.press("talk")
        box.says(f"Compared: it is really {other}.")
        contact = box.box.people.get(other)
        assert contact is not None
        assert contact.verified
    assert heard["kitchen"] == heard["workshop"] == number.replace(" ", "")
    assert len(heard["kitchen"]) == 60


def test_numbers_that_differ_confirm_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "hello")
    choose(world, workshop, "Compare numbers with kitchen.", "The numbers differ.")
    workshop.says("Then do not trust this connection. Ask kitchen in another way.")
    contact = workshop.box.people.get("kitchen")
    assert contact is not None
    assert not contact.verified


def test_a_new_box_is_confirmed(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "hello")
    people = workshop.box.people
    people._contacts.pin("kitchen", b"n" * 32)
    choose(world, workshop, "kitchen has a new box.", "Leave it.")
    workshop.says("Nothing was changed.")
    assert people.get("kitchen").changed_key is not None  # type: ignore[union-attr]
    choose(world, workshop, "kitchen has a new box.", "It is really kitchen.")
    workshop.says("kitchen is confirmed.")
    contact = people.get("kitchen")
    assert contact is not None
    assert contact.changed_key is None
    assert contact.account_key == b"n" * 32


class Asking:
    """A further box that asks to be linked."""

    def __init__(self) -> None:
        self.numbers = "1234 5678 9012"
        self.answers: list[str] = []
        self.on_asked: Callable[[str], None] = lambda numbers: None

    def confirm(self, numbers: str) -> dict[str, Any]:
        self.answers.append(numbers)
        return {"ok": True}

    def refuse(self) -> dict[str, Any]:
        self.answers.append("refused")
        return {"ok": True}


@pytest.mark.parametrize(
    ("choice", "said", "answers"),
    [
        ("Leave it.", "Nothing was changed.", []),
        ("The numbers are the same.", "The new box is linked.", ["1234 5678 9012"]),
        ("The numbers differ.", "Then it was not your box. It was not linked.", ["refused"]),
    ],
)
def test_a_further_box_asks_to_be_linked(world: World, choice: str, said: str, answers: list[str]) -> None:
    box, asking = world.box("kitchen"), Asking()
    box.box.spoken.join_linking(asking)
    asking.on_asked(asking.numbers)
    box.press("calls")  # any event lets the box look; what it says to it comes first
    choose(world, box, "Link a new box.")
    box.says("The new box must say the same numbers.")
    box.says("1 2 3 4, 5 6 7 8, 9 0 1 2.")
    step_to(world, box, choice)
    box.press("talk")
    box.says(said)
    assert asking.answers == answers


def test_a_second_box_is_linked_without_a_screen_at_the_first(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    hall = SimulatedBox(world, "hall", "breadboard", 999.0)
    linking = hall.ask_to_link(str(kitchen.ask("link")["invite"]))
    kitchen.says("A new box asks to be linked. Answer in the menu.")
    choose(world, kitchen, "Link a new box.")
    kitchen.says("The new box must say the same numbers.")
    (numbers,) = hall.link_numbers
    kitchen.says(", ".join(" ".join(group) for group in numbers.split()) + ".")
    step_to(world, kitchen, "The numbers are the same.")
    kitchen.press("talk")
    kitchen.says("The new box is linked.")
    world.until(lambda: linking.outcome is not None, 5.0, "it is linked")
    assert len(kitchen.ask("devices")["devices"]) == 2


def test_network(world: World) -> None:
    box = world.box("kitchen")
    choose(world, box, "Network.")
    box.says("Connected to server.simulated:8443 since 8 o'clock.")
    world.network.cut("kitchen")
    world.run(5.0)
    box.wifi_percent = 30
    box.press("talk")
    box.says("No connection to the server.")
    box.says("Wi-Fi signal: 30 percent.")


def test_a_ring_closes_it_at_once_and_no_press_of_it_answers(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    open_menu(world, workshop)
    workshop.hold("talk")
    world.run(0.05)
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it rings")
    assert not workshop.box.spoken.menus.is_open
    workshop.release("talk")
    world.run(0.2)
    workshop.press("mute")
    world.run(1.0)
    assert workshop.state == "ringing"
    assert workshop.light("mute"), "mute means mute again"
    assert not any("Menu" in words for words in workshop.words[1:])
    workshop.press("talk")
    world.until(lambda: workshop.state == "talking", 1.0, "and talk answers")


def test_in_a_call_there_is_no_menu(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.call(kitchen, workshop)
    workshop.hold("mute")
    world.run(0.05)
    workshop.press("talk", hold_s=1.2)
    workshop.release("mute")
    world.run(1.0)
    assert not workshop.box.spoken.menus.is_open
    assert workshop.state == "idle", "talk hangs up, as ever"


@settings(max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["talk", "mute", "calls", "volume_up", "volume_down"]), st.floats(0.03, 0.9)),
        min_size=1,
        max_size=15,
    ),
    st.integers(0, 15),
)
def test_random_presses_in_the_menu_never_answer_hang_up_or_unmute(
    presses: list[tuple[str, float]], ring_after: int
) -> None:
    world = World(1)
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.press("mute")
    world.run(0.5)
    open_menu(world, workshop)
    for number, (button, hold_s) in enumerate(presses):
        if not workshop.box.spoken.menus.is_open:
            break  # calls closed it
        if number == ring_after:
            kitchen.ask_later("call", contact="workshop")
        workshop.press(button, hold_s=hold_s)
        assert workshop.box.front.muted
        assert workshop.box.people.controls.calls_enabled
        assert workshop.state in ("idle", "ringing")
        assert workshop.box.calling.machine.current is None or not workshop.call.outgoing


def test_a_box_without_a_voice_has_no_menu(world: World) -> None:
    import msgspec

    box = world.box("kitchen")
    box.stop()
    speech = msgspec.structs.replace(box.settings.speech, voice="none")
    box.settings = msgspec.structs.replace(box.settings, speech=speech)
    box.start()
    world.run(0.5)
    assert box.ask("status")["speech"] == "off"
    box.hold("mute")
    box.press("talk", hold_s=1.2)
    box.release("mute")
    world.run(0.2)
    assert box.tones[-1] == "error"
    assert not box.box.spoken.menus.is_open
    assert box.words == []
