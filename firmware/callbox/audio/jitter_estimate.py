"""Jitter buffer, part 1: how much delay the network's unsteadiness asks for.

    arrival (pull count, timestamp) -> lateness over the fastest of 6 s -+-> 99th percentile, forgetting --> target
                                                                         +-> latest of each 100 ms -------> ample

Delay costs at every moment, a packet that comes too late costs each time, and changing costs too. `target` is what
nearly all packets need, and never more than any needed in the last 6 s. A delay up to `ample`, what all spells of
lateness but one in 6 s need, is not worth taking back: the next burst would only bring it again.

All times are samples. Local time is counted in *pulls* (one pull = one cycle played), so that a sender's
clock that runs faster or slower than our card only moves the base, slowly, and never adds up.
"""

import math
from collections import deque
from dataclasses import dataclass

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ

WINDOW_SAMPLES = 6 * RATE_HZ  # what is older is forgotten
QUANTILE = 0.99
FORGET_SAMPLES = 20 * RATE_HZ  # an arrival so long ago weighs a third of a present one
BIN_SAMPLES = RATE_HZ // 200
SPELL_SAMPLES = RATE_HZ // 10
AMPLE_SAMPLES = 40 * RATE_HZ // 1000
IGNORED_SPELLS = 1  # of a full window
FLOOR_SAMPLES = CYCLE_SAMPLES  # one cycle, so that a packet arriving at the edge of a pull is not late
START_SAMPLES = FLOOR_SAMPLES  # before enough is known: on a clean link nothing then has to be taken back
CEILING_SAMPLES = 400 * RATE_HZ // 1000
STALL_SAMPLES = 300 * RATE_HZ // 1000  # lateness beyond this is a stall, which no delay would have bridged
STALL_OVER_SAMPLES = RATE_HZ  # a stall that lasts longer is the network's new delay
_LARGE = 1e9
USUAL_SAMPLES = 15 * RATE_HZ  # a queue is what a packet needs longer than the fastest of the last 15 to 30 s


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


@dataclass(slots=True)
class Spell:
    """The packets that came within 100 ms: the least and the most time that one of them needed."""

    since: int
    least: int
    most: int


class Lateness:
    """How late packets were: a histogram in steps of 5 ms, in which the past fades."""

    def __init__(self) -> None:
        self._weights = [0.0] * (CEILING_SAMPLES // BIN_SAMPLES + 1)
        self._weight = 1.0  # of an arrival now; it grows, which makes the past fade
        self._total = 0.0
        self._at: int | None = None

    def add(self, lateness: int, local: int) -> None:
        if self._at is not None:
            self._weight *= math.exp((local - self._at) / FORGET_SAMPLES)
        self._at = local
        if self._weight > _LARGE:
            self._weights = [weight / _LARGE for weight in self._weights]
            self._weight, self._total = self._weight / _LARGE, self._total / _LARGE
        self._weights[min(-(-lateness // BIN_SAMPLES), len(self._weights) - 1)] += self._weight
        self._total += self._weight

    def quantile(self, share: float) -> int:
        """Return which lateness that share of all arrivals kept to."""
        rest = (1 - share) * self._total
        for step in range(len(self._weights) - 1, 0, -1):
            rest -= self._weights[step]
            if rest < 0:
                return step * BIN_SAMPLES
        return 0


class Estimate:
    """The target delay, from arrivals. See the drawing above."""

    def __init__(self) -> None:
        self._spells: deque[Spell] = deque()
        self._stalled_since: int | None = None
        self.base = 0  # the least transit of the window: what a packet needs at best
        self.target = self.ample = START_SAMPLES
        self._lateness = Lateness()
        self._queue: int | None = None
        self._usual = Least(USUAL_SAMPLES)

    def arrived(self, timestamp: int, local: int) -> None:
        """Take in that the packet starting at `timestamp` was there at local time `local` (both in samples)."""
        transit = local - timestamp
        if not self._spells:
            self.base = transit
        lateness = max(0, transit - self.base)
        queue = transit - self._usual.least(transit, local)
        self._queue = queue if self._queue is None else min(self._queue, queue)
        if self._stalling(lateness, local):
            return
        if transit < self.base - CYCLE_SAMPLES:
            # The path became faster, or what came so far was a backlog: lateness over the old base means nothing.
            self._begin_anew()
        spells = self._spells
        self.base = min(self.base, transit)
        self._lateness.add(transit - self.base, local)
        if spells and local - spells[-1].since < SPELL_SAMPLES:
            spell = spells[-1]
            if spell.least <= transit <= spell.most:
                return
            spell.least, spell.most = min(spell.least, transit), max(spell.most, transit)
        else:
            spells.append(Spell(local, transit, transit))
            while local - spells[0].since > WINDOW_SAMPLES:
                spells.popleft()
        self._update()

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
            self._begin_anew()
            self.base = lateness + self.base
            return False
        return True

    def _begin_anew(self) -> None:
        self._spells.clear()
        self._lateness = Lateness()

    def _update(self) -> None:
        spells = self._spells
        self.base = min([spell.least for spell in spells])
        latest = sorted([spell.most for spell in spells])
        ignored = IGNORED_SPELLS * len(spells) * SPELL_SAMPLES // WINDOW_SAMPLES
        wanted = min(self._lateness.quantile(QUANTILE), latest[-1] - self.base)
        self.target = max(FLOOR_SAMPLES, min(CEILING_SAMPLES, wanted))
        self.ample = max(self.target, min(self.target + AMPLE_SAMPLES, latest[-1 - ignored] - self.base))
