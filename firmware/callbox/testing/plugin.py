"""The pytest plugin of `pip install .[testing]`: the fixture `world`, and a timeline under a failing scenario.

def test_a_call(world):
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.press("dial1")
    ...
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from callbox.testing.world import World


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--callbox-seed", type=int, default=1, help="seed of simulated callbox worlds (default 1)")


@pytest.fixture
def world(request: pytest.FixtureRequest) -> "World":
    """A fresh simulated world: a signaling server, no boxes yet, and a clock that the test turns."""
    from callbox.testing.world import World

    made = World(request.config.getoption("--callbox-seed"))
    request.node.stash[_WORLD] = made
    return made


_WORLD: "pytest.StashKey[World]" = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy gives its Result through the generator
    made = item.stash.get(_WORLD, None)
    if made is not None and report.failed:
        report.sections.append(("callbox timeline", made.story()))
