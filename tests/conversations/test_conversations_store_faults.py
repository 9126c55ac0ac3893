"""A card that is full, read-only, damaged, too new, locked with another key or in use: a sentence, nothing lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from callbox.conversations.items import TextItem
from callbox.conversations.stores import Fields, ForgetThread, Put, PutItem, StoreFault, Write
from callbox.conversations.stores.sqlite import SqliteStore

SECRET = "the cake is in the oven"
ITEM = TextItem(bytes(16), "grandmother", True, 1, SECRET, "queued")


class Broken(NamedTuple):
    kind: str
    says: str
    spoil: Callable[[Path], object]


def edit(statement: str) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)
            connection.commit()

    return spoil


def overwrite(at: int, data: bytes) -> Callable[[Path], object]:
    def spoil(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return spoil


BROKEN = {
    "not a database": Broken("damaged", "Restore a backup", overwrite(0, b"\x00" * 64)),
    "a page of noise": Broken("damaged", "Restore a backup", overwrite(4096 * 3, b"\xa5" * 4096)),
    "cut off": Broken("damaged", "Restore a backup", lambda path: os.truncate(path, 4096 * 3 + 100)),
    "text": Broken("damaged", "Restore a backup", lambda path: path.write_text("hello\n" * 3000)),
    "another program's": Broken("damaged", "other program", edit("PRAGMA application_id = 7")),
    "newer": Broken("newer", "newer callbox", edit("PRAGMA user_version = 99")),
    "a table gone": Broken("damaged", "no such table", edit("DROP TABLE facts")),
    "the check gone": Broken("other-key", "another key", edit("DELETE FROM facts")),
    "a key swapped": Broken(
        "damaged", "threads", edit("UPDATE threads SET key = (SELECT key FROM threads ORDER BY number DESC)")
    ),
}


def fill(path: Path, fields: Fields) -> None:
    store = SqliteStore(path, fields)
    store.commit([Put("contacts", "grandmother", SECRET.encode()), PutItem(ITEM)])
    store.commit([PutItem(TextItem(b"2" * 16, "workshop", True, 1, "x" * 5000, "queued"))])
    store.close()


@pytest.mark.parametrize("what", BROKEN)
def test_a_bad_file_is_told_and_left_as_it_was(what: str, store_path: Path, fields: Fields) -> None:
    fill(store_path, fields)
    BROKEN[what].spoil(store_path)
    before = store_path.read_bytes()
    with pytest.raises(StoreFault) as told:
        SqliteStore(store_path, fields, wait_s=0.1)
    assert told.value.kind == BROKEN[what].kind
    assert BROKEN[what].says in str(told.value)
    assert str(store_path) in told.value.what
    assert told.value.cure.startswith("It was left as it is.")
    assert store_path.read_bytes() == before


def test_a_bad_file_keeps_its_log_too(store_path: Path, fields: Fields, tmp_path: Path) -> None:
    """After a power cut the newest commits are in the log: looking at the file must not use that up."""
    store = SqliteStore(store_path, fields)
    store.commit([Put("t", "a", b"1")])
    kept = tmp_path / "kept"
    kept.mkdir()
    subprocess.run(["cp", "-r", store_path, f"{store_path}-wal", kept], check=True)  # not in-process: it holds locks
    store.close()
    log_before = (kept / "box.db-wal").read_bytes()
    assert log_before
    with pytest.raises(StoreFault, match="another key"):
        SqliteStore(kept / "box.db", fields.under(b"k" * 32))
    assert (kept / "box.db-wal").read_bytes() == log_before
    assert SqliteStore(kept / "box.db", fields).load("t") == {"a": b"1"}


def test_a_moved_value_is_not_taken_for_another(store_path: Path, fields: Fields) -> None:
    store = SqliteStore(store_path, fields)
    store.commit([Put("contacts", "a", b"blocked"), Put("contacts", "b", b"ring")])
    store.close()
    edit("UPDATE rows SET value = (SELECT value FROM rows WHERE number = 2) WHERE number = 1")(store_path)
    store = SqliteStore(store_path, fields)
    with pytest.raises(StoreFault, match="row 1 of contacts") as told:
        store.load("contacts")
    assert told.value.kind == "damaged"


def test_a_full_card_takes_nothing_and_heals(store_path: Path, fields: Fields) -> None:
    store = SqliteStore(store_path, fields)
    store.commit([Put("t", "a", b"1")])
    connection = store._connection
    assert connection is not None
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
    big: list[Write] = [Put("t", "a", b"2"), Put("t", "b", bytes(50_000)), PutItem(ITEM)]
    with pytest.raises(StoreFault, match="no room left") as told:
        store.commit(big)
    assert told.value.kind == "full"
    assert store.load("t") == {"a": b"1"}
    assert store.items() == []
    store.commit(big)  # the limit went with the connection: there is room again
    assert store.load("t") == {"a": b"2", "b": bytes(50_000)}
    assert store.items() == [ITEM]


AS_NOBODY = """
import os, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from conftest import GcmFields
from callbox.conversations.stores import Put, StoreFault
from callbox.conversations.stores.sqlite import SqliteStore
if os.getuid() == 0:
    os.setuid(65534)
path = Path({path!r})
store = SqliteStore(path, GcmFields(b"a database key"))
print(store.load("contacts"), len(store.items()))
for mode in {modes!r}:
    try:
        store.commit([Put("contacts", "b", b"2")])
        print("written")
    except StoreFault as fault:
        print(fault.kind)
print(sorted(store.load("contacts")))
"""


@pytest.mark.real
def test_a_read_only_card_can_be_read(store_path: Path, fields: Fields, tmp_path: Path) -> None:
    """In a process of its own without a superuser's rights, because those are not bound by modes."""
    store = SqliteStore(store_path, fields)
    store.commit([Put("contacts", "a", b"1"), PutItem(ITEM)])
    folder = Path(os.path.realpath("/tmp")) / f"callbox-read-only-{os.getpid()}"
    folder.mkdir()
    try:
        subprocess.run(["cp", store_path, f"{store_path}-wal", folder], check=True)
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        code = AS_NOBODY.format(here=str(Path(__file__).parent), path=str(folder / "box.db"), modes=("once", "twice"))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
        assert done.stdout.splitlines() == ["{'a': b'1'} 1", "read-only", "read-only", "['a']"], done.stderr
        assert sorted(file.name for file in folder.iterdir()) == ["box.db", "box.db-wal"]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
        store.close()


NO_FILE_MAY_GROW = """
import resource, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from conftest import GcmFields
from callbox.conversations.stores import Put, StoreFault
from callbox.conversations.stores.sqlite import SqliteStore
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
store = SqliteStore(Path({path!r}), GcmFields(b"a database key"))
assert sorted(store.load("t")) == ["a"]
try:
    store.commit([Put("t", "b", bytes(50_000))])
except StoreFault as fault:
    assert fault.kind in ("full", "device"), fault
else:
    raise SystemExit("a commit without room was reported as written")
assert sorted(store.load("t")) == ["a"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.commit([Put("t", "b", bytes(50_000))])
assert sorted(store.load("t")) == ["a", "b"]
"""


@pytest.mark.real
def test_a_box_starts_on_a_card_without_any_room(store_path: Path, fields: Fields) -> None:
    store = SqliteStore(store_path, fields)
    store.commit([Put("t", "a", b"1")])
    store.close()
    code = NO_FILE_MAY_GROW.format(here=str(Path(__file__).parent), path=str(store_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_store_in_use_is_told(store_path: Path, fields: Fields) -> None:
    store = SqliteStore(store_path, fields)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom conftest import GcmFields\n"
        "from callbox.conversations.stores.sqlite import SqliteStore\n"
        f"SqliteStore(Path({str(store_path)!r}), GcmFields(b'a database key'), wait_s=0.1)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "in use by another callbox process" in done.stderr
    store.commit([Put("t", "a", b"1")])
    store.close()


def test_a_missing_folder_is_told(tmp_path: Path, fields: Fields) -> None:
    with pytest.raises(StoreFault, match="No such file or directory") as told:
        SqliteStore(tmp_path / "none" / "box.db", fields)
    assert told.value.cure.startswith("Check that its folder exists")


def test_a_closed_store_stays_closed(store_path: Path, fields: Fields) -> None:
    store = SqliteStore(store_path, fields)
    store.close()
    store.close()
    with pytest.raises(StoreFault, match="closed"):
        store.commit([Put("t", "a", b"1")])


def test_the_card_shows_no_word_and_no_name(store_path: Path, fields: Fields) -> None:
    fill(store_path, fields)
    raw = store_path.read_bytes()
    for secret in (SECRET, "grandmother", "workshop"):
        assert secret.encode() not in raw
    assert store_path.stat().st_mode & 0o777 == 0o600


def test_forgetting_a_thread_destroys_its_key(store_path: Path, fields: Fields) -> None:
    store = SqliteStore(store_path, fields)
    store.commit([PutItem(ITEM)])
    connection = store._connection
    assert connection is not None
    (key,) = connection.execute("SELECT key FROM threads").fetchone()
    (item,) = connection.execute("SELECT item FROM items").fetchone()
    store.commit([ForgetThread(ITEM.contact)])
    files = subprocess.run(f"cat '{store_path}'*", shell=True, capture_output=True, check=True).stdout
    assert bytes(key) not in files
    assert bytes(item) not in files
    store.close()
