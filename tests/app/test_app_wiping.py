"""Destroying a folder: keys first, everything the box put there, and nothing that it did not."""

import os
from pathlib import Path

import pytest

from callbox.app import wiping
from callbox.app.home import Home
from callbox.app.wiping import wipe
from callbox.base.errors import CallboxError


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a folder with all that a box may leave in it."""
    home = Home(tmp_path / "box")
    home.prepare()
    for name in ("key", "key.sealed", ".key-12", "box.sqlite", "box.sqlite-wal", "box.sqlite.v1", "control.sock"):
        (home.folder / name).write_bytes(b"secret of " + name.encode())
    assert home.lock()
    return home


def test_nothing_is_left(home: Home) -> None:
    assert wipe(home) == ([], False)
    assert not home.folder.exists()


def test_keys_go_before_anything_else(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(wiping, "destroy", lambda path: order.append(path.name))
    wipe(home)
    assert order[:3] == [".key-12", "key", "key.sealed"]
    assert order[3].startswith("box.sqlite")


def test_a_file_is_overwritten_before_it_is_removed(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    os.link(home.folder / "key", kept)  # another name for the same bytes on the card
    wipe(home)
    assert b"secret" not in kept.read_bytes()
    assert len(kept.read_bytes()) == len(b"secret of key")


def test_what_lies_behind_a_link_is_not_touched(home: Home, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"not the box's")
    (home.folder / "key").unlink()
    (home.folder / "key").symlink_to(elsewhere)
    wipe(home)
    assert elsewhere.read_bytes() == b"not the box's"
    assert not home.folder.exists()


def test_other_files_stay_and_are_told(home: Home) -> None:
    (home.folder / "greeting.wav").touch()
    assert wipe(home).foreign == ["greeting.wav"]
    assert sorted(path.name for path in home.folder.iterdir()) == ["greeting.wav", "lock"]


def test_a_key_that_is_a_credential_is_told(home: Home) -> None:
    for key in home.key_files:
        key.unlink()
    assert wipe(home).credential


def test_cut_off_in_the_middle_it_goes_on_the_next_time(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    destroy, done = wiping.destroy, 0

    def cut(path: Path) -> None:
        nonlocal done
        done += 1
        if done == 5:
            raise OSError(30, "Read-only file system")
        destroy(path)

    monkeypatch.setattr(wiping, "destroy", cut)
    with pytest.raises(CallboxError, match="Read-only") as told:
        wipe(home)
    assert "--here-only" in told.value.cure
    assert not home.key_files
    assert home.store_file.exists() or list(home.folder.glob("box.sqlite*"))
    monkeypatch.undo()
    wipe(home)
    assert not home.folder.exists()
