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
    """One microphone's: `nap_s` before it is asked, `pause_s` while it has too little, `came` when a cycle is there."""

    def __init__(self, rate_hz: int, cycle: int) -> None:
        self._rate_hz = rate_hz
        self._cycle = cycle
        self._due: Instant | None = None  # of the next cycle
        self._earlier_s = _SEARCH_S
        self._again_s = SHORTEST_S
        self._slept = self._asked = False

    def nap_s(self, now: Instant) -> float:
        """Return how long nothing can be there yet."""
        if self._due is None or self._due <= now:
            return 0.0
        self._slept = True
        return self._due - now

    def pause_s(self, missing: int) -> float:
        """Return how long to sleep while so many samples are missing."""
        missing_s = max(missing / self._rate_hz, SHORTEST_S)
        if self._due is None:
            self._slept = True
            return missing_s
        self._earlier_s = _KEEP_S
        self._again_s = min(missing_s, 2 * self._again_s if self._asked else SHORTEST_S)
        self._slept = self._asked = True
        return self._again_s

    def came(self, more: int, now: Instant) -> None:
        """A cycle is there, and `more` samples. One that was there before it was waited for tells nothing of the next,
        and with a whole one more there is nothing to wait for."""
        known = self._slept and more < self._cycle
        self._due = now + self._cycle / self._rate_hz - self._earlier_s if known else None
        self._slept = self._asked = False
