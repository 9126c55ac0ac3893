"""The guest for the stories: made and booted once, set back to the same moment before each of them."""

import shutil
from collections.abc import Iterator

import pytest

from machine.figures import Figures
from machine.guest import READY, Guest, GuestLost
from machine.image import CannotBuild, copy_disk, ready_image, started

PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "setpriv": "util-linux",
    "objcopy": "binutils",
}

_figures = Figures()
_guest = pytest.StashKey[Guest]()


@pytest.fixture(scope="session")
def figures() -> Figures:
    """`figures.record("press to event, median", 3.4, "ms")`"""
    return _figures


@pytest.fixture(scope="session")
def switched_off(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """The machine, with both boxes joined. Take `guest`, or this to `boot()` from cold after `reset_disk()`."""
    lacking = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if lacking:
        pytest.fail(f"missing here: apt install {' '.join(lacking)}")
    terminal = pytestconfig.pluginmanager.getplugin("terminalreporter")
    say = started(lambda what: terminal.write_line(f"\n{what}") if terminal else None)
    try:
        image = ready_image(say)
    except CannotBuild as error:
        pytest.fail(str(error))
    folder = tmp_path_factory.mktemp("guest")
    guest = Guest(image, copy_disk(image, folder), folder)
    try:
        yield guest
    finally:
        guest.kill()
        guest.disk.unlink()


@pytest.fixture
def guest(switched_off: Guest, request: pytest.FixtureRequest) -> Guest:
    """The machine as it is ready: both boxes connected, idle."""
    machine = switched_off
    request.node.stash[_guest] = machine
    try:
        if not machine.is_on:
            machine.boot(READY)
        else:
            machine.restore(READY)
    except GuestLost:  # once more, from the beginning
        machine.boot(READY)
    return machine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    machine = item.stash.get(_guest, None)
    if report.when == "call" and report.failed and machine is not None:  # type: ignore[attr-defined]
        report.sections.append(("console of the guest", machine.last_words()))  # type: ignore[attr-defined]
        report.sections.append(("journal of the guest", _journal(machine)))  # type: ignore[attr-defined]
    return report


def _journal(machine: Guest) -> str:
    if not machine.is_on:
        return "it is off"
    try:
        return machine.run("journalctl -b -n 120 --no-pager -o short-monotonic", 20).out
    except GuestLost as error:
        return str(error)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures.measured:
        terminalreporter.section("figures, in the guest's time at 1 GIPS")
        for line in _figures.table():
            terminalreporter.write_line(line)
