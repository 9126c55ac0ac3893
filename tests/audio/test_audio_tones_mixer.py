"""Tones and mixer: what is heard besides the voice, and never too loud."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.audio.mixer import MAXIMUM, Mixer
from callbox.audio.tones import Tone, Tones, tone_samples
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing.playout import hum, loudness


def played(tones: Tones, cycles: int) -> Samples:
    parts = [tones.cycle() for _ in range(cycles)]
    return np.concatenate([silence() if part is None else part for part in parts])


def test_ringback_is_425_hz_one_second_on_four_off() -> None:
    sound = tone_samples(Tone.RINGBACK)
    assert len(sound) == 5 * RATE_HZ
    spectrum = np.abs(np.fft.rfft(sound[:RATE_HZ].astype(float)))
    assert int(spectrum.argmax()) == 425
    assert not sound[RATE_HZ:].any()


@pytest.mark.parametrize(("tone", "on_s", "period_s"), [(Tone.BUSY, 0.5, 1.0), (Tone.CONGESTION, 0.25, 0.5)])
def test_cadence(tone: Tone, on_s: float, period_s: float) -> None:
    sound = tone_samples(tone)
    assert len(sound) == period_s * RATE_HZ
    assert loudness(sound[: int(on_s * RATE_HZ)]) > 1000
    assert not sound[int(on_s * RATE_HZ) :].any()


@pytest.mark.parametrize("tone", Tone)
def test_every_tone_is_whole_cycles_and_begins_and_ends_without_a_click(tone: Tone) -> None:
    sound = tone_samples(tone).astype(int)
    assert len(sound) % CYCLE_SAMPLES == 0
    assert loudness(tone_samples(tone)) > 200
    twice = np.concatenate((sound, sound))
    assert np.abs(np.diff(twice)).max() < 2500
    assert abs(sound[0]) < 2500


def test_no_two_tones_sound_alike() -> None:
    sounds = [tone_samples(tone).tobytes() for tone in Tone if tone is not Tone.RING_RISING]
    assert len(set(sounds)) == len(sounds)


def test_a_rising_ring_is_the_ring_louder_from_round_to_round() -> None:
    tones = Tones()
    tones.play(Tone.RING_RISING, repeat=True)
    length = len(tone_samples(Tone.RING))
    rounds = [loudness(played(tones, length // CYCLE_SAMPLES)) for _ in range(6)]
    assert rounds == sorted(rounds)
    assert rounds[0] == pytest.approx(0.1 * rounds[-1], rel=0.05)
    assert rounds[-1] == pytest.approx(loudness(tone_samples(Tone.RING)), rel=0.01)
    tones.play(Tone.RING_RISING, repeat=True)
    assert loudness(played(tones, length // CYCLE_SAMPLES)) == pytest.approx(rounds[0], rel=0.01), (
        "the next call begins softly"
    )


def test_repeating_tone_goes_on_until_stopped() -> None:
    tones = Tones()
    tones.play(Tone.RINGBACK, repeat=True)
    sound = played(tones, 1000)
    assert loudness(sound[5 * RATE_HZ : 6 * RATE_HZ]) > 1000
    tones.stop()
    assert tones.cycle() is None


def test_short_tones_wait_for_one_another_and_a_ring_gives_way() -> None:
    tones = Tones()
    tones.play(Tone.MUTE_ON)
    tones.play(Tone.MUTE_OFF)
    both = len(tone_samples(Tone.MUTE_ON)) + len(tone_samples(Tone.MUTE_OFF))
    sound = played(tones, both // CYCLE_SAMPLES)
    assert sound.tobytes() == tone_samples(Tone.MUTE_ON).tobytes() + tone_samples(Tone.MUTE_OFF).tobytes()
    assert not tones.playing
    tones.play(Tone.RING, repeat=True)
    tones.play(Tone.TICK)
    assert played(tones, 2).tobytes() == tone_samples(Tone.TICK).tobytes()
    tones.stop()
    assert not tones.playing


def test_voice_alone_passes_untouched() -> None:
    voice = hum(0.01)
    assert Mixer().mix(voice, None).tobytes() == voice.tobytes()
    assert not Mixer().mix(None, None).any()


def test_tone_ducks_the_voice_and_lets_it_come_back() -> None:
    mixer = Mixer()
    voice = hum(0.01)
    for _ in range(20):
        ducked = mixer.mix(voice, silence())
    assert loudness(ducked) == pytest.approx(0.25 * loudness(voice), rel=0.02)
    for _ in range(20):
        back = mixer.mix(voice, None)
    assert back.tobytes() == voice.tobytes()


def test_prompt_is_said_once_and_in_full() -> None:
    mixer = Mixer()
    prompt = hum(0.105)
    mixer.speak(prompt)
    said = np.concatenate([mixer.mix(None, None) for _ in range(12)])
    assert np.abs(said[: len(prompt)].astype(int) - prompt).max() <= 1
    assert not said[len(prompt) :].any()
    assert not mixer.speaking


def test_volume() -> None:
    mixer = Mixer()
    mixer.set_volume(0.5)
    mixer.mix(hum(0.01), None)
    assert loudness(mixer.mix(hum(0.01), None)) == pytest.approx(0.5 * loudness(hum(0.01)), rel=0.01)
    mixer.set_volume(0)
    mixer.mix(hum(0.01), None)
    assert not mixer.mix(hum(0.01), None).any()


@pytest.mark.parametrize("volume", [0.3, 0.8, 0.95, 1.0])
@pytest.mark.parametrize("level", [1000, 32_767])
def test_voice_alone_at_a_steady_volume(volume: float, level: int) -> None:
    mixer = Mixer()
    mixer.set_volume(volume)
    voice = np.where(np.arange(CYCLE_SAMPLES) % 2, level, -level).astype(np.int16)
    for _ in range(25):  # until the limiter has let go of the first, louder cycle
        made = mixer.mix(voice, None)
    assert np.abs(made.astype(int)).max() == pytest.approx(min(MAXIMUM, level * volume), abs=1.5)
    assert np.abs(made.astype(int)).max() <= MAXIMUM


@given(st.lists(st.tuples(st.integers(0, 32767), st.integers(0, 32767), st.floats(-1, 3)), min_size=1, max_size=15))
@settings(max_examples=80)
def test_never_above_the_maximum(cycles: list[tuple[int, int, float]]) -> None:
    mixer = Mixer()
    for voice_level, tone_level, volume in cycles:
        mixer.set_volume(volume)
        voice = (np.sign(hum(0.01).astype(int)) * voice_level).astype(np.int16)
        tone = np.full(CYCLE_SAMPLES, -tone_level, dtype=np.int16)
        mixer.speak(voice)
        assert np.abs(mixer.mix(voice, tone).astype(int)).max() <= MAXIMUM


def test_too_loud_is_made_quieter_not_cut() -> None:
    mixer = Mixer()
    loud = (hum(1.0).astype(float) / 9000 * 32767).clip(-32767, 32767).astype(np.int16)
    out = [mixer.mix(loud[at : at + 480], None) for at in range(0, 20 * 480, 480)]
    last = out[-1].astype(float)
    assert np.abs(last).max() <= MAXIMUM
    assert np.corrcoef(last, loud[19 * 480 : 20 * 480].astype(float))[0, 1] > 0.999


def test_a_short_tone_interrupts_a_repeating_one() -> None:
    tones = Tones()
    tones.play(Tone.RING, repeat=True)
    tones.play(Tone.MUTE_ON)
    tones.play(Tone.TICK)
    short = len(tone_samples(Tone.MUTE_ON)) + len(tone_samples(Tone.TICK))
    for _ in range(short // CYCLE_SAMPLES):
        tones.cycle()
    heard = [tones.cycle() for _ in range(10)]
    assert np.array_equal(np.concatenate([one for one in heard if one is not None]), tone_samples(Tone.RING)[:4800])
    tones.play(Tone.TICK)
    tones.stop()
    assert tones.cycle() is None
