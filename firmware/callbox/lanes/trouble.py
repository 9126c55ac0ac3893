"""How bad one hop is, and how many bytes may be spent against it.

stalls --> Trouble: 0 calm: one lane   1 shaky: lanes in turn   2 bad: each frame twice
fresh bytes --> Budget --> bytes for copies
"""

import math

from callbox.base.time import Instant

FORGET_S = 8.0
ONE_CAUSE_S = 0.1
SHAKY, BAD = 0.9, 1.8
CALM_AGAIN, SHAKY_AGAIN = 0.3, 0.8
BURST_BYTES = 4096


class Trouble:
    """Counts stalls, forgets them within seconds, and says of which degree the trouble is."""

    def __init__(self) -> None:
        self.degree = 0
        self._weight = 0.0
        self._at: Instant = 0.0
        self._stalled_at: Instant = -math.inf

    def stalled(self, now: Instant) -> None:
        """A lane has stalled. Several within a moment have one cause."""
        if now - self._stalled_at < ONE_CAUSE_S:
            return
        self._stalled_at = now
        self._fade(now)
        self._weight += 1.0
        self._judge()

    def at(self, now: Instant) -> int:
        """Return the degree: 0, 1 or 2."""
        if self.degree:
            self._fade(now)
            self._judge()
        return self.degree

    def _fade(self, now: Instant) -> None:
        self._weight *= math.exp(-max(0.0, now - self._at) / FORGET_S)
        self._at = now

    def _judge(self) -> None:
        if self._weight >= BAD:
            self.degree = 2
        elif self._weight >= SHAKY:
            self.degree = max(1, self.degree)
        if self._weight < CALM_AGAIN:
            self.degree = 0
        elif self._weight < SHAKY_AGAIN:
            self.degree = min(1, self.degree)


class Budget:
    """Bytes for copies: a share of the fresh bytes, and at most a short burst of it saved up."""

    def __init__(self, share: float) -> None:
        self.share = share
        self._bytes = BURST_BYTES if share > 0 else 0.0

    def earn(self, fresh_bytes: int) -> None:
        self._bytes = min(BURST_BYTES, self._bytes + self.share * fresh_bytes)

    def spend(self, copied_bytes: int) -> bool:
        """Pay for a copy; False: it is too dear."""
        if copied_bytes > self._bytes:
            return False
        self._bytes -= copied_bytes
        return True
