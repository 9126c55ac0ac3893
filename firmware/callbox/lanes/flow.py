"""How much may be on the way at once, over all lanes together: what the hop delivers of late, for a little while.

acknowledged bytes --> windows of half a second --> the best of the last few --> x (round trip + a bit) --> allowed

Each lane's TCP allows ten segments before it knows anything; six lanes together bury a thin link for seconds under what
nobody waits for any more. What is not allowed waits where it can still be dropped, and the rate control hears of it.
On a hop that delivers what is sent this never binds.
"""

from collections import deque

from callbox.base.time import Instant

WINDOW_S = 0.5
FIRST_WINDOW_S = 0.25
REMEMBER_S = 1.5
AHEAD_S = 0.2  # a loss keeps its frames in the account for so long and longer
FIRST_BYTES = 1800  # before anything is known; more where the way is long
FIRST_BYTES_PER_S = 24_000
LEAST_BYTES = 700
DARK_S = 0.3  # nothing acknowledged for so long: nobody knows what the hop carries


class Flow:
    """One hop's account. `moved_at`: when bytes were last acknowledged."""

    def __init__(self) -> None:
        self.moved_at: Instant = 0.0
        self.bytes_per_s = 0.0  # that the hop delivered at the best of late, heads included; 0: not known
        self._rates: deque[tuple[Instant, float]] = deque()
        self._began: Instant | None = None
        self._acked = 0

    def acked(self, count: int, now: Instant) -> None:
        """Take in that so many bytes arrived since the last call."""
        if not count:
            return
        self.moved_at = now
        if self._began is None or now - self._began > REMEMBER_S:
            self._began, self._acked = now, 0
            return
        self._acked += count
        over_s = now - self._began
        if over_s < (WINDOW_S if self._rates else FIRST_WINDOW_S):
            return
        self._rates.append((now, self._acked / over_s))
        while now - self._rates[0][0] > REMEMBER_S:
            self._rates.popleft()
        self.bytes_per_s = max(rate for _, rate in self._rates)
        self._began, self._acked = now, 0

    def allowed(self, rtt_s: float) -> float:
        """Return how many bytes may be on the way; `rtt_s`: the hop's round trip at its best."""
        if not self.bytes_per_s:
            return max(FIRST_BYTES, FIRST_BYTES_PER_S * rtt_s)
        return max(LEAST_BYTES, self.bytes_per_s * (rtt_s + AHEAD_S))

    def dark(self, now: Instant) -> bool:
        """Say whether the hop stands still."""
        return now - self.moved_at > DARK_S
