"""Exports: open formats, whole or not at all, good names for any contact."""

import errno
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.app.export import export, file_name
from callbox.base.errors import CallboxError

AT_MS = 1_780_300_800_000  # 2026-06-01 08:00 UTC


def line(contact: str, kind: str = "text", number: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "id": f"{number:032x}",
        "contact": contact,
        "outgoing": False,
        "at_ms": AT_MS,
        "state": "heard",
        **({"here": True} if kind == "voice" else {}),
        **more,
    }


def facts(*items: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "kitchen",
        "server": "box.example:8443",
        "devices": [{"device": "0123456789abcdef", "this": True}],
        "controls": {"quiet": "22:00-07:00"},
        "contacts": [{"name": "workshop", "permission": "ring"}],
        "consents": [{"at_ms": AT_MS, "name": "workshop", "what": "ring"}],
        "items": list(items),
    }


def no_sound(item: str) -> bytes:
    return b""


def read(target: Path) -> dict[str, bytes]:
    if target.suffix == ".zip":
        with zipfile.ZipFile(target) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["everything", "everything.zip"])
def test_everything_is_there_in_open_formats(tmp_path: Path, name: str) -> None:
    voice = line("großmutter", "voice", 0xABCDEF0123456789ABCDEF0123456789, duration_s=2.0)
    items = (line("workshop", text="Tee?"), voice, line("workshop", "call", 3, reason="quiet", chain=["quiet hours"]))
    done = export(tmp_path / name, facts(*items), "[keep]\n", lambda item: b"OggS sound of " + item[:4].encode())
    assert done == (1, 1, 1, 0)
    files = read(tmp_path / name)
    sound = "voice/großmutter/2026-06-01T08-00-00Z-abcdef01.ogg"
    assert files[sound] == b"OggS sound of abcd"
    assert files["box.toml"] == b"[keep]\n"
    thread = json.loads(files["conversations/workshop.json"])
    assert [(entry["at"], entry["kind"]) for entry in thread["lines"]] == [
        ("2026-06-01T08:00:00Z", "text"),
        ("2026-06-01T08:00:00Z", "call"),
    ]
    assert thread["lines"][0]["text"] == "Tee?"
    assert json.loads(files["conversations/großmutter.json"])["lines"][0]["file"] == sound
    assert json.loads(files["consents.json"]) == [{"at": "2026-06-01T08:00:00Z", "name": "workshop", "what": "ring"}]
    assert json.loads(files["box.json"])["controls"] == {"quiet": "22:00-07:00"}
    assert json.loads(files["contacts.json"]) == facts()["contacts"]
    assert "Texts: 1, voice messages: 1, lines of calls: 1" in files["README.txt"].decode()


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    export(tmp_path / "all", facts(line("workshop", text="x")), "", no_sound)
    export(tmp_path / "all.zip", facts(), "", no_sound)
    modes = {path.name: path.stat().st_mode & 0o777 for path in [tmp_path / "all", *tmp_path.rglob("*")]}
    assert modes["all"] == modes["conversations"] == 0o700
    assert modes["all.zip"] == modes["workshop.json"] == modes["README.txt"] == 0o600


@pytest.mark.parametrize("here", [False, True])
def test_a_sound_that_is_not_here_is_told(tmp_path: Path, here: bool) -> None:
    asked: list[str] = []

    def sound(item: str) -> bytes:
        asked.append(item)
        return b""

    done = export(tmp_path / "all", facts(line("workshop", "voice", here=here)), "", sound)
    assert done.missing == 1
    assert bool(asked) == here, "what never came is not asked for"
    assert json.loads(read(tmp_path / "all")["conversations/workshop.json"])["lines"][0]["file"] is None


@pytest.mark.parametrize("name", ["all", "all.zip"])
def test_nothing_is_ever_replaced(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    target.mkdir()
    (target / "mine").touch()
    with pytest.raises(CallboxError, match="is there already"):
        export(target, facts(), "", no_sound)
    assert [path.name for path in target.iterdir()] == ["mine"]


def test_an_empty_folder_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    export(tmp_path / "stick", facts(), "", no_sound)
    assert "README.txt" in read(tmp_path / "stick")


@pytest.mark.parametrize("name", ["all", "all.zip"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, name: str) -> None:
    def full(item: str) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(CallboxError, match="No space left") as told:
        export(tmp_path / name, facts(line("a", text="x"), line("workshop", "voice")), "", full)
    assert "Nothing of it was left behind" in told.value.cure
    assert list(tmp_path.iterdir()) == []


def test_dates_of_a_clock_that_nobody_set(tmp_path: Path) -> None:
    odd = [line("a", number=number, text="x") | {"at_ms": at} for number, at in enumerate((0, -5, 10**17))]
    export(tmp_path / "all", facts(*odd), "", no_sound)
    lines = json.loads(read(tmp_path / "all")["conversations/a.json"])["lines"]
    assert [entry["at"] for entry in lines] == ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", str(10**17)]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("con", "con_"),
        ("nul.txt", "nul.txt_"),
        ("bad.", "bad"),
        ("日本", "日本"),
        ("a" * 32, "a" * 32),
        ("...", "contact"),
    ],
)
def test_names_that_some_system_cannot_have(name: str, safe: str) -> None:
    assert file_name(name, set()) == safe


@given(st.lists(st.text("ab.ß日", min_size=1, max_size=4)))
def test_different_contacts_never_share_a_file(names: list[str]) -> None:
    taken: set[str] = set()
    found = [file_name(name, taken) for name in names]
    assert len(set(found)) == len(found)
    assert all(name not in ("", ".", "..") and "/" not in name for name in found)
