"""Chance, as the rooms see it: an argument. The shell gives the system's randomness, tests a seeded source."""

import random
import secrets
from typing import Protocol


class Chance(Protocol):
    """A source of random bytes and numbers."""

    def token(self, size: int) -> bytes:
        """Return `size` random bytes."""
        ...

    def between(self, low: float, high: float) -> float:
        """Return a number drawn evenly from [low, high)."""
        ...


class SystemChance:
    """The operating system's randomness: for keys and identifiers in real use."""

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def between(self, low: float, high: float) -> float:
        return random.SystemRandom().uniform(low, high)


class SeededChance:
    """A repeatable source for tests and simulations. Never for real keys."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def between(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
