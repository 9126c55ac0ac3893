"""A simulated room around a box: its loudspeaker reaches its microphone, a person speaks, there is noise.

    play(cycle) -> loudspeaker (soft clipping) -> device delay, its clock -> walls (image sources) --+
    the person -> say(samples) ----------------------------------------------------------------------+-> hear()
    noise (seeded, pink) ----------------------------------------------------------------------------+

The impulse response is that of a shoebox room after Allen and Berkley (J. Acoust. Soc. Am. 65, 1979): mirror images of
the loudspeaker, each weaker by what the walls swallow. Everything repeats exactly from its seed.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from callbox.audio.devices.simulated import SimulatedCard
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence

Floats = NDArray[np.float64]
SOUND_M_S = 343.0
FULL_SCALE = 32768.0
_BLOCK = 1 << 14
_RESPONSE = _BLOCK - CYCLE_SAMPLES


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a box stands in. `delay_ms`: of the sound device, both directions together, from play to hear.

    `echo_db`: how much weaker the loudspeaker's voice is at the microphone than what was played. `clips_at`: the share
    of full scale above which the loudspeaker distorts. `drift_ppm`: by how much the loudspeaker's clock is faster
    than the microphone's. `noise_db`: in dB of full scale. `reverberation_s`: until the room's sound is 60 dB down.
    `apart_m`: from loudspeaker to microphone; the farther, the more of the echo is the room's.
    """

    delay_ms: float = 40.0
    echo_db: float = -6.0
    clips_at: float = 1.0
    drift_ppm: float = 0.0
    noise_db: float = -70.0
    reverberation_s: float = 0.25
    apart_m: float = 0.12
    seed: int = 1


@lru_cache(maxsize=8)
def impulse_response(reverberation_s: float, apart_m: float, seed: int) -> Floats:
    """Return the way from loudspeaker to microphone at 48 kHz, the direct sound at the very start; energy 1."""
    chance = np.random.default_rng(seed)
    room = np.array([4.3, 3.4, 2.5]) * chance.uniform(0.9, 1.1, 3)
    loudspeaker = room * chance.uniform(0.3, 0.7, 3)
    way = chance.normal(size=3)
    microphone = loudspeaker + way / np.linalg.norm(way) * apart_m
    surface = 2 * (room[0] * room[1] + room[0] * room[2] + room[1] * room[2])
    swallowed = 1 - np.exp(-0.161 * room.prod() / (surface * reverberation_s))  # Eyring
    most = np.ceil(SOUND_M_S * _RESPONSE / RATE_HZ / (2 * room)).astype(int)
    grids = np.meshgrid(*(np.arange(-count, count + 1) for count in most), indexing="ij")
    response = np.zeros(_RESPONSE + 1)
    nearest = float(np.linalg.norm(microphone - loudspeaker))
    for mirrored in np.ndindex(2, 2, 2):
        offsets = [
            (1 - 2 * p) * loudspeaker[axis] + 2 * grids[axis] * room[axis] - microphone[axis]
            for axis, p in enumerate(mirrored)
        ]
        bounces = sum(np.abs(grids[axis] - p) + np.abs(grids[axis]) for axis, p in enumerate(mirrored))
        distance = np.sqrt(sum(offset**2 for offset in offsets))
        at = (distance - nearest) / SOUND_M_S * RATE_HZ
        heard = at < _RESPONSE - 1
        whole, share = np.divmod(at[heard], 1.0)
        strength = (1 - swallowed) ** (np.asarray(bounces)[heard] / 2) / np.maximum(distance[heard], 0.05)
        np.add.at(response, whole.astype(int), strength * (1 - share))
        np.add.at(response, whole.astype(int) + 1, strength * share)
    response = response[:_RESPONSE]
    scaled: Floats = response / np.sqrt(np.sum(response**2))
    return scaled


def pink_noise(samples: int, level_db: float, seed: int) -> Floats:
    """Return noise with equal power in every octave, as rooms have it; `level_db` of full scale."""
    chance = np.random.default_rng(seed)
    spectrum = np.fft.rfft(chance.normal(size=samples))
    spectrum[1:] /= np.sqrt(np.maximum(np.arange(1, len(spectrum)), samples * 50 / RATE_HZ))
    spectrum[0] = 0
    noise = np.fft.irfft(spectrum, samples)
    scaled: Floats = noise * (FULL_SCALE * 10 ** (level_db / 20) / np.sqrt(np.mean(noise**2)))
    return scaled


class Room:
    """One box's surroundings: a cycle is played, a cycle is heard."""

    def __init__(self, surroundings: Surroundings = Surroundings()) -> None:
        self.surroundings = surroundings
        self.echo = silence()  # what of the last cycle heard came from the loudspeaker
        response = impulse_response(surroundings.reverberation_s, surroundings.apart_m, surroundings.seed)
        self._walls = np.fft.rfft(response, _BLOCK)
        self._played: Floats = np.zeros(RATE_HZ)  # the last second that the loudspeaker gave
        self._written = 0
        self._heard = 0
        self._ringing: Floats = np.zeros(_BLOCK)
        self._said: Floats = np.zeros(0)
        self._noise = pink_noise(10 * RATE_HZ, surroundings.noise_db, surroundings.seed)

    @property
    def queued(self) -> int:
        """How many samples the loudspeaker was given and has not played, by its own clock; its delay not counted."""
        return self._written - round(self._heard * (1 + self.surroundings.drift_ppm * 1e-6))

    def say(self, samples: Samples) -> None:
        """Let the person speak (as loud as the microphone gets it), after what is still being said."""
        self._said = np.concatenate((self._said, samples))

    def play(self, samples: Samples) -> None:
        """Let the loudspeaker play one cycle."""
        limit = self.surroundings.clips_at * FULL_SCALE
        self._played = np.concatenate((self._played[len(samples) :], limit * np.tanh(samples / limit)))
        self._written += len(samples)

    def hear(self) -> Samples:
        """Return the next cycle at the microphone."""
        loudness = 10 ** (self.surroundings.echo_db / 20)
        spread = np.fft.irfft(np.fft.rfft(self._arriving(), _BLOCK) * self._walls, _BLOCK)
        self._ringing += spread * loudness
        echo, self._ringing = self._ringing[:CYCLE_SAMPLES], np.append(self._ringing[CYCLE_SAMPLES:], silence())
        said, self._said = self._said[:CYCLE_SAMPLES], self._said[CYCLE_SAMPLES:]
        at = np.arange(self._heard, self._heard + CYCLE_SAMPLES) % len(self._noise)
        total = echo + self._noise[at]
        total[: len(said)] += said
        self._heard += CYCLE_SAMPLES
        self.echo = _as_samples(echo)
        return _as_samples(total)

    def _arriving(self) -> Floats:
        """Return what the loudspeaker gives now: what was played `delay_ms` ago by its own clock (Lagrange, cubic)."""
        true = np.arange(self._heard, self._heard + CYCLE_SAMPLES)
        delay = self.surroundings.delay_ms * RATE_HZ / 1000
        position = true * (1 + self.surroundings.drift_ppm * 1e-6) - delay
        first = np.floor(position).astype(int)
        share = position - first
        at = np.clip(first - self._written + len(self._played), 1, len(self._played) - 3)
        before, here, after, beyond = (self._played[at + offset] for offset in (-1, 0, 1, 2))
        made: Floats = (
            -share * (share - 1) * (share - 2) / 6 * before
            + (share + 1) * (share - 1) * (share - 2) / 2 * here
            - (share + 1) * share * (share - 2) / 2 * after
            + (share + 1) * share * (share - 1) / 6 * beyond
        )
        return made


def _as_samples(sound: Floats) -> Samples:
    return np.clip(np.rint(sound), -32768, 32767).astype(np.int16)


class RoomCard(SimulatedCard):
    """A simulated card that stands in a room: its speaker reaches its microphone."""

    def __init__(self, name: str, room: Room) -> None:
        super().__init__(name, room.hear)
        self.room = room

    def play(self, samples: Samples) -> None:
        self.room.play(samples)
