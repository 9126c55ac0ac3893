"""One at a time: while the far end speaks, the microphone is turned down, unless the person is louder than the echo.

    played -> loudest of the last 130 ms -> times the share of it that usually comes back = the echo to expect
    captured clearly louder than that -> passes;   else -> 36 dB down

Needs no library: what is left where neither speexdsp nor WebRTC's package is installed. Takes out no noise.
"""

from collections import deque

import numpy as np

from callbox.audio.echo import TAIL_MS
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, Samples

_DOWN = 10 ** (-36 / 20)
_LOUDER = 6.0  # times the expected echo's power
_FAR_SPEAKS = 40.0**2  # mean square
_HOLD_CYCLES = 12  # a person stays let through between syllables
_MORE, _LESS = 1.06, 0.997  # per cycle: it settles where a twentieth of what comes back is louder
_RAMP = np.arange(1, CYCLE_SAMPLES + 1, dtype=np.float32) / np.float32(CYCLE_SAMPLES)


class HalfDuplex:
    """See `Canceller`."""

    noise_db = 0.0
    late_samples = 0

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._far: deque[float] = deque(maxlen=-(-TAIL_MS // CYCLE_MS))
        self._share = 1.0
        self._hold = 0
        self._gain = 1.0

    def process(self, captured: Samples, played: Samples | None, noisy: bool) -> Samples:
        del noisy
        self._far.append(_power(played) if played is not None else 0.0)
        wanted = self._wanted(max(self._far), _power(captured))
        before, self._gain = self._gain, self._gain + max(-0.5, min(0.25, wanted - self._gain))
        if before == self._gain == 1.0:
            return captured
        return (captured * (before + (self._gain - before) * _RAMP)).astype(np.int16)

    def _wanted(self, far: float, near: float) -> float:
        if far < _FAR_SPEAKS:
            return 1.0
        if near > _LOUDER * self._share * far:
            self._hold = _HOLD_CYCLES
        self._share = max(1e-6, self._share * (_MORE if near > self._share * far else _LESS))
        self._hold -= 1
        return 1.0 if self._hold > 0 else _DOWN

    def close(self) -> None:
        pass


def _power(samples: Samples) -> float:
    wide = samples.astype(np.float32)
    return float(wide @ wide) / len(wide)


def canceller() -> HalfDuplex:
    return HalfDuplex()
