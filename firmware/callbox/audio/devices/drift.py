"""Two cards, two clocks: the speaker's buffer is kept as full as it was, by playing a little faster or slower.

    how full the buffer is -> smoothed -> against how full it was in its first two seconds -> speed
    cycle -> read at that speed, by a sinc filter whose fraction of a sample moves on -> 479, 480 or 481 samples

A crystal is off by up to 200 ppm, two of them by 19 samples a second; without this, a cycle is lost or repeated every
25 seconds, and an echo canceller loses its way each time. The change is spread evenly: an echo canceller must be able
to follow it. Sinc with a Kaiser window, beta 6. One clock: cycles only pass, 0.2 ms later.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from callbox.base.frames import Samples, silence

_HALF = 8
_BETA = 6.0
_FRACTIONS = 512
_SMOOTH = 0.01  # of the buffer's fill, per cycle
_LEARN_CYCLES = 200
_MEND_CYCLES = 400  # a fill that is off is mended within about four seconds
_REST = 24.0  # samples off that are left alone
_FASTEST = 1.0  # sample per cycle: 2,000 ppm


class DriftMatch:
    """Matches cycles of `cycle` samples to a clock of their own."""

    def __init__(self, cycle: int) -> None:
        self._cycle = cycle
        self._line = silence(2 * _HALF + 1 + cycle)
        self._at = 0.0  # fraction of a sample, where in the line the next one is read
        self._rise = np.arange(cycle + 1, dtype=np.float32) / np.float32(cycle)
        self.begin()

    def begin(self) -> None:
        """Learn anew how full the buffer shall be: it has just been filled or emptied."""
        self._seen = 0
        self._fill = self._wanted = 0.0

    def process(self, samples: Samples, fill: int) -> Samples:
        """Return one cycle, a sample more or less if need be. `fill`: samples in the speaker's buffer before it."""
        self._line = np.concatenate((self._line[self._cycle :], samples))
        ahead = self._ahead(fill)
        begin, end, count = self._at, self._at + ahead, self._cycle
        if ahead == 0.0 and begin == 0.0:
            return self._line[_HALF : _HALF + count]
        if end < 0:
            count, end = count + 1, end + ahead / self._cycle
            self._at = end + 1
        elif end >= 1:
            count, end = count - 1, end - ahead / self._cycle
            self._at = end - 1
        else:
            self._at = end
        line = self._line[: count + 2 * _HALF].astype(np.float32)
        made = np.convolve(line, _filter(begin), "valid")[:count]
        if end != begin:
            made += (np.convolve(line, _filter(end), "valid")[:count] - made) * self._rise[:count]
        rounded: Samples = np.clip(np.rint(made), -32768, 32767).astype(np.int16)
        return rounded

    def _ahead(self, fill: int) -> float:
        """Return by how many samples this cycle is to be read faster than it is played."""
        self._seen += 1
        if self._seen <= _LEARN_CYCLES:
            self._fill += (fill - self._fill) / self._seen
            self._wanted = self._fill
            return 0.0
        self._fill += (fill - self._fill) * _SMOOTH
        off = self._fill - self._wanted
        off -= max(-_REST, min(_REST, off))
        return max(-_FASTEST, min(_FASTEST, off / _MEND_CYCLES))


@lru_cache(maxsize=4 * _FRACTIONS)
def _taps(step: int) -> NDArray[np.float32]:
    offset = np.arange(2 * _HALF + 1) - _HALF - step / _FRACTIONS
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (offset / (_HALF + 1)) ** 2, 0, 1))) / np.i0(_BETA)
    taps: NDArray[np.float64] = np.sinc(offset) * window
    scaled: NDArray[np.float32] = (taps[::-1] / taps.sum()).astype(np.float32)
    return scaled


def _filter(fraction: float) -> NDArray[np.float32]:
    """Return what reads the line `fraction` of a sample (-1 to 2) after its middle, as `np.convolve` takes it."""
    return _taps(round(fraction * _FRACTIONS))
