"""Tests with real processes, sockets and cards follow one another on one core; the rest fills the other."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the real ones to one worker of pytest-xdist; without workers the mark says nothing."""
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group("real"))
