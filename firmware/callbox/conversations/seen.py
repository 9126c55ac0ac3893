"""Which letters came already: the receiver's part of "exactly once to the person".

The server delivers a letter until it is acknowledged, so one may come again after a crash. Its id is committed
together with what the letter said and the ratchet that opened it, and kept for 60 days (the server: 30).
"""

from collections.abc import Mapping

import msgspec

from callbox.conversations.stores import Delete, Put, Write, read_rows

TABLE = "seen"
KEPT_DAYS = 60
_DAY_MS = 24 * 60 * 60 * 1000


class Seen:
    """The ids of all letters of the last 60 days."""

    def __init__(self, loaded: Mapping[str, bytes]) -> None:
        self._seen_ms = read_rows(int, TABLE, loaded.items())

    def __contains__(self, letter: tuple[str, bytes]) -> bool:
        """Say whether (from_device, message_id) came before."""
        return _key(*letter) in self._seen_ms

    def __len__(self) -> int:
        return len(self._seen_ms)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest of them came."""
        return min(self._seen_ms.values(), default=None)

    def note(self, from_device: str, message_id: bytes, now_ms: int) -> list[Write]:
        """Remember a letter; commit this with what it brought, and only then acknowledge it."""
        key = _key(from_device, message_id)
        self._seen_ms[key] = now_ms
        return [Put(TABLE, key, msgspec.msgpack.encode(now_ms))]

    def expired(self, now_ms: int, earliest_ms: int) -> list[Write]:
        """Forget ids older than 60 days; those of an untrusted clock are dated anew. See `retention.expired`."""
        if now_ms < earliest_ms:
            return []
        writes: list[Write] = []
        for key, seen_ms in list(self._seen_ms.items()):
            if not earliest_ms <= seen_ms <= now_ms + _DAY_MS:
                self._seen_ms[key] = now_ms
                writes.append(Put(TABLE, key, msgspec.msgpack.encode(now_ms)))
            elif now_ms - seen_ms > KEPT_DAYS * _DAY_MS:
                del self._seen_ms[key]
                writes.append(Delete(TABLE, key))
        return writes


def _key(from_device: str, message_id: bytes) -> str:
    return f"{from_device}/{message_id.hex()}"
