"""The sound self-test: chirps out of the speaker, what the microphone got of them, and what that says.

    half a second of nothing, three chirps -> [speaker, room, microphone] -> measure -> SoundTest
    played, captured -> cut apart -> deconvolution of each chirp -> where its answer is strongest, and how strong

A chirp is a sine that rises from 300 Hz to 6 kHz (exponentially; Farina, AES 108, 2000): it fits no other sound, so it
is found below the noise of a room, and loudspeakers' distortion falls before its answer, not on it.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence

CHIRPS = 3
_QUIET_S, _CHIRP_S, _SLOT_S = 0.5, 0.3, 0.8
LASTS_S = _QUIET_S + CHIRPS * _SLOT_S + 0.3
_LOW_HZ, _HIGH_HZ = 300.0, 6000.0
_LEVEL = 0.4
_LONGEST_DELAY_S = 0.7
_CLEAR = 16.0  # an answer's peak so many times above what is around it
_FULL_SCALE = 32768.0
_CLIPPED = 32_600


@dataclass(frozen=True, slots=True)
class SoundTest:
    """What was measured. Levels in dB of full scale.

    `heard`: how many chirps came back; `delay_ms`: after how long, from the step and back to it; `spread_ms`: by how
    much that differed; `echo_db`: how loud they came back against what was played; `clipped`: the share of the
    microphone's samples at its limit while they did; `mic_dead`: it gives nothing, not even noise.
    """

    heard: int
    delay_ms: float | None
    spread_ms: float
    echo_db: float | None
    noise_db: float
    loudest_db: float
    clipped: float
    mic_dead: bool


@lru_cache(maxsize=1)
def chirps() -> Samples:
    """Return the sound of the test: mono, 48 kHz, a whole number of cycles."""
    time = np.arange(round(_CHIRP_S * RATE_HZ)) / RATE_HZ
    rate = np.log(_HIGH_HZ / _LOW_HZ) / _CHIRP_S
    wave = np.sin(2 * np.pi * _LOW_HZ / rate * (np.exp(rate * time) - 1))
    edge = np.minimum(1.0, np.arange(len(time)) / (0.01 * RATE_HZ))
    chirp = (wave * edge * edge[::-1] * _LEVEL * 32767).astype(np.int16)
    slot = np.concatenate((chirp, silence(round(_SLOT_S * RATE_HZ) - len(chirp))))
    whole = np.concatenate((silence(round(_QUIET_S * RATE_HZ)), np.tile(slot, CHIRPS)))
    return np.concatenate((whole, silence(-len(whole) % CYCLE_SAMPLES)))


def measure(captured: Samples, played: Samples) -> SoundTest:
    """Judge what was captured while `played` (the test's sound at the volume that was set) went to the speaker."""
    slots = _slots(played)
    answers = [_answer(captured[at : at + size], played[at : at + size]) for at, size in slots]
    found = [answer for answer in answers if answer is not None]
    delays = [delay_ms for delay_ms, _ in found]
    first = slots[0][0] if slots else len(captured)
    quiet = captured[min(first, RATE_HZ // 10) : first] if first else captured
    loud = captured[first:] if first < len(captured) else captured
    return SoundTest(
        heard=len(found),
        delay_ms=float(np.median(delays)) if found else None,
        spread_ms=max(delays) - min(delays) if found else 0.0,
        echo_db=float(np.median([strength_db for _, strength_db in found])) if found else None,
        noise_db=_db(quiet),
        loudest_db=20 * float(np.log10(max(1, int(np.abs(loud.astype(np.int32)).max(initial=0))) / _FULL_SCALE)),
        clipped=float(np.mean(np.abs(loud.astype(np.int32)) >= _CLIPPED)) if len(loud) else 0.0,
        mic_dead=not len(captured) or int(captured.max()) - int(captured.min()) <= 1,
    )


def _slots(played: Samples) -> list[tuple[int, int]]:
    """Return where each chirp begins in what was played, and until how far its answer may come."""
    size = round(_SLOT_S * RATE_HZ)
    sounding = np.flatnonzero(played)
    found: list[tuple[int, int]] = []
    while len(sounding):
        found.append((int(sounding[0]), size))
        sounding = sounding[sounding >= sounding[0] + size - RATE_HZ // 10]
    return found[:CHIRPS]


def _answer(captured: Samples, played: Samples) -> tuple[float, float] | None:
    """Return delay (ms) and strength (dB) of the answer to one chirp; None: there is none."""
    if len(captured) < len(played) or len(played) < RATE_HZ // 2:
        return None
    size = 1 << (2 * len(played) - 1).bit_length()
    given, got = np.fft.rfft(played, size), np.fft.rfft(captured, size)
    power = np.abs(given) ** 2
    response = np.fft.irfft(got * np.conj(given) / (power + 0.01 * power.max()), size)
    response = np.abs(response[: round(_LONGEST_DELAY_S * RATE_HZ)])
    best = int(np.argmax(response))
    if response[best] < _CLEAR * float(np.median(response)) or not response[best]:
        return None
    back = captured[best : best + round(_CHIRP_S * RATE_HZ)]
    return 1000 * best / RATE_HZ, _db(back) - _db(played[: len(back)])


def _db(samples: Samples) -> float:
    """Return the root mean square in dB of full scale, -96 at least."""
    if not len(samples):
        return -96.0
    wide: NDArray[np.float64] = samples.astype(np.float64)
    return max(-96.0, 20 * float(np.log10(np.sqrt(np.mean(wide**2)) / _FULL_SCALE + 1e-9)))
