"""What holds for all tests: who runs beside whom, and that no example fails because the machine was slow.

Tests with real processes, sockets and cards follow one another on one core; the rest fills the other.
"""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("callbox", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("callbox")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the real ones to one worker of pytest-xdist; without workers the mark says nothing."""
    for item in items:
        if item.get_closest_marker("real"):
            item.add_marker(pytest.mark.xdist_group("real"))
