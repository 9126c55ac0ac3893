"""The family of box stores: what keeps a box's conversations over a restart.

A store holds small rows in named tables, each under a text key, and items in threads. Whatever changes goes in as
a list of writes, in one durable transaction: all of it or, when `StoreFault` is raised, nothing.

Members: `sqlite` (every value sealed by a `Fields`), `memory` (for simulated boxes). Both pass one contract suite.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

import msgspec

from callbox.base.errors import CallboxError
from callbox.conversations.items import Item


class Put(msgspec.Struct, frozen=True):
    """Store `value` under `key`, in place of what was there."""

    table: str
    key: str
    value: bytes


class Delete(msgspec.Struct, frozen=True):
    """Drop what is under `key`, if anything is."""

    table: str
    key: str


class PutItem(msgspec.Struct, frozen=True):
    """Append an item to its contact's thread; an item of the same id is replaced and keeps its place."""

    item: Item


class DeleteItem(msgspec.Struct, frozen=True):
    """Drop the item of this id, if there is one, and its sound."""

    id: bytes


class PutSound(msgspec.Struct, frozen=True):
    """Store one part of the sound of a voice message: of its content, or of its sealed blob while it comes."""

    id: bytes
    contact: str
    part: int
    data: bytes


class DeleteSound(msgspec.Struct, frozen=True):
    """Drop all parts of a sound."""

    id: bytes


class ForgetThread(msgspec.Struct, frozen=True):
    """Destroy the key of a contact's thread, and then its items and sounds."""

    contact: str


Write: TypeAlias = Put | Delete | PutItem | DeleteItem | PutSound | DeleteSound | ForgetThread

FaultKind = Literal["full", "read-only", "damaged", "newer", "other-key", "in-use", "device", "closed"]


class StoreFault(CallboxError):
    """The store could not be read or written, in a person's words. Nothing was written; the file is as it was.

    `full`, `read-only`, `in-use` and `device` may pass: the same commit may be tried again.
    """

    def __init__(self, kind: FaultKind, what: str, cure: str = "") -> None:
        super().__init__(what, cure)
        self.kind: FaultKind = kind


class Fields(Protocol):
    """Seals single values; table, row and column are bound in, so that a sealed value cannot be moved."""

    def seal(self, table: str, row: str, column: str, data: bytes) -> bytes:
        """Return `data` encrypted and authenticated."""
        ...

    def open(self, table: str, row: str, column: str, sealed: bytes) -> bytes:
        """Undo `seal`. Raises ValueError when the value is damaged, moved, or of another key."""
        ...

    def under(self, key: bytes) -> "Fields":
        """Return fields under another key of 32 bytes: a thread's own."""
        ...


class Store(Protocol):
    """A box's store. Belongs to one thread at a time; no method of it may be called from two at once."""

    def load(self, table: str) -> dict[str, bytes]:
        """Return every row of a table by its key, oldest first. Raises StoreFault."""
        ...

    def items(self, contact: str | None = None, limit: int = 100, before: bytes | None = None) -> list[Item]:
        """Return the newest `limit` items, newest first: of one contact or of all; older than the item `before`.

        An unknown `before` gives an empty list. Raises StoreFault.
        """
        ...

    def item(self, item_id: bytes) -> Item | None:
        """Return the item of this id. Raises StoreFault."""
        ...

    def sound(self, item_id: bytes) -> bytes:
        """Return the parts of a sound that are here, in order, joined; b"" when there are none. Raises StoreFault."""
        ...

    def commit(self, writes: Sequence[Write]) -> None:
        """Make all writes durable in their order, or raise StoreFault and leave everything as it was."""
        ...

    def settle(self) -> None:
        """This program has proved good: let go of what an earlier one would need to come back."""
        ...

    def close(self) -> None:
        """Let go of the store. Closing twice does nothing."""
        ...


Row = TypeVar("Row")


def read_row(row_type: type[Row], table: str, value: bytes) -> Row:
    """Decode one row's value. Raises StoreFault when it is not what the table holds."""
    try:
        return msgspec.msgpack.decode(value, type=row_type)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise StoreFault(
            "damaged",
            f"A row of '{table}' in this box's store cannot be read: {error}.",
            "It was left as it is. Restore a backup, or run the version of callbox that wrote it.",
        ) from None


def read_rows(row_type: type[Row], table: str, rows: Iterable[tuple[str, bytes]]) -> dict[str, Row]:
    """Decode a loaded table. Raises StoreFault at the first row that cannot be read."""
    return {key: read_row(row_type, table, value) for key, value in rows}
