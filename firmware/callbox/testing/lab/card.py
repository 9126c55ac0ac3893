"""A sound card that is only a clock: a recorded voice is its microphone, and what it plays is kept with its time.

    voice, for ever --> read: the 10 ms that have just gone by -->  ...  --> write --> [one cycle] --> heard

So it adds 20 ms between mouth and ear, as the virtual card of `make bench` does alone: the cycle that is gathered and
the cycle that waits to be played. What is late on a busy machine is made up for: not a sample is left out.
"""

import time
from pathlib import Path

import numpy as np

from callbox.audio.devices import DeviceInfo
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, RATE_HZ, Samples
from callbox.base.time import Instant
from callbox.testing.replay import part

CARD_MS = 2 * CYCLE_MS
_CYCLE_S = CYCLE_MS / 1000
_WORTH_KEEPING_S = 5.0  # shorter ones are the sounds around a call


class ClockCard:
    """An open card."""

    rate_hz = RATE_HZ
    latency_ms = 0.0

    def __init__(self, voice: Samples, folder: Path) -> None:
        self._voice, self._folder = voice, folder
        self._began: Instant = time.monotonic()
        self._cycles = 0
        self._heard: list[Samples] = []

    def read(self) -> Samples:
        first = self._cycles * CYCLE_SAMPLES
        self._cycles += 1
        pause_s = self._began + self._cycles * _CYCLE_S - time.monotonic()
        if pause_s > 0:
            time.sleep(pause_s)
        return part(self._voice, first, CYCLE_SAMPLES)

    def write(self, samples: Samples) -> None:
        self._heard.append(samples.copy())

    def close(self) -> None:
        """Keep what was heard, and when the card began."""
        if len(self._heard) * _CYCLE_S > _WORTH_KEEPING_S:
            # What follows the k-th read is heard a cycle after it.
            began = self._began + CARD_MS / 1000
            unfinished = self._folder / "unfinished.npz"
            np.savez(unfinished, spoke_at=self._began, heard_at=began, heard=np.concatenate(self._heard))
            unfinished.rename(self._folder / "sound.npz")
        self._heard.clear()


class ClockCards:
    """The backend: one card, whatever it is called."""

    def __init__(self, voice: Samples, folder: Path) -> None:
        self._voice, self._folder = voice, folder

    def open(self, input_name: str, output_name: str) -> ClockCard:
        return ClockCard(self._voice, self._folder)

    def list(self) -> list[DeviceInfo]:
        return [DeviceInfo("clock", "clock", 1, 1, RATE_HZ)]
