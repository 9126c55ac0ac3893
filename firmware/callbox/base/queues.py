"""A bounded queue between exactly two threads, with a drop rule and a counter.

One thread puts, one thread takes; neither ever waits. `collections.deque` appends and pops atomically in
CPython, so no lock is needed. When full, the oldest item gives way: in live audio the newest matters.
"""

from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class BoundedQueue(Generic[Item]):
    """Single producer, single consumer, drop-oldest."""

    def __init__(self, size: int) -> None:
        self._items: deque[Item] = deque(maxlen=size)
        self._size = size
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """Append `item`; return False if an older one had to go."""
        full = len(self._items) >= self._size
        if full:
            self.dropped += 1
        self._items.append(item)
        return not full

    def take(self) -> Item | None:
        """Remove and return the oldest item, or None."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    def drain(self) -> Sequence[Item]:
        """Take everything that is there now."""
        items = self._items
        return [items.popleft() for _ in range(len(items))] if items else ()
