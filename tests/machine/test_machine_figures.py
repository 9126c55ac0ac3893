"""Figures of the whole machine, in the guest's time: one core of 1 GIPS, about what one of a Pi Zero 2 W's four does.

A Pi's own firmware and the waiting for its card come on top of a boot; a Pi's other three cores are missing here.
"""

import pytest

from machine.figures import Figures
from machine.guest import Guest

pytestmark = pytest.mark.machine
BOXES = ("kitchen", "workshop")
IDLE_S = 60


def test_idle_services_cost_almost_nothing(guest: Guest, figures: Figures) -> None:
    facts = guest.story("idling.py", IDLE_S, timeout_s=2 * IDLE_S)
    for name, title in (("kitchen", "box"), ("server", "server")):
        figures.record(f"{title}, idle: processor", facts[name]["cpu_percent"], "%")
        figures.record(f"{title}, idle: wake-ups", facts[name]["wakeups_per_s"], "/s")
        figures.record(f"{title}, idle: memory (PSS)", facts[name]["pss_mib"], "MiB")
        figures.record(f"{title}: exposure by systemd-analyze security", facts[name]["exposure"], "of 10")
        assert facts[name]["exposure"] <= 2.0
        assert facts[name]["pss_mib"] <= 64
    figures.record("package, installed", facts["installed_mib"], "MiB")
    figures.record("/opt/callbox on disk", facts["on_disk_mib"], "MiB")


def test_a_box_alone_shows_its_light_soon_after_power(switched_off: Guest, figures: Figures) -> None:
    switched_off.kill()
    switched_off.reset_disk()
    alone = "systemd.mask=callbox-workshop.service systemd.mask=callbox-signaling.service"
    switched_off.boot(append=alone, settled=False)
    facts = switched_off.story("booting.py", "kitchen", timeout_s=180)
    figures.record("kernel's start to systemd's", facts["userspace_s"], "s")
    figures.record("kernel's start to the Pi's own light", facts["first_light_s"], "s")
    figures.record("kernel's start to the box's start", facts["kitchen_started_s"], "s")
    figures.record("kernel's start to the box's status light", facts["kitchen_light_s"], "s")
    took_s = facts["kitchen_light_s"] - facts["kitchen_started_s"]
    figures.record("box's start to its status light", took_s, "s")
    assert 0 < facts["first_light_s"] <= 5.0
    assert facts["kitchen_light_s"] <= 25.0


def test_a_server_and_two_boxes_are_callable_soon_after_power(switched_off: Guest, figures: Figures) -> None:
    switched_off.kill()
    switched_off.reset_disk()
    switched_off.boot(settled=False)
    facts = switched_off.story("booting.py", *BOXES, timeout_s=180)
    figures.record("kernel's start to a server and two boxes connected, on one core", facts["connected_s"], "s")
    assert facts["connected_s"] <= 25.0
