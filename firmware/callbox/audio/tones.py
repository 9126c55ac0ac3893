"""The box's own sounds, made when needed: ring, call progress, ticks and earcons.

    Tone -> score (pitches, on, off ...) -> one period of samples, kept -> Tones.cycle() -> mixer

Call progress tones follow ITU-T E.180 as used in Europe: 425 Hz, ringback 1 s of 5 s, busy 0.5 s of 1 s,
congestion 0.25 s of 0.5 s. Earcons differ in melody and rhythm, so that they can be told apart by ear alone.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence

_EDGE_MS = 5  # every note rises and falls over this, or it clicks


class Tone(StrEnum):
    RING = "ring"
    RING_RISING = "ring_rising"
    RINGBACK = "ringback"
    BUSY = "busy"
    CONGESTION = "congestion"
    DIAL = "dial"
    TICK = "tick"
    MUTE_ON = "mute_on"
    MUTE_OFF = "mute_off"
    MESSAGE = "message"
    ERROR = "error"
    RECONNECTING = "reconnecting"
    KNOCK = "knock"
    CALL_WAITING = "call_waiting"
    RECORD = "record"
    CONNECTED = "connected"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Note:
    """A sound of one or more pitches and the silence after it. `level` is a share of full scale."""

    pitches_hz: tuple[int, ...]
    on_ms: int
    off_ms: int = 0
    level: float = 0.3


_WARBLE = (Note((660,), 90, level=0.4), Note((880,), 90, level=0.4)) * 5
_RING = (*_WARBLE, Note((), 0, 300), *_WARBLE, Note((), 0, 1900))
_RISING = (0.1, 0.2, 0.35, 0.6, 1.0)  # share of the full ring, round by round: full after a quarter of a minute
_SCORES: dict[Tone, tuple[Note, ...]] = {
    Tone.RING: _RING,
    Tone.RING_RISING: _RING,
    Tone.RINGBACK: (Note((425,), 1000, 4000, 0.2),),
    Tone.BUSY: (Note((425,), 500, 500, 0.2),),
    Tone.CONGESTION: (Note((425,), 250, 250, 0.2),),
    Tone.DIAL: (Note((425,), 1000, 0, 0.15),),
    Tone.TICK: (Note((1000,), 12, 0, 0.2),),
    Tone.MUTE_ON: (Note((660,), 80, 20), Note((440,), 120)),
    Tone.MUTE_OFF: (Note((440,), 80, 20), Note((660,), 120)),
    Tone.MESSAGE: (Note((784,), 120, 30), Note((1047,), 120, 30), Note((1319,), 200)),
    Tone.ERROR: (Note((220, 233), 200, 100), Note((220, 233), 400)),
    Tone.RECONNECTING: (Note((350,), 60, 140, 0.15), Note((350,), 60, 1740, 0.15)),
    Tone.KNOCK: (Note((180, 240), 40, 120, 0.25), Note((180, 240), 40, 0, 0.25)),
    Tone.CALL_WAITING: (Note((425,), 150, 0, 0.12),),
    Tone.RECORD: (Note((1000,), 250, 50, 0.25),),
    Tone.CONNECTED: (Note((523,), 70, 10, 0.2), Note((784,), 110, 0, 0.2)),
    Tone.ENDED: (Note((523,), 70, 10, 0.2), Note((392,), 150, 0, 0.2)),
}


def _note(note: Note, at: int) -> Samples:
    count = RATE_HZ * note.on_ms // 1000
    if count == 0 or not note.pitches_hz:
        return silence(count + RATE_HZ * note.off_ms // 1000)
    time = (at + np.arange(count)) / RATE_HZ
    wave = np.mean([np.sin(2 * np.pi * pitch * time) for pitch in note.pitches_hz], axis=0)
    edge = np.minimum(1.0, np.arange(count) / (RATE_HZ * _EDGE_MS / 1000))
    # A steady tone that fills its period (dial tone) must not pulse at the seam: whole periods, no edges.
    if note.off_ms or note.on_ms < 1000:
        wave = wave * edge * edge[::-1]
    pcm = (wave * note.level * 32767).astype(np.int16)
    return np.concatenate((pcm, silence(RATE_HZ * note.off_ms // 1000)))


@lru_cache(maxsize=len(Tone))
def tone_samples(tone: Tone) -> Samples:
    """Return one period of `tone`: mono 48 kHz, a whole number of cycles long."""
    parts: list[Samples] = []
    at = 0
    for note in _SCORES[tone]:
        parts.append(_note(note, at))
        at += len(parts[-1])
    parts.append(silence(-at % CYCLE_SAMPLES))
    return np.concatenate(parts)


class Tones:
    """Plays one tone after another; a repeating one until stopped or replaced: a short one only interrupts it."""

    def __init__(self) -> None:
        self._samples: Samples | None = None
        self._at = 0
        self._background: Tone | None = None  # the repeating one
        self._in_background = False  # it is what plays now
        self._rounds = 0  # of the repeating one
        self._next: deque[Tone] = deque(maxlen=4)

    @property
    def playing(self) -> bool:
        return self._samples is not None

    def play(self, tone: Tone, repeat: bool = False) -> None:
        """Start `tone`. A short one waits for another short one to end; a repeating one gives way at once."""
        if repeat:
            self._background, self._rounds = tone, 0
            self._next.clear()
        elif self._samples is not None and not self._in_background:
            self._next.append(tone)
            return
        self._begin(tone, repeat)

    def stop(self) -> None:
        """Fall silent and forget what waits."""
        self._samples = self._background = None
        self._next.clear()

    def cycle(self) -> Samples | None:
        """Return the next cycle, or None when nothing plays."""
        if self._samples is None:
            return None
        part = self._samples[self._at : self._at + CYCLE_SAMPLES]
        self._at += CYCLE_SAMPLES
        if self._in_background and self._background is Tone.RING_RISING:
            share = _RISING[min(self._rounds, len(_RISING) - 1)]
            part = (part * share).astype(np.int16)
        if self._at >= len(self._samples):
            self._ended()
        return part

    def _begin(self, tone: Tone, in_background: bool) -> None:
        self._samples = tone_samples(tone)
        self._in_background = in_background
        self._at = 0

    def _ended(self) -> None:
        self._at = 0
        if self._in_background:
            self._rounds += 1
            return
        self._samples = None
        if self._next:
            self._begin(self._next.popleft(), in_background=False)
        elif self._background is not None:
            self._begin(self._background, in_background=True)
