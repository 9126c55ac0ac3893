"""Boards: what ships loads, what is wrong is told at once with line and free pins, and a box may rewire."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.app.boards import NoSuchBoard, find_board, list_boards
from callbox.base.errors import WrongUse
from callbox.panel.boards import BadBoard, load_board, rewired
from callbox.panel.header import GROUNDS, POSITION_OF_GPIO, RESERVABLE, nearest_ground
from callbox.panel.parts import Board, Button, Light, Switch

LIVE = "[light.live]\npin = 5\n"


def problems_of(text: str) -> list[str]:
    """Load a board that must be refused; return its problems, without the list of free pins."""
    with pytest.raises(BadBoard) as caught:
        load_board(text, "my.toml")
    assert isinstance(caught.value, WrongUse)
    return [str(problem).split(" Free on this board:")[0] for problem in caught.value.problems]


def test_the_breadboard_has_what_the_guide_promises() -> None:
    board = find_board("breadboard")
    assert board.name == "breadboard"
    assert set(board.buttons) == {"talk", "mute", "calls", "dial1", "dial2", "volume_up", "volume_down"}
    assert set(board.lights) == {"live", "mute", "call", "calls", "message", "status"}
    assert board.lights["status"].pin == "ACT"
    assert not board.one_button
    taken = {gpio for pins in RESERVABLE.values() for gpio in pins} | {0, 1}
    used = {button.pin for button in board.buttons.values()} | {light.pin for light in board.lights.values()}
    assert not taken & used


@pytest.mark.parametrize("name", list_boards())
def test_every_shipped_board_loads(name: str) -> None:
    assert find_board(name).title


def test_every_problem_is_told_at_once() -> None:
    text = """\
reserve = ["spi"]
[button.tlak]
pin = 17
[light.live]
pin = 17
[button.mute]
pin = 0
pull = "sideways"
[button.calls]
pin = 2
pull = "down"
[button.dial1]
pin = 40
debounce = 3
[button.dial2]
pin = 10
[light.status]
pin = "ACT"
brightness = 0.5
"""
    assert problems_of(text) == [
        "my.toml:2 [button.tlak]: There is no such button. Did you mean `talk`?",
        "my.toml:5 [light.live] pin = 17: GPIO17 already reads [button.tlak].",
        "my.toml:7 [button.mute] pin = 0: GPIO0 is kept for the identity chip of a HAT.",
        'my.toml:8 [button.mute] pull = "sideways": This must be one of "down", "none", "up".',
        (
            'my.toml:11 [button.calls] pull = "down": GPIO2 has a pull-up resistor of its own: '
            'give pull = "up", or another pin.'
        ),
        "my.toml:13 [button.dial1] pin = 40: There is no GPIO40 on the header.",
        "my.toml:14 [button.dial1] debounce = 3: There is no such setting. Did you mean `debounce_ms`?",
        "my.toml:16 [button.dial2] pin = 10: GPIO10 is kept by this board for SPI.",
        "my.toml:19 [light.status] brightness = 0.5: The activity light cannot be dimmed: leave this out.",
    ]


def test_free_pins_leave_out_what_is_used_reserved_or_forbidden() -> None:
    used = "".join(f"[button.dial{slot}]\npin = {slot + 15}\n" for slot in range(1, 10))
    text = f'reserve = ["i2c", "spi", "uart"]\n{used}[button.talk]\npin = 16\n{LIVE}'
    with pytest.raises(BadBoard) as caught:
        load_board(text, "my.toml")
    assert str(caught.value).endswith(
        "[button.talk] pin = 16: GPIO16 already reads [button.dial1]. Free on this board: 4, 6, 12, 13, 25, 26, 27."
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "[light.call]\npin = 6\n",
            "my.toml:2 [light.call] pin = 6: The first light of a board is [light.live], and this board has none.",
        ),
        (
            '[light.live]\npin = 5\nalso = ["call"]\n',
            'my.toml:3 [light.live] also = ["call"]: The live light shows the microphone and nothing else.',
        ),
        (
            f'{LIVE}[light.call]\npin = 6\nalso = ["live"]\n',
            'my.toml:5 [light.call] also = ["live"]: This can hold: mute, calls, message, status.',
        ),
        (
            f'{LIVE}[light.mute]\npin = 7\n[light.call]\npin = 6\nalso = ["mute"]\n',
            'my.toml:7 [light.call] also = ["mute"]: There is a [light.mute] of its own on this board.',
        ),
        ("[button.talk]\n", "my.toml:1 [button.talk]: `pin` is missing. Give a whole number."),
        (
            'reserve = ["i3c"]\n',
            'my.toml:1 reserve = ["i3c"]: This must be a list, each one of "i2c", "i2s", "spi", "uart".',
        ),
        (
            "[button.talk\n",
            "my.toml:1: This line cannot be read as TOML: Expected ']' at the end of a table declaration.",
        ),
    ],
)
def test_single_problems(text: str, problem: str) -> None:
    assert problems_of(text) == [problem]


def test_one_button_alone_is_one_button_mode() -> None:
    assert load_board("[button.talk]\npin = 17\n", "my.toml").one_button
    assert not load_board("[button.talk]\npin = 17\n[switch.hook]\npin = 4\n", "my.toml").one_button


def test_a_box_adds_and_replaces_sections() -> None:
    board = rewired(
        find_board("breadboard"),
        '[sound]\ninput = "usb"\n[button.talk]\npin = 4\n[button.dial3]\npin = 17\n[switch.mute]\npin = 18\n',
        "box.toml",
    )
    assert board.buttons["talk"] == Button(pin=4)
    assert board.buttons["dial3"] == Button(pin=17)  # the pin that talk gave up
    assert board.switches == {"mute": Switch(pin=18)}
    assert board.lights == find_board("breadboard").lights


def test_a_box_that_clashes_with_its_board_is_told_where() -> None:
    with pytest.raises(BadBoard) as caught:
        rewired(find_board("breadboard"), "[panel]\nx = 1\n[button.talk]\npin = 13\n", "box.toml")
    assert str(caught.value) == (
        "box.toml:4 [button.talk] pin = 13: GPIO13 already drives [light.call]. "
        "Free on this board: 4, 17, 18, 19, 20, 21."
    )


def test_a_board_of_your_own_is_found_by_path(tmp_path: Path) -> None:
    own = tmp_path / "hall.toml"
    own.write_text("[button.talk]\npin = 17\n")
    assert find_board(str(own)) == Board(name="hall", buttons={"talk": Button(pin=17)})


@pytest.mark.parametrize(
    ("name", "words"), [("bredboard", "Did you mean `breadboard`?"), ("nowhere.toml", "cannot be read")]
)
def test_a_board_that_is_not_there(name: str, words: str) -> None:
    with pytest.raises(NoSuchBoard, match=words):
        find_board(name)


@given(st.lists(st.integers(2, 27), min_size=1, max_size=9))
def test_a_board_is_accepted_if_and_only_if_no_pin_is_used_twice(pins: list[int]) -> None:
    text = "".join(f"[button.dial{slot}]\npin = {pin}\n" for slot, pin in enumerate(pins, 1))
    if len(set(pins)) == len(pins):
        assert len(load_board(text, "my.toml").buttons) == len(pins)
    else:
        assert len(problems_of(text)) == len(pins) - len(set(pins))


def test_the_header_is_the_real_one() -> None:
    assert len(POSITION_OF_GPIO) == 28
    assert {POSITION_OF_GPIO[gpio] for gpio in (2, 17, 21)} == {3, 11, 40}
    assert GROUNDS == (6, 9, 14, 20, 25, 30, 34, 39)
    assert nearest_ground(17) == 9
    assert nearest_ground(21) == 39


def test_lights_say_what_they_share() -> None:
    board = load_board(f'{LIVE}[light.call]\npin = 6\nalso = ["message"]\n', "my.toml")
    assert board.shown_on == {"live": ("live",), "call": ("call", "message")}
    assert board.lights["call"] == Light(pin=6, also=("message",))
