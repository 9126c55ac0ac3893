"""box.toml: the sample that a new box gets is whole, explained, and means the defaults."""

from pathlib import Path
from typing import get_type_hints

import msgspec
import pytest

from callbox.app.home import SOCKET_PATH_LIMIT, Home
from callbox.app.settings import BoxSettings, CallSettings, PanelSettings, SoundSettings
from callbox.base.errors import CallboxError
from callbox.base.settings import BadSettings, load_settings, sample
from callbox.base.settings_types import description

SECTIONS = (PanelSettings, SoundSettings, CallSettings)


def test_the_sample_means_the_defaults() -> None:
    assert load_settings(sample(BoxSettings), "box.toml", BoxSettings) == BoxSettings()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_stands_in_the_sample_with_its_words(section: type[msgspec.Struct]) -> None:
    lines = sample(BoxSettings).splitlines()
    for name, kind in get_type_hints(section, include_extras=True).items():
        assert description(kind), f"{section.__name__}.{name} is not explained"
        assert any(line.startswith(f"{name} = ") for line in lines), name


def test_a_folder_is_made_for_its_owner_alone_and_keeps_an_edited_file(tmp_path: Path) -> None:
    home = Home(tmp_path / "box")
    home.prepare()
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert home.settings_file.stat().st_mode & 0o777 == 0o600
    assert home.settings() == BoxSettings()
    home.settings_file.write_text("[calls]\nring_s = 10\n", encoding="utf-8")
    home.prepare()
    assert home.settings().calls.ring_s == 10


def test_without_a_file_the_defaults_hold_unless_one_was_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.settings() == BoxSettings()
    with pytest.raises(CallboxError, match="no settings file"):
        home.settings(tmp_path / "other.toml")


def test_a_wrong_setting_is_told_with_its_line(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings_file.write_text("[calls]\nring_s = 10\nlanes = 9\nsteps = 1\n", encoding="utf-8")
    with pytest.raises(BadSettings) as caught:
        home.settings()
    assert "box.toml:3" in str(caught.value)
    assert "box.toml:4" in str(caught.value)


def test_one_process_has_a_folder(tmp_path: Path) -> None:
    first, second = Home(tmp_path), Home(tmp_path)
    assert first.lock()
    assert not second.lock()
    first.unlock()
    assert second.lock()
    second.unlock()


def test_the_folder_is_named_by_option_then_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOX_HOME", str(tmp_path / "from-environment"))
    assert Home.named(str(tmp_path / "given")).folder == tmp_path / "given"
    monkeypatch.chdir(tmp_path)
    assert Home.named("A").folder == tmp_path / "A", "lgpio changes the current folder"
    assert Home.named(None).folder == tmp_path / "from-environment"
    monkeypatch.delenv("CALLBOX_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Home.named(None).folder == tmp_path / ".callbox"


def test_the_control_socket_of_a_deep_folder_stays_within_what_the_kernel_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    path = Home(deep).control_socket
    assert len(str(path)) <= SOCKET_PATH_LIMIT
    path.touch()
    assert (deep / "control.sock").exists()
