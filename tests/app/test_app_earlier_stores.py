"""Stores that earlier versions wrote: opened, brought up to date, and everything in them goes on."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.stored_worlds import AUTHORITIES, KEY, NAMES, VECTORS, box_of, close, server_of
from callbox.app import records
from callbox.conversations.stores import StoreFault
from callbox.conversations.stores.sqlite import SqliteStore
from callbox.conversations.stores.sqlite_migrations import copies
from callbox.conversations.stores.sqlite_schema import SCHEMA_VERSION
from callbox.crypto.fields import FieldCipher
from callbox.server.stores import StoreFault as ServerStoreFault
from callbox.server.stores.sql import SqlStore
from callbox.server.stores.sql_migrations import copies as server_copies
from callbox.server.stores.sql_tables import SCHEMA_VERSION as SERVER_SCHEMA_VERSION
from callbox.testing.authority import AUTHORITY
from callbox.testing.world import World

VERSIONS = sorted(folder.name for folder in VECTORS.glob("stores-v*"))
KILLS = int(os.environ.get("CALLBOX_KILLS", "3"))
PAST = [name for name in VERSIONS if name != f"stores-v{SCHEMA_VERSION}"]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of the stores of one version."""
    return Path(shutil.copytree(VECTORS / request.param, tmp_path / request.param))


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def open_box(path: str | Path) -> SqliteStore:
    return SqliteStore(Path(path), FieldCipher(KEY), wait_s=0.1)


def words(store: SqliteStore) -> list[str]:
    return [text for item in store.items() if (text := getattr(item, "text", ""))]


def test_there_are_stores_of_every_version() -> None:
    assert [f"stores-v{number}" for number in range(1, max(SCHEMA_VERSION, SERVER_SCHEMA_VERSION))] == PAST


@pytest.mark.parametrize("folder", VERSIONS, indirect=True)
def test_a_world_of_an_earlier_version_goes_on(folder: Path) -> None:
    """What waited arrives, what was allowed rings, and nothing is lost or doubled."""
    world = World(seed=2)
    server_of(world, folder, AUTHORITIES.get(folder.name, AUTHORITY))
    kitchen, workshop, attic = (box_of(world, name, folder) for name in NAMES)
    for box in (kitchen, workshop, attic):
        box.start()
    arrived = ["Never mind, soup is on the table.", "This one waits at the server.", "This one waits in the outbox."]
    world.until(lambda: [item.get("text") for item in workshop.thread("kitchen")][-3:] == arrived, 10.0)
    assert [item["state"] for item in kitchen.thread("workshop") if item["kind"] == "text"][:2] == [
        "heard",
        "delivered",
    ]
    assert workshop.ask("why")["items"][0]["reason"] == "quiet"
    assert workshop.ask("status")["quiet_hours"] == "22:00-07:00"
    contacts = {contact["name"]: contact for contact in kitchen.ask("contacts")["contacts"]}
    assert contacts["workshop"]["verified"]
    assert contacts["attic"]["permission"] == "request"
    world.call(kitchen, workshop)
    assert world.until(lambda: workshop.hears(kitchen), 1.0) < 1.0
    close(world)


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_the_store_before_is_kept_until_the_newer_program_has_proved_good(folder: Path) -> None:
    path = folder / "kitchen.sqlite"
    before = words(open_box(shutil.copy(path, folder / "untouched.sqlite")))
    store = open_box(path)
    assert words(store) == before
    (copy,) = copies(path)
    assert copy.name == f"{path.name}.v{version(copy)}"
    assert copy.stat().st_mode & 0o777 == 0o600
    store.close()
    assert version(copy) < version(path) == SCHEMA_VERSION
    store.settle()
    assert copies(path) == []


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_the_way_back_gives_an_earlier_program_its_store(folder: Path) -> None:
    path = folder / "kitchen.sqlite"
    original = version(path)
    store = open_box(path)
    store.close()
    (copy,) = copies(path)
    path.with_name(path.name + "-wal").unlink(missing_ok=True)
    copy.replace(path)
    assert version(path) == original
    assert words(open_box(path))


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_a_box_that_has_been_connected_for_a_while_lets_go_of_the_copy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert records.PROVEN_S == 600.0
    monkeypatch.setattr(records, "PROVEN_S", 20.0)
    world = World(seed=3)
    server_of(world, folder, AUTHORITIES.get(folder.name, AUTHORITY))
    kitchen = box_of(world, "kitchen", folder)
    kitchen.start()
    path = folder / "kitchen.sqlite"
    world.run(19.0)
    assert copies(path)
    world.run(3.0)
    assert not copies(path)
    close(world)


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_who_erases_a_contact_erases_it_from_the_copy_too(folder: Path) -> None:
    world = World(seed=3)
    server_of(world, folder, AUTHORITIES.get(folder.name, AUTHORITY))
    kitchen = box_of(world, "kitchen", folder)
    kitchen.start()
    assert copies(folder / "kitchen.sqlite")
    kitchen.ask("erase contact", contact="workshop")
    world.run(1.0)
    assert not copies(folder / "kitchen.sqlite")
    close(world)


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_without_room_for_the_copy_nothing_is_changed(folder: Path) -> None:
    path = folder / "kitchen.sqlite"
    before = version(path)
    (folder / f"{path.name}.v{before}.new").mkdir()  # as good as no room: the copy cannot be made
    with pytest.raises(StoreFault, match="earlier version") as told:
        open_box(path)
    assert told.value.kind == "full"
    assert "Nothing was changed" in told.value.cure
    assert version(path) == before


CHILD = """
import sys
from pathlib import Path
from callbox.conversations.stores.sqlite import SqliteStore
from callbox.crypto.fields import FieldCipher
print("starts", flush=True)
SqliteStore(Path(sys.argv[1]), FieldCipher(bytes.fromhex(sys.argv[2])), wait_s=5.0)
print("open", flush=True)
sys.stdin.read()
"""


@pytest.mark.real
@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_a_kill_while_it_migrates_leaves_one_layout_or_the_other(folder: Path) -> None:
    source, path = folder / "kitchen.sqlite", folder / "killed.sqlite"
    untouched = words(open_box(shutil.copy(source, folder / "untouched.sqlite")))
    for attempt in range(KILLS):
        for old in folder.glob("killed.sqlite*"):
            old.unlink()
        shutil.copy(source, path)
        with subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), KEY.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            try:
                child.wait(timeout=attempt * 0.03 / KILLS)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
        assert version(path) in (version(source), SCHEMA_VERSION)
        if version(path) == SCHEMA_VERSION:
            assert [version(copy) for copy in copies(path)] == [version(source)]
        store = open_box(path)
        assert words(store) == untouched
        store.close()


# --- the server's ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_only_a_server_that_starts_migrates_its_store(folder: Path) -> None:
    path = folder / "server.sqlite"
    before = path.read_bytes()
    with pytest.raises(ServerStoreFault, match="earlier version") as told:
        SqlStore(path).open()
    assert "callbox server run" in told.value.cure
    assert path.read_bytes() == before
    newer = SqlStore(path, may_migrate=True)
    snapshot = newer.open()
    newer.close()
    assert {account.name for account in snapshot.accounts} == set(NAMES)
    assert snapshot.letters
    (copy,) = server_copies(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    command = SqlStore(path)
    command.open()
    command.close()
    path.with_name("server.sqlite-wal").unlink(missing_ok=True)
    copy.replace(path)
    with pytest.raises(ServerStoreFault, match="earlier version"):
        SqlStore(path).open()


@pytest.mark.parametrize("folder", PAST, indirect=True)
def test_a_server_without_room_for_the_copy_changes_nothing(folder: Path) -> None:
    path = folder / "server.sqlite"
    (folder / "server.sqlite.v1.new").mkdir()
    before = path.read_bytes()
    with pytest.raises(ServerStoreFault, match="cannot be copied"):
        SqlStore(path, may_migrate=True).open()
    assert path.read_bytes() == before
