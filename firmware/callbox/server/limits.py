"""Counting limits: a bucket that refills, a window that slides, and both kept per pair in bounded memory."""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from callbox.base.time import Instant

Key = TypeVar("Key", bound=Hashable)
MAX_KEYS = 20_000


class Bucket:
    """`burst` at once, then one more every `refill_s` seconds."""

    def __init__(self, burst: float, refill_s: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._level = burst
        self._at: Instant | None = None

    def wait_s(self, now: Instant) -> float:
        """Return 0.0 if one may go now, else the seconds until then."""
        if self._at is not None:
            self._level = min(self._burst, self._level + (now - self._at) / self._refill_s)
        self._at = now
        return max(0.0, (1.0 - self._level) * self._refill_s) if self._level < 1.0 else 0.0

    def take(self, now: Instant = 0.0) -> None:
        """Count one, at the time that `wait_s` was told; goes below zero where the caller slows down, not refuses."""
        self._level -= 1.0


class Window:
    """At most `count` within any `window_s` seconds."""

    def __init__(self, count: int, window_s: float) -> None:
        self._window_s = window_s
        self._count = count
        self._times: deque[Instant] = deque(maxlen=count)

    def wait_s(self, now: Instant) -> float:
        if len(self._times) < self._count:
            return 0.0
        return max(0.0, self._times[0] + self._window_s - now)

    def take(self, now: Instant) -> None:
        self._times.append(now)


class Both:
    """A bucket and a window together: one goes only if both agree, and is counted in both."""

    def __init__(self, bucket: Bucket, window: Window) -> None:
        self._bucket = bucket
        self._window = window

    def wait_s(self, now: Instant) -> float:
        return max(self._bucket.wait_s(now), self._window.wait_s(now))

    def take(self, now: Instant) -> None:
        self._bucket.take()
        self._window.take(now)


class Limit(Protocol):
    def wait_s(self, now: Instant) -> float: ...

    def take(self, now: Instant) -> None: ...


class PerKey(Generic[Key]):
    """One limit per key. When more than MAX_KEYS are in use, the one untouched longest is forgotten."""

    def __init__(self, make: Callable[[], Limit]) -> None:
        self._make = make
        self._limits: OrderedDict[Key, Limit] = OrderedDict()

    def __len__(self) -> int:
        return len(self._limits)

    def allow(self, key: Key, now: Instant) -> float:
        """Count one for `key` and return 0.0; or count nothing and return the seconds to wait."""
        limit = self._limits.get(key)
        if limit is None:
            limit = self._limits[key] = self._make()
            if len(self._limits) > MAX_KEYS:
                self._limits.popitem(last=False)
        self._limits.move_to_end(key)
        wait_s = limit.wait_s(now)
        if wait_s <= 0.0:
            limit.take(now)
            return 0.0
        return wait_s
