"""The mixer: voice, tones and spoken prompts become one cycle that is never louder than the maximum.

    voice --duck while a tone or prompt sounds--+
    tones --------------------------------------+--> sum -> master volume -> limiter -> speaker
    prompt PCM ---------------------------------+

The limiter turns down at once and comes back slowly (about 200 ms), so a sum above the maximum is made quieter
rather than cut off; whatever is left after that is cut, hence "never".
"""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from callbox.base.frames import CYCLE_SAMPLES, Samples, peak, silence

MAXIMUM = 29_204  # -1 dB of full scale
_FULL_SCALE = 32_768
DUCKED = 0.25  # voice under a tone or prompt
DUCK_STEP = 0.15  # per cycle: in or out within about 50 ms
RECOVER_STEP = 0.05  # limiter, per cycle
_RAMP: NDArray[np.float32] = np.arange(1, CYCLE_SAMPLES + 1, dtype=np.float32) / np.float32(CYCLE_SAMPLES)


class Mixer:
    """Mixes one cycle at a time. `maximum` is the largest sample value that may leave."""

    def __init__(self, maximum: int = MAXIMUM) -> None:
        self.maximum = maximum
        self._volume = 1.0
        self._volume_now = 1.0
        self._duck_now = 1.0
        self._limit_now = 1.0
        self._prompts: deque[tuple[int, Samples, Iterator[Samples]]] = deque()
        self.ended: list[tuple[int, bool]] = []  # tickets of prompts that are over, and whether they were said whole

    def set_volume(self, volume: float) -> None:
        """Set the master volume, 0 to 1; reached within one cycle, without a click."""
        self._volume = min(1.0, max(0.0, volume))

    def speak(self, samples: Samples, ticket: int = 0) -> None:
        """Queue spoken PCM (mono, 48 kHz) after what is still being said."""
        self.play(iter((samples,)), ticket)

    def play(self, pieces: Iterator[Samples], ticket: int = 0) -> None:
        """Queue sound that is made piece by piece, as it is needed, after what is still being said."""
        self._queue(ticket, silence(0), pieces, self._prompts.append)

    def _queue(
        self,
        ticket: int,
        samples: Samples,
        pieces: Iterator[Samples],
        put: Callable[[tuple[int, Samples, Iterator[Samples]]], None],
    ) -> None:
        """Queue what is left of a prompt by `put`, with at least a cycle of it ready; or note that it is over."""
        while len(samples) < CYCLE_SAMPLES and (piece := next(pieces, None)) is not None:
            samples = np.concatenate((samples, piece)) if len(samples) else piece
        if len(samples):
            put((ticket, samples, pieces))
        else:
            self.ended.append((ticket, True))

    def hush(self) -> None:
        """Stop speaking."""
        self.ended += [(ticket, False) for ticket, _, _ in self._prompts]
        self._prompts.clear()

    @property
    def speaking(self) -> bool:
        return bool(self._prompts)

    def mix(self, voice: Samples | None, tone: Samples | None) -> Samples:
        """Return one cycle of voice (or None), tone (or None) and prompt, mixed and limited."""
        prompt = self._take_prompt()
        duck = DUCKED if tone is not None or prompt is not None else 1.0
        duck_before = self._duck_now
        self._duck_now += max(-DUCK_STEP, min(DUCK_STEP, duck - self._duck_now))
        steady = self._volume_now == self._volume and duck_before == self._duck_now == self._limit_now == 1.0
        if tone is None and prompt is None and steady:
            return self._only(voice)
        total = np.zeros(CYCLE_SAMPLES, dtype=np.float32)
        if voice is not None:
            total += voice * _between(duck_before, self._duck_now)
        if tone is not None:
            total += tone
        if prompt is not None:
            total[: len(prompt)] += prompt
        total *= _between(self._volume_now, self._volume)
        self._volume_now = self._volume
        return self._limited(total)

    def _only(self, voice: Samples | None) -> Samples:
        """The usual case, voice alone at a steady volume: one multiplication at most, unless it is too loud."""
        if voice is None:
            return silence()
        volume = self._volume
        if volume * _FULL_SCALE > self.maximum and peak(voice) * volume > self.maximum:
            return self._limited(voice * np.float32(volume))
        return voice if volume == 1.0 else (voice * np.float32(volume)).astype(np.int16)

    def _limited(self, total: NDArray[np.float32]) -> Samples:
        loudest = peak(total)
        wanted = min(1.0, self.maximum / loudest) if loudest > 0 else 1.0
        before = self._limit_now
        self._limit_now = min(wanted, before + RECOVER_STEP)
        total *= _between(before, self._limit_now)
        return np.clip(total, -self.maximum, self.maximum).astype(np.int16)

    def _take_prompt(self) -> Samples | None:
        if not self._prompts:
            return None
        ticket, samples, pieces = self._prompts.popleft()
        self._queue(ticket, samples[CYCLE_SAMPLES:], pieces, self._prompts.appendleft)
        return samples[:CYCLE_SAMPLES]


def _between(before: float, after: float) -> NDArray[np.float32] | np.float32:
    """Return a gain that glides from `before` to `after` over one cycle."""
    if before == after:
        return np.float32(after)
    return np.float32(before) + np.float32(after - before) * _RAMP
