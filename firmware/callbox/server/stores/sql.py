"""The server's store in SQL, by SQLAlchemy Core: SQLite in one file, written ahead and synced at every commit.

A damaged file is found before anything is written to it, and left as it is.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, insert, inspect, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from callbox.base.chance import SystemChance
from callbox.server.items import (
    Account,
    Device,
    Forget,
    Invite,
    Letter,
    LetterMark,
    Prekey,
    Request,
    StoreSnapshot,
    Write,
)
from callbox.server.stores import StoreFault, sql_blobs
from callbox.server.stores import sql_tables as tables
from callbox.server.stores.sql_forget import forget
from callbox.server.stores.sql_migrations import keep_copy, migrate
from callbox.wire.records import SignedKey, SignedRecord

BUSY_TIMEOUT_MS = 10_000
_STORE_ID = select(tables.meta.c.value).where(tables.meta.c.key == tables.STORE_ID)
_APPLY = tables.APPLY | sql_blobs.APPLY | {Forget: forget}


class SqlStore:
    """A store in the SQLite file `path`. One thread at a time; several processes may share the file.

    `may_migrate`: change a file of an earlier version. For the server alone: others would change it under its feet.
    """

    def __init__(self, path: Path, may_migrate: bool = False) -> None:
        self._path = path
        self._may_migrate = may_migrate
        self._engine: Engine | None = None

    def open(self) -> StoreSnapshot:
        _refuse_damaged(self._path)
        with suppress(OSError):  # there already; or it cannot be made, which SQLite tells in its own words
            self._path.touch(mode=0o600, exist_ok=False)  # who writes to whom is for nobody else to read
        self._engine = create_engine(
            f"sqlite:///{self._path}",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(self._engine, "connect", _set_up)
        event.listen(self._engine, "begin", _begin)
        with self._transaction() as connection:
            version = self._version(connection)
        if version and version < tables.SCHEMA_VERSION:
            keep_copy(self._path, version)
        with self._transaction() as connection:
            self._make_tables(connection)
            return _snapshot(connection)

    def apply(self, writes: Sequence[Write]) -> None:
        with self._transaction() as connection:
            for write in writes:
                _APPLY[type(write)](connection, write)

    def mail(self, device: str, after: int, limit: int) -> tuple[Letter, ...]:
        columns = tables.letters.c
        wanted = select(tables.letters).where(
            columns.to_device == device, columns.number > after, columns.void.is_(False)
        )
        with self._transaction(reads=True) as connection:
            lines = connection.execute(wanted.order_by(columns.number).limit(limit))
            return tuple(tables.letter_of(line) for line in lines)

    def invite(self, token_hash: bytes) -> Invite | None:
        wanted = select(tables.invites).where(tables.invites.c.token_hash == token_hash)
        with self._transaction(reads=True) as connection:
            line = connection.execute(wanted).first()
        return None if line is None else tables.invite_of(line)

    def invites(self) -> tuple[Invite, ...]:
        with self._transaction(reads=True) as connection:
            lines = connection.execute(select(tables.invites).order_by(tables.invites.c.created_ms))
            return tuple(tables.invite_of(line) for line in lines)

    def blob_part(self, blob: bytes, part: int) -> bytes | None:
        with self._transaction(reads=True) as connection:
            return sql_blobs.part(connection, blob, part)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    @contextmanager
    def _transaction(self, reads: bool = False) -> Iterator[Connection]:
        """`reads`: it only reads, which goes on a disk that has turned read-only, too."""
        if self._engine is None:
            raise StoreFault("The store is not open.")
        try:
            engine = self._engine.execution_options(reads=True) if reads else self._engine
            with engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise StoreFault(
                f"The store {self._path} failed: {error.orig}.", "Is the disk full, or not writable?"
            ) from error

    def _version(self, connection: Connection) -> int:
        """Return the version of the file, 0 of an empty one. Raises StoreFault if it is none that may be used here."""
        if not inspect(connection).has_table(tables.meta.name):
            return 0
        wanted = select(tables.meta.c.value).where(tables.meta.c.key == "schema_version")
        found, known = str(connection.execute(wanted).scalar()), tables.SCHEMA_VERSION
        if not found.isdecimal() or int(found) > known:
            raise StoreFault(
                f"The store {self._path} has the schema version {found}, this Callbox knows {known}.",
                "Start the Callbox version that wrote it, or a newer one. Nothing was changed.",
            )
        if int(found) < known and not self._may_migrate:
            raise StoreFault(
                f"The store {self._path} is of an earlier version of Callbox ({found}, now {known}).",
                "Start the server once with this version (callbox server run): it brings the store up to date.",
            )
        return int(found)

    def _make_tables(self, connection: Connection) -> None:
        version = self._version(connection)
        if not version:
            tables.metadata.create_all(connection)
            written = {"key": "schema_version", "value": str(tables.SCHEMA_VERSION)}
            connection.execute(insert(tables.meta).values(written))
        elif version < tables.SCHEMA_VERSION:
            migrate(connection, version, tables.SCHEMA_VERSION)
        if connection.execute(_STORE_ID).scalar() is None:
            drawn = {"key": tables.STORE_ID, "value": SystemChance().token(16).hex()}
            connection.execute(insert(tables.meta).values(drawn))


def _refuse_damaged(path: Path) -> None:
    """Raise StoreFault if the file is there and is not a sound database. Writes nothing."""
    if not path.exists() or path.stat().st_size == 0:
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            complaint = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise StoreFault(f"The store {path} cannot be read: {error}.", "Is the disk full, or not well?") from None
    except sqlite3.DatabaseError as error:
        complaint = str(error)
    if complaint != "ok":
        raise StoreFault(
            f"The store {path} is damaged: {' '.join(str(complaint).split())}.",
            "It was left as it is. Put it aside and bring back a backup; boxes then upload their records again.",
        )


def _set_up(connection: Any, _record: Any) -> None:
    """Every commit survives a power cut; Python's driver leaves transactions to `_begin`."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _snapshot(connection: Connection) -> StoreSnapshot:
    lines = connection.execute(select(tables.devices))
    devices = tuple(
        Device(
            line.account,
            line.device,
            SignedRecord(line.record, line.by_account, line.by_device),
            line.connection_epoch,
        )
        for line in lines
    )
    lines = connection.execute(select(tables.prekeys))
    prekeys = tuple(
        Prekey(line.device, SignedKey(line.key, line.signature, line.fallback), line.position, line.used)
        for line in lines
    )
    lines = connection.execute(select(tables.accounts))
    accounts = tuple(Account(line.name, line.key, line.created_ms, line.calls_enabled) for line in lines)
    return StoreSnapshot(
        accounts=accounts,
        devices=devices,
        prekeys=prekeys,
        rows=tuple((line.owner, line.other, line.row) for line in connection.execute(select(tables.rows))),
        letters=_marks(connection),
        requests=tuple(Request(*line) for line in connection.execute(select(tables.requests))),
        store_id=bytes.fromhex(str(connection.execute(_STORE_ID).scalar() or "")),
        last_number=connection.execute(select(func.max(tables.letters.c.number))).scalar() or 0,
        blobs=sql_blobs.all_blobs(connection),
    )


def _marks(connection: Connection) -> tuple[LetterMark, ...]:
    columns = tables.letters.c
    wanted = select(
        columns.number,
        columns.to_device,
        columns.from_device,
        columns.message_id,
        columns.from_account,
        columns.size,
        columns.expires_ms,
        columns.void,
    )
    return tuple(LetterMark(*line) for line in connection.execute(wanted.order_by(columns.number)))
