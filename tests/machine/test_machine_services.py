"""The installed package's services under the systemd of a whole machine: as tight and patient as they claim to be."""

import re
from typing import Any

import pytest

from machine.figures import Figures
from machine.guest import Guest

pytestmark = pytest.mark.machine

PLACES = {"server": "callbox-signaling", "kitchen": "callbox", "workshop": "callbox-workshop"}
LOOSEST = 2.0
ROUND_ROBIN, AUDIO, LOOP = 2, 10, 5
RESET_ON_FORK = 0x40000000
RESUMED_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    return {}


@pytest.fixture
def facts(guest: Guest, kept: dict[str, Any]) -> dict[str, Any]:
    """What the machine says of its services, during a call; looked up once."""
    if not kept:
        kept.update(guest.story("services.py", "facts", timeout_s=90))
    return kept


def test_all_services_run_as_themselves_and_nothing_has_failed(facts: dict[str, Any]) -> None:
    assert facts["failed"] == ""
    assert facts["system"] == "running"
    for place, user in PLACES.items():
        shown = facts["services"][place]
        assert (shown["ActiveState"], shown["Type"], shown["User"]) == ("active", "notify", user)
        assert shown["NRestarts"] == "0", f"{place} was started more than once"


def test_no_service_waits_for_the_network_or_makes_others_wait(facts: dict[str, Any]) -> None:
    for place in PLACES:
        shown = facts["services"][place]
        waits = f"{shown['After']} {shown['Wants']} {shown['Requires']}"
        assert "network-online.target" not in waits, place
        assert "udev-settle" not in waits, place
    assert "network" not in facts["services"]["kitchen"]["After"]
    assert set(facts["held_up"].split()) == {"inactive"}


@pytest.mark.parametrize("unit", ["callbox.service", "callbox-signaling.service"])
def test_the_live_units_are_tight(facts: dict[str, Any], figures: Figures, unit: str) -> None:
    exposure = re.search(rf"^{re.escape(unit)}\s+([\d.]+)", facts["security"], re.MULTILINE)
    assert exposure is not None, facts["security"]
    figures.record(f"exposure of {unit} (0-10, lower is tighter)", float(exposure[1]), "")
    assert float(exposure[1]) <= LOOSEST


def test_the_journal_keeps_what_was_promised_and_no_more(facts: dict[str, Any]) -> None:
    bounds = [
        (kind, limit) for kind, limit in re.findall(r"(System|Runtime) Journal .*?max ([\d.]+M)", facts["journal"])
    ]
    assert bounds, facts["journal"]
    assert set(bounds) <= {("System", "64M"), ("Runtime", "16M")}


def test_voice_goes_before_ordinary_load(facts: dict[str, Any]) -> None:
    for place in ("kitchen", "workshop"):
        real_time = [tuple(thread) for thread in facts["threads"][place] if thread[1] > 0]
        assert [(policy & ~RESET_ON_FORK, priority) for policy, priority in real_time] == [
            (ROUND_ROBIN, LOOP),
            (ROUND_ROBIN, AUDIO),
        ], place
    assert not any(priority for _, priority in facts["threads"]["server"])


def test_a_box_that_hangs_is_killed_and_the_call_goes_on(guest: Guest, figures: Figures) -> None:
    seen = guest.story("services.py", "hang", timeout_s=150)
    figures.record("loop hangs in a call: talking again after", seen["talking_s"], "s")
    assert seen["restarts"] == "1"
    assert "run_forever" in seen["journal"], "the journal shows where it hung"
    assert seen["state"] == ["talking", "talking"]
    assert min(seen["received"]) > 20, seen["received"]
    assert seen["talking_s"] < RESUMED_WITHIN_S
