"""Listening: the microphone is watched for a while by a person who looks after it: level meter and self-test.

    captured --> loudest and mean of each tenth of a second --> levels
    captured, played (kept for the length of the test alone) --> sound_test.measure --> SoundTest

While it listens, the live light is lit. Nothing that is heard leaves the audio thread: only figures do.
"""

import numpy as np

from callbox.audio.facts import Level
from callbox.audio.sound_test import LASTS_S, SoundTest, measure
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, Samples, silence

LEVEL_CYCLES = 10
_FULL_SCALE = 32768.0


class Listening:
    """One look at the microphone, for `seconds`; or with `test`, for as long as the test's sound takes."""

    def __init__(self, seconds: float, test: bool) -> None:
        self.test = test
        self._cycles = round((LASTS_S if test else seconds) * 1000 / CYCLE_MS)
        self._captured: list[Samples] = []
        self._played: list[Samples] = []
        self._tenth: list[Samples] = []

    @property
    def over(self) -> bool:
        return self._cycles <= 0

    def take(self, captured: Samples, played: Samples) -> Level | None:
        """Take one cycle, and what was played a cycle ago; return the level of each tenth of a second."""
        self._cycles -= 1
        if self.test:
            self._captured.append(captured)
            self._played.append(played)
        self._tenth.append(captured)
        if len(self._tenth) < LEVEL_CYCLES:
            return None
        whole = np.concatenate(self._tenth).astype(np.float32)
        self._tenth.clear()
        return Level(_db(float(whole @ whole) / len(whole)), _db(float(np.abs(whole).max()) ** 2))

    def outcome(self) -> SoundTest | None:
        """Return what the test measured; None if it was none, or was broken off."""
        if not self.test or not self.over:
            return None
        captured, played = np.concatenate(self._captured), np.concatenate((*self._played[1:], silence(CYCLE_SAMPLES)))
        return measure(captured, played)


def _db(power: float) -> float:
    return max(-96.0, round(10 * float(np.log10(power / _FULL_SCALE**2 + 1e-10)), 1))
