"""The units are ones that systemd accepts, and keep what SECURITY.md promises of them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
LOOSEST = {"callbox.service": 30, "callbox-signaling.service": 22}
"""Exposure by `systemd-analyze security`, in tenths of its 0-10 scale: lower is tighter, a plain unit has 96."""

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)


def settings_of(unit: Path) -> dict[str, str]:
    lines = [line.partition("=") for line in unit.read_text().splitlines() if line[:1].isalpha()]
    return {key: value for key, _, value in lines}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The units as they stand, with a program that exists on this machine in the place of /opt/callbox."""
    for unit in UNITS:
        text = unit.read_text().replace("/opt/callbox/bin/callbox", sys.executable)
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_both_services_are_there() -> None:
    assert [unit.name for unit in UNITS] == ["callbox-signaling.service", "callbox.service"]


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_the_unit(unit: Path, here: Path) -> None:
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(here / unit.name)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr.strip()) == (0, "")


@needs_systemd_analyze
def test_systemd_would_say_something_about_a_wrong_unit(here: Path) -> None:
    wrong = here / "wrong.service"
    wrong.write_text((here / "callbox.service").read_text().replace("Restart=always", "Restart=sometimes"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(wrong)], capture_output=True, text=True, check=False
    )
    assert "sometimes" in verified.stderr


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_no_looser_than_it_was(unit: Path, here: Path) -> None:
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={LOOSEST[unit.name]}", here / unit.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout[-300:] + rated.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_starts_the_program_as_itself_and_says_when_it_is_ready(unit: Path) -> None:
    service = settings_of(unit)
    assert service["Type"] == "notify"
    assert service["User"] == unit.stem
    assert service["StateDirectory"] == unit.stem
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"
    assert service["LimitCORE"] == "0"
    assert service["ExecStart"].split() in (
        ["/opt/callbox/bin/callbox", "run"],
        ["/opt/callbox/bin/callbox", "server", "run"],
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_its_user_is_one_that_is_made(unit: Path) -> None:
    service = settings_of(unit)
    made = [line.split() for line in (FOLDER / "callbox.sysusers.conf").read_text().splitlines() if line[:1] in "ugm"]
    assert service["User"] in {line[1] for line in made if line[0] == "u"}
    for group in service.get("SupplementaryGroups", "").split():
        assert ["m", service["User"], group] in made
