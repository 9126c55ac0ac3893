"""Voice messages as files: what may be sent, how it is handed out, and what is said of everything else."""

import base64
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from callbox.app.commands.voices import read_voice, write_new
from callbox.app.main import main
from callbox.audio import ogg
from callbox.audio.codecs import open_codec
from callbox.audio.devices.wav import write_wav
from callbox.audio.recorder import MOST_S, encode
from callbox.base.errors import CallboxError, WrongUse
from callbox.base.frames import RATE_HZ
from callbox.conversations.stores import PutItem
from callbox.testing.box import SimulatedBox
from callbox.testing.playout import hum
from callbox.testing.world import World

OGG = ogg.write(encode(open_codec(), hum(1.0)))


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def arrived(world: World, sender: SimulatedBox, receiver: SimulatedBox) -> str:
    """Send a file and return the id under which it came."""
    sent = sender.ask("voice", contact=receiver.name, sound=encoded(OGG))
    assert (sent["ok"], sent["state"]) == (True, "queued")
    assert sender.ask("sent", **sent)["state"] in ("sent", "delivered")
    world.until(lambda: receiver.box.post.unread == 1, 5.0, "it arrives")
    return str(sent["id"])


def test_a_file_comes_out_as_it_went_in(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    number = arrived(world, kitchen, workshop)
    for box in (kitchen, workshop):
        reply = box.ask("sound", id=number[:8].upper())
        assert (reply["id"], base64.b64decode(reply["sound"])) == (number, OGG)
    assert workshop.thread("kitchen")[0]["duration_s"] == 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin"),
        (b"RIFF" + bytes(99), "not an Ogg"),
        (OGG[:-5], "ends in the middle"),
        (ogg.write(encode(open_codec(), hum(1.0)) * (MOST_S + 2)), "too long"),
        (ogg.write([b"\xfb\x01" + bytes(1400)] * 1500), "too long"),
    ],
)
def test_what_is_no_voice_message_is_refused_in_words(world: World, content: bytes, words: str) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    reply = kitchen.ask("voice", contact="workshop", sound=encoded(content))
    assert not reply["ok"]
    assert words in reply["error"]
    assert kitchen.thread("workshop") == []


def test_nobody_gets_one_who_is_not_known(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    for contact in ("attic", "kitchen", "x" * 300, "Üñ€/../"):
        assert not kitchen.ask("voice", contact=contact, sound=encoded(OGG))["ok"]
    assert "understood" in kitchen.ask("voice", contact="workshop")["error"]
    assert "no voice message" in kitchen.ask("voice", contact="workshop", sound="###")["error"]


def test_one_is_asked_for_by_as_much_of_its_number_as_tells_it_apart(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    arrived(world, kitchen, workshop)
    for prefix, words in (("", "No voice message"), ("zz", "No voice message"), ("0" * 40, "No voice message")):
        assert words in workshop.ask("sound", id=prefix)["error"]
    for _ in range(20):
        workshop.ask("voice", contact="kitchen", sound=encoded(OGG))
    numbers = [str(item["id"]) for item in workshop.thread("kitchen")]
    twice = next(digit for digit in "0123456789abcdef" if sum(number.startswith(digit) for number in numbers) > 1)
    assert "Several voice messages" in workshop.ask("sound", id=twice)["error"]


def test_one_that_is_still_coming_is_not_handed_out(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    number = arrived(world, kitchen, workshop)
    threads = workshop.box.post.threads
    (item,) = threads.voices("delivered")
    threads.drop([PutItem(msgspec.structs.replace(item, state="coming"))])
    assert "not here" in workshop.ask("sound", id=number)["error"]


# --- the command line ------------------------------------------------------------------------------------------------


def test_a_wav_file_becomes_a_voice_message(tmp_path: Path) -> None:
    write_wav(tmp_path / "said.wav", hum(2.0))
    assert ogg.read(read_voice(tmp_path / "said.wav")).duration_ms == pytest.approx(2000, abs=20)
    (tmp_path / "said.ogg").write_bytes(OGG)
    assert read_voice(tmp_path / "said.ogg") == OGG


def test_files_that_cannot_be_one_are_refused_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    write_wav(tmp_path / "long.wav", np.zeros(RATE_HZ * (MOST_S + 1), np.int16))
    write_wav(tmp_path / "empty.wav", np.zeros(0, np.int16))
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(200 * 1024 * 1024)
    said = {}
    for name in ("text", "long.wav", "empty.wav", "huge", "missing", "."):
        with pytest.raises(CallboxError) as refused:
            read_voice(tmp_path / name)
        said[name] = f"{refused.value.what} {refused.value.cure}"
    assert "ffmpeg" in said["text"]
    assert "301 s" in said["long.wav"]
    assert "no sound" in said["empty.wav"]
    assert "too large" in said["huge"]
    assert "No such file" in said["missing"]
    assert "Is a directory" in said["."]


def test_a_sound_is_written_into_a_new_file_of_ones_own(tmp_path: Path) -> None:
    write_new(tmp_path / "new.ogg", OGG)
    assert (tmp_path / "new.ogg").read_bytes() == OGG
    assert (tmp_path / "new.ogg").stat().st_mode & 0o777 == 0o600
    with pytest.raises(WrongUse, match="there already"):
        write_new(tmp_path / "new.ogg", b"other")
    assert (tmp_path / "new.ogg").read_bytes() == OGG
    with pytest.raises(CallboxError, match="No such file"):
        write_new(tmp_path / "nowhere" / "new.ogg", OGG)


def test_a_full_disk_leaves_no_half_file() -> None:
    with pytest.raises(CallboxError, match=r"there already|No space"):
        write_new(Path("/dev/full"), OGG)


@pytest.mark.parametrize("words", [[], ["tea?", "--voice", "a.wav"]])
def test_a_message_is_a_text_or_a_file(words: list[str], capsys: pytest.CaptureFixture[Any], tmp_path: Path) -> None:
    assert main(["message", "workshop", *words, "--home", str(tmp_path)]) == 2
    assert "What is the message?" in capsys.readouterr().err


def test_a_sound_that_is_still_being_written_waits(world: World) -> None:
    """Another message is through, or the link comes back, at that very moment: the card's own is not taken for bad."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.disk_s = 1.0
    kitchen.ask_later("voice", contact="workshop", sound=encoded(OGG))
    kitchen.box.voice_messages.uploads.pump()
    kitchen.ask("status")
    world.until(lambda: workshop.box.post.unread == 1, 30.0, "it arrives")
    world.run(10.0)
    assert [item["state"] for item in kitchen.thread("workshop")] == ["delivered"]
