"""The wires of a panel. Each file here is one member of the family, found by its name; the rest belongs to gpio.

A member reports raw changes and sets brightness; it neither debounces nor decides. Buttons are named as on
the board, switches as "switch.mute".
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Protocol

from callbox.base.errors import CallboxError, WrongUse
from callbox.base.settings import did_you_mean
from callbox.panel.parts import Board

Changed = Callable[[str, bool], None]
STOP_OR_MOVE = (
    "Stop that (a program, or what /boot/firmware/config.txt switches on), or give the part another pin in box.toml."
)


class Pins(Protocol):
    """The buttons and lights of one board. A member's module offers `open_member(board) -> Pins`."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What does not work although the rest does, in sentences."""
        ...

    def start(self, changed: Changed) -> None:
        """Begin to call `changed(name, pressed)`, first for whatever is pressed already.

        Each member says on which thread it calls; `changed` must be quick and must not raise.
        """
        ...

    def show(self, levels: Mapping[str, float]) -> None:
        """Set the brightness, 0 to 1, of the lights named; lights that the board lacks are passed over."""
        ...

    def close(self) -> None:
        """Turn the lights off and let go of the pins. `changed` is not called any more; may be repeated."""
        ...


class PinsUnavailable(CallboxError):
    """The pins of this machine cannot be had, and why."""


def members() -> list[str]:
    """Return the names of the family's members."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def open_pins(name: str, board: Board) -> Pins:
    """Open the member `name` for `board`. Raises WrongUse for an unknown name, PinsUnavailable."""
    if name not in members():
        raise WrongUse(f"There is no panel backend `{name}`. {did_you_mean(name, members())}")
    member: Pins = importlib.import_module(f"{__name__}.{name}").open_member(board)
    return member
