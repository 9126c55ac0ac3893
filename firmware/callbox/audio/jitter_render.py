"""Jitter buffer, part 3: samples. Shortens and lengthens speech by whole pitch periods, joins what does not fit.

    shorten   x[0:lag] ~fade~ x[lag:2*lag]    -> one period fewer
    lengthen  x ~fade~ what was heard one period ago, then x     -> one period more

Both look for the lag at which the sound is most like itself (2.5 to 12.5 ms: 80 to 400 Hz), search on a
decimated copy, and refuse where nothing is alike, unless the sound is too quiet for a seam to be heard.
The method is WSOLA (Verhelst and Roelands, ICASSP 1993) with a window of one period.
"""

import numpy as np
from numpy.typing import NDArray

from callbox.audio.jitter_decide import Urgency
from callbox.base.frames import RATE_HZ, Samples

SHORTEST_LAG = RATE_HZ * 25 // 10_000
LONGEST_LAG = RATE_HZ * 125 // 10_000
SEAM_SAMPLES = RATE_HZ * 5 // 1000
HISTORY_SAMPLES = LONGEST_LAG + SEAM_SAMPLES
_STEP = 8  # decimation of the lag search: 6 kHz
_ALIKE = 0.6
_QUIET = 120.0  # root mean square; about -49 dB of full scale
_RISE = np.arange(SEAM_SAMPLES, dtype=np.float32) / SEAM_SAMPLES


def fade(old: Samples, new: Samples) -> Samples:
    """Return `new` with its beginning faded over from `old` (as long as the shorter of `old` and one seam)."""
    length = min(len(old), len(new), SEAM_SAMPLES)
    if length == 0:
        return new
    rise = _RISE if length == SEAM_SAMPLES else np.arange(length, dtype=np.float32) / length
    mixed = new.copy()
    mixed[:length] = old[:length] * (1 - rise) + new[:length] * rise
    return mixed


def _lag(still: NDArray[np.float32], moving: NDArray[np.float32]) -> tuple[int, float]:
    """Return where in `moving` the piece `still` fits best (decimated samples), and how well (-1 to 1)."""
    products = np.correlate(moving, still, "valid")
    squares = np.concatenate(([0.0], np.cumsum(moving * moving)))
    energies = squares[len(still) :] - squares[: len(squares) - len(still)]
    scale = np.sqrt(energies * float(still @ still)) + 1.0
    alike = products / scale
    best = int(np.argmax(alike))
    return best, float(alike[best])


def _loudness(samples: Samples) -> float:
    thin = samples[::_STEP].astype(np.float32)
    return float(np.sqrt(np.mean(thin * thin))) if len(thin) else 0.0


def _fits(alike: float, samples: Samples, urgency: Urgency) -> bool:
    """Say whether a seam may be made here."""
    if urgency is Urgency.URGENT or (urgency is Urgency.USUAL and alike >= _ALIKE):
        return True
    return _loudness(samples) <= _QUIET


def shortened(samples: Samples, urgency: Urgency = Urgency.USUAL) -> Samples:
    """Return `samples` without one pitch period, or unchanged if they are too short or nothing fits."""
    room = min(LONGEST_LAG, len(samples) - SEAM_SAMPLES)
    if room <= SHORTEST_LAG:
        return samples
    thin = samples[: room + SEAM_SAMPLES : _STEP].astype(np.float32)
    seam = SEAM_SAMPLES // _STEP
    best, alike = _lag(thin[:seam], thin[SHORTEST_LAG // _STEP :])
    lag = SHORTEST_LAG + best * _STEP
    if not _fits(alike, samples, urgency):
        return samples
    if alike < _ALIKE and urgency is not Urgency.URGENT:
        lag = room
    return fade(samples, samples[lag:])


def lengthened(history: Samples, samples: Samples, urgency: Urgency = Urgency.USUAL) -> Samples:
    """Return `samples` with one pitch period put before them, taken from the end of `history`."""
    seam = min(SEAM_SAMPLES, len(samples))
    if len(history) < HISTORY_SAMPLES or seam < SEAM_SAMPLES:
        return samples
    past = history[-LONGEST_LAG:]
    thin_past = past[::_STEP].astype(np.float32)
    thin_next = samples[:seam:_STEP].astype(np.float32)
    # Starts that are at least the shortest lag before the end, and leave a whole seam to compare.
    last_start = (LONGEST_LAG - max(SHORTEST_LAG, seam)) // _STEP
    best, alike = _lag(thin_next, thin_past[: last_start + len(thin_next)])
    start = best * _STEP
    if not _fits(alike, samples, urgency):
        return samples
    if alike < _ALIKE and urgency is not Urgency.URGENT:
        start = 0
    return np.concatenate((fade(samples, past[start:]), samples))
