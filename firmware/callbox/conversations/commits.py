"""What waits for the card: writes, and what may be done only once they are safe (send, acknowledge, show).

The rooms change at once in memory; nothing of it leaves the box before it is written. While a commit is under way
(a card takes 5 to 500 ms), what comes meanwhile gathers and goes with the next. When the card is full or read-only,
everything waits, is tried again, and a letter that came is not acknowledged: the server keeps it.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

from callbox.base.time import Instant
from callbox.conversations.stores import StoreFault, Write

RETRY_S = 5.0
Then = TypeVar("Then")


class Commits(Generic[Then]):
    """Gathers writes into batches. The shell commits each batch and says how that went."""

    def __init__(self) -> None:
        self._writes: list[Write] = []
        self._then: list[Then] = []
        self._under_way: tuple[int, int] | None = None  # how many writes and effects the batch has
        self._retry_at: Instant | None = None
        self.fault: StoreFault | None = None

    def add(self, writes: Iterable[Write], then: Iterable[Then] = ()) -> None:
        """Take writes, and what may happen once they, and all before them, are safe."""
        self._writes += writes
        self._then += then

    def batch(self, now: Instant) -> list[Write] | None:
        """Return what to commit now, for one `Store.commit`; None when there is nothing to do at this moment."""
        if self._under_way is not None or not (self._writes or self._then):
            return None
        if self._retry_at is not None and now < self._retry_at:
            return None
        self._under_way = (len(self._writes), len(self._then))
        return list(self._writes)

    def written(self) -> list[Then]:
        """The batch is on the card. Return what may be done now, in order."""
        writes, thens = self._under_way or (0, 0)
        done = self._then[:thens]
        del self._writes[:writes], self._then[:thens]
        self._under_way = self._retry_at = self.fault = None
        return done

    def failed(self, fault: StoreFault, now: Instant) -> None:
        """Nothing of the batch is on the card: it will be tried again, with all that came after it."""
        self._under_way = None
        self._retry_at = now + RETRY_S
        self.fault = fault

    @property
    def deadline(self) -> Instant | None:
        """When to ask for a batch again after a failure."""
        return self._retry_at if self._under_way is None else None
