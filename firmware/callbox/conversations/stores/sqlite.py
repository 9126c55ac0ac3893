"""The box's store in one SQLite file, every value sealed: on a stolen card there is ciphertext, and numbers of rows.

    rows      one line per small row: its table in the clear, its key and its value sealed
    threads   one line per contact: the name and the thread's own key, both sealed under the database key
    items     texts, voice messages and call lines, sealed under their thread's key
    sounds    what voice messages sound like, in parts, sealed under their thread's key

Keys are sealed too, because a contact's name is one; so the store keeps a map from key to row number in memory, and
exactly one process may hold the file (SQLite's exclusive lock). A commit is on the card before it returns (WAL,
synchronous=FULL). After any fault the file is let go and opened anew at the next use: when the card has room again
or is writable again, so is the store.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from callbox.conversations.items import Item
from callbox.conversations.stores import (
    Delete,
    DeleteItem,
    DeleteSound,
    Fields,
    ForgetThread,
    Put,
    PutItem,
    PutSound,
    StoreFault,
    Write,
)
from callbox.conversations.stores.sqlite_faults import fault_of, read_only, unreadable
from callbox.conversations.stores.sqlite_migrations import forget_copies, keep_copy, migrate, version_of
from callbox.conversations.stores.sqlite_schema import SCHEMA_VERSION, create, inspect

_SETTINGS = ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON")
_THREAD_KEY_BYTES = 32
_items = msgspec.msgpack.Decoder(Item)


@dataclass(slots=True)
class _Thread:
    number: int
    fields: Fields


class SqliteStore:
    """A `Store` in the file `path`, which is made when missing. Raises StoreFault at once if it cannot be used.

    `wait_s`: how long to wait for another process that holds the file. On a read-only card the store opens from a
    copy of its (sealed) bytes, so that a box can still make calls; commits raise until the card is writable.
    """

    def __init__(self, path: Path, fields: Fields, wait_s: float = 2.0) -> None:
        self._path = path
        self._fields = fields
        self._wait_s = wait_s
        self._connection: sqlite3.Connection | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._closed = False
        self._numbers: dict[tuple[str, str], int] = {}
        self._threads: dict[str, _Thread] = {}
        self._ready()

    # --- the Store protocol ---------------------------------------------------------------------------------

    def load(self, table: str) -> dict[str, bytes]:
        with self._using() as connection:
            rows = connection.execute("SELECT number, key, value FROM rows WHERE tbl = ? ORDER BY number", (table,))
            return {
                self._open(table, number, "key", key).decode(): self._open(table, number, "value", value)
                for number, key, value in rows
            }

    def items(self, contact: str | None = None, limit: int = 100, before: bytes | None = None) -> list[Item]:
        query = "SELECT id, thread, item FROM items WHERE 1"
        values: list[int | bytes] = []
        with self._using() as connection:
            if contact is not None:
                thread = self._threads.get(contact)
                query, values = query + " AND thread = ?", [thread.number if thread else 0]
            if before is not None:
                query, values = query + " AND place < (SELECT place FROM items WHERE id = ?)", [*values, before]
            found = connection.execute(query + " ORDER BY place DESC LIMIT ?", [*values, max(limit, 0)])
            return self._read_items(found)

    def item(self, item_id: bytes) -> Item | None:
        with self._using() as connection:
            found = self._read_items(connection.execute("SELECT id, thread, item FROM items WHERE id = ?", (item_id,)))
            return found[0] if found else None

    def sound(self, item_id: bytes) -> bytes:
        with self._using() as connection:
            threads = {thread.number: thread.fields for thread in self._threads.values()}
            found = connection.execute("SELECT part, thread, data FROM sounds WHERE id = ? ORDER BY part", (item_id,))
            try:
                return b"".join(
                    threads[thread].open("sounds", f"{item_id.hex()}/{part}", "data", sealed)
                    for part, thread, sealed in found
                )
            except (KeyError, ValueError) as error:
                raise unreadable(self._path, f"sound {item_id.hex()}: {error}") from None

    def commit(self, writes: Sequence[Write]) -> None:
        if not writes:
            return
        if self._copy is not None and self._writable():
            self._let_go()  # the copy: the card is writable again
        self._ready()
        if self._copy is not None:
            raise read_only(self._path)
        with self._using() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for write in writes:
                self._apply(connection, write)
            connection.execute("COMMIT")
            if any(isinstance(write, ForgetThread) for write in writes):
                # The destroyed key is still in the log: write the log back over the file and cut it.
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def settle(self) -> None:
        forget_copies(self._path)

    def close(self) -> None:
        self._closed = True
        self._let_go()

    # --- writes ---------------------------------------------------------------------------------------------

    def _apply(self, connection: sqlite3.Connection, write: Write) -> None:
        match write:
            case Put(table, key, value):
                self._put(connection, table, key, value)
            case Delete(table, key):
                number = self._numbers.pop((table, key), None)
                connection.execute("DELETE FROM rows WHERE number = ?", (number,))
            case PutItem(item):
                self._put_item(connection, item)
            case DeleteItem(item_id):
                connection.execute("DELETE FROM items WHERE id = ?", (item_id,))
                connection.execute("DELETE FROM sounds WHERE id = ?", (item_id,))
            case PutSound():
                self._put_sound(connection, write)
            case DeleteSound(item_id):
                connection.execute("DELETE FROM sounds WHERE id = ?", (item_id,))
            case ForgetThread(contact):
                thread = self._threads.pop(contact, None)
                if thread is not None:
                    connection.execute("DELETE FROM threads WHERE number = ?", (thread.number,))
                    connection.execute("DELETE FROM items WHERE thread = ?", (thread.number,))
                    connection.execute("DELETE FROM sounds WHERE thread = ?", (thread.number,))

    def _put(self, connection: sqlite3.Connection, table: str, key: str, value: bytes) -> None:
        number = self._numbers.get((table, key))
        if number is None:
            number = self._numbers[table, key] = self._next_number(connection, "rows")
        sealed_key = self._seal(table, number, "key", key.encode())
        connection.execute(
            "INSERT INTO rows (number, tbl, key, value) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (number) DO UPDATE SET value = excluded.value",
            (number, table, sealed_key, self._seal(table, number, "value", value)),
        )

    def _put_item(self, connection: sqlite3.Connection, item: Item) -> None:
        thread = self._thread(connection, item.contact)
        sealed = thread.fields.seal("items", item.id.hex(), "item", msgspec.msgpack.encode(item))
        connection.execute(
            "INSERT INTO items (id, thread, item) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET thread = excluded.thread, item = excluded.item",
            (item.id, thread.number, sealed),
        )

    def _put_sound(self, connection: sqlite3.Connection, write: PutSound) -> None:
        thread = self._thread(connection, write.contact)
        sealed = thread.fields.seal("sounds", f"{write.id.hex()}/{write.part}", "data", write.data)
        connection.execute(
            "INSERT INTO sounds (id, part, thread, data) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id, part) DO UPDATE SET thread = excluded.thread, data = excluded.data",
            (write.id, write.part, thread.number, sealed),
        )

    def _thread(self, connection: sqlite3.Connection, contact: str) -> _Thread:
        thread = self._threads.get(contact)
        if thread is None:
            thread = self._threads[contact] = self._new_thread(connection, contact)
        return thread

    def _new_thread(self, connection: sqlite3.Connection, contact: str) -> _Thread:
        number, key = self._next_number(connection, "threads"), secrets.token_bytes(_THREAD_KEY_BYTES)
        name = self._seal("threads", number, "contact", contact.encode())
        connection.execute(
            "INSERT INTO threads (number, contact, key) VALUES (?, ?, ?)",
            (number, name, self._seal("threads", number, "key", key)),
        )
        return _Thread(number, self._fields.under(key))

    @staticmethod
    def _next_number(connection: sqlite3.Connection, table: str) -> int:
        (number,) = connection.execute(f"SELECT coalesce(max(number), 0) + 1 FROM {table}").fetchone()
        return int(number)

    # --- reads ----------------------------------------------------------------------------------------------

    def _read_items(self, found: sqlite3.Cursor) -> list[Item]:
        threads = {thread.number: thread.fields for thread in self._threads.values()}
        items: list[Item] = []
        for item_id, thread, sealed in found:
            try:
                items.append(_items.decode(threads[thread].open("items", item_id.hex(), "item", sealed)))
            except (KeyError, ValueError) as error:  # msgspec's DecodeError is a ValueError
                raise unreadable(self._path, f"item {item_id.hex()}: {error}") from None
        return items

    def _seal(self, table: str, number: int, column: str, data: bytes) -> bytes:
        return self._fields.seal(table, str(number), column, data)

    def _open(self, table: str, number: int, column: str, sealed: bytes) -> bytes:
        try:
            return self._fields.open(table, str(number), column, sealed)
        except ValueError as error:
            raise unreadable(self._path, f"row {number} of {table}: {error}") from None

    # --- taking hold of the file and letting go ---------------------------------------------------------------

    @contextlib.contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; on any failure roll back, let go, and raise what a person can read."""
        connection = self._ready()
        try:
            yield connection
        except BaseException as error:
            self._let_go()
            if isinstance(error, sqlite3.Error):
                raise fault_of(error, self._path) from None
            raise

    def _ready(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreFault("closed", "This box's store was closed already.")
        if self._connection is None:
            try:
                self._connection = self._take_hold()
                self._read_maps(self._connection)
            except sqlite3.Error as error:
                self._let_go()
                raise fault_of(error, self._path) from None
            except OSError as error:
                self._let_go()
                raise StoreFault(
                    "device",
                    f"This box's store {self._path} cannot be reached: {error.strerror or error}.",
                    "Check that its folder exists and belongs to the user that runs callbox.",
                ) from None
            except StoreFault:
                self._let_go()
                raise
        return self._connection

    def _take_hold(self) -> sqlite3.Connection:
        """Open the file for us alone. It is looked at read-only first, so that a bad one is left untouched."""
        path = self._path
        if path.exists() and not self._writable():
            path = self._copied()
        looked = True
        if path.exists() and path.stat().st_size:
            looked = self._look_over(path)
        else:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = self._connect(path.absolute().as_uri())
        try:
            for setting in _SETTINGS:
                connection.execute(f"PRAGMA {setting}").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            if not looked:
                inspect(connection, self._path, self._fields)
            version = version_of(connection)
            if not version:
                create(connection, self._fields)
            connection.execute("COMMIT")
            if 0 < version < SCHEMA_VERSION:
                self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the file up to the present layout; the exclusive lock outlasts the commit before."""
        if self._copy is None:
            keep_copy(connection, self._path)
        connection.execute("BEGIN EXCLUSIVE")
        migrate(connection, self._fields, SCHEMA_VERSION)
        connection.execute("COMMIT")

    def _look_over(self, path: Path) -> bool:
        """Inspect the file read-only; False when a full card has no room for the index that SQLite needs for that."""
        try:
            with contextlib.closing(self._connect(f"{path.absolute().as_uri()}?mode=ro")) as looking:
                inspect(looking, self._path, self._fields)
        except sqlite3.Error as error:
            if fault_of(error, self._path).kind not in ("full", "device"):
                raise
            return False
        return True

    def _writable(self) -> bool:
        return os.access(self._path, os.W_OK) and os.access(self._path.parent, os.W_OK)

    def _connect(self, uri: str) -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=self._wait_s, isolation_level=None, check_same_thread=False)

    def _copied(self) -> Path:
        """Copy the file and its log to where we may write. Nothing of ours has it open now, so no lock is lost."""
        self._copy = tempfile.TemporaryDirectory(prefix="callbox-")
        for suffix in ("", "-wal"):
            source = self._path.with_name(self._path.name + suffix)
            if source.exists():
                target = shutil.copyfile(source, Path(self._copy.name) / source.name)
                target.chmod(0o600)
        return Path(self._copy.name) / self._path.name

    def _read_maps(self, connection: sqlite3.Connection) -> None:
        self._numbers = {
            (table, self._open(table, number, "key", key).decode()): number
            for number, table, key in connection.execute("SELECT number, tbl, key FROM rows")
        }
        self._threads = {
            self._open("threads", number, "contact", contact).decode(): _Thread(
                number, self._fields.under(self._open("threads", number, "key", key))
            )
            for number, contact, key in connection.execute("SELECT number, contact, key FROM threads")
        }

    def _let_go(self) -> None:
        """Close the file, which rolls an open transaction back; the next use reads the maps anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.cleanup()
