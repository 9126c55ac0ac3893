"""Recording and playing voice messages: the live light tells the truth, the tone is not in it, nothing is lost."""

import numpy as np
import pytest

from audio.test_audio_engine import Box, as_is
from callbox.audio.codecs import open_codec
from callbox.audio.devices.simulated import SimulatedCard
from callbox.audio.facts import (
    CheckSound,
    CloseSound,
    Fact,
    LiveChanged,
    OpenSound,
    Play,
    PlaySound,
    Recorded,
    SetCapture,
    SoundLost,
    SpeechEnded,
    StartMedia,
    StartRecording,
    StopRecording,
    StopSpeech,
)
from callbox.audio.ogg import Sound
from callbox.audio.recorder import encode, unfold
from callbox.audio.tones import Tone
from callbox.base.frames import CYCLE_SAMPLES, Samples
from callbox.testing.playout import hum, loudness

CODEC = open_codec()


def recorder(capture: bool = True) -> Box:
    """Return an idle box whose microphone hums all the time."""
    box = Box(card=SimulatedCard("card", microphone=lambda: hum(0.01)))
    box.engine.command(CheckSound("card", "card"))
    box.engine.command(SetCapture(capture))
    box.run(0.1)
    return box


def record(box: Box, seconds: float, most_s: float = 300) -> list[Fact]:
    for command in (Play(Tone.RECORD), StartRecording(most_s)):
        box.engine.command(command)
    box.run(seconds)
    box.engine.command(StopRecording())
    box.run(0.5)
    return box.told(Recorded)


def heard(recorded: Fact) -> Samples:
    assert isinstance(recorded, Recorded)
    return np.concatenate([np.zeros(0, np.int16), *unfold(CODEC, Sound(recorded.packets))])


def test_what_is_said_after_the_tone_is_recorded_and_the_card_let_go_of() -> None:
    box = recorder()
    (recorded,) = record(box, 2.0)
    sound = heard(recorded)
    assert 1.4 < len(sound) / 48_000 < 1.7, "the tone and a moment after it are not in it"
    assert loudness(sound[9600:]) == pytest.approx(loudness(hum(0.02)), rel=0.3)
    assert box.engine._device is None
    assert box.engine.cycle(box.now) == float("inf") or box.engine._check is not None


def test_live_is_lit_exactly_while_samples_go_into_it() -> None:
    box = recorder()
    for command in (Play(Tone.RECORD), StartRecording(300)):
        box.engine.command(command)
    box.run(0.3)
    assert box.told(LiveChanged) == []
    box.run(1.0)
    assert box.told(LiveChanged) == [LiveChanged(True)]
    box.engine.command(StopRecording())
    box.run(0.02)
    assert box.told(LiveChanged) == [LiveChanged(True), LiveChanged(False)]
    box.engine.command(StartMedia(as_is, as_is))
    box.run(0.5)
    assert box.told(LiveChanged)[2:] == [], "the gate is shut again: a call opens it for itself"


def test_a_shut_gate_lets_nothing_into_it() -> None:
    box = recorder(capture=False)
    assert record(box, 2.0) == [Recorded((), "stopped")]
    assert box.told(LiveChanged) == []


def test_a_gate_that_shuts_ends_what_goes_into_it() -> None:
    box = recorder()
    for command in (StartRecording(300),):
        box.engine.command(command)
    box.run(1.0)
    box.engine.command(SetCapture(False))
    box.run(0.02)
    assert box.told(LiveChanged)[-1] == LiveChanged(False)
    box.run(2.0)
    box.engine.command(StopRecording())
    box.run(0.1)
    assert 0.8 < len(heard(box.told(Recorded)[0])) / 48_000 < 1.0


def test_it_ends_by_itself_when_it_is_full() -> None:
    box = recorder()
    recorded = record(box, 3.0, most_s=1.0)
    assert [(len(fact.packets), fact.ended) for fact in recorded if isinstance(fact, Recorded)] == [(50, "full")]


def test_a_lost_card_ends_it_and_keeps_what_was_said() -> None:
    box = recorder()
    box.engine.command(StartRecording(300))
    box.run(1.0)
    box.card.unplug()
    box.run(2.0)
    box.engine.command(StopRecording())
    box.run(0.1)
    (recorded,) = box.told(Recorded)
    assert isinstance(recorded, Recorded)
    assert recorded.ended == "lost"
    assert 0.8 < len(heard(recorded)) / 48_000 < 1.0


def test_without_a_card_there_is_nothing_and_it_says_so() -> None:
    box = recorder()
    box.card.unplug()
    assert record(box, 1.0) == [Recorded((), "lost")]
    assert len(box.told(SoundLost)) == 1
    assert record(box, 1.0)[1:] == [Recorded((), "lost")]


def test_a_call_that_begins_ends_it() -> None:
    box = recorder()
    box.engine.command(StartRecording(300))
    box.run(1.0)
    box.engine.command(OpenSound("card", "card"))
    box.engine.command(StartMedia(as_is, as_is))
    box.run(0.5)
    (recorded,) = box.told(Recorded)
    assert 0.8 < len(heard(recorded)) / 48_000 < 1.0


def test_closing_sound_ends_it_too() -> None:
    box = recorder()
    box.engine.command(StartRecording(300))
    box.run(1.0)
    box.engine.command(CloseSound())
    box.run(0.1)
    assert [type(fact) for fact in box.told(Recorded)] == [Recorded]


def test_a_voice_message_is_played_to_its_end_and_told() -> None:
    box = recorder()
    box.engine.command(PlaySound(Sound(encode(CODEC, hum(1.5))), ticket=7))
    box.run(1.4)
    assert box.told(SpeechEnded) == []
    assert loudness(box.card.heard()[-9600:]) > 1000
    box.run(0.5)
    assert box.told(SpeechEnded) == [SpeechEnded(7, True)]
    assert box.engine._device is None


def test_a_voice_message_that_is_hushed_was_not_heard() -> None:
    box = recorder()
    box.engine.command(PlaySound(Sound(encode(CODEC, hum(1.5))), ticket=7))
    box.run(0.5)
    box.engine.command(StopSpeech())
    box.run(0.1)
    assert box.told(SpeechEnded) == [SpeechEnded(7, False)]
    assert not box.card.heard()[-CYCLE_SAMPLES:].any()
