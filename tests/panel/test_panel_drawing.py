"""What is generated from a board is fresh, complete and well-formed, and the pages say what the code accepts."""

import re
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest

from callbox.app.boards import find_board, list_boards
from callbox.panel.boards import load_board
from callbox.panel.drawing import page, svg, table

BOARDS = Path(__file__).parents[2] / "hw" / "boards"


def test_every_board_under_hw_ships_inside_the_package() -> None:
    assert list_boards() == sorted(path.stem for path in BOARDS.glob("*.toml"))


@pytest.mark.parametrize("name", list_boards())
def test_page_and_drawing_of_every_board_are_fresh(name: str) -> None:
    board = find_board(name)
    stale = f"stale: run `callbox boards draw {name}`"
    assert (BOARDS / f"{name}.md").read_text("utf-8") == page(board), stale
    assert (BOARDS / f"{name}.svg").read_text("utf-8") == svg(board), stale
    assert f"[{name}]({name}.md)" in (BOARDS / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", list_boards())
def test_the_drawing_is_xml_and_shows_every_part_and_all_forty_positions(name: str) -> None:
    board = find_board(name)
    drawn = fromstring(svg(board))
    words = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert [word for word in words if word and word.isdigit()] == [str(position) for position in range(1, 41)]
    parts = [f"button {button}" for button in board.buttons]
    parts += [f"light {light}" for light, part in board.lights.items() if part.pin != "ACT"]
    assert set(parts) <= set(words)
    assert "prefers-color-scheme: dark" in svg(board)


def test_the_boards_guide_shows_settings_that_load() -> None:
    guide = (BOARDS / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    board = load_board(example, "README.md")
    assert board.shown_on == {"live": ("live",), "call": ("call", "message")}


ODD = """
[button.talk]
pin = 17
pull = "down"
active_level = "high"
[button.calls]
pin = 22
active_level = "high"
[button.dial1]
pin = 27
pull = "none"
[light.live]
pin = 5
active_level = "low"
resistor_ohm = 0
brightness = 0.5
[light.call]
pin = 6
colour = "<green>"
also = ["message"]
"""


def test_the_table_says_where_the_other_leg_goes() -> None:
    assert table(load_board(ODD, "odd.toml")).splitlines()[2:] == [
        "| `[button.talk]` | 17 | 11 | 3V3 (position 1 or 17) | closes when pressed, the Pi's own pull-down |  |",
        "| `[button.calls]` | 22 | 15 | ground (position 14) | closed at rest, the Pi's own pull-up |  |",
        "| `[button.dial1]` | 27 | 13 | ground (position 14) | own resistor on the board, low when closed |  |",
        "| `[light.live]` | 5 | 29 | 3V3 (position 1 or 17) | any LED, resistor on the board, dimmed to 50% |  |",
        "| `[light.call]` | 6 | 31 | ground (position 30) | <green> LED, 330 Ω in series | also shows message |",
    ]


def test_whatever_a_board_says_the_drawing_stays_xml() -> None:
    assert fromstring(svg(load_board(ODD + '[light.status]\npin = "ACT"\n', "odd.toml"))) is not None
