"""Gain: a quiet person, or one far from the microphone, is made as loud as others; a loud one is left alone.

    captured -> is it a voice (well above the room's noise)? -> its loudness, over seconds -> gain, 0 to 12 dB -> out

Up by 3 dB a second at most, down at once where a sample would not fit. No more than 12 dB: every dB is also one of echo
and of noise.
"""

import numpy as np

from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, Samples, peak

TARGET_DB = -23.0  # of full scale, while speaking; ITU-T P.56 levels of telephone speech lie around -26
MOST_DB = 12.0
_TRUST_DB = 3.0  # at first everybody is taken for a bit louder than that
_FULL_POWER = 32768.0**2
_VOICE = 10.0  # times the power of the noise
_FAINTEST = 30.0**2
_LEARN = CYCLE_MS / 2000  # over two seconds of voice
_STEP = 10 ** (3.0 * CYCLE_MS / 1000 / 20)
_ROOM = 31_000.0
_RAMP = np.arange(1, CYCLE_SAMPLES + 1, dtype=np.float32) / np.float32(CYCLE_SAMPLES)


class Gain:
    """One microphone's gain. `floor` is the mean square of the room's noise."""

    def __init__(self) -> None:
        self._level = _FULL_POWER * 10 ** ((TARGET_DB + _TRUST_DB) / 10)
        self._now = 1.0

    @property
    def db(self) -> float:
        return 20 * float(np.log10(self._now))

    def process(self, samples: Samples, power: float, floor: float, learn: bool) -> Samples:
        """Return one cycle, louder if need be. `power`: its mean square. `learn` False: it may be an echo."""
        if learn and power > max(_FAINTEST, _VOICE * floor):
            self._level += (power - self._level) * _LEARN
        wanted = min(10 ** (MOST_DB / 20), max(1.0, (_FULL_POWER * 10 ** (TARGET_DB / 10) / self._level) ** 0.5))
        before = self._now
        after = min(wanted, before * _STEP)
        if before == after == 1.0:
            return samples
        self._now = after = max(1.0, min(after, _ROOM / max(peak(samples), 1.0)))
        ramp = np.float32(after) if after < before else np.float32(before) + np.float32(after - before) * _RAMP
        return (samples * ramp).astype(np.int16)
