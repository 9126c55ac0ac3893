"""What tests of faults start from: a server and two boxes that know each other, copied for each test."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from real.processes import KITCHEN, WORKSHOP, Place


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A server and two boxes that may ring each other, made once; nothing runs in there any more."""
    with Place(tmp_path_factory.mktemp("made")) as made:
        made.start_server()
        made.enrol(KITCHEN, WORKSHOP)
        made.running["server"].end()
    return made


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Where a script runs the tests in the background, they inherit that Ctrl-C is ignored; who is tested must not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def place(tmp_path: Path, made: Place) -> Iterator[Place]:
    """A copy of the server and both boxes. Nothing that runs there may show a traceback."""
    for name in ("server", KITCHEN, WORKSHOP):
        shutil.copytree(made.home(name), tmp_path / name)
    with Place(tmp_path) as place:
        place.port = made.port
        yield place
        place.no_traceback()
