"""A box for people who do not look at it: what it says, and when. Words are those that truly left the speaker."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.app.settings import SpeechSettings
from callbox.audio.speech import SpeechFault
from callbox.base.frames import Samples
from callbox.conversations.stores import StoreFault
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import both_hear, mark_of, rings, talk


def write(world: World, box: SimulatedBox, to: SimulatedBox, text: str) -> str:
    """Write a text and wait until it has come and its tone is over."""
    unread = to.box.post.unread
    message = str(box.ask("message", contact=to.name, text=text)["id"])
    world.until(lambda: to.box.post.unread > unread, 1.0, "it arrives")
    world.run(1.0)
    return message


class Hoarse:
    """A voice that cannot say anything."""

    def __init__(self, lasting: bool) -> None:
        self.lasting = lasting

    def say(self, text: str, language: str) -> Samples:
        del text, language
        raise SpeechFault("espeak-ng is not installed, so the box cannot speak.", lasting=self.lasting)


# --- reading aloud -----------------------------------------------------------------------------------------------


def test_talk_reads_the_next_message_and_it_is_heard_when_it_was_read_to_its_end(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    sent = write(world, kitchen, workshop, "Dinner is ready. Bring the good knife, please.")
    world.run(600)
    workshop.press("talk")
    workshop.says("kitchen, 10 minutes ago.")
    assert mark_of(kitchen, sent) == "delivered", "it is not heard before it was read"
    assert workshop.box.post.unread == 1
    workshop.says("Dinner is ready. Bring the good knife, please.")
    world.until(lambda: mark_of(kitchen, sent) == "heard", 1.0, "kitchen knows that it was heard")
    assert not workshop.box.post.unread
    assert not workshop.light("live")


def test_messages_are_read_one_for_each_press_oldest_first(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    for text in ("first", "second"):
        write(world, kitchen, workshop, text)
    workshop.press("talk")
    workshop.says("first")
    world.run(1.0)
    assert workshop.words == []
    workshop.press("talk")
    workshop.says("second")
    world.run(0.1)
    assert workshop.box.post.unread == 0
    workshop.press("talk")
    workshop.says("kitchen.")


def test_talk_while_a_message_is_read_calls_its_sender(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    write(world, kitchen, workshop, "Dinner is ready, and it will be cold if you are not here soon.")
    write(world, attic, workshop, "later")
    workshop.press("talk")
    workshop.says("kitchen, just now.")
    world.run(0.3)
    workshop.press("talk")
    world.until(lambda: kitchen.state == "ringing", 1.0, "the sender rings, not the last conversation")
    assert workshop.words[0].startswith("Dinner")
    assert workshop.words[0].endswith("…"), "the reading stopped at the press"
    assert workshop.box.post.unread == 2, "what was not read to its end is not heard"


def test_a_ring_hushes_the_reading_and_nothing_is_lost(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "Dinner is ready, and it will be cold if you are not here soon.")
    workshop.press("talk")
    workshop.says("kitchen, just now.")
    rings(world, kitchen, workshop)
    assert workshop.words[0].endswith("…")
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    kitchen.press("talk")
    world.run(2.0)
    workshop.press("talk")
    workshop.says("Dinner is ready, and it will be cold if you are not here soon.")


def test_a_long_message_is_read_in_parts_and_goes_on_where_it_stopped(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    sentences = [f"This is sentence number {number} of a very long story." for number in range(60)]
    sent = write(world, kitchen, workshop, " ".join(sentences))
    read: list[str] = []
    for _ in range(10):
        workshop.press("talk")
        world.until(lambda: not workshop.box.spoken.speaking.busy, 60.0, "a part is read")
        read += workshop.words
        workshop.card.ear.words.clear()
        if not workshop.box.post.unread:
            break
        assert read[-1] == "The message goes on. Press talk to hear more."
        assert mark_of(kitchen, sent) == "delivered"
    spoken = " ".join(part for part in read if not part.startswith(("The message goes", "kitchen,")))
    assert spoken == " ".join(sentences)
    world.until(lambda: mark_of(kitchen, sent) == "heard", 1.0, "now it is heard")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("-f /etc/passwd", "-f /etc/passwd"),
        ("<voice name='de'>hello</voice>", "<voice name='de'>hello</voice>"),
        ("[[h@l'oU]] \x01\x1b[31m there", "h@l'oU 31m there"),
        ("👍", "A message without words."),
        ("שלום \u202eolleh", "שלום olleh"),
    ],
)
def test_strange_messages_are_read_and_not_obeyed(world: World, text: str, said: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, text)
    workshop.press("talk")
    workshop.says(said)
    world.run(0.5)
    assert not workshop.box.post.unread


def test_names_of_any_script_are_spoken(world: World) -> None:
    name = "ömer-妈妈.ش"
    one, workshop = world.friends(name, "workshop")
    write(world, one, workshop, "hello")
    workshop.press("talk")
    workshop.says(f"{name}, just now.")


def test_a_missed_call_is_read_with_its_reason(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("quiet", on=True)
    workshop.press("dial1")
    world.run(6.0)
    world.run(3660)
    kitchen.press("talk")
    kitchen.says("workshop called at 8 o'clock.")
    kitchen.says("It did not ring: do not disturb, or quiet hours.")
    world.run(0.1)
    assert kitchen.box.post.unread == 0


def test_without_a_set_clock_no_time_is_named(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.box.people.clock_trusted = False
    write(world, kitchen, workshop, "hello")
    workshop.press("talk")
    workshop.says("kitchen.")
    workshop.says("hello")


# --- what it says of itself ------------------------------------------------------------------------------------


def test_the_name_of_who_calls_is_said_in_the_pause_of_the_ring(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.says("kitchen calls.", 2.5)
    workshop.says("kitchen calls.", 9.0)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_a_person_who_wants_it_quiet_hears_only_what_they_ask_for(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.settings = msgspec.structs.replace(
        workshop.settings, speech=msgspec.structs.replace(workshop.settings.speech, announce=False)
    )
    workshop.stop()
    workshop.start()
    world.run(1.0)
    rings(world, kitchen, workshop)
    world.run(10.0)
    workshop.press("calls")
    world.run(1.0)
    workshop.press("calls")
    world.run(1.0)
    assert workshop.words == []
    workshop.press("mute", hold_s=1.2)
    workshop.says("Calls off.")


@pytest.mark.parametrize("button", ["dial1", "talk"])
def test_why_a_call_came_to_nothing_is_said_after_its_tone(world: World, button: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("calls", on=False)
    world.run(0.5)
    kitchen.press("dial1")
    world.until(lambda: kitchen.state == "ending", 1.0, "it is refused")
    if button == "talk":  # enough of it
        kitchen.press("talk")
        world.run(4.0)
        assert not any("takes no calls" in words for words in kitchen.words)
    else:
        kitchen.says("workshop takes no calls now.", 6.0)


def test_a_block_sounds_like_a_box_that_is_switched_off(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    workshop.ask("block", contact="kitchen")
    attic.kill()
    world.run(1.0)
    said = []
    for button in ("dial1", "dial2"):
        kitchen.card.ear.words.clear()
        kitchen.press(button)
        world.run(60.0)
        said.append([words.replace("workshop", "X").replace("attic", "X") for words in kitchen.words])
    assert said[0] == said[1] == ["Calling X.", "X cannot be reached now."]


def test_a_person_who_wants_quiet_is_not_said_to_be_away(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.press("calls", hold_s=1.2)
    kitchen.press("dial1")
    kitchen.says("workshop cannot be reached now.", 8.0)
    kitchen.ask("silence", contact="workshop", on=True)
    workshop.press("calls", hold_s=1.2)
    workshop.press("dial1")
    workshop.says("kitchen does not answer.", 60.0)


def test_in_a_call_both_boxes_say_and_show_the_same_three_numbers(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    said = []
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        box.card.ear.words.clear()
        box.press("mute", hold_s=1.5)
        world.run(8.0)
        assert "The other box must say the same numbers." in box.words
        said.append(box.words[box.words.index("The other box must say the same numbers.") + 1])
        shown = box.ask("number", contact=other.name)["code"]
        assert said[-1] == ", ".join(" ".join(group) for group in shown.split()) + "."
    assert said[0] == said[1]
    assert len(said[0].split(", ")) == 3
    workshop.ask("hangup")
    world.run(5.0)
    assert workshop.ask("number", contact="kitchen")["code"] is None


def test_hold_mute_says_how_the_box_is_and_leaves_mute_as_it_was(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "hello")
    workshop.card.ear.words.clear()
    workshop.press("mute", hold_s=1.5)
    world.run(2.0)
    rest = ["Calls on.", "Connected.", "One new message.", "It is 8 o'clock."]
    assert workshop.words == ["Microphone on.", *rest]
    assert not workshop.light("mute")
    workshop.press("mute")
    world.run(1.0)
    workshop.card.ear.words.clear()
    workshop.press("mute", hold_s=1.5)
    world.run(2.0)
    assert workshop.words == ["Muted.", *rest]
    assert workshop.light("mute")
    workshop.press("mute")
    world.run(300)
    world.network.cut("workshop")
    workshop.press("calls")
    workshop.press("calls", hold_s=1.2)
    world.run(60)
    workshop.card.unplug()
    talk_state(workshop, world)


def talk_state(box: SimulatedBox, world: World) -> None:
    """A box whose speaker is gone says nothing, and goes on."""
    box.card.ear.words.clear()
    box.press("mute", hold_s=1.5)
    world.run(3.0)
    assert box.words == []
    assert not box.box.spoken.speaking.busy
    box.card.plug()
    world.run(6.0)
    box.press("mute", hold_s=1.5)
    box.says("Calls off.")
    box.says("Do not disturb.")
    box.says("No connection to the server.")


def test_in_a_call_hold_mute_says_with_whom(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    workshop.press("mute", hold_s=1.5)
    workshop.says("In a call with kitchen.")


def test_a_full_card_is_said(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.store.fail_with = StoreFault("full", "The card is full.", "Free some space.")
    kitchen.ask("message", contact="workshop", text="hello")
    world.run(3.0)
    workshop.press("mute", hold_s=1.5)
    workshop.says("Something is wrong: messages cannot be stored.")
    workshop.says("There is no room left on the card.")


def test_a_fault_is_said_in_the_language_of_the_box(world: World) -> None:
    workshop = world.box("workshop")
    workshop.kill()
    workshop.settings = msgspec.structs.replace(workshop.settings, speech=SpeechSettings(language="de"))
    workshop.start()
    world.until(lambda: workshop.box.core.link.up, 5.0)
    workshop.store.fail_with = StoreFault("read-only", "This box's store cannot be written.", "Make it writable.")
    workshop.ask_later("calls", on=False)
    world.run(3.0)
    workshop.press("mute", hold_s=1.5)
    workshop.says("Die Karte lässt sich nicht mehr beschreiben.")


def test_which_sound_fault_it_is_is_known(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    workshop.card.unplug()
    world.run(0.5)
    facts = workshop.box.front.spoken_facts()
    assert (facts.about, facts.kind) == ("sound", "gone")
    assert "fault_sound_gone" in workshop.box.spoken.speaking.phrases


def test_a_fault_without_words_of_its_own_is_said_as_the_doctor_tells_it(world: World) -> None:
    workshop = world.box("workshop")
    workshop.store.fail_with = StoreFault("newer", "This box's store was written by a newer callbox.", "Install it.")
    workshop.ask_later("calls", on=False)
    world.run(3.0)
    workshop.press("mute", hold_s=1.5)
    workshop.says("This box's store was written by a newer callbox.")


@pytest.mark.parametrize(
    ("button", "hold_s", "said"),
    [
        ("calls", 0.1, "Calls off."),
        ("calls", 1.2, "Do not disturb."),
        ("mute", 0.1, "Muted."),
        ("talk", 0.1, "There is no conversation yet."),
    ],
)
def test_what_a_button_did_is_said(world: World, button: str, hold_s: float, said: str) -> None:
    box = world.box("kitchen")
    box.press(button, hold_s=hold_s)
    box.says(said)


def test_mute_is_said_when_its_button_comes_up(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    workshop.press("mute")
    workshop.says("Muted.")
    world.run(0.4)
    assert not kitchen.hears(workshop)
    workshop.press("mute")
    workshop.says("Microphone on.")


def test_the_last_name_is_said_and_a_second_press_calls_it(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    world.run(3.0)
    workshop.press("talk")
    workshop.says("kitchen.")
    workshop.press("talk")
    world.until(lambda: kitchen.state == "ringing", 1.0, "it calls")


def test_the_volume_is_kept_over_a_restart_until_the_settings_change(world: World) -> None:
    box = world.box("kitchen")
    assert box.box.front.volume == 0.8
    box.press("volume_down")
    box.press("volume_down")
    world.run(0.5)
    box.kill()
    box.start()
    assert box.box.front.volume == 0.6
    sound = msgspec.structs.replace(box.settings.sound, volume=0.3)
    box.kill()
    box.settings = msgspec.structs.replace(box.settings, sound=sound)
    box.start()
    assert box.box.front.volume == 0.3


# --- without a voice -----------------------------------------------------------------------------------------------


def test_a_box_without_espeak_tells_by_light_and_tone(world: World) -> None:
    kitchen = world.box("kitchen")
    workshop = world.box("workshop")
    workshop.kill()
    workshop.voice = Hoarse(lasting=True)
    workshop.start()
    world.run(0.2)
    for box, other in ((kitchen, "workshop"), (workshop, "kitchen")):
        box.ask("allow", contact=other, row="ring", dial=1)
        box.ask("synced")
    assert workshop.ask("status")["speech"] == "espeak-ng is not installed, so the box cannot speak."
    assert sum("espeak-ng" in line for line in workshop.logged) == 1
    sent = write(world, kitchen, workshop, "hello")
    workshop.press("talk")
    assert workshop.tones[-1] == "message"
    world.until(lambda: mark_of(kitchen, sent) == "heard", 1.0, "the press says that the light was seen")
    workshop.press("mute", hold_s=1.2)
    assert "error" in workshop.tones
    talk(world, kitchen, workshop)


def test_a_voice_that_fails_once_leaves_the_message_unread(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, workshop, "hello")
    voice, workshop.voice = workshop.voice, Hoarse(lasting=False)
    workshop.press("talk")
    world.run(1.0)
    assert workshop.box.post.unread == 1
    workshop.voice = voice
    workshop.press("talk")
    workshop.says("hello")


# --- whatever happens ----------------------------------------------------------------------------------------------

MESSAGES = [f"This is message number {number}, and it says nothing else." for number in range(4)]


@settings(max_examples=15, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["talk", "talk", "talk", "mute", "calls", "ring", "unplug", "cut", "restart"]),
            st.sampled_from([0.05, 0.1, 1.2]),
            st.floats(0.05, 1.5),
        ),
        min_size=5,
        max_size=14,
    )
)
def test_what_counts_as_heard_was_said_to_its_end(acts: list[tuple[str, float, float]]) -> None:
    world = World(1)
    kitchen, workshop = world.friends("kitchen", "workshop")
    for text in MESSAGES:
        kitchen.ask("message", contact="workshop", text=text)
    world.run(1.0)
    for act, hold_s, pause_s in acts:
        match act:
            case "ring":
                kitchen.ask_later("call", contact="workshop")
            case "unplug":
                workshop.card.unplug()
                world.run(hold_s)
                workshop.card.plug()
            case "cut":
                world.network.cut("workshop")
                world.run(hold_s)
                world.network.restore("workshop")
            case "restart":
                workshop.kill()
                workshop.start()
            case button:
                workshop.press(button, hold_s=hold_s)
        world.run(pause_s)
        heard = {item["text"] for item in workshop.thread("kitchen") if item.get("state") == "heard"}
        assert heard <= set(workshop.words)
        assert workshop.light("live") <= (workshop.state in ("talking", "reconnecting") or workshop.voice_leaves)
