"""Media on its way to one peer: first copies only, over the lanes that move; the newest matter, the stale are dropped.

    media message --> Firsts --> Spread (of this peer on this route) --> connection: MediaQueue, nearly always empty

Nobody waits for a peer that stalls.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from callbox.base.time import Instant
from callbox.lanes.spread import Spread

REMEMBERED_FRAMES = 128
_TAG_BYTES = 8  # the end of a sealed frame's tag tells it from all others

MAX_BYTES = 64 * 1024
MAX_MESSAGES = 64


class Firsts:
    """Knows the frames that were here a moment ago: a sender on a bad hop sends some twice."""

    def __init__(self) -> None:
        self._tags: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def of(self, frames: Sequence[bytes]) -> list[bytes]:
        """Return those that have not been here, in order."""
        fresh: list[bytes] = []
        for frame in frames:
            tag = frame[-_TAG_BYTES:]
            if tag in self._tags:
                continue
            fresh.append(frame)
            self._tags.add(tag)
            self._order.append(tag)
        while len(self._order) > REMEMBERED_FRAMES:
            self._tags.discard(self._order.popleft())
        return fresh


@dataclass(slots=True)
class Outlet:
    """What goes to one device on one route."""

    spread: Spread
    firsts: Firsts = field(default_factory=Firsts)
    lanes: tuple[int, ...] = ()

    def reach(self, lanes: tuple[int, ...]) -> None:
        """Use these connections from now on."""
        if lanes != self.lanes:
            self.lanes = lanes
            self.spread.set_lanes(lanes)


class Onward(Struct, frozen=True, gc=False):
    """Fresh frames and the way that they take. `hurry`: nothing goes back where they came from, so that what TCP
    acknowledges could ride along with it. A struct: thousands a second are made."""

    outlet: Outlet
    frames: list[bytes]
    hurry: bool


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
