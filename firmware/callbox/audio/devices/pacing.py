"""How long to sleep until a microphone has a cycle ready: once, where asking again and again would wake the processor.

    the cycle before was there at -> a cycle later, a little earlier -> too early? a millisecond later from then on

Cards and sound servers hand over in pieces of their own, some time after their last sample. Who sleeps as long as the
missing samples last wakes up too early by that time, or with large pieces too late by as much as one. A processor that
wakes up finds its caches empty: each time costs as much as coding the voice.
"""

from callbox.base.time import Instant

SHORTEST_S = 0.001
_SEARCH_S = 0.000_05  # earlier each cycle, until that was too early once
_KEEP_S = 0.000_005


class Pace:
    """One microphone's: `pause_s` before every sleep, `came` when a cycle is there."""

    def __init__(self, rate_hz: int, cycle_s: float) -> None:
        self._rate_hz = rate_hz
        self._cycle_s = cycle_s
        self._due: Instant | None = None  # of the next cycle
        self._earlier_s = _SEARCH_S
        self._again_s = SHORTEST_S
        self._sleeps = 0

    def pause_s(self, missing: int, now: Instant) -> float:
        """Return how long to sleep while so many samples are missing."""
        missing_s = max(missing / self._rate_hz, SHORTEST_S)
        self._sleeps += 1
        if self._due is None:
            return missing_s
        if self._sleeps == 1:
            return max(self._due - now, SHORTEST_S)
        self._earlier_s = _KEEP_S
        self._again_s = min(missing_s, 2 * self._again_s if self._sleeps > 2 else SHORTEST_S)
        return self._again_s

    def came(self, now: Instant) -> None:
        """A cycle is there. One that did not have to be waited for says nothing about the next."""
        self._due = now + self._cycle_s - self._earlier_s if self._sleeps else None
        self._sleeps = 0
