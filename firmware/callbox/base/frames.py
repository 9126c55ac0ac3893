"""What an audio frame is, everywhere in the box.

Audio is mono, 48 kHz, signed 16-bit, in NumPy arrays of shape (samples,). One *cycle* of the audio thread
is 10 ms (480 samples); an Opus packet spans one or several cycles, as the rate step says.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 48_000
CYCLE_MS = 10
CYCLE_SAMPLES = RATE_HZ * CYCLE_MS // 1000

Samples: TypeAlias = NDArray[np.int16]
_most, _least = np.maximum.reduce, np.minimum.reduce  # `samples.max()` does the same through two functions of Python


def silence(samples: int = CYCLE_SAMPLES) -> Samples:
    """Return `samples` zero samples."""
    return np.zeros(samples, dtype=np.int16)


def peak(samples: NDArray[np.int16] | NDArray[np.float32]) -> float:
    """Return the largest magnitude among `samples`."""
    return max(float(_most(samples)), -float(_least(samples)))
