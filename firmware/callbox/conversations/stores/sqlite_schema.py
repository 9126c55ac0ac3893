"""The layout of the box's store file, its version, and how a file is looked over before it is touched."""

import sqlite3
from pathlib import Path

from callbox.conversations.stores import Fields
from callbox.conversations.stores.sqlite_faults import newer_schema, other_key, unreadable

APPLICATION_ID = 0x43424F58  # "CBOX"
SCHEMA_VERSION = 2  # see sqlite_migrations
SOUNDS = """CREATE TABLE sounds (id BLOB NOT NULL, part INTEGER NOT NULL, thread INTEGER NOT NULL REFERENCES threads,
       data BLOB NOT NULL, PRIMARY KEY (id, part))"""
_SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rows (number INTEGER PRIMARY KEY, tbl TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL)",
    "CREATE TABLE threads (number INTEGER PRIMARY KEY, contact BLOB NOT NULL, key BLOB NOT NULL)",
    """CREATE TABLE items (place INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE,
       thread INTEGER NOT NULL REFERENCES threads, item BLOB NOT NULL)""",
    "CREATE INDEX items_by_thread ON items (thread, place)",
    SOUNDS,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_CHECK = b"callbox store"


def create(connection: sqlite3.Connection, fields: Fields) -> None:
    """Lay out an empty file, inside the transaction that is open."""
    for statement in _SCHEMA:
        connection.execute(statement)
    check = fields.seal("facts", "check", "value", _CHECK)
    connection.execute("INSERT INTO facts (name, value) VALUES ('check', ?)", (check,))


def inspect(looking: sqlite3.Connection, path: Path, fields: Fields) -> None:
    """Refuse a file that is damaged, not ours, too new, or sealed with another key. Raises StoreFault."""
    (application,) = looking.execute("PRAGMA application_id").fetchone()
    (version,) = looking.execute("PRAGMA user_version").fetchone()
    (tables,) = looking.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables and not version:
        return  # made, but not filled yet when the power went
    if application != APPLICATION_ID:
        raise unreadable(path, "it is a database of some other program")
    if version > SCHEMA_VERSION:
        raise newer_schema(path, version, SCHEMA_VERSION)
    (verdict,) = looking.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise unreadable(path, verdict.splitlines()[-1])
    (check,) = looking.execute("SELECT value FROM facts WHERE name = 'check'").fetchone() or (b"",)
    try:
        fields.open("facts", "check", "value", check)
    except ValueError:
        raise other_key(path) from None
