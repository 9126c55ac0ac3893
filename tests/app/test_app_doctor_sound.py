"""What the doctor finds out about sound cards: whether they open, who may use them, what mutes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.made_up_machines import nobody_may, write
from audio.made_up_cards import plug
from callbox.app.doctor_known import MixerFacts, SpeechFacts, Trouble
from callbox.app.doctor_machine import Machine
from callbox.app.doctor_sound import look_at_mixer, look_at_sound, look_at_speech, muted_controls
from callbox.app.settings import SoundSettings, SpeechSettings
from callbox.base.errors import CallboxError
from callbox.base.frames import Samples, silence

CARDS = """ 0 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0
                      vc4-hdmi-0
 1 [Device         ]: USB-Audio - USB Audio Device
                      C-Media Electronics Inc. USB Audio Device at usb-3f980000.usb-1.2, full speed
"""


def failing(error: Exception) -> Any:
    def work(sound: SoundSettings) -> None:
        raise error

    return work


def test_sound_that_opens(tmp_path: Path) -> None:
    write(tmp_path, {"proc/asound/cards": CARDS, "dev/snd/pcmC1D0p": ""})
    asked: list[SoundSettings] = []
    sound = SoundSettings(input="Device", output="Device")
    facts = look_at_sound(sound, Machine(tmp_path), asked.append)
    assert asked == [sound]
    assert facts.cards == ("vc4hdmi0 (vc4-hdmi - vc4-hdmi-0)", "Device (USB-Audio - USB Audio Device)")
    assert (facts.trouble, facts.refused) == (None, False)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CallboxError("no sound input is called 'x'", "plug one in"), "no sound input"),
        (ImportError("libportaudio.so.2: cannot open shared object file"), "PortAudio library cannot be loaded"),
        (TimeoutError(), "does not answer"),
    ],
)
def test_sound_that_does_not_open(tmp_path: Path, error: Exception, words: str) -> None:
    facts = look_at_sound(SoundSettings(), Machine(tmp_path), failing(error))
    assert facts.trouble is not None
    assert words in facts.trouble.what
    assert facts.trouble.cure
    assert not facts.refused


def test_cards_that_this_user_may_not_use(tmp_path: Path) -> None:
    write(tmp_path, {"dev/snd/pcmC1D0p": "", "dev/snd/controlC1": ""})
    machine = Machine(tmp_path, may=nobody_may)
    assert look_at_sound(SoundSettings(), machine, failing(CallboxError("none"))).refused


def test_wav_files_instead_of_a_card_are_not_touched(tmp_path: Path) -> None:
    speaker = tmp_path / "heard.wav"
    speaker.write_bytes(b"kept")
    good = SoundSettings(backend="wav", input="", output=str(speaker))
    assert look_at_sound(good, Machine(tmp_path)).trouble is None
    assert speaker.read_bytes() == b"kept"
    for bad in (
        SoundSettings(backend="wav", input=str(tmp_path / "none.wav"), output=""),
        SoundSettings(backend="wav", input="", output=str(tmp_path / "no" / "heard.wav")),
    ):
        assert look_at_sound(bad, Machine(tmp_path)).trouble is not None


HEADSET = """Simple mixer control 'Speaker',0
  Capabilities: pvolume pswitch pswitch-joined
  Playback channels: Front Left - Front Right
  Limits: Playback 0 - 37
  Mono:
  Front Left: Playback 29 [78%] [-8.00dB] [on]
  Front Right: Playback 29 [78%] [-8.00dB] [on]
Simple mixer control 'Mic',0
  Capabilities: pvolume pvolume-joined cvolume cvolume-joined pswitch pswitch-joined cswitch cswitch-joined
  Limits: Playback 0 - 31 Capture 0 - 35
  Mono: Playback 16 [52%] [-7.00dB] [off] Capture 20 [57%] [8.00dB] [on]
Simple mixer control 'Auto Gain Control',0
  Capabilities: pswitch pswitch-joined
  Mono: Playback [on]
"""


@pytest.mark.parametrize(
    ("said", "speaker", "microphone"),
    [
        (HEADSET, [], []),
        ("", [], []),
        (HEADSET.replace("[-8.00dB] [on]", "[-8.00dB] [off]"), ["Speaker"], []),
        (HEADSET.replace("Playback 29 [78%]", "Playback 0 [0%]"), ["Speaker"], []),
        (HEADSET.replace("Left: Playback 29 [78%] [-8.00dB] [on]", "Left: Playback 0 [0%] [-8.00dB] [off]"), [], []),
        (HEADSET.replace("[8.00dB] [on]", "[8.00dB] [off]"), [], ["Mic"]),
    ],
)
def test_what_a_mixer_mutes(said: str, speaker: list[str], microphone: list[str]) -> None:
    assert (muted_controls(said, False), muted_controls(said, True)) == (speaker, microphone)


def test_the_mixers_of_the_cards_that_the_box_uses(tmp_path: Path) -> None:
    plug(tmp_path, 1, "Device", "1-1.2")
    plug(tmp_path, 2, "Device_1", "1-1.3")
    plug(tmp_path, 3, "Webcam", "1-1.4", "1:2")
    asked: list[str] = []

    def run(command: Sequence[str]) -> str:
        asked.append(command[2])
        return HEADSET.replace("[on]", "[off]")

    machine = Machine(tmp_path, run)
    facts = look_at_mixer(SoundSettings(input="webcam", output="Device"), machine)
    assert facts.muted == (("Webcam", "Mic", True), ("Device", "Speaker", False))
    assert facts.twins == (("Device", "usb:1-1.2"),)
    assert asked == ["Webcam", "Device"]
    assert look_at_mixer(SoundSettings(input="usb:1-1.3", output="usb:1-1.3"), machine).twins == ()
    assert len(look_at_mixer(SoundSettings(), machine).muted) == 6
    assert look_at_mixer(SoundSettings(backend="wav", input="", output=""), machine) == MixerFacts()


def test_a_voice_is_tried_unless_none_is_wanted() -> None:
    assert look_at_speech(SpeechSettings(voice="none")) == SpeechFacts(False)
    said: list[str] = []

    class Quiet:
        def say(self, text: str, language: str) -> Samples:
            said.append(language)
            return silence(1)

    assert look_at_speech(SpeechSettings(language="de"), lambda name, **options: Quiet()) == SpeechFacts(True)
    assert said == ["de"]

    def missing(name: str, **options: object) -> Quiet:
        raise CallboxError("espeak-ng is not installed", "install it")

    trouble = look_at_speech(SpeechSettings(), missing).trouble
    assert trouble == Trouble("espeak-ng is not installed", "install it")
