"""Devices by name on a real kernel: numbers that change, pins that others hold, cards that come late."""

import pytest

from machine.figures import Figures
from machine.guest import Guest

pytestmark = pytest.mark.machine


@pytest.mark.parametrize(
    ("label", "revision", "before", "why"),
    [
        ("pinctrl-bcm2835", "902120", 1, "a Zero 2 W whose header is not the first chip"),
        ("pinctrl-bcm2711", "c03115", 2, "a Pi 4"),
        ("pinctrl-rp1", "c04170", 4, "a Pi 5 with a kernel before 6.6.45"),
        ("pinctrl-rp1", "c04170", 10, "a Pi 5 with two figures in the number"),
    ],
)
def test_the_header_is_found_whatever_its_number(
    guest: Guest, label: str, revision: str, before: int, why: str
) -> None:
    facts = guest.story("devices.py", "chips", label, revision, before, timeout_s=120)
    assert facts["chip"] != "gpiochip0", why
    assert facts["restarts"] == {"NRestarts": "0"}


def test_a_pin_that_another_program_holds_is_named_and_waited_for(guest: Guest) -> None:
    facts = guest.story("devices.py", "busy", timeout_s=180)
    assert "[button.talk] GPIO17 is in use by `doorbell`." in facts["journal"]


def test_a_dimmed_light_pulses_beside_buttons_and_lights_that_do_not(guest: Guest) -> None:
    facts = guest.story("devices.py", "dimmed", timeout_s=120)
    assert (facts["dark"], facts["dark_again"]) == (0, 0)
    assert 0.1 < facts["lit"] < 0.5
    assert facts["restarts"] == {"NRestarts": "0"}


def test_a_box_without_a_sound_card_waits_for_one(guest: Guest, figures: Figures) -> None:
    facts = guest.story("devices.py", "no-card", timeout_s=120)
    assert "no sound input is called 'kitchen'" in facts["fault"]
    assert len(facts["rhythm"]) > 4, "the status light says that something is wrong"
    assert facts["restarts"] == "0"
    figures.record("sound card plugged in, idle: noticed after", facts["healed_s"], "s")
    assert facts["healed_s"] <= 10
