"""A voice for tests: words become tones that ears can turn back into the same words, out of what a speaker played.

    begin | one cycle of 10 ms per byte of the text: a tone for each half of it | end

So what a test reads as said went through engine, mixer, volume and card, and was not cut off on the way. About 100
characters in a second, six times as fast as people speak.
"""

import numpy as np
from numpy.typing import NDArray

from callbox.audio.speech import Voice, harmless
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence

BEGIN_HZ, END_HZ = 9_600, 9_900
LOW_HZ, HIGH_HZ, STEP_HZ = 5_000, 7_000, 100  # a whole number of waves in a cycle: no tone hears another
AMPLITUDE = 4000
AUDIBLE = 100.0

_TIME_S = np.arange(CYCLE_SAMPLES) / RATE_HZ
_BIN_HZ = RATE_HZ // CYCLE_SAMPLES  # of one cycle's spectrum: every tone has a bin of its own


class SimulatedVoice:
    """Says everything, at once and always alike."""

    def say(self, text: str, language: str) -> Samples:
        """Return the tones that stand for `text`; which language makes no difference."""
        del language
        plain = harmless(text).encode("utf-8", "replace")
        if not plain:
            return silence(0)
        letters = (_tone(LOW_HZ + STEP_HZ * (byte & 15)) + _tone(HIGH_HZ + STEP_HZ * (byte >> 4)) for byte in plain)
        cycles = [_tone(BEGIN_HZ), *letters, _tone(END_HZ)]
        return (AMPLITUDE * np.concatenate(cycles)).astype(np.int16)


class Ear:
    """Turns what was played, cycle by cycle, back into words. `words`: each whole; one that was cut off ends in "…"."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._bytes: bytearray | None = None

    def hear(self, samples: Samples) -> None:
        """Take one cycle."""
        if self._bytes is None and not samples.any():
            return
        loudness = np.abs(np.fft.rfft(samples)) * (2 / CYCLE_SAMPLES)
        if loudness[BEGIN_HZ // _BIN_HZ] > AUDIBLE:
            self._cut()
            self._bytes = bytearray()
        elif self._bytes is not None and loudness[END_HZ // _BIN_HZ] > AUDIBLE:
            self.words.append(self._bytes.decode("utf-8", "replace"))
            self._bytes = None
        elif self._bytes is not None:
            low, high = (loudness[from_hz // _BIN_HZ :][:16] for from_hz in (LOW_HZ, HIGH_HZ))
            if min(low.max(), high.max()) > AUDIBLE:
                self._bytes.append(int(low.argmax()) | int(high.argmax()) << 4)
            else:
                self._cut()

    def _cut(self) -> None:
        if self._bytes is not None:
            self.words.append(self._bytes.decode("utf-8", "replace") + "…")
            self._bytes = None


def _tone(pitch_hz: int) -> NDArray[np.float64]:
    """Return one cycle of a tone."""
    wave: NDArray[np.float64] = np.sin(2 * np.pi * pitch_hz * _TIME_S)
    return wave


def voice(**options: object) -> Voice:
    """Return the voice for tests, whatever the options."""
    del options
    return SimulatedVoice()
