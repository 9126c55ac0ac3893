"""A key that lives in memory only, for tests and simulations."""

from callbox.base.chance import SystemChance


class MemoryVault:
    """Keeps the given key, or a fresh random one."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or SystemChance().token(32)

    def key(self) -> bytes:
        return self._key


def make(key: bytes | None = None) -> MemoryVault:
    """Return a vault with `key`."""
    return MemoryVault(key)
