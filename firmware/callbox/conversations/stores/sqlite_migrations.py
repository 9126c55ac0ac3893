"""From an earlier layout of the box's store file to the present one, and the way back.

    1  texts and call lines
    2  sounds of voice messages; such messages may lie in threads and outbox, which programs of version 1 cannot read

Before the first step the whole file is copied to `NAME.vN` beside it, N its version. All steps are one transaction:
a power cut leaves the old layout or the new one. The copy stays until the newer program has proved good (`settle`);
until then an older program gets its store back by putting the copy in the file's place, the log `NAME-wal` removed.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from callbox.conversations.stores import Fields, StoreFault
from callbox.conversations.stores.sqlite_schema import SOUNDS

Step = Callable[[sqlite3.Connection, Fields], None]


def _to_2(connection: sqlite3.Connection, fields: Fields) -> None:
    """Nothing moves; the number also keeps programs away that do not know the new kinds of rows."""
    connection.execute(SOUNDS)


STEPS: Mapping[int, Step] = {1: _to_2}
"""From which version which step leads to the next one."""


def migrate(connection: sqlite3.Connection, fields: Fields, target: int) -> None:
    """Bring the file up to `target`, inside the transaction that is open."""
    version = version_of(connection)
    while version < target:
        STEPS[version](connection, fields)
        version += 1
        connection.execute(f"PRAGMA user_version = {version}")


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of a file's layout; 0: it is empty."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def keep_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Copy the file, as it is with its log, to `NAME.vN`; whole or not at all. Raises StoreFault or OSError.

    No transaction may be open. A copy of this version that is there already is older than the file, and replaced.
    """
    copy = path.with_name(f"{path.name}.v{version_of(connection)}")
    draft = copy.with_name(copy.name + ".new")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(draft)) as copying:
            connection.backup(copying)
        _sync(draft)
        draft.replace(copy)
        _sync(path.parent)
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise StoreFault(
            "full",
            f"This box's store {path} is of an earlier version and cannot be copied before it is changed: {error}.",
            f"Free {path.stat().st_size // 1_000_000 + 2} MB on the card and start again. Nothing was changed.",
        ) from None


def copies(path: Path) -> list[Path]:
    """Return the copies of earlier versions that lie beside the file, unfinished ones too."""
    return sorted(path.parent.glob(f"{path.name}.v[0-9]*"))


def forget_copies(path: Path) -> None:
    """The program that changed the file has proved good: there is no way back any more."""
    for copy in copies(path):
        with contextlib.suppress(OSError):
            copy.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
