"""A board: which pin each button, switch and light hangs on, read from TOML and checked before use.

    [button.talk]              [light.call]              [switch.mute]
    pin = 17                   pin = 13                  pin = 4
                               colour = "green"

Everything wrong with a board is told at once, each with its file and line, what is allowed and which pins
are still free; nothing is driven before a board has passed. A `box.toml` may add or replace sections of
the board it names (`rewired`).
"""

from typing import Any

import msgspec

from callbox.base.settings import BadSettings, Problems, did_you_mean, locate
from callbox.panel.header import RESERVABLE
from callbox.panel.parts import KINDS, NAMES, Board, Button, Light, Part, Switch
from callbox.panel.wiring import check_wiring

__all__ = ["BadBoard", "Board", "load_board", "rewired"]


class BadBoard(BadSettings):
    """A board that must not be driven; `problems` holds everything that is wrong with it."""


def load_board(text: str, file: str, name: str = "") -> Board:
    """Read and check a board from the TOML `text` of `file`. Raises BadBoard with every problem."""
    problems = Problems(text, file)
    table = problems.parse()
    problems.raise_any(BadBoard)
    problems.check(table, Board)
    listed = table.get("reserve")
    reserve = tuple(one for one in listed if one in RESERVABLE) if isinstance(listed, list) else ()
    check_wiring(problems, _readable_parts(problems, table), {}, reserve)
    problems.raise_any(BadBoard)
    board = msgspec.convert(table, Board)
    return board if board.name else msgspec.structs.replace(board, name=name)


def rewired(board: Board, text: str, file: str) -> Board:
    """Return `board` with the `button`, `switch` and `light` sections of another file added or replaced.

    `text` is that whole file (a `box.toml`); its other sections are not looked at. A section there replaces
    the board's section of that name as a whole. Raises BadBoard with every problem.
    """
    problems = Problems(text, file)
    table = problems.parse()
    problems.raise_any(BadBoard)
    problems.check({kind: table[kind] for kind in KINDS if kind in table}, Board)
    parts = _readable_parts(problems, table)
    below = {path: part for path, part in _parts_of(board).items() if path not in parts}
    check_wiring(problems, parts, below, board.reserve)
    problems.raise_any(BadBoard)
    merged = {**_parts_of(board), **parts}
    return msgspec.structs.replace(
        board,
        buttons={name: part for (_, name), part in merged.items() if isinstance(part, Button)},
        switches={name: part for (_, name), part in merged.items() if isinstance(part, Switch)},
        lights={name: part for (_, name), part in merged.items() if isinstance(part, Light)},
    )


def _parts_of(board: Board) -> dict[tuple[str, str], Part]:
    families: dict[str, dict[str, Any]] = {
        "button": board.buttons,
        "switch": board.switches,
        "light": board.lights,
    }
    return {(kind, name): part for kind, family in families.items() for name, part in family.items()}


def _readable_parts(problems: Problems, table: dict[str, Any]) -> dict[tuple[str, str], Part]:
    """Return the sections that make sense by themselves, in the order of the file; note unknown names.

    Of a section with a mistake inside (noted already) the pin alone is kept, so that the wiring of the whole
    file is still checked in the same run.
    """
    found: list[tuple[int, tuple[str, str], Part]] = []
    for kind, struct in KINDS.items():
        family = table.get(kind)
        for name, section in family.items() if isinstance(family, dict) else ():
            if name not in NAMES[kind]:
                problems.add((kind, name), None, f"There is no such {kind}. {did_you_mean(name, NAMES[kind])}")
            if (part := _read_part(section, struct)) is not None:
                found.append((locate(problems.text, (kind, name)), (kind, name), part))
    found.sort(key=lambda entry: entry[0])
    return {path: part for _, path, part in found}


def _read_part(section: Any, struct: type[Part]) -> Part | None:
    pin_alone = {"pin": section.get("pin")} if isinstance(section, dict) else {}
    for candidate in (section, pin_alone):
        try:
            return msgspec.convert(candidate, struct)
        except msgspec.ValidationError:
            continue
    return None
