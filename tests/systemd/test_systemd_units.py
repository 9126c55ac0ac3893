"""The units are ones that systemd accepts, and keep what SECURITY.md promises of them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from callbox.app.home import Home
from callbox.calls.state import Timing

FOLDER = Path(__file__).parents[2] / "systemd"
UNITS = sorted(FOLDER.glob("*.service"))
LIGHT = FOLDER / "callbox-light.service"
SERVICES = [unit for unit in UNITS if unit != LIGHT]
LOOSEST = 20
"""Exposure by `systemd-analyze security`, in tenths of its 0-10 scale: lower is tighter, a plain unit has 96."""
RESTART_STEPS_SINCE = 254
SLOW_START_S = 5.0
"""From the start of the program to a call that goes on, on one core of 1 GIPS."""

needs_systemd_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt install systemd"
)


def lines_of(unit: Path) -> list[tuple[str, str]]:
    lines = [line.partition("=") for line in unit.read_text().splitlines() if line[:1].isalpha()]
    return [(key, value) for key, _, value in lines]


def settings_of(unit: Path) -> dict[str, str]:
    return dict(lines_of(unit))


def seconds(span: str) -> float:
    return float(span.removesuffix("ms")) / 1000 if span.endswith("ms") else float(span)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def systemd_version() -> int:
    found = re.search(r"\d+", run("systemd-analyze", "--version").stdout) if shutil.which("systemd-analyze") else None
    return int(found.group()) if found else 0


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The units as they stand, with a program that exists on this machine in the place of /opt/callbox."""
    for unit in UNITS:
        text = re.sub(r"/opt/callbox/bin/callbox|/usr/lib/callbox/status-light", sys.executable, unit.read_text())
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def test_both_services_are_there() -> None:
    assert [unit.name for unit in SERVICES] == ["callbox-signaling.service", "callbox.service"]
    assert LIGHT.exists()


def test_the_light_waits_for_nothing() -> None:
    unit = settings_of(LIGHT)
    assert unit["DefaultDependencies"] == "no"
    assert not {"After", "Wants", "Requires"} & set(unit)
    assert unit["ExecStart"] == "/usr/lib/callbox/status-light waiting"
    # Only what starts with sysinit.target starts that early.
    assert unit["WantedBy"] == "sysinit.target"


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_the_unit(unit: Path, here: Path) -> None:
    verified = run("systemd-analyze", "verify", "--man=no", here / unit.name)
    assert (verified.returncode, verified.stderr.strip()) == (0, "")


@needs_systemd_analyze
def test_systemd_would_say_something_about_a_wrong_unit(here: Path) -> None:
    wrong = here / "wrong.service"
    wrong.write_text((here / "callbox.service").read_text().replace("Restart=always", "Restart=sometimes"))
    verified = run("systemd-analyze", "verify", "--man=no", wrong)
    assert "sometimes" in verified.stderr


@needs_systemd_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_is_tight(unit: Path, here: Path) -> None:
    rated = run("systemd-analyze", "security", "--offline=true", f"--threshold={LOOSEST}", here / unit.name)
    assert rated.returncode == 0, rated.stdout[-300:] + rated.stderr


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
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


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_its_user_is_one_that_is_made(unit: Path) -> None:
    service = settings_of(unit)
    made = [line.split() for line in (FOLDER / "callbox.sysusers.conf").read_text().splitlines() if line[:1] in "ugm"]
    assert service["User"] in {line[1] for line in made if line[0] == "u"}
    for group in service.get("SupplementaryGroups", "").split():
        assert ["m", service["User"], group] in made


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_neither_service_holds_up_the_boot_or_gives_up(unit: Path) -> None:
    awaited = " ".join(value for key, value in lines_of(unit) if key in ("After", "Wants", "Requires", "BindsTo"))
    assert "online" not in awaited
    assert "udev-settle" not in awaited
    service = settings_of(unit)
    assert (service["StartLimitIntervalSec"], service["Restart"]) == ("0", "always")
    assert 0 < int(service["WatchdogSec"]) <= 30


def test_the_box_waits_for_nothing_but_that_a_box_was_made() -> None:
    unit = settings_of(FOLDER / "callbox.service")
    assert not {"After", "Wants", "Requires"} & set(unit)
    home = Home(Path("%S") / unit["StateDirectory"])
    assert unit["ConditionPathExists"] == str(home.store_file)
    assert ("Environment", f"CALLBOX_HOME={home.folder}") in lines_of(FOLDER / "callbox.service")


def test_the_box_has_its_devices_and_no_others() -> None:
    lines = lines_of(FOLDER / "callbox.service")
    assert ("DevicePolicy", "closed") in lines
    assert [value for key, value in lines if key == "DeviceAllow"] == ["char-gpiochip rw", "char-116 rw"]
    assert ("ReadWritePaths", "-/sys/class/leds/ACT -/sys/class/leds/led0") in lines


def test_lgpio_has_a_place_for_its_pipe() -> None:
    lines = lines_of(FOLDER / "callbox.service")
    assert ("RuntimeDirectory", "callbox") in lines
    assert ("Environment", "LG_WD=%t/callbox") in lines


@needs_systemd_analyze
@pytest.mark.skipif(systemd_version() < RESTART_STEPS_SINCE, reason="this systemd has no RestartSteps (254 has)")
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_the_longer_pauses(unit: Path, here: Path) -> None:
    (here / f"{unit.name}.d").mkdir()
    shutil.copy(FOLDER / "restart-steps.conf", here / f"{unit.name}.d")
    verified = run("systemd-analyze", "verify", "--man=no", here / unit.name)
    assert (verified.returncode, verified.stderr.strip()) == (0, "")


def test_the_pauses_between_restarts_grow_and_stay_short() -> None:
    steps = settings_of(FOLDER / "restart-steps.conf")
    for unit in SERVICES:
        assert seconds(settings_of(unit)["RestartSec"]) < seconds(steps["RestartMaxDelaySec"])
    assert int(steps["RestartSteps"]) > 1


def test_a_box_that_hung_is_back_while_the_other_end_still_holds_the_call() -> None:
    longest_s = seconds(settings_of(FOLDER / "restart-steps.conf")["RestartMaxDelaySec"])
    hung_s = seconds(settings_of(FOLDER / "callbox.service")["WatchdogSec"])
    assert hung_s + longest_s + SLOW_START_S <= Timing().grace_s


@pytest.mark.skipif(
    not (shutil.which("systemd-sysusers") and shutil.which("systemd-tmpfiles")),
    reason="systemd-sysusers or systemd-tmpfiles is missing: apt install systemd",
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give folders to other users")
def test_users_and_homes_are_made_in_an_empty_system(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("audio:x:29:\n")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/gpiochip0").touch(0o600)
    for program, kind in (("systemd-sysusers", "sysusers"), ("systemd-tmpfiles", "tmpfiles")):
        action = ["--create"] if kind == "tmpfiles" else []
        done = run(program, f"--root={tmp_path}", *action, FOLDER / f"callbox.{kind}.conf")
        assert done.returncode == 0, done.stderr
    users = {line.split(":")[0]: int(line.split(":")[2]) for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()}
    for unit in SERVICES:
        home = (tmp_path / "var/lib" / unit.stem).stat()
        assert (home.st_uid, oct(home.st_mode & 0o777)) == (users[unit.stem], "0o700")
    assert "callbox" in groups["gpio"][3].split(",")
    assert "callbox" in groups["audio"][3].split(",")
    chip = (tmp_path / "dev/gpiochip0").stat()
    assert (chip.st_gid, oct(chip.st_mode & 0o777)) == (int(groups["gpio"][2]), "0o660")


def test_every_udev_rule_is_a_list_of_matches_and_assignments() -> None:
    part = r'[A-Z]+(\{[a-zA-Z_]+\})?(==|!=|=|\+=|:=)"[^"]*"'
    rules = [line for line in (FOLDER / "60-callbox.rules").read_text().splitlines() if line and line[0] != "#"]
    assert len(rules) == 5
    for rule in rules:
        assert re.fullmatch(rf"{part}(, {part})*", rule), rule


@pytest.mark.skipif(
    shutil.which("udevadm") is None or systemd_version() < RESTART_STEPS_SINCE,
    reason="udevadm with `verify` (systemd 254) is missing",
)
def test_udev_has_nothing_to_say_about_the_rules() -> None:
    verified = run("udevadm", "verify", FOLDER / "60-callbox.rules")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_journal_is_bounded_in_size_and_time() -> None:
    journal = settings_of(FOLDER / "callbox.journald.conf")
    assert {"SystemMaxUse", "RuntimeMaxUse", "MaxRetentionSec"} <= set(journal)


def test_the_readme_says_where_every_file_goes() -> None:
    readme = (FOLDER / "README.md").read_text()
    for file in filter(Path.is_file, FOLDER.iterdir()):
        assert file.name == "README.md" or f"`{file.name}`" in readme, file.name
