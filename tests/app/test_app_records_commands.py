"""privacy, export, delete, erase as a person types them, on the folder of a box that is off."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.stored_worlds import KEY, VECTORS
from callbox.app.commands.records import server_sees
from callbox.app.main import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return the folder of a box that has lived for a while, and is off; its server is nowhere."""
    folder = tmp_path / "kitchen"
    folder.mkdir(mode=0o700)
    shutil.copy(VECTORS / "stores-v1" / "kitchen.sqlite", folder / "box.sqlite")
    (folder / "key").write_bytes(KEY)
    (folder / "key").chmod(0o600)
    (folder / "box.toml").write_text("[keep]\ntext_days = 3650\nvoice_days = 3650\ncall_days = 3650\n")
    return folder


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--home", str(home)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_privacy_shows_all_that_a_person_may_ask(run: Run, home: Path) -> None:
    code, said, _ = run("privacy")
    assert code == 0
    for words in (
        "kitchen at server.simulated:8443",
        str(home),
        "the key lies beside it",
        "text messages",
        "until you remove them",
        "workshop may ring, numbers compared",
        "attic asks to reach you",
        "this one",
        "It never sees: any text, any voice",
    ):
        assert words in said
    code, said, _ = run("privacy", "--json")
    facts = json.loads(said)
    assert facts["key"] == "file"
    assert facts["server_sees"] == server_sees()
    assert {row["what"]: row["count"] for row in facts["held"]}["text messages"] == 6


def test_what_the_server_sees_is_the_protocols_own_list() -> None:
    points = server_sees()
    assert len(points) >= 8
    assert all("`" not in point and "**" not in point and "\n" not in point for point in points)
    assert any(point.startswith("Envelopes: version, cls") for point in points)


def test_consents_are_listed_with_their_dates(run: Run) -> None:
    _, said, _ = run("privacy", "--consents")
    assert [line.split("  ")[1] for line in said.splitlines()] == [
        "workshop: ring",
        "attic: asked to reach you",
        "workshop: numbers compared",
    ]


def test_an_export_is_a_zip_of_everything(run: Run, tmp_path: Path) -> None:
    code, said, _ = run("export", str(tmp_path / "all.zip"))
    assert code == 0
    assert "texts: 6, voice messages: 0, lines of calls: 2" in said
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = archive.namelist()
    assert {"conversations/workshop.json", "conversations/attic.json", "README.txt", "box.toml"} <= set(names)
    code, _, wrong = run("export", str(tmp_path / "all.zip"))
    assert code == 1
    assert "is there already" in wrong


def test_lines_are_deleted(run: Run) -> None:
    assert run("delete", "workshop", "--last", "2")[1] == "2 lines deleted, on this box alone.\n"
    assert run("delete", "attic", "--all")[1] == "1 line deleted, on this box alone.\n"
    assert run("delete", "attic", "--all")[1] == "Nothing was there.\n"
    assert run("delete", "workshop", "--last", "0")[0] == 2
    assert run("delete", "--last", "1")[0] == 2
    assert run("delete", "workshop", "--id", "00")[0] == 2
    assert run("delete", "nobody", "--last", "1")[0] == 1


def test_nothing_is_erased_without_a_word(run: Run, home: Path) -> None:
    code, _, wrong = run("erase", "--here-only")
    assert code == 2
    assert "--yes" in wrong
    assert (home / "key").exists()


def test_who_types_another_name_erases_nothing(run: Run, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda prompt: "workshop")
    code, _, wrong = run("erase", "--here-only")
    assert code == 1
    assert "Nothing was erased" in wrong
    assert (home / "key").exists()


def test_a_box_without_its_server_is_erased_here_only_if_said_so(run: Run, home: Path) -> None:
    code, said, _ = run("erase", "--here-only", "--yes")
    assert code == 0
    assert "callbox server erase NAME" in said
    assert not home.exists()
    assert run("erase", "--here-only", "--yes")[0] == 1


def test_a_box_that_cannot_be_opened_can_still_be_erased(run: Run, home: Path) -> None:
    (home / "key").write_bytes(b"lost")
    assert run("privacy")[0] == 1
    assert run("erase", "--here-only", "--yes")[0] == 0
    assert not home.exists()


def test_how_a_contact_rings_and_quiet_hours_are_set(run: Run) -> None:
    said = run("prefer", "workshop", "--ring", "rising", "--messages", "light", "--breakthrough", "on")[1]
    assert said == (
        "workshop rings louder and louder, its messages only light up, "
        "and it breaks through quiet hours at the second call.\n"
    )
    assert run("prefer", "workshop")[1] == said, "what is not named stays"
    facts = json.loads(run("prefer", "workshop", "--ring", "full", "--json")[1])
    assert (facts["ring_style"], facts["notify"], facts["breakthrough"]) == ("full", False, True)
    assert run("prefer", "nobody", "--ring", "full")[0] == 1
    assert run("quiet", "22:00-07:00", "13:00-14:30")[1] == "quiet hours: 22:00-07:00, 13:00-14:30\n"
    assert run("quiet", "never")[1] == "quiet hours: none\n"
    assert run("quiet", "22:00")[0] == 1
