"""Boards by name: the files that come with Callbox, and those of one's own; `panel.boards` reads what is in them."""

from pathlib import Path

import callbox.panel
from callbox.base.errors import WrongUse
from callbox.base.settings import did_you_mean
from callbox.panel.boards import load_board
from callbox.panel.parts import Board

_FOLDER = Path(callbox.panel.__file__).parent / "board_files"


class NoSuchBoard(WrongUse):
    """A board name that is neither shipped nor the path of a file."""


def list_boards() -> list[str]:
    """Return the names of the boards that come with Callbox."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def find_board(name: str) -> Board:
    """Load a board that comes with Callbox by its name, or one of your own by its path (`*.toml`).

    Raises NoSuchBoard, or BadBoard with every problem.
    """
    own = name.endswith(".toml")
    path = Path(name) if own else _FOLDER / f"{name}.toml"
    if not own and name not in list_boards():
        raise NoSuchBoard(f"There is no board `{name}`. {did_you_mean(name, list_boards())}")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NoSuchBoard(f"The board file {path} cannot be read: {error}.") from None
    return load_board(text, str(path) if own else path.name, path.stem)
