"""Voice messages: recorded while a button is held, sent, fetched, played, heard; whatever is lost on the way."""

import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from callbox.audio import ogg
from callbox.audio.codecs import open_codec
from callbox.audio.recorder import encode
from callbox.conversations.items import VoiceItem
from callbox.conversations.stores import StoreFault
from callbox.testing.box import SimulatedBox
from callbox.testing.playout import hum
from callbox.testing.world import World
from callbox.wire.codec import BLOB_STEPS, PART_BYTES
from callbox.wire.signals import BeginBlob, BlobPart, Denied, Devices, GetPart, PutPart, ServerMessage, Submit, Welcome
from scenarios.acts import all_idle, both_hear, mark_of, rings, talk
from scenarios.lies import LyingServer


def spoken(seconds: float) -> str:
    """Return a file of so many seconds, as the command line gives it."""
    return base64.b64encode(ogg.write(encode(open_codec(), hum(seconds)))).decode()


FORTY_S = spoken(40.0)  # four parts


def voices(box: SimulatedBox, contact: str) -> list[dict[str, object]]:
    return [item for item in box.thread(contact) if item["kind"] == "voice"]


def states(box: SimulatedBox, contact: str) -> list[object]:
    return [item["state"] for item in voices(box, contact)]


def record(world: World, box: SimulatedBox, seconds: float, button: str = "dial1") -> None:
    """Hold a button until so much was said, and let go."""
    box.hold(button)
    world.until(lambda: box.light("live"), 4.0, f"{box.name} records")
    assert box.ask("status")["recording"]
    world.run(seconds)
    box.release(button)
    world.until(lambda: not box.light("live"), 0.1, "the light goes out")


def blinks(box: SimulatedBox) -> bool:
    return bool(box.box.post.unread) and any(lit for lit, _ in box.rhythm("message", 2.0))


def arrived(world: World, box: SimulatedBox, number: int = 1) -> None:
    world.until(lambda: box.box.post.unread == number, 5.0, "the message arrives")
    world.run(0.8)  # the tone that says so


def play(world: World, box: SimulatedBox, sender: SimulatedBox) -> float:
    """Press talk and listen; return for how long the sender's voice was heard."""
    box.press("talk")
    world.until(lambda: box.hears(sender), 4.0, f"{sender.name} is heard")
    return world.until(lambda: not box.hears(sender), 400.0, "it ends")


# --- from button to ear --------------------------------------------------------------------------------------------


def test_a_voice_message_each_way_with_its_marks(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    record(world, kitchen, 3.0)
    arrived(world, workshop)
    assert workshop.tones == ["message"]
    assert blinks(workshop)
    assert states(kitchen, "workshop") == states(workshop, "kitchen") == ["delivered"]
    assert voices(workshop, "kitchen")[0]["duration_s"] == pytest.approx(3.0, abs=0.1)
    assert play(world, workshop, kitchen) == pytest.approx(3.0, abs=0.4)
    world.until(lambda: states(kitchen, "workshop") == ["heard"], 1.0, "kitchen knows that it was heard")
    assert not workshop.box.post.unread
    assert not workshop.light("live")
    record(world, workshop, 1.0)
    arrived(world, kitchen)
    play(world, kitchen, workshop)


def test_the_tone_says_when_to_speak_and_is_not_in_the_message(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.run(1.1)
    assert kitchen.tones == ["record"]
    assert not kitchen.light("live"), "nothing is recorded before the tone was heard"
    world.until(lambda: kitchen.light("live"), 1.0, "it records")
    world.run(1.0)
    kitchen.release("dial1")
    arrived(world, workshop)
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 3.0, "it plays")
    assert not workshop.hears_tone(1000)


def test_live_is_lit_exactly_while_it_records(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.at_every_step(lambda: _live_tells_the_truth(kitchen))
    record(world, kitchen, 2.0)
    arrived(world, workshop)
    play(world, workshop, kitchen)


def _live_tells_the_truth(box: SimulatedBox) -> None:
    step = box._engine._step
    if box.tap.sound_encoded_at == box.world.now:
        assert box.light("live"), "a sample went somewhere in the dark"
    if box.light("live"):
        assert step.recorder is not None
        assert step.recorder.listening


def test_talk_records_to_the_last_conversation_and_says_whose_it_is(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    kitchen.ask("message", contact="attic", text="hello")
    world.run(1.0)
    record(world, kitchen, 1.0, "talk")
    kitchen.says("attic.")
    arrived(world, attic, 2)
    assert workshop.box.post.unread == 0


def test_talk_held_while_a_message_is_read_answers_its_sender(world: World) -> None:
    kitchen, workshop, attic = world.friends("kitchen", "workshop", "attic")
    kitchen.ask("message", contact="workshop", text="Can you come down and help me with the shelf, please? " * 5)
    world.run(1.5)
    attic.ask("message", contact="workshop", text="later")
    world.run(1.5)
    workshop.press("talk")
    world.run(1.0)
    record(world, workshop, 1.0, "talk")
    arrived(world, kitchen)
    assert attic.box.post.unread == 0


def test_a_box_with_one_button_records_too(world: World, tmp_path: Path) -> None:
    board = tmp_path / "one.toml"
    board.write_text("[button.talk]\npin = 17\n[light.live]\npin = 13\n")
    kitchen = world.box("kitchen", board=str(board))
    workshop = world.box("workshop")
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        box.ask("allow", contact=other.name, row="ring", dial=1)
        box.ask("synced")
    workshop.ask("message", contact="kitchen", text="hello")
    world.run(2.0)
    record(world, kitchen, 1.0, "talk")
    arrived(world, workshop)


def test_texts_and_voice_messages_are_played_in_the_order_in_which_they_came(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    record(world, kitchen, 1.0)
    arrived(world, workshop, 1)
    kitchen.ask("message", contact="workshop", text="and bring the ladder")
    arrived(world, workshop, 2)
    record(world, kitchen, 2.0)
    arrived(world, workshop, 3)
    assert play(world, workshop, kitchen) == pytest.approx(1.0, abs=0.4)
    world.run(0.5)
    workshop.press("talk")
    workshop.says("and bring the ladder")
    world.run(0.5)
    assert play(world, workshop, kitchen) == pytest.approx(2.0, abs=0.4)
    world.run(0.5)
    assert workshop.box.post.unread == 0


def test_talk_while_it_plays_calls_its_sender_and_it_stays_unheard(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    record(world, kitchen, 5.0)
    arrived(world, workshop)
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 4.0, "it plays")
    world.run(1.0)
    workshop.press("talk")
    world.until(lambda: kitchen.state == "ringing", 2.0, "it calls the sender")
    assert states(kitchen, "workshop") == ["delivered"]


def test_a_ring_stops_what_plays(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    record(world, kitchen, 10.0)
    arrived(world, workshop)
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 4.0, "it plays")
    rings(world, kitchen, workshop)
    world.run(0.3)
    assert not workshop.hears(kitchen)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    assert states(workshop, "kitchen") == ["delivered"], "it was not heard"
    assert play(world, workshop, kitchen) == pytest.approx(10.0, abs=0.4)


# --- what is not sent ------------------------------------------------------------------------------------------------


def test_muted_nothing_is_recorded(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    kitchen.press("mute")
    kitchen.tones.clear()
    kitchen.press("dial1", hold_s=3.0)
    assert kitchen.tones == ["error"]
    assert not kitchen.voice_leaves
    world.run(2.0)
    assert voices(kitchen, "workshop") == []


def test_mute_pressed_while_it_records_throws_it_away(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.until(lambda: kitchen.light("live"), 4.0, "it records")
    world.run(2.0)
    kitchen.hold("mute")
    world.until(lambda: not kitchen.light("live"), 0.1, "the light goes out on the press")
    kitchen.release("mute")
    world.run(2.0)
    kitchen.release("dial1")
    world.run(2.0)
    assert kitchen.tones[-1] == "error"
    assert voices(kitchen, "workshop") == []
    assert workshop.box.post.unread == 0


def test_less_than_half_a_second_is_dropped_with_a_tone(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    record(world, kitchen, 0.3)
    world.run(2.0)
    assert kitchen.tones == ["record", "error"]
    assert voices(kitchen, "workshop") == []


def test_nobody_to_send_it_to(world: World) -> None:
    kitchen = world.box("kitchen")
    for button in ("dial1", "talk"):
        kitchen.press(button, hold_s=2.0)
        assert kitchen.tones.pop() == "error"
        assert not kitchen.voice_leaves


@pytest.mark.soak
def test_five_minutes_end_with_a_tone_and_are_sent(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.until(lambda: kitchen.light("live"), 4.0, "it records")
    world.until(lambda: not kitchen.light("live"), 310.0, "it is full")
    assert kitchen.tones[-1] == "ended"
    kitchen.release("dial1")
    world.until(lambda: workshop.box.post.unread == 1, 10.0, "it arrives")
    assert voices(workshop, "kitchen")[0]["duration_s"] == pytest.approx(300.0, abs=0.1)


def test_a_call_that_rings_while_it_records_ends_it_and_what_was_said_is_sent(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.until(lambda: kitchen.light("live"), 4.0, "it records")
    world.run(2.0)
    workshop.press("dial1")
    world.until(lambda: kitchen.state == "ringing", 1.0, "it rings")
    world.until(lambda: not kitchen.light("live"), 0.1, "it records no more")
    world.run(1.0)
    kitchen.release("dial1")
    assert kitchen.state == "ringing", "the release neither answers nor declines"
    kitchen.press("talk")
    both_hear(world, kitchen, workshop)
    world.run(2.0)
    assert states(kitchen, "workshop") == ["queued"], "a call has the line to itself"
    kitchen.press("talk")
    arrived(world, workshop)
    assert voices(workshop, "kitchen")[0]["duration_s"] == pytest.approx(2.3, abs=0.6)


def test_a_microphone_that_is_pulled_ends_it_and_what_was_said_is_sent(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.until(lambda: kitchen.light("live"), 4.0, "it records")
    world.run(2.0)
    kitchen.card.unplug()
    world.run(3.0)
    kitchen.release("dial1")
    arrived(world, workshop)
    assert voices(workshop, "kitchen")[0]["duration_s"] == pytest.approx(2.0, abs=0.1)


def test_a_box_that_is_switched_off_while_it_records_keeps_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.until(lambda: kitchen.light("live"), 4.0, "it records")
    world.run(2.0)
    kitchen.kill()
    kitchen.start()
    world.run(3.0)
    assert voices(kitchen, "workshop") == voices(workshop, "kitchen") == []


# --- on the way ------------------------------------------------------------------------------------------------------


def test_a_message_spoken_without_a_network_goes_when_there_is_one(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    world.network.cut("kitchen")
    world.run(0.5)
    record(world, kitchen, 2.0)
    world.run(3.0)
    assert states(kitchen, "workshop") == ["queued"]
    kitchen.kill()
    kitchen.start()
    world.run(3.0)
    assert states(kitchen, "workshop") == ["queued"]
    world.network.restore("kitchen")
    world.until(lambda: workshop.box.post.unread == 1, 60.0, "it arrives")


def test_a_message_to_a_box_that_is_off_waits_at_the_server(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.stop()
    record(world, kitchen, 2.0)
    world.until(lambda: states(kitchen, "workshop") == ["sent"], 5.0, "the server has it")
    kitchen.stop()
    world.run(5 * 24 * 3600)
    workshop.start()
    arrived(world, workshop)
    play(world, workshop, kitchen)
    kitchen.start()
    world.until(lambda: states(kitchen, "workshop") == ["heard"], 5.0, "kitchen hears of it")
    world.run(1.0)
    assert world.server.store.open().blobs == ()


CUTS: dict[str, type] = {"put": PutPart, "get": GetPart}


def long_message(world: World, kitchen: SimulatedBox) -> None:
    """Take a message of several parts while the network is away, so that nothing leaves before the test is ready."""
    world.network.cut("kitchen")
    world.run(0.5)
    kitchen.ask("voice", contact="workshop", sound=FORTY_S)


FEW = [("put", 1, "sender"), ("put", 3, "server"), ("get", 2, "server"), ("get", 4, "receiver")]
MANY = [
    pytest.param(way, at, what, marks=pytest.mark.soak)
    for way in CUTS
    for at in (1, 2, 3, 4)
    for what in ("sender", "server", "receiver", "line")
    if (way, at, what) not in FEW
]


@pytest.mark.parametrize(("way", "at", "what"), [*FEW, *MANY])
def test_whatever_is_killed_between_the_parts_it_arrives_once(world: World, way: str, at: int, what: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    long_message(world, kitchen)
    liar = LyingServer(world)
    seen: list[int] = []
    liar.hear = lambda name, message: (
        seen.append(getattr(message, "part", 0)) if isinstance(message, CUTS[way]) else None
    )
    world.network.restore("kitchen")
    world.until(lambda: len(seen) == at, 90.0, f"{way} {at}")
    kill(world, what, kitchen, workshop)
    world.until(lambda: workshop.box.post.unread == 1, 120.0, "it arrives")
    world.until(lambda: states(kitchen, "workshop") == ["delivered"], 120.0, "and its mark")
    world.until(lambda: world.server.store.open().blobs == (), 120.0, "the server lets it go")
    assert states(workshop, "kitchen") == ["delivered"]
    assert len(seen) <= 4 + 1, "what was safe is not sent again"
    sent, came = (box.store.sound(next(iter(box.store._sounds))) for box in (kitchen, workshop))
    assert sent == came == base64.b64decode(FORTY_S)


def kill(world: World, what: str, kitchen: SimulatedBox, workshop: SimulatedBox) -> None:
    """End something at once, and start it again."""
    match what:
        case "sender":
            kitchen.kill()
            kitchen.start()
        case "receiver":
            workshop.kill()
            workshop.start()
        case "server":
            world.server.kill()
            world.run(0.5)
            world.server.start()
        case "line":
            world.network.cut("workshop")
            world.run(1.0)
            world.network.restore("workshop")


@pytest.mark.parametrize("who", ["kitchen", "workshop"])
def test_a_full_card_keeps_nothing_half_and_goes_on_when_there_is_room(world: World, who: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    full = kitchen if who == "kitchen" else workshop
    full.store.fail_with = StoreFault("full", "There is no room left.")
    record(world, kitchen, 20.0)
    world.run(20.0)
    assert workshop.box.post.unread == 0
    assert full.store._sounds == {}
    assert "delivered" not in states(kitchen, "workshop")
    full.store.fail_with = None
    world.until(lambda: workshop.box.post.unread == 1, 60.0, "it arrives")
    world.until(lambda: states(kitchen, "workshop") == ["delivered"], 60.0, "and its mark")


def test_a_card_that_fills_up_between_the_parts_loses_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    long_message(world, kitchen)
    world.network.restore("kitchen")
    world.until(lambda: bool(workshop.store._sounds), 90.0, "the first part is here")
    workshop.store.fail_with = StoreFault("full", "There is no room left.")
    world.run(20.0)
    workshop.kill()
    workshop.store.fail_with = None
    workshop.start()
    world.until(lambda: workshop.box.post.unread == 1, 60.0, "it arrives")


def test_a_call_has_the_line_to_itself(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    liar = LyingServer(world)
    kitchen.ask("voice", contact="workshop", sound=FORTY_S)
    world.run(5.0)
    assert not [message for _, message in liar.heard if isinstance(message, BeginBlob | PutPart)]
    kitchen.press("talk")
    world.until(lambda: workshop.box.post.unread == 1, 10.0, "it arrives after the call")


def test_every_box_of_an_account_gets_it_and_hearing_it_on_one_is_enough(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    hall = world.second(workshop, "hall")
    record(world, kitchen, 1.0)
    arrived(world, workshop)
    arrived(world, hall)
    world.until(lambda: world.server.store.open().blobs == (), 5.0, "both have it")
    play(world, hall, kitchen)
    world.until(lambda: states(kitchen, "workshop") == ["heard"], 5.0, "kitchen hears of it")
    world.until(lambda: not workshop.box.post.unread, 5.0, "and so does the other box")


# --- permissions -----------------------------------------------------------------------------------------------------


def test_a_stranger_cannot_send_one(world: World) -> None:
    kitchen, workshop = world.box("kitchen"), world.box("workshop")
    kitchen.ask("allow", contact="workshop", row="ring")
    record(world, kitchen, 1.0)
    world.until(lambda: states(kitchen, "workshop") == ["unsent"], 5.0, "it is refused")
    assert voices(kitchen, "workshop")[0]["problem"] == "not-allowed"
    assert kitchen.tones[-1] == "error"
    assert workshop.box.people.listed() == []


def test_to_whom_it_is_blocked_it_looks_switched_off(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("block", contact="kitchen")
    workshop.ask("synced")
    record(world, kitchen, 1.0)
    world.run(10.0)
    assert states(kitchen, "workshop") == ["sent"]
    assert voices(workshop, "kitchen") == []


def test_a_silenced_contacts_message_blinks_without_a_sound(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("silence", contact="kitchen", on=True)
    record(world, kitchen, 1.0)
    world.until(lambda: workshop.box.post.unread == 1, 5.0, "it arrives")
    world.run(1.0)
    assert workshop.tones == []
    assert blinks(workshop)


# --- a server that lies, or is older ---------------------------------------------------------------------------------


LIES: dict[str, Callable[[BlobPart], ServerMessage]] = {
    "a bit turned": lambda part: BlobPart(
        part.request, part.blob, part.part, part.data[:-1] + bytes([part.data[-1] ^ 1])
    ),
    "zeros": lambda part: BlobPart(part.request, part.blob, part.part, bytes(PART_BYTES)),
    "another part": lambda part: BlobPart(part.request, part.blob, part.part + 1, part.data),
    "another blob": lambda part: BlobPart(part.request, bytes(16), part.part, part.data),
    "gone": lambda part: Denied(part.request, "no-blob"),
}


RARE = {"zeros", "another blob"}


@pytest.mark.parametrize("lie", [pytest.param(lie, marks=pytest.mark.soak) if lie in RARE else lie for lie in LIES])
def test_what_a_lying_server_changed_is_refused_in_words_and_fetched_again(world: World, lie: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    liar = LyingServer(world)
    lies = [1]

    def tell(name: str, message: ServerMessage) -> list[ServerMessage]:
        if isinstance(message, BlobPart) and lies and message.part == 0:
            lies.pop()
            return [LIES[lie](message)]
        return [message]

    liar.lie = tell
    record(world, kitchen, 1.0)
    world.until(lambda: any("cannot be fetched" in line for line in workshop.logged), 10.0, "it is said")
    assert workshop.box.post.unread == 0
    world.until(lambda: workshop.box.post.unread == 1, 60.0, "it is fetched again")
    assert play(world, workshop, kitchen) == pytest.approx(1.0, abs=0.4)


def test_a_server_that_goes_on_lying_makes_it_lost_and_nothing_of_it_is_played(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    liar = LyingServer(world)
    liar.lie = lambda name, message: [
        BlobPart(message.request, message.blob, message.part, bytes(PART_BYTES))
        if isinstance(message, BlobPart)
        else message
    ]
    record(world, kitchen, 2.0)
    world.until(lambda: states(workshop, "kitchen") == ["lost"], 200.0, "it is given up")
    assert "not those that were sent" in str(voices(workshop, "kitchen")[0]["problem"])
    assert workshop.box.post.unread == 0
    world.run(0.1)
    assert workshop.store._sounds == {}
    assert states(kitchen, "workshop") == ["sent"], "it was never delivered"


def test_a_server_learns_a_step_and_not_the_length(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    liar = LyingServer(world)
    steps = []
    for number, seconds in enumerate((1.0, 9.0, 12.0), start=1):
        kitchen.ask("voice", contact="workshop", sound=spoken(seconds))
        world.until(lambda number=number: workshop.box.post.unread == number, 10.0, "it arrives")  # type: ignore[misc]
        steps.append(next(m.parts for _, m in reversed(liar.heard) if isinstance(m, BeginBlob)))
    assert steps == [1, 1, 2]
    assert set(steps) <= set(BLOB_STEPS)
    letters = [len(m.envelope.ciphertext) for _, m in liar.heard if isinstance(m, Submit) and m.envelope.cls == "mail"]
    assert len(set(letters[1:])) == 1


def test_a_server_of_before_voice_messages_is_told_nothing_of_them(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    liar = LyingServer(world)
    liar.lie = lambda name, message: [
        Welcome(message.session, message.tickets, message.server_time_ms, message.prekeys_left, True, message.rows)
        if isinstance(message, Welcome)
        else message
    ]
    kitchen.stop()
    kitchen.start()
    world.until(lambda: kitchen.box.core.link.up, 5.0, "it connects")
    record(world, kitchen, 1.0)
    world.until(lambda: states(kitchen, "workshop") == ["unsent"], 5.0, "it is told")
    assert voices(kitchen, "workshop")[0]["problem"] == "the server takes no voice messages"
    assert not [message for _, message in liar.heard if isinstance(message, BeginBlob)]
    del workshop


NONSENSE = {"cannot be played": b"noise" * 1000, "too long": ogg.write([b"\xfb\x06"] * 10_000)}


@pytest.mark.parametrize("words", NONSENSE)
def test_a_contact_who_sends_nonsense_is_found_out_and_nothing_sounds(world: World, words: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.box.voice_messages.keep("workshop", NONSENSE[words], 1000)
    kitchen.ask("status")
    world.until(lambda: states(workshop, "kitchen") == ["lost"], 10.0, "it is refused")
    assert words in str(voices(workshop, "kitchen")[0]["problem"])
    assert workshop.tones == []


def test_a_voice_message_of_somebody_unknown_is_dropped(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("allow", contact="kitchen", row="message")
    record(world, kitchen, 1.0)
    world.until(lambda: any(isinstance(item, VoiceItem) for item in workshop.box.post.threads.items()), 5.0, "here")
    world.run(3.0)
    workshop.box.people._contacts._contacts.pop("kitchen")  # a server that lets strangers through
    record(world, kitchen, 1.0)
    world.run(5.0)
    assert len(voices(workshop, "kitchen")) == 1


# --- deleting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["while it waits", "between its parts", "while its letter waits"])
def test_a_message_that_is_deleted_before_it_left_is_never_sent(world: World, when: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    long_message(world, kitchen)
    liar = LyingServer(world)
    if when == "while its letter waits":
        liar.lie = lambda name, message: [] if isinstance(message, Devices) and name == "kitchen" else [message]
    item_id = next(iter(kitchen.store._sounds))
    if when != "while it waits":
        world.network.restore("kitchen")
        parts = 2 if when == "between its parts" else 4
        world.until(lambda: sum(isinstance(m, PutPart) for _, m in liar.heard) == parts, 90.0, "parts")
        world.run(0.2 if parts == 4 else 0.0)
    kitchen.box.post.delete(item_id)
    kitchen.ask("status")
    liar.lie = lambda name, message: [message]
    if when == "while its letter waits":
        world.network.cut("kitchen")
        world.run(1.0)
    world.network.restore("kitchen")
    world.run(40.0)
    assert voices(workshop, "kitchen") == voices(kitchen, "workshop") == []
    assert kitchen.store._sounds == {}
    if when == "between its parts":
        assert world.server.store.open().blobs == ()


def test_a_message_that_is_deleted_takes_its_sound_along(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    record(world, kitchen, 1.0)
    arrived(world, workshop)
    (item,) = workshop.box.post.threads.voices("delivered")
    workshop.box.post.delete(item.id)
    workshop.ask("status")
    world.run(0.5)
    assert workshop.store._sounds == {}
    assert mark_of(kitchen, item.id.hex()) == "delivered"
