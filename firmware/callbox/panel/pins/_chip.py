"""The chip that drives the 40-pin header: found by its label, and why it cannot be had, if so.

What stops makers most is told apart here: a chip with another number (a Pi 5 has had 4, 0 and 10), a user without the
group, a chip without a group, a service without the right, a pin that somebody holds.
"""

import grp
import os
import pwd
from pathlib import Path

import gpiod

from callbox.panel.pins import PinsUnavailable

# By the label that the driver gives: Pi 5, Pi 4, all before. The number differs between kernels.
HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")


def line_holder(chip: Path, pin: int) -> str:
    """Return who holds a pin, as the kernel notes it; "" if nobody does."""
    with gpiod.Chip(str(chip)) as opened:
        line = opened.get_line_info(pin)
    if not line.used:
        return ""
    if line.consumer == "lg":
        return "another program that uses lgpio, as gpiozero does"
    return f"`{line.consumer}`" if line.consumer else "a driver of the kernel"


def find_header_chip(devices: Path) -> Path:
    """Return the device of the chip that drives the 40-pin header, found by its label. Raises PinsUnavailable."""
    numbers = sorted(int(path.name.removeprefix("gpiochip")) for path in devices.glob("gpiochip[0-9]*"))
    refused: Path | None = None
    for number in numbers:
        chip = devices / f"gpiochip{number}"
        try:
            with gpiod.Chip(str(chip)) as opened:
                label = opened.get_info().label
        except OSError:
            refused = refused or chip
            continue
        if label in HEADER_CHIPS:
            return chip
    if refused:
        raise refusal(refused)
    raise PinsUnavailable(
        "This machine has no 40-pin GPIO header.",
        'To try Callbox without one, set `backend = "simulated"` under [panel] in box.toml.',
    )


def refusal(chip: Path) -> PinsUnavailable:
    """Tell why a chip does not open: by whom it may be opened, or, if by us, what else forbids it."""
    user, owners = _user_name(), chip.stat()
    if os.access(chip, os.R_OK | os.W_OK):
        return PinsUnavailable(
            "The service may not open the GPIO pins, although its user may.",
            "Its unit must say `DeviceAllow=char-gpiochip rw`: `systemctl cat callbox` shows it, "
            "`sudo systemctl revert callbox` undoes changes of yours.",
        )
    if not owners.st_gid or owners.st_mode & 0o060 != 0o060:
        return PinsUnavailable(
            f"Only root may open the GPIO pins: {chip} was given to no group.",
            "The rule for it is /usr/lib/udev/rules.d/60-callbox.rules; then: sudo udevadm trigger",
        )
    group = _group_name(owners.st_gid)
    return PinsUnavailable(
        f"The GPIO pins may not be opened by the user {user}, who is not in the group {group}.",
        f"Run: sudo usermod -aG {group} {user}; then log in again, or restart the service.",
    )


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return "$USER"


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
