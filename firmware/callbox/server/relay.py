"""Media waiting for one peer: the newest matter, the stale are dropped, and nobody waits for a peer that stalls."""

from collections import deque

from callbox.base.time import Instant

MAX_BYTES = 64 * 1024
MAX_MESSAGES = 64


class MediaQueue:
    """Bounded three ways: by age since arrival, by number, by bytes. The oldest gives way."""

    def __init__(self, stale_after_s: float = 0.120) -> None:
        self._stale_after_s = stale_after_s
        self._waiting: deque[tuple[Instant, bytes]] = deque()
        self.waiting_bytes = 0
        self.dropped = 0
        self.stuck_since: Instant | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes, now: Instant) -> None:
        """Append a message and let those go that are stale or too many."""
        self._waiting.append((now, data))
        self.waiting_bytes += len(data)
        self._drop_stale(now)
        while len(self._waiting) > MAX_MESSAGES or self.waiting_bytes > MAX_BYTES:
            self._drop()

    def take(self, now: Instant) -> bytes | None:
        """Return the oldest message that is still worth sending, or None."""
        self._drop_stale(now)
        if not self._waiting:
            return None
        data = self._waiting.popleft()[1]
        self.waiting_bytes -= len(data)
        return data

    def blocked(self, now: Instant) -> None:
        """Note that the peer takes nothing at present."""
        if self.stuck_since is None:
            self.stuck_since = now

    def flowing(self) -> None:
        self.stuck_since = None

    def stuck_for(self, now: Instant) -> float:
        return 0.0 if self.stuck_since is None else now - self.stuck_since

    def _drop_stale(self, now: Instant) -> None:
        while self._waiting and now - self._waiting[0][0] > self._stale_after_s:
            self._drop()

    def _drop(self) -> None:
        self.waiting_bytes -= len(self._waiting.popleft()[1])
        self.dropped += 1
