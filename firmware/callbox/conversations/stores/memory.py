"""A store in memory, for simulated boxes: it keeps what a restart of the simulated box must find again.

`fail_with` makes every commit raise that fault until it is set back to None: a full or read-only card.
"""

from collections.abc import Sequence

from callbox.conversations.items import Item
from callbox.conversations.stores import (
    Delete,
    DeleteItem,
    DeleteSound,
    ForgetThread,
    Put,
    PutItem,
    PutSound,
    StoreFault,
    Write,
)


class MemoryStore:
    """Everything in dictionaries; a commit fails before its first write or not at all."""

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, bytes]] = {}
        self._items: dict[bytes, Item] = {}
        self._sounds: dict[bytes, dict[int, PutSound]] = {}
        self.fail_with: StoreFault | None = None

    def load(self, table: str) -> dict[str, bytes]:
        return dict(self._tables.get(table, {}))

    def items(self, contact: str | None = None, limit: int = 100, before: bytes | None = None) -> list[Item]:
        newest_first = list(reversed(self._items.values()))
        if before is not None:
            places = [place for place, item in enumerate(newest_first) if item.id == before]
            newest_first = newest_first[places[0] + 1 :] if places else []
        return [item for item in newest_first if contact in (None, item.contact)][: max(limit, 0)]

    def item(self, item_id: bytes) -> Item | None:
        return self._items.get(item_id)

    def sound(self, item_id: bytes) -> bytes:
        return b"".join(part.data for _, part in sorted(self._sounds.get(item_id, {}).items()))

    def commit(self, writes: Sequence[Write]) -> None:
        if self.fail_with is not None:
            raise self.fail_with
        for write in writes:
            self._apply(write)

    def _apply(self, write: Write) -> None:
        match write:
            case Put(table, key, value):
                self._tables.setdefault(table, {})[key] = value
            case Delete(table, key):
                self._tables.get(table, {}).pop(key, None)
            case PutItem(item):
                self._items[item.id] = item
            case DeleteItem(item_id):
                self._items.pop(item_id, None)
                self._sounds.pop(item_id, None)
            case PutSound(item_id, _, part):
                self._sounds.setdefault(item_id, {})[part] = write
            case DeleteSound(item_id):
                self._sounds.pop(item_id, None)
            case ForgetThread(contact):
                for parts in self._sounds.values():
                    for number in [number for number, part in parts.items() if part.contact == contact]:
                        del parts[number]
                self._items = {key: item for key, item in self._items.items() if item.contact != contact}

    def settle(self) -> None:
        """There is nothing of an earlier program here."""

    def close(self) -> None:
        """Keep everything: the next box on this store finds it."""
