"""Backup and restore of a server: one file with its authority, its settings and a copy of its store.

    backup   store --SQLite's online backup--> a draft, checked --> FILE          (a server may run meanwhile)
    restore  FILE, every digest checked --> restored.new/ --rename--> restored/ --file by file--> the folder

The rename is the moment that counts. Cut off before it, the folder is as it was; after it, whatever comes next to this
folder (`finish_restore`) does the rest. What lay in the folder goes to `before-restore/`, and nothing is deleted.

A backup holds the authority's secret key and who talks to whom: keep it like the server itself.
"""

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from callbox.base.errors import CallboxError
from callbox.base.files import write_whole
from callbox.server.shell.home import (
    ADDRESS,
    ASIDE,
    AUTHORITY_FILES,
    PENDING,
    SETTINGS,
    STORE,
    Home,
    wall_ms,
)

FORMAT = 1
MANIFEST = "callbox-server-backup.json"
_DRAFT = "restored.new"
_SMALL_FILES = (*AUTHORITY_FILES, SETTINGS, ADDRESS)
_NEEDED = (*AUTHORITY_FILES, STORE)
_LARGEST_SMALL_FILE = 1024 * 1024
_NOT_A_BACKUP = "`callbox server backup FILE` writes one. Is this the whole file, as it was written?"


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What a person is told about a backup."""

    made_ms: int
    accounts: int
    letters: int
    bytes: int


def back_up(home: Home, file: Path, force: bool) -> BackupFacts:
    """Write a backup of the server in `home` to `file`, whole or not at all. Raises CallboxError."""
    if not home.store_file.exists():
        raise CallboxError(f"There is no server in {home.folder}.", "Name its folder with --home.")
    if file.exists() and not force:
        raise CallboxError(f"{file} is there already.", "Choose another name, or let it be replaced: --force")
    try:
        with tempfile.TemporaryDirectory(dir=home.folder, prefix=".backup-") as scratch:
            copy = Path(scratch) / STORE
            _copy_store(home.store_file, copy)
            accounts, letters = _counts(copy)
            content = {STORE: copy.read_bytes()}
            for name in _SMALL_FILES:
                with suppress(FileNotFoundError):
                    content[name] = (home.folder / name).read_bytes()
        _require(content)
        made_ms = wall_ms()
        packed = _packed(content, made_ms)
        write_whole(file, packed)
    except (OSError, sqlite3.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise CallboxError(f"The backup {file} could not be written: {why}.", "Is the disk full?") from None
    return BackupFacts(made_ms, accounts, letters, len(packed))


def restore(home: Home, file: Path, force: bool) -> BackupFacts:
    """Put a backup in the place of what is in `home`. No server may run there. Raises CallboxError."""
    content, made_ms = _unpacked(file)
    taken = [name for name in _NEEDED if (home.folder / name).exists()]
    if taken and not force:
        raise CallboxError(
            f"There is a server in {home.folder} already.",
            f"Restore to another folder (--home), or replace this one: --force. What is there goes to {ASIDE}/.",
        )
    try:
        home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.claim()
        try:
            draft = home.folder / _DRAFT
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(mode=0o700)
            for name, data in content.items():
                write_whole(draft / name, data)
            accounts, letters = _counts(draft / STORE)
            _draw_anew(draft / STORE)
            home.finish_restore()  # of an earlier one that was cut off
            draft.rename(home.folder / PENDING)
            home.finish_restore()
        finally:
            home.release()
    except OSError as error:
        raise CallboxError(
            f"The backup could not be put into {home.folder}: {error.strerror or error}.",
            "Is the disk full, or the folder not yours? What was there is as it was.",
        ) from None
    return BackupFacts(made_ms, accounts, letters, file.stat().st_size)


def _require(content: Mapping[str, bytes]) -> None:
    for name in _NEEDED:
        if name not in content:
            raise CallboxError(
                f"The server's folder has no {name}.", "Start the server there once, or name its --home."
            )


def _copy_store(source: Path, target: Path) -> None:
    """Copy a database that others may be writing to, as it is at one moment, with its log in it."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    address = f"{source.absolute().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=10)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")


def _draw_anew(store: Path) -> None:
    """Have the store draw another id when it is opened: so boxes notice that it knows less than before."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'store_id'")
        connection.commit()


def _counts(store: Path) -> tuple[int, int]:
    """Check every page of a store; return how many accounts and letters it holds. Raises CallboxError."""
    damaged = CallboxError("The copy of the store is damaged.", "Is the disk well? `callbox doctor` looks at it.")
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                raise damaged
            counted = [
                int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("accounts", "letters")
            ]
    except sqlite3.DatabaseError:
        raise damaged from None
    return counted[0], counted[1]


def _packed(content: Mapping[str, bytes], made_ms: int) -> bytes:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    manifest = json.dumps({"format": FORMAT, "made_ms": made_ms, "files": digests}, indent=1).encode()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in {MANIFEST: manifest, **content}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o600, made_ms // 1000
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _unpacked(file: Path) -> tuple[dict[str, bytes], int]:
    """Return the files of a backup, every byte checked against its manifest. Raises CallboxError."""
    broken = CallboxError(f"{file} is not a sound backup of a Callbox server.", _NOT_A_BACKUP)
    try:
        with tarfile.open(file, mode="r:") as archive:
            known = {MANIFEST, STORE, *_SMALL_FILES}
            found = {entry.name: entry for entry in archive if entry.isfile() and entry.name in known}
            if any(entry.size > _LARGEST_SMALL_FILE for name, entry in found.items() if name != STORE):
                raise broken
            content = {name: (archive.extractfile(entry) or io.BytesIO()).read() for name, entry in found.items()}
        manifest = json.loads(content.pop(MANIFEST))
        version, made_ms, digests = int(manifest["format"]), int(manifest["made_ms"]), dict(manifest["files"])
    except OSError as error:
        if isinstance(error, tarfile.TarError):
            raise broken from None
        raise CallboxError(f"{file} cannot be read: {error.strerror}.") from None
    except (tarfile.TarError, KeyError, TypeError, ValueError, AttributeError, EOFError):
        raise broken from None
    if version != FORMAT:
        raise CallboxError(f"{file} is a backup of another version of Callbox.", "Restore it with that version.")
    sound = digests == {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    if not sound or any(name not in content for name in _NEEDED):
        raise broken
    return content, made_ms
