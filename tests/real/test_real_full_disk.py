"""Commands on a disk that is really full, or read-only: a sentence, no traceback, the old file or the new, whole."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.processes import KITCHEN, WORKSHOP, Done, Place, Running, told, wait_for
from real.tiny_disk import TinyDisk

# Each starts some ten programs, and the whole of `make test` has five minutes.
pytestmark = [pytest.mark.real, pytest.mark.soak]
NO_ROOM = ("No space left", "no room left", "disk is full", "Is the disk full")
ROOMS_KIB = (0, 4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96)


@pytest.fixture
def disk(place: Place) -> Iterator[TinyDisk]:
    with TinyDisk(place.folder / "disk") as disk:
        yield disk


def on(disk: TinyDisk, place: Place, *arguments: str) -> Done:
    return place.callbox(*arguments, prefix=disk.prefix)


def refused(done: Done) -> None:
    """It failed, for want of room, and says so."""
    told(done, 1)
    assert any(words in done.err for words in NO_ROOM), done


def moved_to(disk: TinyDisk, place: Place, name: str) -> str:
    """Put a home onto the disk; return its folder there."""
    shutil.copytree(place.home(name), disk.seen / name)
    return str(disk.path / name)


def test_join_with_ever_more_room_and_one_invite(place: Place, disk: TinyDisk) -> None:
    place.start_server()
    invite, home = place.invite("cellar"), str(disk.path / "cellar")
    for room_kib in ROOMS_KIB:
        disk.fill(room_kib)
        done = on(disk, place, "join", invite, "--home", home)
        if done.code == 0:
            break
        refused(done)
        assert disk.files.get("cellar/box.toml") != 0, "the settings are whole or not there"
    assert done.code == 0, done
    assert room_kib > 0
    disk.make_room()
    assert "This box is cellar" in on(disk, place, "join", invite, "--home", home).out
    assert on(disk, place, "contacts", "--home", home).code == 0


def test_join_while_the_servers_disk_is_full(place: Place, disk: TinyDisk) -> None:
    home = moved_to(disk, place, "server")
    server = place.start(
        "server", "server", "run", "--home", home, "--listen", f"127.0.0.1:{place.port}", prefix=disk.prefix
    )
    wait_for(lambda: "ready" in server.log, "the server starts")
    invite = on(disk, place, "server", "invite", "cellar", "--home", home).out.strip()
    disk.fill()
    refused(on(disk, place, "server", "invite", "attic", "--home", home))
    told(place.callbox("join", invite, "--home", place.home("cellar")), 1, "The server cannot take this box in now")
    disk.make_room()
    assert place.callbox("join", invite, "--home", place.home("cellar")).code == 0


def ready(running: Running) -> bool:
    """Wait until a server serves, or has ended; say which."""
    wait_for(lambda: "ready" in running.log or running.process.poll() is not None, "it starts or ends")
    return running.process.poll() is None


def test_a_server_starts_on_a_full_disk_or_says_why_not(place: Place, disk: TinyDisk) -> None:
    home = moved_to(disk, place, "server")
    listen = ("--listen", f"127.0.0.1:{place.port}")
    for room_kib in (0, 4, 16, 64):
        disk.fill(room_kib)
        server = place.start("server", "server", "run", "--home", home, *listen, prefix=disk.prefix)
        if ready(server):
            break
        assert any(words in server.log for words in NO_ROOM), server.log
    assert ready(server), server.log
    disk.fill()
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    place.must("message", WORKSHOP, "hello", "--home", place.home(KITCHEN))
    disk.make_room()

    def state() -> object:
        return place.ask(KITCHEN, "messages", contact=WORKSHOP, last=1, read=False)["items"][0]["state"]

    wait_for(lambda: state() == "sent", "it is sent", 60.0)
    assert box.end() == 0


def test_what_commands_write_is_whole_or_not_there(place: Place, disk: TinyDisk, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    passphrase.chmod(0o600)
    home, server = place.home(KITCHEN), place.home("server")
    secret = ("--passphrase-file", str(passphrase))
    commands = {
        "backup": ("backup", str(disk.path / "backup"), "--force", *secret, "--home", home),
        "everything": ("export", str(disk.path / "everything"), "--home", home),
        "everything.zip": ("export", str(disk.path / "everything.zip"), "--home", home),
        "server.backup": ("server", "backup", str(disk.path / "server.backup"), "--force", "--home", server),
        "board.svg": ("boards", "draw", "breadboard", "--out", str(disk.path / "board.svg")),
    }
    old = ("backup", "server.backup", "board.svg")
    for name in old:
        (disk.seen / name).write_bytes(b"old")
    disk.fill()
    for command in commands.values():
        refused(on(disk, place, *command))
    assert disk.files == dict.fromkeys(old, 3)
    place.must("server", "backup", place.home("kept"), "--home", server)
    refused(on(disk, place, "server", "restore", place.home("kept"), "--home", str(disk.path / "S")))
    disk.make_room()
    for command in (*commands.values(), ("server", "restore", place.home("kept"), "--home", str(disk.path / "S"))):
        done = on(disk, place, *command)
        assert done.code == 0, done


def test_the_key_is_sealed_and_unsealed_or_stays_as_it_was(place: Place, disk: TinyDisk, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple")
    passphrase.chmod(0o600)
    home = moved_to(disk, place, KITCHEN)
    disk.fill()
    told(on(disk, place, "lock", "--new-passphrase-file", str(passphrase), "--home", home), 1, "could not be sealed")
    assert disk.files[f"{KITCHEN}/key"] == 32
    assert not [name for name in disk.files if "sealed" in name]
    disk.make_room()
    assert on(disk, place, "lock", "--new-passphrase-file", str(passphrase), "--home", home).code == 0
    disk.fill()
    told(on(disk, place, "lock", "--off", "--passphrase-file", str(passphrase), "--home", home), 1, "No space left")
    assert f"{KITCHEN}/key.sealed" in disk.files
    assert not [name for name in disk.files if name.startswith(f"{KITCHEN}/key") and not name.endswith("sealed")]
    disk.make_room()
    assert on(disk, place, "lock", "--off", "--passphrase-file", str(passphrase), "--home", home).code == 0
    assert disk.files[f"{KITCHEN}/key"] == 32


def test_a_command_for_a_box_that_is_off(place: Place, disk: TinyDisk) -> None:
    home = moved_to(disk, place, KITCHEN)
    assert on(disk, place, "message", WORKSHOP, "first", "--home", home).code == 0
    disk.fill()
    told(on(disk, place, "message", WORKSHOP, "second", "--home", home), 1, "could not be stored", "no room left")
    disk.make_room()
    disk.set_read_only(True)
    told(on(disk, place, "message", WORKSHOP, "third", "--home", home), 1, "could not be stored", "read-only")
    assert "first" in on(disk, place, "messages", WORKSHOP, "--home", home).out
    disk.set_read_only(False)
    texts = on(disk, place, "messages", WORKSHOP, "--home", home).out
    assert [texts.count(text) for text in ("first", "second", "third")] == [1, 0, 0]


def test_a_box_that_runs_on_a_full_card_says_so_and_heals(place: Place, disk: TinyDisk) -> None:
    place.start_server()
    home = moved_to(disk, place, KITCHEN)
    disk.fill()
    box = place.start("kitchen", "run", "--home", home, prefix=disk.prefix)

    def status() -> dict[str, object]:
        printed = on(disk, place, "status", "--json", "--home", home).out
        return dict(json.loads(printed)) if printed else {}

    wait_for(lambda: status().get("link") == "connected", "connecting")
    told(on(disk, place, "message", WORKSHOP, "first", "--home", home), 1, "not stored yet", "no room left")
    assert "no room left" in str(status()["fault"])
    disk.make_room()
    wait_for(lambda: "no room left" not in str(status()["fault"]), "the fault is over")
    assert on(disk, place, "messages", WORKSHOP, "--home", home).out.count("first") == 1
    assert box.end() == 0


def test_a_box_starts_on_a_read_only_card(place: Place, disk: TinyDisk) -> None:
    place.start_server()
    home = moved_to(disk, place, KITCHEN)
    disk.set_read_only(True)
    box = place.start("kitchen", "run", "--home", home, prefix=disk.prefix)
    wait_for(lambda: "connected to" in box.log, "connecting")
    assert "read-only" in box.log
    assert box.end() == 0
