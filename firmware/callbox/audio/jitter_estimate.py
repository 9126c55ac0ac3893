"""Jitter buffer, part 1: how much delay the network's unsteadiness asks for.

    arrival (pull count, timestamp) -> transit -> latest of each 100 ms, but for one in 6 s -> target

Delay costs at every moment, a packet that comes too late costs each time: so what counts is how often *spells* of
lateness come, not how many packets each holds. A target that all spells but one in 6 s keep to costs least there
(on recorded speech, over bursts of 120 ms every 3 s: PESQ 4.25 where the 99th percentile of packets gave 3.74).

All times are samples. Local time is counted in *pulls* (one pull = one cycle played), so that a sender's
clock that runs faster or slower than our card only moves the base, slowly, and never adds up.
"""

from collections import deque
from dataclasses import dataclass

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ

WINDOW_SAMPLES = 6 * RATE_HZ  # what is older is forgotten
SPELL_SAMPLES = RATE_HZ // 10
IGNORED_SPELLS = 1  # of a full window
FLOOR_SAMPLES = CYCLE_SAMPLES  # one cycle, so that a packet arriving at the edge of a pull is not late
START_SAMPLES = FLOOR_SAMPLES  # before enough is known: on a clean link nothing then has to be taken back
CEILING_SAMPLES = 400 * RATE_HZ // 1000
STALL_SAMPLES = 300 * RATE_HZ // 1000  # lateness beyond this is a stall, which no delay would have bridged
STALL_OVER_SAMPLES = RATE_HZ  # a stall that lasts longer is the network's new delay
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


class Estimate:
    """The target delay, from arrivals. See the drawing above."""

    def __init__(self) -> None:
        self._spells: deque[Spell] = deque()
        self._stalled_since: int | None = None
        self.base = 0  # the least transit of the window: what a packet needs at best
        self.target = START_SAMPLES
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
            self._spells.clear()
        spells = self._spells
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
            self._spells.clear()
            self.base = lateness + self.base
            return False
        return True

    def _update(self) -> None:
        spells = self._spells
        self.base = min([spell.least for spell in spells])
        ignored = IGNORED_SPELLS * len(spells) * SPELL_SAMPLES // WINDOW_SAMPLES
        wanted = sorted([spell.most for spell in spells])[-1 - ignored] - self.base
        self.target = max(FLOOR_SAMPLES, min(CEILING_SAMPLES, wanted))
