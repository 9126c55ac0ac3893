"""Is the speaker heard by the microphone, and how much later? Found from what is played and captured anyway.

    played   -> 4 kHz -> the last second  --+
    captured -> 4 kHz -> the last half ----+--> cross-spectrum, whitened -> averaged -> back in time -> its peak

Twice a second. Generalised cross-correlation with phase transform (Knapp and Carter, IEEE Trans. ASSP 24, 1976): a
person who speaks at the same time is no likeness of what is played and averages out; an echo far below the noise is
found, because it is the same one every time.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples

Thin: TypeAlias = NDArray[np.float64]
_THIN = 12
_THIN_HZ = RATE_HZ // _THIN
_LOOK_CYCLES = 50
_PIECE = _LOOK_CYCLES * CYCLE_SAMPLES // _THIN
_LONGEST_LAG = _THIN_HZ * 450 // 1000
_KEPT = 0.75  # of the average, from one look to the next
_CLEAR = 7.0  # a peak so many times above the rest is an echo
_AUDIBLE = 20.0**2  # mean square of what is played
_ABSENT_AFTER = 2  # looks at audible sound without an echo
_TONAL = 30.0  # frequencies that share in what is played: tones have a few, voices dozens, and tones fit anywhere


class EchoFinder:
    """`lag_ms`: by how much the echo is later than what was played; None while none was found.

    `absent`: there was sound to make an echo of, for a second, and none came.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything: another device was opened."""
        self.lag_ms: float | None = None
        self.absent = False
        self._cycles: list[tuple[Samples, Samples]] = []
        self._earlier = np.zeros(_PIECE)  # what was played in the half second before
        self._without = 0
        self._average: NDArray[np.complex128] = np.zeros(_PIECE + 1, dtype=np.complex128)

    def take(self, captured: Samples, played: Samples) -> bool:
        """Take one cycle of both. Returns True when it has looked."""
        self._cycles.append((captured, played))
        if len(self._cycles) < _LOOK_CYCLES:
            return False
        captured_line, played_line = (_thinned(line) for line in zip(*self._cycles, strict=True))
        self._cycles.clear()
        self._look(np.concatenate((np.zeros(_PIECE), captured_line)), np.concatenate((self._earlier, played_line)))
        self._earlier = played_line
        return True

    def _look(self, captured: Thin, played: Thin) -> None:
        if float(np.mean(played**2)) < _AUDIBLE:
            return
        given = np.fft.rfft(played)
        power = np.abs(given) ** 2
        if float(power.sum()) ** 2 < _TONAL * float(power @ power):
            return
        cross = np.fft.rfft(captured) * np.conj(given)
        self._average = _KEPT * self._average + cross / (np.abs(cross) + 1.0)
        likeness = np.fft.irfft(self._average)[:_LONGEST_LAG]
        best = int(np.argmax(likeness))
        if likeness[best] > _CLEAR * float(np.sqrt(np.mean(likeness**2))):
            self.lag_ms, self.absent, self._without = 1000 * best / _THIN_HZ, False, 0
            return
        self._without += 1
        if self._without >= _ABSENT_AFTER:
            self.lag_ms, self.absent = None, True


def _thinned(cycles: Sequence[Samples]) -> Thin:
    thin: Thin = np.concatenate(cycles).reshape(-1, _THIN).mean(axis=1)
    return thin
