"""Watched inputs: a thread that sleeps until the kernel has edges. The chip is made up; tests/machine has one."""

import os
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gpiod
import pytest
from gpiod.line import Bias, Edge, Value
from gpiozero.pins import lgpio as under_gpiozero

from callbox.panel.boards import load_board
from callbox.panel.pins import _watching
from callbox.panel.pins.gpio import GpioPins

WAIT_S = 10.0
BOARD = load_board(
    '[button.talk]\npin = 17\n[button.mute]\npin = 27\nactive_level = "high"\npull = "down"\n', "my.toml"
)


class Line:
    """What libgpiod hands out for one line: a pipe stands for the kernel's queue of edges."""

    def __init__(self, offset: int, settings: gpiod.LineSettings) -> None:
        self.offset, self.settings = offset, settings
        self.fd, self._kernel = os.pipe()
        self.high = settings.bias is Bias.PULL_UP
        self.released = False

    def moves(self, *levels: bool) -> None:
        self.high = levels[-1]
        os.write(self._kernel, bytes(levels))

    def breaks(self) -> None:
        os.close(self._kernel)

    def get_value(self, offset: int) -> Value:
        assert offset == self.offset
        return Value.ACTIVE if self.high else Value.INACTIVE

    def read_edge_events(self, most: int) -> list[Any]:
        types = gpiod.EdgeEvent.Type
        return [
            SimpleNamespace(event_type=types.RISING_EDGE if level else types.FALLING_EDGE, Type=types, timestamp_ns=1e9)
            for level in os.read(self.fd, most)
        ]

    def release(self) -> None:
        self.released = True
        os.close(self.fd)


class Lgpio(SimpleNamespace):
    """The part of lgpio that opens pins; flags of a line as the kernel keeps them."""

    def __init__(self) -> None:
        real = under_gpiozero.lgpio
        super().__init__(**{name: getattr(real, name) for name in dir(real) if name.isupper()}, error=real.error)
        self.flags: dict[int, int] = {}
        self.claimed: set[int] = set()

    def gpiochip_open(self, chip: int) -> int:
        return chip

    def gpiochip_close(self, handle: int) -> None:
        self.claimed.clear()

    def gpio_claim_input(self, handle: int, pin: int, flags: int = 0) -> None:
        self.claimed.add(pin)
        self.flags[pin] = flags

    def gpio_claim_output(self, handle: int, pin: int) -> None:
        raise AssertionError("this board has no lights")

    def gpio_read(self, handle: int, pin: int) -> int:
        return int(bool(self.flags[pin] & self.SET_PULL_UP))

    def gpio_free(self, handle: int, pin: int) -> None:
        self.claimed.discard(pin)

    def gpio_get_mode(self, handle: int, pin: int) -> int:
        return self.flags.get(pin, 0)

    def gpio_set_debounce_micros(self, handle: int, pin: int, micros: int) -> None:
        assert micros == 2000


class Chip:
    """gpiochip 4, and what came of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: dict[int, Line] = {}
        self.lgpio = Lgpio()
        monkeypatch.setattr(under_gpiozero, "lgpio", self.lgpio)
        monkeypatch.setattr(_watching, "lgpio", self.lgpio)
        monkeypatch.setattr(gpiod, "request_lines", self._request)
        monkeypatch.setattr(_watching.WatchingFactory, "_get_revision", lambda self: 0xA02082)

    def _request(self, path: str, config: dict[int, gpiod.LineSettings], consumer: str) -> Line:
        assert (path, consumer) == ("/dev/gpiochip4", "callbox")
        ((offset, settings),) = config.items()
        assert offset not in self.lgpio.claimed, "the kernel gives a line to one at a time"
        self.lines[offset] = line = Line(offset, settings)
        return line


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chip]:
    yield Chip(monkeypatch)
    assert "pins" not in [thread.name for thread in threading.enumerate()]


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


def test_edges_of_the_kernel_become_presses_whatever_the_level(chip: Chip) -> None:
    pins = GpioPins(BOARD, _watching.WatchingFactory(4))
    told = Told()
    pins.start(told)
    chip.lines[17].moves(False, True)
    told.after(2)
    chip.lines[27].moves(True, False)
    assert told.after(2) == [("talk", True), ("talk", False), ("mute", True), ("mute", False)]
    pins.close()


def test_the_kernel_debounces_and_pulls_as_the_board_says(chip: Chip) -> None:
    pins = GpioPins(BOARD, _watching.WatchingFactory(4))
    for pin, bias in ((17, Bias.PULL_UP), (27, Bias.PULL_DOWN)):
        settings = chip.lines[pin].settings
        assert (settings.bias, settings.edge_detection) == (bias, Edge.BOTH)
        assert settings.debounce_period.total_seconds() == 0.002
    pins.close()


def test_a_button_that_is_down_at_the_start_is_told(chip: Chip) -> None:
    pins = GpioPins(BOARD, _watching.WatchingFactory(4))
    chip.lines[17].high = False
    told = Told()
    pins.start(told)
    assert told.after(1) == [("talk", True)]
    pins.close()


def test_closing_gives_every_line_back_and_ends_the_thread(chip: Chip) -> None:
    pins = GpioPins(BOARD, _watching.WatchingFactory(4))
    pins.close()
    assert all(line.released for line in chip.lines.values())
    assert chip.lgpio.claimed == set()


def test_a_chip_that_goes_away_does_not_keep_the_thread_busy(chip: Chip) -> None:
    factory = _watching.WatchingFactory(4)
    pins = GpioPins(BOARD, factory)
    told = Told()
    pins.start(told)
    chip.lines[17].breaks()
    chip.lines[27].moves(True, False)
    assert told.after(2) == [("mute", True), ("mute", False)]
    assert set(factory._watched) == {chip.lines[27].fd}
    pins.close()
