"""What the conversation tests share: a small `Fields`, samples of items, and both stores."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callbox.conversations.stores import Fields, Store
from callbox.conversations.stores.memory import MemoryStore
from callbox.conversations.stores.sqlite import SqliteStore

StoreFactory = Callable[[], Store]


class GcmFields:
    """The `Fields` contract at its shortest, so that these tests need no other room."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(hashlib.sha256(key).digest())

    def seal(self, table: str, row: str, column: str, data: bytes) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, data, f"{table}|{row}|{column}".encode())

    def open(self, table: str, row: str, column: str, sealed: bytes) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], f"{table}|{row}|{column}".encode())
        except InvalidTag:
            raise ValueError("not sealed by this key, or not here") from None

    def under(self, key: bytes) -> "GcmFields":
        return GcmFields(key)


@pytest.fixture
def fields() -> Fields:
    return GcmFields(b"a database key")


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "box.db"


@pytest.fixture(params=["sqlite", "memory"])
def open_store(request: pytest.FixtureRequest, store_path: Path, fields: Fields) -> Iterator[StoreFactory]:
    """Give a function that opens the store; called again, it closes the store first and opens what was kept."""
    opened: list[Store] = []

    def open_again() -> Store:
        if request.param == "memory":
            opened.append(opened[-1] if opened else MemoryStore())
            return opened[-1]
        for store in opened:
            store.close()
        opened.append(SqliteStore(store_path, fields, wait_s=0.1))
        return opened[-1]

    yield open_again
    for store in opened:
        store.close()
