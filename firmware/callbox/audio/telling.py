"""What is told of a media session: the first sound of it, silence on the line, levels and counters four times a second.

every cycle -> FirstAudio once, MediaSilent and MediaBack as it goes, Meter and Arrived now and then, MediaEnded
"""

import math
from collections.abc import Callable

from callbox.audio.facts import (
    Arrived,
    AudioStats,
    Fact,
    FirstAudio,
    MediaBack,
    MediaEnded,
    MediaSilent,
    Meter,
)
from callbox.audio.media import SILENT_AFTER_S
from callbox.audio.step import Step, level_db
from callbox.base.frames import Samples
from callbox.base.time import Instant

METER_S = 0.25
_SMOOTH_CYCLES = 16


class Telling:
    """Watches one engine's step."""

    def __init__(self, step: Step, facts: Callable[[Fact], None]) -> None:
        self._step = step
        self._facts = facts
        self._step_us = 0.0
        self._started_at: Instant | None = None
        self._first_told = False
        self._silent = False
        self._meter_at: Instant = -math.inf

    def took(self, cpu_s: float) -> None:
        """A cycle's step took so much of the processor's time."""
        self._step_us += (1e6 * cpu_s - self._step_us) / _SMOOTH_CYCLES

    def begin(self, now: Instant) -> None:
        """A session has begun."""
        self._started_at = now
        self._first_told = self._silent = False
        self._meter_at = now + METER_S

    def end(self) -> None:
        """It ends, if there is one; the step still has its counters."""
        if self._started_at is not None:
            self._facts(MediaEnded(self.stats()))
        self._started_at = None

    def cycle(self, now: Instant, playback: Samples) -> None:
        """Look at what a cycle brought."""
        receiving = self._step.receiving
        if receiving is None or self._started_at is None:
            return
        if receiving.jitter.playing and not self._first_told:
            self._first_told = True
            self._facts(FirstAudio())
        heard_at = receiving.last_authentic if receiving.last_authentic is not None else self._started_at
        silent = now - heard_at > SILENT_AFTER_S
        if silent != self._silent:
            self._silent = silent
            self._facts(MediaSilent() if silent else MediaBack())
        if now >= self._meter_at:
            self._meter_at = now + METER_S
            self._facts(Meter(level_db(self._step.sent_samples), level_db(playback), self.stats()))
            if self._step.trace:
                arrived, self._step.trace = self._step.trace, []
                self._facts(Arrived(tuple(arrived)))

    def stats(self) -> AudioStats:
        """Return the counters of the present media session (all zero without one)."""
        sending, receiving = self._step.sending, self._step.receiving
        if sending is None or receiving is None:
            return AudioStats()
        counters = receiving.jitter.counters
        return AudioStats(
            step_name=sending.step.name,
            bits_per_s=sending.step.bits_per_s,
            packet_ms=sending.step.packet_ms,
            delay_ms=counters.delay_ms,
            target_ms=counters.target_ms,
            received=counters.received,
            lost=counters.lost,
            late=counters.late,
            recovered=counters.recovered,
            concealed=counters.concealed,
            duplicates_or_forged=receiving.refused + counters.duplicate,
            sent=sending.sent,
            bytes_sent=sending.bytes_sent,
            bytes_received=receiving.bytes_received,
            peer_lost=receiving.peer.lost if receiving.peer else 0,
            peer_late=receiving.peer.late if receiving.peer else 0,
            echo_late_ms=self._step.cleaning.late_ms,
            step_us=round(self._step_us),
        )
