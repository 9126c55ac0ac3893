"""One direction of a link, pure and seeded: a packet's size and the time in, its arrival out, or None: it is lost.

packet -> dark? -> queue and rate -> loss, alone or in spells -> delay, jitter, spike -> arrival, in order
"""

import math

from callbox.base.chance import Chance
from callbox.base.time import Instant
from callbox.testing.lab.conditions import Conditions

_NEVER = float("inf")


class OneWay:
    """Ask in the order of time. `packets`, `bytes` and `lost` count what was put in, and what of it was dropped."""

    def __init__(self, conditions: Conditions, chance: Chance, began: Instant = 0.0) -> None:
        self.packets = self.bytes = self.lost = 0
        self._chance = chance
        self._last_arrival = self._free_at = began
        self.use(conditions, began)

    def use(self, conditions: Conditions, now: Instant) -> None:
        """Change the conditions; darkness and spikes are counted from now on."""
        self._conditions = conditions
        self._began = now
        self._in_spell = False
        self._changes_at = now if conditions.spell_ms else _NEVER

    def arrival(self, size: int, now: Instant) -> Instant | None:
        """Return when a packet of `size` bytes (IP header included) arrives that is sent now."""
        conditions = self._conditions
        self.packets += 1
        self.bytes += size
        sent = self._through_queue(size, now)
        if sent is None or self._dark(now) or self._loses(now):
            self.lost += 1
            return None
        spread_ms = self._chance.between(-conditions.jitter_ms, conditions.jitter_ms) if conditions.jitter_ms else 0.0
        arrival = max(sent + (conditions.delay_ms + spread_ms) / 1000, self._held_until(now))
        if not conditions.reorder:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        return arrival

    def _through_queue(self, size: int, now: Instant) -> Instant | None:
        conditions = self._conditions
        if not conditions.rate_kbps:
            return now
        begins = max(now, self._free_at)
        if begins - now > conditions.queue_ms / 1000:
            return None
        halved = 0.0 < conditions.halved_after_s <= now - self._began
        self._free_at = begins + size * 8 / (conditions.rate_kbps * (500 if halved else 1000))
        return self._free_at

    def _dark(self, now: Instant) -> bool:
        """The last part of every period is dark, so that a call gets on its feet before the first."""
        period = self._conditions.dark_every_s
        return bool(period) and (now - self._began) % period >= period - self._conditions.dark_s

    def _held_until(self, now: Instant) -> Instant:
        period, length_s = self._conditions.spike_every_s, self._conditions.spike_ms / 1000
        into = (now - self._began) % period if period else 0.0
        return now + period - into if period and into >= period - length_s else now

    def _loses(self, now: Instant) -> bool:
        conditions = self._conditions
        if not conditions.spell_ms:
            return conditions.loss > 0 and self._chance.between(0.0, 1.0) < conditions.loss
        while now >= self._changes_at:
            self._in_spell = not self._in_spell if self._changes_at > self._began else False
            bad_s = conditions.spell_ms / 1000
            mean_s = bad_s if self._in_spell else bad_s * (1 - conditions.loss) / conditions.loss
            self._changes_at += max(1e-4, _exponential(self._chance, mean_s))
        return self._in_spell


def _exponential(chance: Chance, mean: float) -> float:
    """Draw from an exponential distribution."""
    return -mean * math.log(1.0 - chance.between(0.0, 1.0))
