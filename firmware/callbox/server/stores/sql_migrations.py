"""From an earlier schema of the server's store to the present one, and the way back.

    1  accounts, devices, prekeys, rows, letters, requests, invites
    2  tables for voice messages; an invite says whether it replaces a lost box

Only a server that starts changes the schema; other commands leave that to it. First the whole file is copied to
`NAME.vN` beside it, N its version; all steps are one transaction. The copy stays until the newer server has served
for a while (`forget_copies`); until then, putting it in the file's place, with `NAME-wal` removed, is the way back.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import Connection, text, update

from callbox.server.stores import StoreFault
from callbox.server.stores import sql_tables as tables

Step = Callable[[Connection], None]


def _to_2(connection: Connection) -> None:
    tables.metadata.create_all(connection)
    connection.execute(text("ALTER TABLE invites ADD COLUMN replaces BOOLEAN DEFAULT FALSE NOT NULL"))


STEPS: Mapping[int, Step] = {1: _to_2}
"""From which version which step leads to the next one."""


def migrate(connection: Connection, version: int, target: int) -> None:
    """Bring the tables from `version` up to `target`, inside the transaction that is open."""
    for step in range(version, target):
        STEPS[step](connection)
    written = update(tables.meta).where(tables.meta.c.key == "schema_version")
    connection.execute(written.values(value=str(target)))


def keep_copy(path: Path, version: int) -> None:
    """Copy the file, as it is with its log, to `NAME.vN`; whole or not at all. Raises StoreFault."""
    copy = path.with_name(f"{path.name}.v{version}")
    draft = copy.with_name(copy.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, timeout=10)) as source, closing(sqlite3.connect(draft)) as copying:
            source.backup(copying)
        _sync(draft)
        draft.replace(copy)
        _sync(path.parent)
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreFault(
            f"The store {path} is of an earlier version and cannot be copied before it is changed: {error}.",
            f"Free {path.stat().st_size // 1_000_000 + 2} MB and start again. Nothing was changed.",
        ) from None


def copies(path: Path) -> list[Path]:
    """Return the copies of earlier versions that lie beside the file, unfinished ones too."""
    return sorted(path.parent.glob(f"{path.name}.v[0-9]*"))


def forget_copies(path: Path) -> None:
    """The newer server has proved good: there is no way back any more."""
    for copy in copies(path):
        with suppress(OSError):
            copy.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
