"""The package on a machine where it is in use."""

import pytest

from machine.figures import Figures
from machine.guest import Guest

pytestmark = pytest.mark.machine


def test_a_call_outlives_the_end_of_an_upgrade(guest: Guest, figures: Figures) -> None:
    facts = guest.story("upgrade.py")
    assert facts["exit"] == 0, facts
    assert facts["restarted"] == ["kitchen", "server"]
    assert facts["active"] == ["active", "active"]
    assert "idle" not in facts["states"]["workshop"], facts
    for states in facts["states"].values():
        assert not {"ringing", "dialing"} & set(states), facts
        assert states[-1] == "talking", facts
    assert facts["muted"] == {"kitchen": True, "workshop": False}
    figures.record("upgrade in a call: voice again, from the restart of box and server", facts["voice_s"], "s")
