"""Measurements of a call from two recordings: delay from mouth to ear, how well speech is understood and sounds.

sent  -> pieces of speech -> cross-correlation with heard near where it is due -> delay of each piece -> median, p95
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from callbox.audio.devices.resample import resampled
from callbox.base.frames import RATE_HZ, Samples

_STEP = 4  # measured at 12 kHz: 0.08 ms
PIECE_S = 0.8
_LONGEST_DELAY_S = 1.0
_ALIKE = 0.45  # normalised correlation below this: the piece did not arrive
_QUIET = 150.0
_PESQ_HZ = 16_000
_AUDIBLE_TONE = 200.0


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


def pieces(sent: Samples, heard: Samples, offset_s: float = 0.0) -> list[tuple[float, float | None]]:
    """Return, for each piece of speech in `sent`, its start in s and its delay in ms (None: not found in `heard`).

    `offset_s` is by how much later the recording `heard` began than `sent` (their start times' difference).
    """
    rate = RATE_HZ // _STEP
    mouth, ear = _thin(sent), _thin(heard)
    length, longest, shift = int(PIECE_S * rate), int(_LONGEST_DELAY_S * rate), round(offset_s * rate)
    found: list[tuple[float, float | None]] = []
    for at in range(0, len(mouth) - length, length):
        piece = mouth[at : at + length]
        if np.sqrt(np.mean(piece**2)) < _QUIET:
            continue
        if len(ear) - max(0, at - shift) < length + longest // 2:
            continue  # the recording ended before this piece was due
        late = _late(mouth, ear, at, length, longest, shift)
        if late is None:  # the delay may have changed in the midst of it: then both halves are there
            halves = [_late(mouth, ear, half, length // 2, longest, shift) for half in (at, at + length // 2)]
            late = None if None in halves else max(filter(None, halves), default=0)
        found.append((at / rate, None if late is None else 1000 * late / rate))
    return found


def _late(
    mouth: NDArray[np.float64], ear: NDArray[np.float64], at: int, length: int, longest: int, shift: int
) -> int | None:
    """Return by how many samples a part of `mouth` is late in `ear`; None: it did not arrive."""
    first = max(0, at - shift)
    best, alike = _find(mouth[at : at + length], ear[first : first + length + longest])
    return first + best + shift - at if alike >= _ALIKE else None


def mouth_to_ear(sent: Samples, heard: Samples, offset_s: float = 0.0) -> MouthToEar:
    """Measure delay from mouth to ear; see `pieces`. With nothing found, delays are NaN."""
    delays = [delay for _, delay in pieces(sent, heard, offset_s)]
    found = [delay for delay in delays if delay is not None]
    if not found:
        return MouthToEar(float("nan"), float("nan"), len(delays), len(delays))
    return MouthToEar(float(np.median(found)), float(np.percentile(found, 95)), len(delays) - len(found), len(delays))


def aligned(sent: Samples, heard: Samples, offset_s: float = 0.0) -> tuple[Samples, Samples]:
    """Return the pieces of speech of `sent`, and of `heard` what came of each, joined and equally long.

    Each piece is aligned by its own delay, for a change of delay in mid-call is no damage to what is understood;
    one that was not found is taken from where the median delay says it should be.
    """
    found = pieces(sent, heard, offset_s)
    delays = [delay for _, delay in found if delay is not None]
    usual_ms = float(np.median(delays)) if delays else 0.0
    length = int(PIECE_S * RATE_HZ)
    clean, came = [sent[:0]], [heard[:0]]
    for start_s, delay_ms in found:
        at = round(start_s * RATE_HZ)
        there = at + round(((usual_ms if delay_ms is None else delay_ms) / 1000 - offset_s) * RATE_HZ)
        if there < 0 or there + length > len(heard):
            continue
        clean.append(sent[at : at + length])
        came.append(heard[there : there + length])
    return np.concatenate(clean), np.concatenate(came)


def intelligibility(sent: Samples, heard: Samples, offset_s: float = 0.0) -> float:
    """Return STOI (0 to 1) of `heard` against `sent` (Taal et al., 2011). Needs the `testing` extra."""
    from pystoi import stoi

    clean, degraded = aligned(sent, heard, offset_s)
    if len(clean) == 0:
        return 0.0
    return float(stoi(clean.astype(float), degraded.astype(float), RATE_HZ))


def quality(sent: Samples, heard: Samples, offset_s: float = 0.0) -> float | None:
    """Return PESQ-WB (1 to 4.6; ITU-T P.862.2) of `heard` against `sent`; None without the package `pesq`.

    The recordings are compared whole, from the first to the last piece of speech: PESQ follows changing delay itself,
    and what was lost in between counts. NaN when nothing of `sent` can be found in `heard`.
    """
    try:
        from pesq import pesq
    except ImportError:
        return None
    found = pieces(sent, heard, offset_s)
    delays = [delay for _, delay in found if delay is not None]
    if not delays:
        return float("nan")
    first, last = found[0][0], found[-1][0] + PIECE_S
    shift = round((float(np.median(delays)) / 1000 - offset_s) * RATE_HZ)
    begin, end = max(round(first * RATE_HZ), -shift), round(last * RATE_HZ)
    clean, came = (resampled(part, RATE_HZ, _PESQ_HZ) for part in (sent[begin:end], heard[begin + shift : end + shift]))
    return float(pesq(_PESQ_HZ, clean, came, "wb"))


def tone_starts(heard: Samples, pitch_hz: float) -> float | None:
    """Return where a steady tone of `pitch_hz` begins, in s (to 5 ms); None if it is not there.

    Looked for by its power in windows of 20 ms, for a ring or an earcon may sound before it and beside it.
    """
    size, hop = RATE_HZ // 50, RATE_HZ // 200
    if len(heard) < size:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(heard, size)[::hop].astype(np.float64) * np.hanning(size)
    turn = np.exp(-2j * np.pi * pitch_hz * np.arange(size) / RATE_HZ)
    power = np.abs(windows @ turn) / (np.hanning(size).sum() / 2)
    strongest = float(power.max())
    if strongest < _AUDIBLE_TONE:
        return None
    return float(np.argmax(power >= strongest / 2)) * hop / RATE_HZ + size / 2 / RATE_HZ
