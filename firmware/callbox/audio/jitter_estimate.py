"""Jitter buffer, part 1: how much delay the network's unsteadiness asks for.

    arrival (pull count, timestamp) -> lateness over the fastest arrival of the window -> high quantile -> target

All times are samples. Local time is counted in *pulls* (one pull = one cycle played), so that a sender's
clock that runs faster or slower than our card only moves the base, slowly, and never adds up.
"""

from collections import deque
from operator import itemgetter

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ

WINDOW_SAMPLES = 8 * RATE_HZ  # what is older is forgotten
MOST_ARRIVALS = 800
QUANTILE = 0.99
FLOOR_SAMPLES = CYCLE_SAMPLES  # one cycle, so that a packet arriving at the edge of a pull is not late
START_SAMPLES = FLOOR_SAMPLES  # before enough is known: on a clean link nothing then has to be taken back
CEILING_SAMPLES = 400 * RATE_HZ // 1000
STALL_SAMPLES = 300 * RATE_HZ // 1000  # lateness beyond this is a stall, which no delay would have bridged
STALL_OVER_SAMPLES = RATE_HZ  # a stall that lasts longer is the network's new delay
ENOUGH_ARRIVALS = 20
USUAL_SAMPLES = 15 * RATE_HZ  # a queue is what a packet needs longer than the fastest of the last 15 to 30 s
_TRANSIT = itemgetter(1)


class Least:
    """The least of the values of the last `span` to twice that, in constant memory."""

    def __init__(self, span: int) -> None:
        self._span = span
        self._since: int | None = None
        self._older = self._newer = 0

    def least(self, value: int, local: int) -> int:
        """Take in a value at local time `local`; return the least now known."""
        if self._since is None or local - self._since > 2 * self._span:
            self._since, self._older, self._newer = local, value, value
        elif local - self._since > self._span:
            self._since, self._older, self._newer = local, self._newer, value
        self._newer = min(self._newer, value)
        return min(self._older, self._newer)


class Estimate:
    """The target delay, from arrivals. See the drawing above."""

    def __init__(self) -> None:
        self._arrivals: deque[tuple[int, int]] = deque(maxlen=MOST_ARRIVALS)  # (local, transit)
        self._stalled_since: int | None = None
        self._since_update = 0
        self.base = 0  # the least transit of the window: what a packet needs at best
        self.target = START_SAMPLES
        self._queue: int | None = None
        self._usual = Least(USUAL_SAMPLES)

    def arrived(self, timestamp: int, local: int) -> None:
        """Take in that the packet starting at `timestamp` was there at local time `local` (both in samples)."""
        transit = local - timestamp
        if not self._arrivals:
            self.base = transit
        lateness = max(0, transit - self.base)
        queue = transit - self._usual.least(transit, local)
        self._queue = queue if self._queue is None else min(self._queue, queue)
        if self._stalling(lateness, local):
            return
        if transit < self.base - CYCLE_SAMPLES:
            # The path became faster, or what came so far was a backlog: lateness over the old base means nothing.
            self._arrivals.clear()
        self._arrivals.append((local, transit))
        self.base = min(self.base, transit)
        self._since_update += 1
        if self._since_update >= 10 or len(self._arrivals) < ENOUGH_ARRIVALS:
            self._update(local)

    def take_queue(self) -> int:
        """Return how late even the fastest packet since the last call was, over what is usual: a standing queue."""
        queue, self._queue = self._queue, None
        return queue or 0

    def _stalling(self, lateness: int, local: int) -> bool:
        if self._stalled_since is None:
            if lateness <= STALL_SAMPLES:
                return False
            self._stalled_since = local
            return True
        if lateness <= max(self.target, CYCLE_SAMPLES):
            self._stalled_since = None
            return False
        if local - self._stalled_since > STALL_OVER_SAMPLES:
            self._stalled_since = None
            self._arrivals.clear()
            self.base = lateness + self.base
            return False
        return True

    def _update(self, local: int) -> None:
        self._since_update = 0
        while self._arrivals and local - self._arrivals[0][0] > WINDOW_SAMPLES:
            self._arrivals.popleft()
        transits = sorted(map(_TRANSIT, self._arrivals))
        self.base = transits[0]
        wanted = transits[min(len(transits) - 1, int(len(transits) * QUANTILE))] - self.base
        self.target = max(FLOOR_SAMPLES, min(CEILING_SAMPLES, wanted))
