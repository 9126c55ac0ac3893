"""Every delay of the link in one place, with the endless back-off and the heartbeat that are built from them.

Timers live here in the core, so that no shell repeats them: each class has a deadline and is asked when it passes.
"""

from dataclasses import dataclass

from callbox.base.chance import Chance
from callbox.base.time import Instant


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds."""

    connect_s: float = 5.0  # until LaneOpened
    login_s: float = 5.0  # from LaneOpened to Welcome or LaneJoined
    answer_s: float = 60.0  # a request waits this long, with nothing else coming in, before the session is given up
    idle_ping_s: float = 20.0
    idle_dead_s: float = 45.0
    call_ping_s: float = 0.5
    call_silent_s: float = 1.5  # in a call: from now on it is tried whether a fresh connection is answered
    call_dead_s: float = 10.0
    first_retry_s: float = 0.2
    longest_retry_s: float = 30.0
    call_connect_s: float = 3.0  # the first attempts in a call; after every fourth, half as long again
    call_longest_retry_s: float = 0.5  # a call is only kept for 30 s: no long pauses
    slow_retry_s: float = 60.0  # after a fault that time alone will not mend
    stable_s: float = 60.0  # a session that lasted this long starts the back-off anew


class Backoff:
    """Endless, doubling, jittered between a half and the whole of each step."""

    def __init__(self, timing: Timing, chance: Chance) -> None:
        self._timing = timing
        self._chance = chance
        self.failures = 0

    def reset(self) -> None:
        self.failures = 0

    def next_delay(self, in_call: bool, slow: bool = False) -> float:
        """Count a failure and return how many seconds to wait before the next attempt."""
        timing = self._timing
        longest = timing.call_longest_retry_s if in_call else timing.longest_retry_s
        step = min(longest, timing.first_retry_s * 2.0 ** min(self.failures, 30))
        if slow:
            step = timing.slow_retry_s
        self.failures += 1
        return self._chance.between(step / 2, step)

    def connect_timeout_s(self, in_call: bool) -> float:
        """Return how long an attempt may take: short in a call, growing slowly for the sake of slow links.

        A handshake that darkness broke off waits for TCP, twice as long after every try: when the network comes back, a
        fresh attempt is often faster than a patient one.
        """
        if not in_call:
            return self._timing.connect_s
        return min(self._timing.connect_s, self._timing.call_connect_s * 1.5 ** min(self.failures // 4, 10))


class Heartbeat:
    """Whether the other end of one lane lives: anything heard counts, and silence is broken by pings.

    A lane is dead when a ping is unanswered and nothing was heard for `dead_s`. A box that was itself asleep
    first sends its overdue ping: its own sleep proves nothing about the other end. In a call it is `silent` long
    before: the network may be dark for a moment, after which the old connection is the first to be heard again.
    """

    def __init__(self, timing: Timing, in_call: bool, now: Instant) -> None:
        self._timing = timing
        self._in_call = in_call
        self._heard_at = now
        self._pinged_at = now
        self._unanswered_since: Instant | None = None
        self._doubted = False
        self.silent = False  # in a call, as of the last `listen`

    @property
    def ping_s(self) -> float:
        return self._timing.call_ping_s if self._in_call else self._timing.idle_ping_s

    @property
    def dead_s(self) -> float:
        if self._doubted:
            return self._timing.call_silent_s
        return self._timing.call_dead_s if self._in_call else self._timing.idle_dead_s

    @property
    def deadline(self) -> Instant:
        """When to ask `dead`, `ping_due` and `listen` again."""
        dead_at = self._over_at(self.dead_s)
        if self.silent and dead_at is not None:
            return dead_at
        ping_at = self._pinged_at + self.ping_s
        silent_at = self._over_at(self._timing.call_silent_s) if self._in_call else None
        return min(at for at in (ping_at, dead_at, silent_at) if at is not None)

    def heard(self, now: Instant) -> None:
        self._heard_at = now
        self._unanswered_since = None
        self._doubted = self.silent = False

    def set_in_call(self, in_call: bool, now: Instant) -> None:
        """Change the pace; the stricter limit counts from now on, not backwards."""
        if in_call != self._in_call:
            self._in_call = in_call
            self._heard_at = max(self._heard_at, now)
            self._unanswered_since = None
            self.silent = False
            if in_call:
                self._pinged_at = now - self.ping_s

    def doubt(self, now: Instant) -> None:
        """Make a ping due at once, and allow its answer no more time than a call would."""
        self._pinged_at = now - self.ping_s
        self._unanswered_since = None
        self._heard_at = now
        self._doubted, self.silent = True, False

    def listen(self, now: Instant) -> bool:
        """Find out, and return, whether the lane has gone silent."""
        silent_at = self._over_at(self._timing.call_silent_s) if self._in_call else None
        self.silent = silent_at is not None and now >= silent_at
        return self.silent

    def ping_due(self, now: Instant) -> bool:
        """Return whether a ping must go out now, and count it as sent. In silence TCP repeats what is unanswered."""
        if self.silent or now < self._pinged_at + self.ping_s:
            return False
        self._pinged_at = now
        if self._unanswered_since is None:
            self._unanswered_since = now
        return True

    def dead(self, now: Instant) -> bool:
        dead_at = self._over_at(self.dead_s)
        return dead_at is not None and now >= dead_at

    def _over_at(self, limit_s: float) -> Instant | None:
        """Return when the silence will have lasted too long; None while no ping is unanswered."""
        if self._unanswered_since is None:
            return None
        return max(self._heard_at + limit_s, self._unanswered_since + limit_s - self.ping_s)
