"""Measurements of a call from two recordings: delay from mouth to ear, and how well speech is understood.

sent  -> pieces of speech -> cross-correlation with heard near where it is due -> delay of each piece -> median, p95
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbox.base.frames import RATE_HZ, Samples

_STEP = 4  # measured at 12 kHz: 0.08 ms
_PIECE_S = 0.8
_LONGEST_DELAY_S = 1.0
_ALIKE = 0.45  # normalised correlation below this: the piece did not arrive
_QUIET = 150.0


@dataclass(frozen=True, slots=True)
class MouthToEar:
    """Delays in ms over the pieces of speech that were found; `missing` counts those that were not."""

    median_ms: float
    p95_ms: float
    missing: int
    pieces: int


def _thin(samples: Samples) -> NDArray[np.float64]:
    whole = len(samples) // _STEP * _STEP
    thin: NDArray[np.float64] = samples[:whole].astype(np.float64).reshape(-1, _STEP).mean(axis=1)
    return thin


def _find(piece: NDArray[np.float64], within: NDArray[np.float64]) -> tuple[int, float]:
    """Return where `piece` fits best in `within`, and how well (0 to 1)."""
    size = 1 << (len(within) + len(piece)).bit_length()
    product = np.fft.irfft(np.fft.rfft(within, size) * np.conj(np.fft.rfft(piece, size)), size)
    product = product[: len(within) - len(piece) + 1]
    squares = np.concatenate(([0.0], np.cumsum(within**2)))
    energy = squares[len(piece) :] - squares[: -len(piece)]
    alike = product / np.sqrt(np.maximum(energy * float(piece @ piece), 1.0))
    best = int(np.argmax(alike))
    return best, float(alike[best])


def piece_delays_ms(sent: Samples, heard: Samples, offset_s: float = 0.0) -> list[float | None]:
    """Return the delay of each piece of speech in `sent`, None where it is not found in `heard`.

    `offset_s` is by how much later the recording `heard` began than `sent` (their start times' difference).
    """
    rate = RATE_HZ // _STEP
    mouth, ear = _thin(sent), _thin(heard)
    length, longest, shift = int(_PIECE_S * rate), int(_LONGEST_DELAY_S * rate), round(offset_s * rate)
    delays: list[float | None] = []
    for at in range(0, len(mouth) - length, length):
        piece = mouth[at : at + length]
        if np.sqrt(np.mean(piece**2)) < _QUIET:
            continue
        first = max(0, at - shift)
        within = ear[first : first + length + longest]
        if len(within) < length + longest // 2:
            continue  # the recording ended before this piece was due
        best, alike = _find(piece, within)
        delays.append(1000 * (first + best + shift - at) / rate if alike >= _ALIKE else None)
    return delays


def mouth_to_ear(sent: Samples, heard: Samples, offset_s: float = 0.0) -> MouthToEar:
    """Measure delay from mouth to ear; see `piece_delays_ms`. With nothing found, delays are NaN."""
    delays = piece_delays_ms(sent, heard, offset_s)
    found = [delay for delay in delays if delay is not None]
    if not found:
        return MouthToEar(float("nan"), float("nan"), len(delays), len(delays))
    return MouthToEar(float(np.median(found)), float(np.percentile(found, 95)), len(delays) - len(found), len(delays))


def aligned(sent: Samples, heard: Samples, offset_s: float = 0.0) -> tuple[Samples, Samples]:
    """Return `sent` and `heard` cut so that the same speech is at the same place in both."""
    delay_ms = mouth_to_ear(sent, heard, offset_s).median_ms
    if np.isnan(delay_ms):
        length = min(len(sent), len(heard))
        return sent[:length], heard[:length]
    lag = round((delay_ms / 1000 - offset_s) * RATE_HZ)
    sent, heard = (sent, heard[lag:]) if lag >= 0 else (sent[-lag:], heard)
    length = min(len(sent), len(heard))
    return sent[:length], heard[:length]


def intelligibility(sent: Samples, heard: Samples, offset_s: float = 0.0) -> float:
    """Return STOI (0 to 1) of `heard` against `sent` (Taal et al., 2011). Needs the `testing` extra."""
    from pystoi import stoi

    clean, degraded = aligned(sent, heard, offset_s)
    return float(stoi(clean.astype(float), degraded.astype(float), RATE_HZ))
