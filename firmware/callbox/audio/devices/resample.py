"""Rate matching for devices and voices that do not run at 48 kHz, in blocks of constant size: 10 ms for devices.

    block at rate A -> history + block -> windowed-sinc filter bank, one phase per output sample -> block at rate B

Both rates must be multiples of 100 Hz (of the blocks per second), so that a block is a whole number of samples and
the phases repeat.
Delay: half the filter, 16 samples of the lower rate. Sinc with a Kaiser window, beta 8: images below -70 dB.
"""

import numpy as np

from callbox.base.frames import Samples

_HALF = 16
_BETA = 8.0


class Resampler:
    """Turns blocks at `from_hz` into blocks at `to_hz`, so many in a second."""

    def __init__(self, from_hz: int, to_hz: int, blocks_per_s: int = 100) -> None:
        if from_hz % blocks_per_s or to_hz % blocks_per_s:
            raise ValueError(f"rates must be multiples of {blocks_per_s} Hz")
        self.taken, self.given = from_hz // blocks_per_s, to_hz // blocks_per_s
        band = min(1.0, to_hz / from_hz) * 0.95
        half = int(np.ceil(_HALF * max(1.0, from_hz / to_hz)))
        position = np.arange(self.given) * (from_hz / to_hz)
        first = np.floor(position).astype(np.intp)
        taps = np.arange(2 * half)
        self._index = first[:, None] + taps[None, :]
        offset = taps[None, :] - (half - 1) - (position - first)[:, None]
        window = np.i0(_BETA * np.sqrt(np.clip(1 - (offset / half) ** 2, 0, 1))) / np.i0(_BETA)
        bank = np.sinc(offset * band) * window
        self._bank = (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)
        self._history = np.zeros(2 * half, dtype=np.float32)

    def process(self, block: Samples) -> Samples:
        """Return the block that `block` becomes."""
        if len(block) != self.taken:
            raise ValueError(f"a block is {self.taken} samples, not {len(block)}")
        line = np.concatenate((self._history, block.astype(np.float32)))
        self._history = line[self.taken :]
        made = np.einsum("ij,ij->i", line[self._index], self._bank)
        rounded: Samples = np.clip(np.rint(made), -32768, 32767).astype(np.int16)
        return rounded


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Return all of `samples` at another rate (for files and prompts, not for live audio)."""
    if from_hz == to_hz:
        return samples
    resampler = Resampler(from_hz, to_hz, 100 if from_hz % 100 == 0 else 50)  # 22,050 Hz: 441 samples in 20 ms
    taken = resampler.taken
    padded = np.concatenate((samples, np.zeros(-len(samples) % taken, dtype=np.int16)))
    blocks = [resampler.process(padded[at : at + taken]) for at in range(0, len(padded), taken)]
    return np.concatenate(blocks) if blocks else samples[:0]
