"""Measuring a call: delays that were put in are found, and so is what is missing."""

import numpy as np
import pytest

from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples, silence
from callbox.testing import virtual_card, voice
from callbox.testing.measure import intelligibility, mouth_to_ear


def speechlike(seconds: float) -> Samples:
    """Noise in syllables, never the same twice."""
    random = np.random.default_rng(5)
    rough = random.normal(0, 1, int(seconds * RATE_HZ))
    smooth = np.convolve(rough, np.hanning(40), "same")
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 3.1 * np.arange(len(smooth)) / RATE_HZ)
    sound: Samples = (smooth / np.abs(smooth).max() * syllables * 15_000).astype(np.int16)
    return sound


@pytest.mark.parametrize("delay_ms", [0, 41.5, 250, 900])
@pytest.mark.parametrize("offset_s", [0.0, 0.12, -0.2])
def test_a_known_delay_is_found(delay_ms: float, offset_s: float) -> None:
    sent = speechlike(6)
    shift = round((delay_ms / 1000 - offset_s) * RATE_HZ)
    heard = np.concatenate((silence(shift), sent)) if shift >= 0 else sent[-shift:]
    found = mouth_to_ear(sent, heard, offset_s)
    assert found.median_ms == pytest.approx(delay_ms, abs=0.2)
    assert found.p95_ms == pytest.approx(delay_ms, abs=0.2)
    assert found.missing <= (1 if shift < 0 else 0)


def test_delay_that_changes_shows_in_p95() -> None:
    sent = speechlike(16)
    heard = np.concatenate((sent[: 13 * RATE_HZ], silence(4800), sent[13 * RATE_HZ :]))
    found = mouth_to_ear(sent, heard)
    assert found.median_ms == pytest.approx(0, abs=0.2)
    assert found.p95_ms == pytest.approx(100, abs=0.2)


def test_a_delay_that_changes_in_the_midst_of_a_piece_does_not_lose_it() -> None:
    sent = speechlike(8)
    cut = round(4.4 * RATE_HZ)  # the middle of the sixth piece
    heard = np.concatenate((sent[:cut], silence(120), sent[cut:]))
    found = mouth_to_ear(sent, heard)
    assert found.missing == 0
    assert found.p95_ms == pytest.approx(2.5, abs=0.2)


def test_what_did_not_arrive_is_missing() -> None:
    sent = speechlike(8)
    heard = sent.copy()
    heard[3 * RATE_HZ : 5 * RATE_HZ] = 0
    found = mouth_to_ear(sent, heard)
    assert 2 <= found.missing <= 3
    assert found.pieces == 9
    nothing = mouth_to_ear(sent, silence(8 * RATE_HZ))
    assert nothing.missing == nothing.pieces
    assert np.isnan(nothing.median_ms)


def test_a_change_of_delay_is_not_taken_for_damage_but_a_hole_is() -> None:
    sent = speechlike(8)
    shifted = np.concatenate((sent[: 4 * RATE_HZ], silence(960), sent[4 * RATE_HZ :]))
    holes = sent.copy()
    for at in range(0, len(holes), 9600):
        holes[at : at + 2400] = 0
    assert intelligibility(sent, shifted) > 0.98
    assert intelligibility(sent, holes) < 0.9
    assert intelligibility(sent, silence(8 * RATE_HZ)) < 0.3


def test_intelligibility_falls_with_noise() -> None:
    sent = speechlike(4)
    noise = np.random.default_rng(6).normal(0, 6000, len(sent))
    good = intelligibility(sent, np.concatenate((silence(3000), sent)))
    bad = intelligibility(sent, np.clip(sent + noise, -32768, 32767).astype(np.int16))
    assert good > 0.99
    assert bad < 0.9


def test_a_voice_is_found_and_cut_to_length() -> None:
    found = voice.find_voice(3)
    assert len(found.samples) == 3 * RATE_HZ
    assert float(np.sqrt(np.mean(found.samples.astype(float) ** 2))) > 300


def test_no_voice_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("_from_pocketsphinx", "_from_asterisk", "_from_espeak"):
        monkeypatch.setattr(voice, source, lambda: None)
    with pytest.raises(CallboxError, match="pocketsphinx-testdata"):
        voice.find_voice()


@pytest.mark.parametrize("source", ["_from_pocketsphinx", "_from_asterisk", "_from_espeak"])
def test_every_source_of_voice_gives_speech_or_nothing(source: str) -> None:
    found = getattr(voice, source)()
    assert found is None or len(found.samples) > RATE_HZ


def test_missing_pulseaudio_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    with pytest.raises(CallboxError, match="sudo apt install pulseaudio"), virtual_card.VirtualCard():
        pass


@pytest.mark.real
def test_a_virtual_card_plays_records_and_leaves_nothing_behind() -> None:
    sound = speechlike(2)
    with virtual_card.VirtualCard(["attic"]) as card:
        recorder = card.record_microphone("attic")
        card.play("attic", sound).wait(10)
        heard = recorder.stop()
        processes = list(card._processes)
        folder = card.folder
    assert mouth_to_ear(sound, heard).missing == 0
    assert all(process.poll() is not None for process in processes)
    assert not folder.exists()
