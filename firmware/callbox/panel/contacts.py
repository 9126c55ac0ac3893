"""How the buttons and switches of a board are listened to: what `gestures` needs to know of a board."""

from callbox.panel.gestures import Contact
from callbox.panel.parts import Board

REPEATING = ("volume_up", "volume_down")


def contacts(board: Board) -> dict[str, Contact]:
    """Return a board's buttons and switches by the names that `ButtonChanged` uses.

    A switch is called `switch.mute` there, because a board may have a mute button as well.
    """
    heard = {
        name: Contact(button.debounce_ms / 1000, repeats=name in REPEATING, counts=board.one_button)
        for name, button in board.buttons.items()
    }
    latching = {
        switch_name(name): Contact(switch.debounce_ms / 1000, latches=True) for name, switch in board.switches.items()
    }
    return heard | latching


def switch_name(name: str) -> str:
    """Return how the switch `name` is called where buttons and switches stand side by side."""
    return f"switch.{name}"
