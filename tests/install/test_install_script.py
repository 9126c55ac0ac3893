"""The install script on machines that lack things: what it asks for, what it does, what it leaves alone.

The machine is played by stub programs in a folder that is the whole PATH. Only what lies under /usr/lib and /usr/share
is this machine's own, so nothing is asserted of the few packages that are recognised by such a file.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ORDINARY = ["bash", "cat", "chmod", "dirname", "env", "grep", "head", "ln", "ls", "mkdir", "mktemp", "rm", "sed"]
ORDINARY += ["sha256sum", "tail", "touch", "uname"]

# `$MACHINE` is the folder of the played machine: `log` is what was called, `packages` exists once apt-get installed.
STUBS = {
    "python3": """
case "$*" in
    *base_prefix*) [ -e "$MACHINE/old-python" ] && exit 1; echo "$MACHINE/bin/python3" ;;
    *get_path*) echo "$MACHINE" ;;
    -V) echo "Python 3.11.2" ;;
    *ensurepip*) exit 0 ;;
    *ctypes*) [ -e "$MACHINE/packages" ] ;;
    "-m venv"*)
        log "$@"
        rm -rf "$4"; mkdir -p "$4/bin"; touch "$4/pyvenv.cfg"
        ln -s "$MACHINE/bin/python3" "$4/bin/python" ;;
    *) log "$@" ;;
esac""",
    "gcc": '[ -e "$MACHINE/packages" ]',
    "apt-get": 'log "$@"; case "$*" in *" install "*) touch "$MACHINE/packages" ;; esac',
    "id": 'cat "$MACHINE/uid"',
    **dict.fromkeys(("pactl", "pulseaudio", "espeak-ng", "systemd-analyze", "ss", "shellcheck", "swig"), "exit 0"),
}

Machine = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ORDINARY:
        (programs / name).symlink_to(shutil.which(name) or "missing")
    for name, body in STUBS.items():
        stub = f'#!/bin/bash\nlog() {{ echo "{name} $*" >>"$MACHINE/log"; }}\n{body}\n'
        (programs / name).write_text(stub)
        (programs / name).chmod(0o755)
    (tmp_path / "Python.h").touch()
    (tmp_path / "uid").write_text("1000\n")
    clone = tmp_path / "clone"
    (clone / "firmware").mkdir(parents=True)
    for name in ("setup.cfg", "pyproject.toml", "firmware/install.sh"):
        shutil.copy(ROOT / name, clone / name)

    def install(purpose: str = "test", **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(programs), "MACHINE": str(tmp_path), "HOME": str(tmp_path), **settings}
        (tmp_path / "log").write_text("")
        return subprocess.run(
            [str(clone / "firmware" / "install.sh"), purpose],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return install


def as_root(tmp_path: Path) -> None:
    (tmp_path / "uid").write_text("0\n")


def called(tmp_path: Path) -> str:
    return (tmp_path / "log").read_text()


def test_without_root_it_names_every_package_and_the_command(machine: Machine, tmp_path: Path) -> None:
    told = machine()
    assert told.returncode == 1
    listed = [line.split()[0] for line in told.stderr.splitlines() if line.startswith("    ")]
    assert {"libc6-dev", "portaudio19-dev", "libopus0", "libportaudio2"} <= set(listed)
    assert f"apt-get install --no-install-recommends {' '.join(listed)}" in told.stderr
    assert called(tmp_path) == ""
    assert not (tmp_path / "clone" / ".venv").exists()


def test_as_root_it_installs_and_takes_nothing_away(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    told = machine()
    assert told.returncode == 0, told.stderr
    lines = called(tmp_path).splitlines()
    assert [line for line in lines if " update" in line]
    (installed,) = [line for line in lines if " install " in line and line.startswith("apt-get")]
    assert "--no-remove" in installed
    assert "portaudio19-dev" in installed
    assert lines[-1] == "python3 -m pip install --quiet --disable-pip-version-check -e .[dev]"


def test_sudo_is_used_where_it_asks_nothing(machine: Machine, tmp_path: Path) -> None:
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text('#!/bin/bash\necho "sudo $*" >>"$MACHINE/log"\ncase $1 in -*) exit 0 ;; esac\nexec "$@"\n')
    sudo.chmod(0o755)
    assert machine().returncode == 0
    assert "sudo env DEBIAN_FRONTEND=noninteractive apt-get" in called(tmp_path)


def test_sudo_that_would_ask_is_left_alone_without_a_terminal(machine: Machine, tmp_path: Path) -> None:
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text("#!/bin/bash\nexit 1\n")
    sudo.chmod(0o755)
    told = machine()
    assert told.returncode == 1
    assert "no way to become root here" in told.stderr


def test_the_second_time_there_is_nothing_to_do(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    machine()
    for purpose in ("test", "demo"):
        told = machine(purpose)
        assert (told.returncode, told.stderr, called(tmp_path)) == (0, "", "")


def test_what_the_demo_needs_is_not_enough_for_tests(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    machine("demo")
    assert called(tmp_path).endswith("-e .[testing]\n")
    machine("test")
    assert called(tmp_path) == "python3 -m pip install --quiet --disable-pip-version-check -e .[dev]\n"


@pytest.mark.parametrize("file", ["setup.cfg", "pyproject.toml"])
def test_new_dependencies_are_installed_into_the_same_environment(machine: Machine, tmp_path: Path, file: str) -> None:
    as_root(tmp_path)
    machine()
    with (tmp_path / "clone" / file).open("a") as text:
        text.write("# changed\n")
    machine()
    assert called(tmp_path) == "python3 -m pip install --quiet --disable-pip-version-check -e .[dev]\n"


def test_a_moved_clone_gets_a_new_environment(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    machine()
    stamp = tmp_path / "clone" / ".venv" / "callbox-base"
    stamp.write_text(stamp.read_text().replace(str(tmp_path), "/elsewhere"))
    (tmp_path / "clone" / ".venv" / "callbox-installed-dev").unlink()
    assert machine().returncode == 0
    assert "python3 -m venv --clear .venv" in called(tmp_path)


def test_a_folder_that_is_no_environment_is_not_touched(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    told = machine(VENV=str(tmp_path / "letters"))
    assert told.returncode == 1
    assert "is no virtual environment" in told.stderr
    assert (tmp_path / "letters" / "dear.txt").read_text() == "dear"
    assert "venv" not in called(tmp_path)


def test_a_python_that_does_not_fit_is_refused_by_name(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    (tmp_path / "old-python").touch()
    told = machine(PYTHON="python3")
    assert told.returncode == 1
    assert "PYTHON=python3 is not a Python 3.11, 3.12 or 3.13" in told.stderr
    assert called(tmp_path) == ""


def test_without_apt_it_tells_what_to_look_for(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    (tmp_path / "bin" / "apt-get").unlink()
    told = machine()
    assert told.returncode == 1
    assert "install these, or what they are called here" in told.stderr


def test_a_desktop_keeps_its_own_sound_server(machine: Machine, tmp_path: Path) -> None:
    as_root(tmp_path)
    (tmp_path / "bin" / "pulseaudio").unlink()
    apt = tmp_path / "bin" / "apt-get"
    apt.write_text('#!/bin/bash\n[ "$1" = -s ] && echo "Remv pipewire-alsa" && exit\n' + apt.read_text())
    cache = tmp_path / "bin" / "apt-cache"
    cache.write_text('#!/bin/bash\necho "pulseaudio"\necho "  Depends: adduser"\necho "  Depends: libtdb1"\n')
    cache.chmod(0o755)
    machine()
    (installed,) = [
        line for line in called(tmp_path).splitlines() if line.startswith("apt-get") and " install " in line
    ]
    assert "libtdb1" in installed.split()
    assert "pulseaudio" not in installed.split()
    assert "apt-get download pulseaudio" in called(tmp_path)


def test_an_unknown_purpose_is_wrong_use(machine: Machine) -> None:
    assert machine("everything").returncode == 2


def test_every_need_of_the_package_is_declared_for_a_board() -> None:
    """On a board with Python 3.13, lgpio must be built or fail loudly: 0.0.0.2 would install and be empty."""
    declared = (ROOT / "setup.cfg").read_text()
    assert 'lgpio>=0.2.2.0; platform_machine != "x86_64" or python_version < "3.13"' in declared
    assert os.access(ROOT / "firmware" / "install.sh", os.X_OK)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
