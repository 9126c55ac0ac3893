"""The simulated room: it does what it says, exactly again from the same seed; and the scores made in it."""

import numpy as np
import pytest

from callbox.audio.cleaning import Cleaning
from callbox.audio.echo import open_canceller
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing import echo_scores
from callbox.testing.bench.echo import line
from callbox.testing.echo_scores import Scene, act, score
from callbox.testing.playout import hum, loudness
from callbox.testing.room import Room, Surroundings, impulse_response, pink_noise


def heard(surroundings: Surroundings, sound: Samples) -> Samples:
    """Play a sound in a room, with nobody else in it; return what the microphone gets."""
    room, out = Room(surroundings), []
    for at in range(0, len(sound), CYCLE_SAMPLES):
        out.append(room.hear())
        room.play(sound[at : at + CYCLE_SAMPLES])
    return np.concatenate(out)


def click(at_s: float = 0.1, lasts_s: float = 1.0) -> Samples:
    sound = silence(round(lasts_s * RATE_HZ))
    sound[round(at_s * RATE_HZ)] = 20_000
    return sound


@pytest.mark.parametrize("delay_ms", [20, 75, 300])
def test_the_loudspeaker_is_heard_after_the_devices_delay(delay_ms: int) -> None:
    out = heard(Surroundings(delay_ms=delay_ms, noise_db=-96), click())
    assert np.argmax(np.abs(out.astype(int))) == (100 + delay_ms) * RATE_HZ // 1000


def test_a_room_sounds_after_and_longer_if_its_walls_swallow_less() -> None:
    shorter, longer = impulse_response(0.15, 0.5, 1), impulse_response(0.6, 0.5, 1)
    late = RATE_HZ // 10
    assert np.sum(shorter**2) == pytest.approx(1.0)
    assert 0 < np.sum(shorter[late:] ** 2) < np.sum(longer[late:] ** 2) / 4


def test_loudness_limit_noise_and_seed() -> None:
    sound = np.clip(pink_noise(RATE_HZ, -20, 3), -32768, 32767).astype(np.int16)
    plain = heard(Surroundings(echo_db=-12, noise_db=-96), sound)
    assert 20 * np.log10(loudness(plain) / loudness(sound)) == pytest.approx(-12, abs=2)
    clipped = heard(Surroundings(echo_db=-12, noise_db=-96, clips_at=0.05), sound)
    assert loudness(clipped) < loudness(plain) / 2
    noise = heard(Surroundings(noise_db=-40), silence(RATE_HZ))
    assert loudness(noise) == pytest.approx(32768 * 10 ** (-40 / 20), rel=0.2)
    again, other = (heard(Surroundings(seed=seed), sound) for seed in (1, 2))
    assert np.array_equal(again, heard(Surroundings(), sound))
    assert not np.array_equal(again, other)


def test_another_clock_lets_the_echo_wander() -> None:
    out = heard(Surroundings(drift_ppm=1000, noise_db=-96), click(1.5, 2.0)).astype(int)
    assert np.argmax(np.abs(out)) == pytest.approx(1.54 * RATE_HZ - 74, abs=2)


@pytest.mark.soak
def test_scores_of_no_canceller_and_of_a_perfect_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging speech takes three seconds."""
    monkeypatch.setattr(echo_scores, "_PARTS", tuple(seconds * RATE_HZ for seconds in (1, 1, 2, 2, 2)))
    far, near = (np.clip(pink_noise(2 * RATE_HZ, -25, seed), -32768, 32767).astype(np.int16) for seed in (1, 2))
    scene = Scene("plain", Surroundings())
    take = act(Cleaning(open_canceller("none"), gain=False), scene, far, near)
    none = score(take)
    assert none.erle_db == pytest.approx(0, abs=0.1)
    assert none.converged_s is None
    perfect = score(echo_scores.Take(take.heard, take.echo, take.person, take.heard - take.echo, 0.0))
    assert perfect.erle_db > 30
    assert perfect.both_stoi > none.both_stoi
    assert perfect.both_loss_db == pytest.approx(0, abs=0.5)
    assert line(scene, "none", none).startswith("| plain | none | 0 dB | never |")


def test_the_room_hears_a_hum_as_it_is_said() -> None:
    room = Room(Surroundings(noise_db=-96))
    room.say(hum(0.1))
    out = np.concatenate([room.hear() for _ in range(10)])
    assert np.abs(out.astype(int) - hum(0.1)).max() <= 2
