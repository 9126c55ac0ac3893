"""The package's life on a Debian of its own: install, a call, upgrade, the way back, remove, purge.

What runs there is the story in `story/`; what it found is checked here. No systemd runs in it: what the services do at
an upgrade is told on a whole machine, in `tests/machine`.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from package.built import Package

pytestmark = pytest.mark.package

HERE = Path(__file__).parent
ROOT_SH = HERE.parents[1] / "systemd" / "package" / "root.sh"
NEEDS = "systemd systemd-sysv udev procps passwd python3 libportaudio2 libopus0 libspeexdsp1 espeak-ng"
"""What every real system has, and what the package asks for: it is installed without a network, and nothing else is."""
SUITES = {"12": "bookworm", "13": "trixie"}
WITHIN_S = 1500.0

Facts = dict[str, str]


@pytest.fixture(scope="session")
def facts(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The facts that the story wrote, once for each package."""
    if shutil.which("mmdebstrap") is None:
        pytest.skip("mmdebstrap is missing: firmware/install.sh deb")
    work = tmp_path_factory.mktemp("story")
    work.chmod(0o755)
    (work / "facts").mkdir()
    shutil.copytree(HERE / "story", work / "story")
    shutil.copy(package.file, work / "present.deb")
    release = re.search(r"~deb(\d+)_", package.file.name)
    assert release
    here = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()
    emulated = "" if package.architecture == here else "yes"
    story = ["env", f"EMULATED={emulated}", "/bin/bash", "/exchange/story/story.sh"]
    ran = subprocess.run(
        [ROOT_SH, SUITES[release[1]], package.architecture, NEEDS, work, *story],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
        check=False,
        env={**os.environ, "TERM": "dumb"},
    )
    found = {file.name: file.read_text(errors="replace").strip() for file in (work / "facts").iterdir()}
    assert "end" in found, f"the story broke off:\n{ran.stdout[-5000:]}"
    return found


@pytest.fixture
def whole(facts: Facts) -> Facts:
    """The facts of a story that was told in full."""
    if "call" not in facts:
        pytest.skip("on an emulated processor calls come too late: tell this story on its own machine")
    return facts


def test_an_installation_by_hand_is_not_run_over(facts: Facts) -> None:
    assert facts["by_hand"].endswith("\n1")
    assert "sudo rm -rf /opt/callbox" in facts["by_hand"]


def test_it_installs_and_says_who_it_is(facts: Facts) -> None:
    assert re.fullmatch(r"callbox \d+\.\d+\.\d+\S*", facts["version"])
    assert facts["help"].startswith("usage: callbox")
    assert facts["enabled"].split() == ["enabled", "disabled"]
    assert "audio" in facts["user"]
    assert "gpio" in facts["user"]
    # Debian 12's systemd knows no growing pauses, says so, and goes on.
    assert [line for line in facts["verify"].splitlines() if "Unknown key 'Restart" not in line] == []


def test_every_native_module_loads(facts: Facts) -> None:
    assert int(facts["modules"].split()[0]) > 20


def test_the_doctor_finds_nothing_missing_in_the_package(facts: Facts) -> None:
    found = {each["area"]: each for each in json.loads(facts["doctor"])["findings"]}
    assert found["python"]["level"] == "ok", found["python"]
    assert found["codec"]["level"] == "ok", found["codec"]


def test_a_server_and_two_boxes_work(facts: Facts) -> None:
    assert "before the upgrade" in facts["text"]


def test_two_boxes_call_each_other(whole: Facts) -> None:
    assert json.loads(whole["call"])["state"] == "talking", whole["call"]


def test_an_upgrade_keeps_settings_and_messages(whole: Facts) -> None:
    assert whole["newer_version"] == "callbox 9.9.9"
    assert "before the upgrade" in whole["newer_messages"]
    assert "after the upgrade" in whole["newer_messages"]
    home = whole["newer_home"]
    assert re.search(r"^box\.sqlite\.v\d+ callbox 600$", home, re.MULTILINE), "no copy from before the upgrade"
    assert re.search(r"^key callbox 600$", home, re.MULTILINE)


def test_there_is_a_way_back_to_the_version_before(whole: Facts) -> None:
    assert "written by a newer callbox" in whole["refusal"]
    assert whole["refusal"].splitlines()[-1] in ("1", "2")
    assert "before the upgrade" in whole["back_messages"]
    assert "after the way back" in whole["back_messages"]
    assert "after the upgrade" not in whole["back_messages"]


def test_remove_keeps_what_is_the_owners(facts: Facts) -> None:
    assert {"box.sqlite", "box.toml", "key"} <= set(facts["removed"].split())
    assert facts["removed"].count("No such file") == 2


def test_purge_leaves_nothing(facts: Facts) -> None:
    before, after = (set(facts[name].splitlines()) for name in ("files_before", "files_after"))
    assert {line for line in after - before if "callbox" in line} == set()
    left = {line.split()[2] for line in after - before}
    # What every package that adds a user or starts a service leaves: backups of the lists, and systemd's own folder.
    left -= {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"}
    assert {path for path in left if not path.startswith("/run/systemd")} == set()
    assert facts["passwd_diff"] == ""
    assert set(re.findall(r"^> (\w+):", facts["group_diff"], re.MULTILINE)) <= {"gpio"}
