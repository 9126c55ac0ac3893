"""Commands about boards: how a panel is wired, as a list, a table and a picture."""

from pathlib import Path

import msgspec

from callbox.app.commands.words import Adder, Options, add_json, print_facts
from callbox.base.errors import CallboxError
from callbox.base.files import write_whole


def add(adder: Adder) -> None:
    """Add this command."""
    boards = adder.add(
        "boards", "show how boards are wired", _boards, "callbox boards draw breadboard --out wiring.svg"
    )
    boards.add_argument("what", choices=("list", "show", "draw"), help="list names; show a table; draw a picture (SVG)")
    boards.add_argument("board", nargs="?", default="breadboard", help="a name, or the path of a board file")
    boards.add_argument("--out", metavar="FILE", help="where the picture goes (default: BOARD.svg)")
    add_json(boards)


def _boards(options: Options) -> int:
    from callbox.app.boards import find_board, list_boards
    from callbox.panel.drawing import svg, table

    if options.what == "list":
        names = list_boards()
        titles = [f"{name:<16}{find_board(name).title}" for name in names]
        print_facts(options, {"boards": names}, "\n".join(titles))
        return 0
    board = find_board(options.board)
    if options.what == "show":
        print_facts(options, msgspec.to_builtins(board), table(board))
        return 0
    out = Path(options.out or f"{board.name}.svg")
    try:
        write_whole(out, svg(board).encode(), mode=0o644)
    except OSError as error:
        raise CallboxError(f"The picture cannot be written to {out}: {error.strerror}.") from None
    print_facts(options, {"file": str(out)}, f"{out} drawn")
    return 0
