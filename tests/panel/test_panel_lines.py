"""The real pins over libgpiod. The chip is made up, its kernel a pipe for each line; tests/machine has one."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpiod
import pytest
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero.exc import (
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPull,
    PinSetInput,
)
from gpiozero.pins.mock import MockFactory, MockPWMPin

from callbox.panel.boards import load_board
from callbox.panel.pins import PinsUnavailable, gpio
from callbox.panel.pins._lines import LineFactory
from callbox.panel.pins.gpio import GpioPins

WAIT_S = 10.0
DEVICE = Path("/dev/gpiochip4")
BOARD = load_board(
    """
[button.talk]
pin = 17
[button.mute]
pin = 27
active_level = "high"
pull = "down"
[light.live]
pin = 5
[light.call]
pin = 6
active_level = "low"
""",
    "my.toml",
)


class Line:
    """What libgpiod hands out for one line: a pipe stands for the kernel's queue of edges."""

    def __init__(self, chip: "Chip", offset: int, settings: gpiod.LineSettings) -> None:
        self.chip, self.offset, self.settings = chip, offset, settings
        self.fd, self._kernel = os.pipe()
        output = settings.direction is Direction.OUTPUT
        self.high = settings.output_value is Value.ACTIVE if output else settings.bias is Bias.PULL_UP
        self.released = False

    def moves(self, *levels: bool) -> None:
        self.high = levels[-1]
        os.write(self._kernel, bytes(levels))

    def breaks(self) -> None:
        os.close(self._kernel)

    def get_value(self, offset: int) -> Value:
        assert offset == self.offset
        assert not self.released
        return Value.ACTIVE if self.high else Value.INACTIVE

    def set_value(self, offset: int, value: Value) -> None:
        assert self.settings.direction is Direction.OUTPUT
        self.high = value is Value.ACTIVE
        self.chip.levels.setdefault(offset, []).append(self.high)

    def read_edge_events(self, most: int) -> list[Any]:
        types = gpiod.EdgeEvent.Type
        return [
            SimpleNamespace(event_type=types.RISING_EDGE if level else types.FALLING_EDGE, Type=types, timestamp_ns=1e9)
            for level in os.read(self.fd, most)
        ]

    def release(self) -> None:
        self.released = True
        os.close(self.fd)


class Chip:
    """gpiochip 4: the line that was last requested of each number, and what its outputs have shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: dict[int, Line] = {}
        self.requested: list[int] = []
        self.levels: dict[int, list[bool]] = {}
        self.refuses: dict[int, Exception] = {}
        monkeypatch.setattr(gpiod, "request_lines", self._request)
        monkeypatch.setattr(LineFactory, "_get_revision", lambda self: 0xA02082)

    def _request(self, path: str, config: dict[int, gpiod.LineSettings], consumer: str) -> Line:
        assert (path, consumer) == ("/dev/gpiochip4", "callbox")
        ((offset, settings),) = config.items()
        self.requested.append(offset)
        assert offset not in self.lines or self.lines[offset].released, "the kernel gives a line to one at a time"
        if offset in self.refuses:
            raise self.refuses[offset]
        self.lines[offset] = line = Line(self, offset, settings)
        if settings.direction is Direction.OUTPUT:
            self.levels.setdefault(offset, []).append(line.high)
        return line


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chip]:
    made = Chip(monkeypatch)
    yield made
    assert all(line.released for line in made.lines.values())
    assert "pins" not in [thread.name for thread in threading.enumerate()]


@pytest.fixture
def factory(chip: Chip) -> Iterator[LineFactory]:
    made = LineFactory(DEVICE)
    yield made
    made.close()


class Told:
    """What the pins told; `after(n)` waits for n more."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, bool]] = []
        self._more = threading.Semaphore(0)

    def __call__(self, name: str, pressed: bool) -> None:
        self.changes.append((name, pressed))
        self._more.release()

    def after(self, many: int) -> list[tuple[str, bool]]:
        for _ in range(many):
            assert self._more.acquire(timeout=WAIT_S), self.changes
        return self.changes


# --- a panel ---


def test_edges_of_the_kernel_become_presses_whatever_the_level(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    told = Told()
    pins.start(told)
    chip.lines[17].moves(False, True)
    told.after(2)
    chip.lines[27].moves(True, False)
    assert told.after(2) == [("talk", True), ("talk", False), ("mute", True), ("mute", False)]
    pins.close()


def test_the_kernel_debounces_and_pulls_as_the_board_says(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    for pin, bias in ((17, Bias.PULL_UP), (27, Bias.PULL_DOWN)):
        settings = chip.lines[pin].settings
        assert (settings.direction, settings.bias, settings.edge_detection) == (Direction.INPUT, bias, Edge.BOTH)
        assert settings.debounce_period.total_seconds() == 0.002
    pins.close()


def test_a_button_that_is_down_at_the_start_is_told(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    chip.lines[17].high = False
    told = Told()
    pins.start(told)
    assert told.after(1) == [("talk", True)]
    pins.close()


def test_lights_are_dark_from_their_first_moment_whichever_level_that_is(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    pins.show({"live": 1.0, "call": 1.0})
    pins.show({"live": 0.0, "call": 0.0})
    assert chip.levels == {5: [False, True, False], 6: [True, False, True]}
    pins.close()


def test_a_light_that_is_lit_at_the_end_is_let_go_as_an_input(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    pins.show({"live": 1.0})
    pins.close()
    assert chip.lines[5].settings.direction is Direction.INPUT
    assert chip.lines[5].released


def test_a_chip_that_goes_away_does_not_keep_the_thread_busy(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    told = Told()
    pins.start(told)
    chip.lines[17].breaks()
    chip.lines[27].moves(True, False)
    assert told.after(2) == [("mute", True), ("mute", False)]
    assert set(factory._watched) == {chip.lines[27].fd}
    pins.close()


def test_what_cannot_be_read_does_not_end_the_thread(
    chip: Chip, factory: LineFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(most: int) -> list[Any]:
        raise OSError(errno.ENODEV, "No such device")

    pins = GpioPins(BOARD, factory)
    told = Told()
    pins.start(told)
    monkeypatch.setattr(chip.lines[17], "read_edge_events", gone)
    chip.lines[17].moves(False)
    chip.lines[27].moves(True)
    assert told.after(1) == [("mute", True)]
    pins.close()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EBUSY, "Device or resource busy"), r"GPIO27 is in use by `doorbell`\.\nStop that"),
        (ValueError(errno.EINVAL, "Invalid argument"), r"GPIO27 cannot be used: \[Errno 22\] Invalid argument\."),
        (NotImplementedError(errno.EOPNOTSUPP, "Not supported"), r"GPIO27 cannot be used: \[Errno 95\] Not supported"),
    ],
)
def test_what_the_kernel_refuses_is_told_and_the_rest_is_let_go(
    chip: Chip, factory: LineFactory, error: Exception, words: str
) -> None:
    chip.refuses[27] = error
    with pytest.raises(PinsUnavailable, match=r"\[button.mute\] " + words):
        GpioPins(BOARD, factory, holder=lambda pin: "`doorbell`")


# --- a pin, as gpiozero knows pins ---


def test_a_panel_requests_each_line_once(chip: Chip, factory: LineFactory) -> None:
    pins = GpioPins(BOARD, factory)
    assert chip.requested == [5, 6, 17, 27]
    pins.close()


def test_a_pin_has_its_line_from_when_it_shows_or_is_read(chip: Chip, factory: LineFactory) -> None:
    pin = factory.pin(22)
    assert 22 not in chip.lines
    pin.function = "output"
    assert (pin.function, pin.state) == ("output", False)
    pin.state = True
    assert chip.lines[22].high
    pin.input_with_pull("up")
    assert chip.lines[22].released
    assert (pin.function, pin.pull, pin.state) == ("input", "up", True)
    pin.pull = "down"
    assert not pin.state
    pin.close()
    pin.close()
    assert chip.lines[22].released


def test_edges_can_be_chosen_while_they_are_watched(chip: Chip, factory: LineFactory) -> None:
    pin = factory.pin(22)
    pin.input_with_pull("down")
    more = threading.Semaphore(0)
    seen: list[bool] = []

    def changed(ticks: float, state: bool) -> None:
        seen.append(state)
        more.release()

    pin.when_changed = changed
    pin.edges = "rising"
    assert (pin.edges, chip.lines[22].settings.edge_detection) == ("rising", Edge.RISING)
    chip.lines[22].moves(True)
    assert more.acquire(timeout=WAIT_S)
    pin.when_changed = None
    assert chip.lines[22].settings.edge_detection is Edge.NONE
    assert (seen, factory._watched) == ([True], {})


@pytest.mark.parametrize(
    ("attribute", "value", "error"),
    [
        ("function", "pwm", PinInvalidFunction),
        ("pull", "sideways", PinInvalidPull),
        ("bounce", -1, PinInvalidBounce),
        ("edges", "none", PinInvalidEdges),
        ("state", True, PinSetInput),
    ],
)
def test_what_a_pin_refuses(factory: LineFactory, attribute: str, value: object, error: type[Exception]) -> None:
    pin = factory.pin(22)
    pin.function = "input"
    with pytest.raises(error):
        setattr(pin, attribute, value)


def test_a_pull_that_is_soldered_in_stays(factory: LineFactory) -> None:
    pin = factory.pin(2)
    pin.function = "input"
    pin.pull = "up"
    with pytest.raises(PinFixedPull):
        pin.pull = "down"


# --- lights that are dimmed ---


DIMMED = load_board("[button.talk]\npin = 17\n[light.live]\npin = 5\nbrightness = 0.5\n", "my.toml")


def test_lgpio_is_opened_where_a_light_is_dimmed_and_nowhere_else(
    chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []

    def open_dimming(device: Path) -> MockFactory:
        opened.append(device)
        return MockFactory(pin_class=MockPWMPin)

    monkeypatch.setattr(gpio, "find_header_chip", lambda devices: DEVICE)
    monkeypatch.setattr(gpio, "open_dimming", open_dimming)
    gpio.open_member(BOARD).close()
    assert opened == []
    gpio.open_member(DIMMED).close()
    assert opened == [DEVICE]


def test_what_loads_lgpio_is_its_opening_alone(tmp_path: Path) -> None:
    """Once loaded, it has a pipe, two threads and another current folder."""
    program = """
import sys
from pathlib import Path
import callbox.panel.pins.gpio
from callbox.panel.pins._dimming import load_lgpio, open_dimming
print("lgpio" in sys.modules)
lgpio = load_lgpio()
lgpio.gpiochip_open, lgpio.gpiochip_close = lambda number: f"handle of {number}", print
open_dimming(Path("/dev/gpiochip10")).close()
"""
    environment = {**os.environ, "LG_WD": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\nhandle of 10\n"


def test_a_dimmed_light_is_opened_by_its_own_factory_and_closed_with_the_rest(chip: Chip, factory: LineFactory) -> None:
    dimming = MockFactory(pin_class=MockPWMPin)
    pins = GpioPins(DIMMED, factory, dimming=dimming)
    pins.show({"live": 1.0})
    assert dimming.pin(5).state == 0.5
    assert set(chip.lines) == {17}
    pins.close()
    assert dimming.pins == {}
