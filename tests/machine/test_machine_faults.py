"""What goes wrong around real services in a real machine: each heals by itself, and nothing rings that nobody rang."""

import time
from typing import Any

import pytest

from machine.figures import Figures
from machine.guest import READY, Guest

pytestmark = pytest.mark.machine
BOXES = ("kitchen", "workshop")
VICTIMS = ("server", *BOXES)


def rested(facts: dict[str, Any]) -> None:
    assert facts["lights_at_rest"] == {"kitchen": "status", "workshop": "status"}


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_killed_service_is_back_and_nothing_rings(guest: Guest, figures: Figures, victim: str) -> None:
    facts = guest.story("deaths.py", victim, "idle")
    assert facts["restarts"] == "1"
    for name in BOXES:
        assert set(facts["states"][name]) <= {"idle", "gone"}, facts
        assert facts["lights"][name] == "status", facts
    rested(facts)
    figures.record(f"{victim} killed: connected again", facts["connected_s"], "s")


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_call_outlives_the_death_of_each_service(guest: Guest, figures: Figures, victim: str) -> None:
    facts = guest.story("deaths.py", victim, "call")
    assert facts["restarts"] == "1"
    for name in BOXES:
        assert not {"ringing", "dialing"} & set(facts["states"][name]), facts
        assert facts["states"][name][-1] == "talking"
    assert facts["muted"] == {"kitchen": True, "workshop": False}
    assert facts["lights"] == {"kitchen": "mute call status", "workshop": "live call status"}
    rested(facts)
    figures.record(f"{victim} killed in a call: voice again", facts["voice_s"], "s")


def undisturbed(facts: dict[str, Any]) -> None:
    assert set(facts["restarts"].values()) == {"0"}, facts
    assert facts["active_at_end"] == ["active"] * 3


def test_services_that_start_without_a_network_wait_for_it(guest: Guest, figures: Figures) -> None:
    facts = guest.story("outages.py", "unplugged", timeout_s=180)
    undisturbed(facts)
    assert facts["active"] == ["active"] * 3, "ready without a network"
    assert set(facts["rhythm"]) == {1.0}, "the status light says that it connects"
    assert facts["connected_s"] <= 15.0
    figures.record("cable plugged in: connected", facts["connected_s"], "s")


def test_a_minute_without_network_is_noticed_and_heals(guest: Guest, figures: Figures) -> None:
    facts = guest.story("outages.py", "blackout", timeout_s=240)
    undisturbed(facts)
    assert facts["noticed_s"] <= 45.0
    assert facts["connected_s"] <= 15.0
    figures.record("network gone, idle: noticed", facts["noticed_s"], "s")


def test_a_clock_in_1970_and_set_in_a_call_disturbs_nothing(guest: Guest, figures: Figures) -> None:
    facts = guest.story("outages.py", "clock", int(time.time()), timeout_s=240)
    undisturbed(facts)
    assert facts["year"] == 1970
    assert facts["states"] == ["talking"] * 2
    assert facts["voice"] == [True, True]
    assert facts["connected_s"] <= 10.0
    assert facts["connected_again_s"] <= 10.0
    figures.record("clock in 1970: connected after the start", facts["connected_s"], "s")


def test_a_machine_that_boots_in_1970_connects(switched_off: Guest) -> None:
    switched_off.kill()
    switched_off.boot(READY)  # then the same disk from cold, as after a power cut
    switched_off.must("sync")
    switched_off.kill()
    switched_off.boot(rtc="1970-01-01T00:00:00", settled=False)
    switched_off.story("wait_connected.py", timeout_s=120)


def test_a_machine_that_boots_without_cables_and_sound_cards_waits_for_both(
    switched_off: Guest, figures: Figures
) -> None:
    switched_off.kill()
    switched_off.reset_disk()
    switched_off.boot(append="guest.without=cards,cables", settled=False)
    facts = switched_off.story("bare.py", timeout_s=300)
    undisturbed(facts)
    assert facts["active"] == ["active"] * 3, "ready without either"
    assert set(facts["rhythm"]) <= {1.0, 0.2}, "the status light says that it connects, or what is missing"
    assert facts["connected_s"] <= 15.0
    figures.record("booted without cable, plugged in: connected", facts["connected_s"], "s")


@pytest.mark.parametrize("kind", ["full", "readonly"])
def test_without_a_disk_calls_go_on_and_nothing_is_promised(guest: Guest, figures: Figures, kind: str) -> None:
    facts = guest.story("disk.py", kind, timeout_s=300)
    assert facts["refusal"], facts
    assert facts["fault"], facts
    assert set(facts["rhythm"]) == {0.2}, "the status light tells of a fault"
    assert facts["doubled"] == 0
    assert set(facts["restarts"].values()) == {"0"}, facts
    figures.record(f"disk {kind}: healed", facts["healed_s"], "s")
