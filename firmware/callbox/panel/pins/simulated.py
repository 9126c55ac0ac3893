"""A panel without hardware: pressed by a call, its lights read from a dict. For tests, the demo and `callbox press`.

`changed` is called on the thread that calls `press`, `release` or `switch`.
"""

from collections import deque
from collections.abc import Mapping

from callbox.base.errors import WrongUse
from callbox.base.settings import did_you_mean
from callbox.panel.contacts import contacts, switch_name
from callbox.panel.parts import Board
from callbox.panel.pins import Changed

HISTORY_LENGTH = 10_000


class SimulatedPins:
    """The wires of a board in memory. `lights` is what shows now, `history` every change of it, oldest first."""

    def __init__(self, board: Board) -> None:
        self._contacts = dict.fromkeys(contacts(board), False)
        self._changed: Changed | None = None
        self.lights = dict.fromkeys(board.lights, 0.0)
        self.history: deque[dict[str, float]] = deque(maxlen=HISTORY_LENGTH)
        self.faults: tuple[str, ...] = ()

    def start(self, changed: Changed) -> None:
        self._changed = changed
        for name, pressed in self._contacts.items():
            if pressed:
                changed(name, True)

    def press(self, button: str) -> None:
        """Close the contact of a button. Raises WrongUse if the board has none of that name."""
        self._move(button, True)

    def release(self, button: str) -> None:
        """Open the contact of a button. Raises WrongUse if the board has none of that name."""
        self._move(button, False)

    def switch(self, name: str, on: bool) -> None:
        """Move the switch `name`. Raises WrongUse if the board has none of that name."""
        self._move(switch_name(name), on)

    def _move(self, name: str, pressed: bool) -> None:
        if name not in self._contacts:
            raise WrongUse(f"This board has no button `{name}`. {did_you_mean(name, self._contacts)}")
        if self._contacts[name] != pressed:
            self._contacts[name] = pressed
            if self._changed is not None:
                self._changed(name, pressed)

    def show(self, levels: Mapping[str, float]) -> None:
        wanted = {name: level for name, level in levels.items() if name in self.lights}
        if any(self.lights[name] != level for name, level in wanted.items()):
            self.lights.update(wanted)
            self.history.append(dict(self.lights))

    def close(self) -> None:
        self._changed = None
        self.show(dict.fromkeys(self.lights, 0.0))


def open_member(board: Board) -> SimulatedPins:
    """Open the simulated wires of `board`."""
    return SimulatedPins(board)
