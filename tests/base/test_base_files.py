"""A file is written whole or not at all, and leaves no draft behind."""

import os
from pathlib import Path

import pytest

from callbox.app.home import Home
from callbox.base.errors import CallboxError
from callbox.base.files import write_whole


def full(fd: int) -> None:
    raise OSError(28, "No space left on device")


def test_it_takes_the_place_of_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_without_room_the_old_one_stays_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_box_leaves_no_half_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "A")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(CallboxError, match="No space left"):
            home.prepare()
    assert os.listdir(home.folder) == []
    home.prepare()
    assert "[panel]" in home.settings_file.read_text()
