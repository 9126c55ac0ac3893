"""What SQLite reports, told to a person: one sentence about what is wrong, one about what to do."""

import sqlite3
from pathlib import Path

from callbox.conversations.stores import FaultKind, StoreFault

_KEPT = "It was left as it is."
_KINDS: dict[int, FaultKind] = {
    sqlite3.SQLITE_BUSY: "in-use",
    sqlite3.SQLITE_LOCKED: "in-use",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_READONLY: "read-only",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_SCHEMA: "damaged",
    sqlite3.SQLITE_ERROR: "damaged",  # a table or column of ours is missing
    sqlite3.SQLITE_CONSTRAINT: "damaged",
}


def fault_of(error: sqlite3.Error, path: Path) -> StoreFault:
    """Tell SQLite's error as a StoreFault."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_IOERR) & 0xFF
    kind = _KINDS.get(code, "device")
    if kind == "in-use":
        return StoreFault(
            kind,
            f"This box's store {path} is in use by another callbox process.",
            "Stop that one first (`systemctl stop callbox`), or give this box its own --home.",
        )
    if kind == "full":
        return StoreFault(
            kind,
            f"There is no room left on the card for this box's store {path}.",
            "Free some space; calls go on meanwhile, and what waits is written as soon as there is room.",
        )
    if kind == "read-only":
        return read_only(path)
    if kind == "damaged":
        return unreadable(path, str(error))
    return StoreFault(
        "device",
        f"This box's store {path} could not be read or written: {error}.",
        "Check the card (`dmesg` names its errors) and the owner of the folder; nothing was half-written.",
    )


def read_only(path: Path) -> StoreFault:
    return StoreFault(
        "read-only",
        f"This box's store {path} cannot be written: the card or the file is read-only.",
        "Make it writable for the user that runs callbox; a card that turned read-only by itself is worn out.",
    )


def unreadable(path: Path, detail: str) -> StoreFault:
    return StoreFault(
        "damaged",
        f"This box's store {path} is damaged ({detail}).",
        f"{_KEPT} Restore a backup, or move the file away and start again with an empty store.",
    )


def newer_schema(path: Path, version: int, known: int) -> StoreFault:
    return StoreFault(
        "newer",
        f"This box's store {path} was written by a newer callbox (store version {version}; this one knows {known}).",
        f"{_KEPT} Install the newer callbox again.",
    )


def other_key(path: Path) -> StoreFault:
    return StoreFault(
        "other-key",
        f"This box's store {path} was sealed with another key than this box's.",
        f"{_KEPT} Put back the key that belongs to it, or restore a backup.",
    )
