"""The contract of the voices, run over every member; what hostile texts do to espeak-ng; speech in the engine."""

import os
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.audio.devices.simulated import SimulatedCard, SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import CheckSound, CloseSound, Fact, OpenSound, PlaySpeech, SetVolume, SpeechEnded, StopSpeech
from callbox.audio.mixer import MAXIMUM, Mixer
from callbox.audio.speech import MOST_CHARACTERS, SpeechFault, Voice, harmless, open_voice
from callbox.audio.speech.espeak import HEADER_BYTES
from callbox.audio.speech.simulated import Ear, SimulatedVoice
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing.playout import hum, loudness

needs_espeak = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")

HOSTILE = [
    "-f /etc/passwd",
    "--help",
    "<speak><break time='60s'/><audio src='/etc/passwd'/></speak>",
    "[[h@l'oU]]",
    "\x01400S\x01b\x00 \x1b]0;title\x07",
    "\ud800\udfff \ufffe \U000f0000",
    "\u202e\u200b\ufeff\u2028\u2029",
    "a" * 40_000,
    "9" * 40_000,
    "!?.," * 10_000,
    "مرحبا שלום 你好 ఠ్ఠ Z̸̡̛a̸l̷g̵o 👩‍👩‍👧‍👦",
    "$(reboot) `reboot` ; reboot | reboot\n\n\n\r\n",
]


# --- the contract ------------------------------------------------------------------------------------------------


@pytest.fixture(params=[pytest.param("espeak", marks=needs_espeak), "simulated"])
def voice(request: pytest.FixtureRequest) -> Voice:
    return open_voice(request.param)


def test_a_sentence_becomes_sound(voice: Voice) -> None:
    samples = voice.say("Dinner is ready.", "en")
    assert samples.dtype == np.int16
    assert samples.ndim == 1
    assert 0.1 * RATE_HZ < len(samples) < 4 * RATE_HZ
    assert loudness(samples) > 300


def test_the_same_words_sound_alike_and_others_do_not(voice: Voice) -> None:
    once, again, other = (voice.say(text, "en") for text in ("kitchen", "kitchen", "workshop"))
    assert once.tobytes() == again.tobytes()
    assert once.tobytes() != other.tobytes()


@pytest.mark.parametrize("text", ["", "   ", "\x00\x01"])
def test_nothing_to_say_is_no_sound_and_no_fault(voice: Voice, text: str) -> None:
    assert len(voice.say(text, "en")) == 0


@pytest.mark.parametrize("text", HOSTILE)
def test_what_anybody_may_write_is_said_or_left_out_in_bounded_time(voice: Voice, text: str) -> None:
    samples = voice.say(text, "de")
    assert len(samples) <= 121 * RATE_HZ


def test_a_voice_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(CallboxError, match="espeak, none, simulated"):
        open_voice("hal9000")


def test_no_voice_says_so_for_good() -> None:
    with pytest.raises(SpeechFault) as told:
        open_voice("none").say("hello", "en")
    assert told.value.lasting


@given(st.text())
def test_harmless_text_holds_nothing_that_a_synthesizer_obeys(text: str) -> None:
    plain = harmless(text)
    assert len(plain) <= MOST_CHARACTERS
    assert plain == " ".join(plain.split())
    assert "[" not in plain
    assert all(character == " " or character.isprintable() for character in plain)
    assert harmless(plain) == plain


def test_harmless_text_keeps_words_as_they_are() -> None:
    for text in ("Dinner is ready, at 18:30!", "Überraschung – für dich", "晩ご飯", "a-b_c (d) <e> & f"):
        assert harmless(text) == text


# --- espeak-ng ---------------------------------------------------------------------------------------------------


def program(folder: Path, script: str) -> str:
    path = folder / "espeak-ng"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_text_goes_in_by_standard_input_alone(tmp_path: Path) -> None:
    seen, said = tmp_path / "arguments", tmp_path / "said"
    fake = program(tmp_path, f'printf "%s\\n" "$@" > {seen}; cat > {said}; exit 3')
    with pytest.raises(SpeechFault):
        open_voice("espeak", program=fake).say("-f /etc/passwd", "en")
    assert said.read_text() == "-f /etc/passwd"
    assert "-f" not in seen.read_text().splitlines()
    assert "--stdin" in seen.read_text().splitlines()
    assert "-m" not in seen.read_text().splitlines(), "no markup"


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    fake = program(tmp_path, f"echo $$ > {pid}; exec sleep 60")
    start = time.monotonic()
    with pytest.raises(SpeechFault, match="took longer"):
        open_voice("espeak", program=fake, patience_s=0.3).say("hello", "en")
    assert time.monotonic() - start < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("cat > /dev/null; echo 'no such voice' >&2; exit 1", "no such voice"),
        ("cat > /dev/null; exit 0", "exit code 0"),
        ("cat > /dev/null; head -c 5000 /dev/zero", "not speech"),
    ],
)
def test_one_that_fails_is_told_in_words_and_may_work_the_next_time(tmp_path: Path, script: str, words: str) -> None:
    with pytest.raises(SpeechFault, match=words) as told:
        open_voice("espeak", program=program(tmp_path, script)).say("hello", "en")
    assert not told.value.lasting


def test_one_that_is_missing_is_told_with_its_cure() -> None:
    with pytest.raises(SpeechFault, match="apt install espeak-ng") as told:
        open_voice("espeak", program="/nowhere/espeak-ng").say("hello", "en")
    assert told.value.lasting


@pytest.mark.parametrize("language", ["", "en; reboot", "-v", "../../etc", "e" * 50])
def test_a_language_is_a_name_and_nothing_else(language: str) -> None:
    with pytest.raises(SpeechFault):
        open_voice("espeak").say("hello", language)


def test_a_variant_is_a_name_and_nothing_else() -> None:
    with pytest.raises(SpeechFault):
        open_voice("espeak", variant="../f3")


@needs_espeak
def test_espeak_speaks_languages_variants_and_speeds() -> None:
    plain = open_voice("espeak").say("one two three four five", "en")
    fast = open_voice("espeak", words_per_minute=320).say("one two three four five", "en")
    female = open_voice("espeak", variant="f3").say("one two three four five", "en")
    german = open_voice("espeak").say("one two three four five", "de")
    assert len(fast) < 0.7 * len(plain)
    assert len({sound.tobytes() for sound in (plain, fast, female, german)}) == 4


@needs_espeak
def test_espeak_sounds_as_it_was_made_after_the_change_of_rate() -> None:
    """Speech of 22,050 Hz has nothing above 11 kHz; a bad change of rate would mirror it there."""
    spectrum = np.abs(np.fft.rfft(open_voice("espeak").say("She sells sea shells.", "en").astype(float)))
    at_hz = np.linspace(0, RATE_HZ / 2, len(spectrum))
    assert spectrum[at_hz > 12_000].max() < 0.003 * spectrum.max()
    assert HEADER_BYTES == 44


# --- the simulated voice and its ear -------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.text(min_size=1, max_size=60), st.floats(0.1, 1.0))
def test_the_ear_reads_what_left_the_speaker(text: str, volume: float) -> None:
    mixer, ear = Mixer(), Ear()
    mixer.set_volume(volume)
    samples = SimulatedVoice().say(text, "en")
    mixer.speak(samples)
    for _ in range(len(samples) // CYCLE_SAMPLES + 2):
        ear.hear(mixer.mix(hum(0.01), None))
    plain = harmless(text)
    assert ear.words == ([plain.encode("utf-8", "replace").decode()] if plain else [])


def test_the_ear_knows_what_was_cut_off() -> None:
    ear, samples = Ear(), SimulatedVoice().say("hello there", "en")
    for begin in range(0, 6 * CYCLE_SAMPLES, CYCLE_SAMPLES):
        ear.hear(samples[begin : begin + CYCLE_SAMPLES])
    ear.hear(silence())
    assert ear.words == ["hello…"]


# --- in the engine -------------------------------------------------------------------------------------------------


class Desk:
    """An engine on a simulated card."""

    def __init__(self) -> None:
        self.card = SimulatedCard("card")
        self.facts: list[Fact] = []
        self.engine = Engine(SimulatedDevices([self.card]), self.facts.append)
        self.now = 0.0
        self.engine.command(CheckSound("card", "card"))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.engine.cycle(self.now)
            self.now += 0.01

    def ended(self) -> list[tuple[int, bool]]:
        return [(fact.ticket, fact.whole) for fact in self.facts if isinstance(fact, SpeechEnded)]


def test_speech_is_whole_when_its_last_sample_was_played() -> None:
    desk = Desk()
    for ticket in (7, 8):
        desk.engine.command(PlaySpeech(hum(0.5), ticket))
    desk.run(0.45)
    assert desk.ended() == []
    desk.run(0.15)
    assert desk.ended() == [(7, True)]
    desk.run(1.0)
    assert desk.ended() == [(7, True), (8, True)]
    assert desk.card.opened == 0, "the card is let go of"


@pytest.mark.parametrize("cut", [StopSpeech(), CloseSound()])
def test_speech_that_is_cut_off_was_not_whole(cut: StopSpeech | CloseSound) -> None:
    desk = Desk()
    desk.engine.command(PlaySpeech(hum(0.5), 7))
    desk.run(0.2)
    desk.engine.command(cut)
    desk.run(1.0)
    assert desk.ended() == [(7, False)]


@pytest.mark.parametrize("in_call", [False, True])
def test_speech_without_a_speaker_was_not_whole(in_call: bool) -> None:
    desk = Desk()
    desk.run(0.1)
    if in_call:
        desk.engine.command(OpenSound("card", "card"))
        desk.run(0.1)
    desk.card.unplug()
    desk.run(0.1)
    desk.engine.command(PlaySpeech(hum(0.5), 7))
    desk.run(8.0)
    if in_call:  # without a media session nothing is mixed; it waits for the card
        assert desk.ended() == []
        desk.engine.command(CloseSound())
        desk.run(0.1)
    assert desk.ended() == [(7, False)]


def test_empty_speech_ends_at_once() -> None:
    desk = Desk()
    desk.engine.command(PlaySpeech(silence(0), 7))
    desk.run(0.1)
    assert desk.ended()[0][0] == 7


@given(st.floats(0, 1), st.integers(1, 4))
@settings(max_examples=20)
def test_speech_is_never_louder_than_the_maximum_and_ducks_the_voice(volume: float, pieces: int) -> None:
    mixer = Mixer()
    mixer.set_volume(volume)
    loud: Samples = np.full(CYCLE_SAMPLES * 6, 32_767, dtype=np.int16)
    for _ in range(pieces):
        mixer.speak(loud)
    for _ in range(6 * pieces):
        assert int(np.abs(mixer.mix(loud[:CYCLE_SAMPLES], None).astype(int)).max()) <= MAXIMUM


def test_the_volume_holds_for_speech_too() -> None:
    desk = Desk()
    desk.engine.command(SetVolume(0.0))
    desk.run(0.1)
    desk.engine.command(PlaySpeech(hum(0.5), 7))
    desk.run(0.3)
    assert not desk.card.heard()[2 * CYCLE_SAMPLES :].any()
