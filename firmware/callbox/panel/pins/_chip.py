"""The chip that drives the 40-pin header: found by its label, and why it cannot be had, if so.

What stops makers most is told apart here: no folder for lgpio's pipe, a chip with another number (a Pi 5 has had 4, 0
and 10), a user without the group, a chip without a group, a service without the right, a pin that somebody holds.
"""

import grp
import os
import pwd
import tempfile
from pathlib import Path
from typing import Any

from callbox.panel.pins import PinsUnavailable

# By the label that the driver gives: Pi 5, Pi 4, all before. The number differs between kernels.
HEADER_CHIPS = ("pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835")
_IN_USE = 1  # lgpio: the kernel has given the line to somebody


def work_folder() -> str:
    """Return where lgpio puts a pipe when it is imported; without LG_WD that is the current, maybe read-only folder.

    RUNTIME_DIRECTORY is systemd's; it may name several, the first is ours.
    """
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return os.environ.get("LG_WD") or runtime or tempfile.gettempdir()


def load_lgpio() -> Any:
    """Import lgpio, which makes a pipe in its folder, and that folder the current one. Raises PinsUnavailable."""
    folder = work_folder()
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PinsUnavailable(
            f"lgpio needs a folder to write to, and may not write to {folder}.",
            "Let LG_WD name a folder of this user; the service has one by itself (Environment=LG_WD=%t/callbox).",
        )
    os.environ["LG_WD"] = folder
    try:
        import lgpio
    except (ImportError, OSError) as error:
        raise PinsUnavailable(f"lgpio cannot be loaded: {error}.", "Install it: pip install lgpio") from error
    return lgpio


def line_holder(lgpio: Any, chip: int, pin: int) -> str:
    """Return who holds a pin, as the kernel notes it; "" if nobody does."""
    handle = lgpio.gpiochip_open(chip)
    try:
        _, _, flags, _, user = lgpio.gpio_get_line_info(handle, pin)
    finally:
        lgpio.gpiochip_close(handle)
    if not flags & _IN_USE:
        return ""
    if user == "lg":
        return "another program that uses lgpio, as gpiozero does"
    return f"`{user}`" if user else "a driver of the kernel"


def find_header_chip(lgpio: Any, devices: Path) -> int:
    """Return the number of the chip that drives the 40-pin header, found by its label. Raises PinsUnavailable."""
    numbers = sorted(int(path.name.removeprefix("gpiochip")) for path in devices.glob("gpiochip[0-9]*"))
    refused: Path | None = None
    for number in numbers:
        try:
            handle = lgpio.gpiochip_open(number)
        except lgpio.error:
            refused = refused or devices / f"gpiochip{number}"
            continue
        label = lgpio.gpio_get_chip_info(handle)[3]
        lgpio.gpiochip_close(handle)
        if label in HEADER_CHIPS:
            return number
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
