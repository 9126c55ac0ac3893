"""What is heard of a simulated box, words included, and what truly leaves its microphone.

microphone -> engine -> TappedCodec (notes sound) -> network -> engine -> TimedCard (notes when it played what)
"""

from collections import deque
from collections.abc import Callable
from ctypes import CDLL

import numpy as np

from callbox.audio.codecs.opus import Opus, OpusEncoder
from callbox.audio.devices.simulated import SimulatedCard
from callbox.audio.speech.simulated import Ear
from callbox.base.frames import RATE_HZ, Samples, silence
from callbox.base.time import Instant


class TimedCard(SimulatedCard):
    """A card that knows when it played what, so that a speaker that fell silent is not heard any longer."""

    def __init__(self, name: str, microphone: Callable[[], Samples], clock: Callable[[], Instant]) -> None:
        super().__init__(name, microphone)
        self._clock = clock
        self.ear = Ear()
        self._recent: deque[tuple[Instant, Samples]] = deque(maxlen=100)

    def play(self, samples: Samples) -> None:
        self._recent.append((self._clock(), samples.copy()))
        self.ear.hear(samples)

    def heard(self) -> Samples:
        """Return the last second that was played."""
        return self.heard_since(0.0)

    def heard_since(self, since: Instant) -> Samples:
        heard = [samples for at, samples in self._recent if at > since]
        return np.concatenate(heard) if heard else silence(0)


class TappedCodec(Opus):
    """The real codec, with a note of when anything but silence was last given to its encoder."""

    def __init__(self, clock: Callable[[], Instant]) -> None:
        super().__init__()
        self._clock = clock
        self.sound_encoded_at: Instant = float("-inf")

    def encoder(self, bits_per_s: int, packet_ms: int) -> OpusEncoder:
        return TappedEncoder(self, self._library, bits_per_s, packet_ms)

    def note(self, samples: Samples) -> None:
        if samples.any():
            self.sound_encoded_at = self._clock()


class TappedEncoder(OpusEncoder):
    def __init__(self, codec: TappedCodec, library: CDLL, bits_per_s: int, packet_ms: int) -> None:
        super().__init__(library, bits_per_s, packet_ms)
        self._codec = codec

    def encode(self, samples: Samples) -> bytes:
        self._codec.note(samples)
        return super().encode(samples)


def tone_amplitude(samples: Samples, tone_hz: float) -> float:
    """Return the amplitude of one frequency in `samples` (shape (n,), 48 kHz), by correlation with it."""
    if not len(samples):
        return 0.0
    phase = 2j * np.pi * tone_hz * np.arange(len(samples)) / RATE_HZ
    return float(2 * np.abs(np.mean(samples * np.exp(phase))))
