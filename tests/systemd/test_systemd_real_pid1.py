"""The services under a real systemd: it starts in namespaces of its own, on a copy of this machine that is in memory.

What runs is the story in `story/`; what it found is checked here. It needs root, as systemd does.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
WITHIN_S = 120.0
NOT_POSSIBLE = 77
NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--net", "--uts", "--ipc")


@contextmanager
def own_cgroup() -> Iterator[Path]:
    """A cgroup of version 2 under which a systemd can make its own; removed at the end, when all in it have died."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    places = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    if not places:
        pytest.skip("no cgroup2 is mounted here")
    group = places[0] / f"callbox-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    try:
        yield group
    finally:
        for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            group.rmdir()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The facts that the story wrote, and the logs."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a systemd")
    for program in ("/lib/systemd/systemd", "unshare", "setpriv", "ip", "systemd-creds"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt install systemd util-linux iproute2")
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    prefix = Path(sys.base_prefix)
    environment = {
        **os.environ,
        "WORK": str(work),
        "OUT": str(out),
        "PROJECT": str(PROJECT),
        "PACKAGES": sysconfig.get_path("purelib"),
        "PREFIX": str(prefix),
        "PYTHONHOME": "/opt/prefix",
        "PYTHON": f"/opt/prefix/bin/python{sys.version_info.major}.{sys.version_info.minor}",
        "STORY": str(HERE / "story"),
    }
    with own_cgroup() as group:
        script = f'echo $$ >"{group}/cgroup.procs" && exec unshare {" ".join(NAMESPACES)} "$0"'
        ran = subprocess.run(
            ["bash", "-c", script, str(HERE / "pid1.sh")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    if ran.returncode == NOT_POSSIBLE or "unshare failed" in ran.stderr:
        pytest.skip(f"namespaces or mounts are not possible here: {ran.stderr.strip()[-200:]}")
    facts = {file.name: file.read_text(errors="replace").strip() for file in out.iterdir()}
    assert "after_stop" in facts, f"the story broke off: {ran.stderr[-2000:]}\n{facts}"
    return facts


def test_a_box_that_was_not_made_is_no_failure(found: dict[str, str]) -> None:
    assert found["before_join"] == "inactive"


def test_a_box_and_a_server_run_as_services(found: dict[str, str]) -> None:
    assert "127.0.0.1:8443, connected" in found["status"], found
    assert found["process"].split() == ["CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2"]


def test_the_box_may_do_what_it_needs_and_no_more(found: dict[str, str]) -> None:
    may = dict(line.split(": ", 1) for line in found["probe"].splitlines())
    refused = "Operation not permitted"
    assert may.pop("sound device") in ("done", "No such device or address", "No such device")
    assert may == {
        "other device": refused,
        "pipe of lgpio": "done",
        "own folder": "done",
        "other folder": "Read-only file system",
        "program memory": refused,
        "packet socket": "Address family not supported by protocol",
        "model of the Pi": "done",
        "activity light": "writable",
        "rest of /sys": "read-only",
    }


def test_the_key_may_come_as_a_credential(found: dict[str, str]) -> None:
    active, no_key = found["credential"].splitlines()
    assert active == "active"
    assert "No such file" in no_key


def test_a_box_that_hangs_is_started_again_and_shows_where_it_hung(found: dict[str, str]) -> None:
    assert found["after_hang"].split() == ["1", "active"]
    assert "Fatal Python error: Aborted" in found["callbox.log"]
    assert "run_forever" in found["callbox.log"]


def test_both_services_end_in_peace(found: dict[str, str]) -> None:
    assert found["after_stop"].split() == ["success", "success"]
