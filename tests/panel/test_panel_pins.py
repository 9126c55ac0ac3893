"""The pins family: one contract for every member, the real pins driven electrically through gpiozero's mock."""

import errno
import grp
import os
import pwd
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import gpiod
import pytest
from gpiozero import LED
from gpiozero.exc import PinInvalidPull
from gpiozero.pins.mock import MockFactory, MockPWMPin

from callbox.app.boards import find_board
from callbox.base.errors import WrongUse
from callbox.panel.boards import load_board
from callbox.panel.parts import Board
from callbox.panel.pins import Pins, PinsUnavailable, members, open_pins
from callbox.panel.pins._chip import find_header_chip, line_holder, refusal
from callbox.panel.pins._dimming import load_lgpio
from callbox.panel.pins.gpio import GpioPins
from callbox.panel.pins.simulated import SimulatedPins

EVERY_WIRING = load_board(
    """
[button.talk]
pin = 17
[button.mute]
pin = 27
active_level = "high"
pull = "down"
[button.calls]
pin = 22
active_level = "high"
pull = "up"
[button.dial1]
pin = 23
pull = "none"
[button.dial2]
pin = 24
pull = "none"
active_level = "high"
[switch.mute]
pin = 4
[light.live]
pin = 5
[light.call]
pin = 6
active_level = "low"
[light.message]
pin = 13
brightness = 0.5
[light.status]
pin = "ACT"
""",
    "every.toml",
)


class Bench(Protocol):
    """What a hand and an eye do at one member's hardware."""

    @property
    def pins(self) -> Pins: ...

    def press(self, name: str, pressed: bool) -> None: ...

    def lit(self, name: str) -> float: ...


class SimulatedBench:
    def __init__(self, board: Board, folder: Path) -> None:
        self.pins = self._pins = SimulatedPins(board)

    def press(self, name: str, pressed: bool) -> None:
        if name.startswith("switch."):
            self._pins.switch(name.removeprefix("switch."), pressed)
        else:
            (self._pins.press if pressed else self._pins.release)(name)

    def lit(self, name: str) -> float:
        return self._pins.lights[name]


class GpioBench:
    """Pins with buttons wired as the board says; levels are driven and read as a voltmeter would."""

    def __init__(self, board: Board, folder: Path) -> None:
        self.board = board
        self.activity = folder / "ACT"
        self.activity.mkdir()
        (self.activity / "trigger").write_text("none [mmc0] timer\n")
        (self.activity / "max_brightness").write_text("255\n")
        (self.activity / "brightness").write_text("0\n")
        self.factory = MockFactory(pin_class=MockPWMPin)
        self.parts = dict(board.buttons) | {f"switch.{name}": part for name, part in board.switches.items()}
        self.wires = {name: self.factory.pin(part.pin) for name, part in self.parts.items()}
        self.leds = {name: self.factory.pin(light.pin) for name, light in board.lights.items() if light.pin != "ACT"}
        self.pins = GpioPins(board, self.factory, folder)
        for name in self.parts:
            # A resistor on the board, or a contact that is closed at rest, holds the level of a released button.
            self.press(name, False)

    def press(self, name: str, pressed: bool) -> None:
        high = pressed == (self.parts[name].active_level == "high")
        (self.wires[name].drive_high if high else self.wires[name].drive_low)()

    def lit(self, name: str) -> float:
        light = self.board.lights[name]
        if light.pin == "ACT":
            return float((self.activity / "brightness").read_text().strip() == "255")
        level = self.leds[name].state
        return float(level if light.active_level == "high" else 1 - level) / light.brightness


BENCHES: dict[str, Callable[[Board, Path], Bench]] = {"gpio": GpioBench, "simulated": SimulatedBench}


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = BENCHES[request.param](EVERY_WIRING, tmp_path)
    yield made
    made.pins.close()


def test_every_member_of_the_family_is_on_the_bench() -> None:
    assert members() == sorted(BENCHES)


CONTACTS = ["talk", "mute", "calls", "dial1", "dial2", "switch.mute"]


@pytest.mark.parametrize("name", CONTACTS)
def test_a_press_and_its_release_are_told_once_each(bench: Bench, name: str) -> None:
    told: list[tuple[str, bool]] = []
    bench.pins.start(lambda button, pressed: told.append((button, pressed)))
    assert told == []
    for pressed in (True, True, False, False, True):
        bench.press(name, pressed)
    assert told == [(name, True), (name, False), (name, True)]


def test_what_is_down_at_the_start_is_told_first(bench: Bench) -> None:
    told: list[tuple[str, bool]] = []
    for name in ("calls", "switch.mute"):
        bench.press(name, True)
    bench.pins.start(lambda button, pressed: told.append((button, pressed)))
    assert told == [("calls", True), ("switch.mute", True)]
    bench.press("calls", False)
    assert told[2:] == [("calls", False)]


def test_lights_show_what_is_asked_and_no_other(bench: Bench) -> None:
    names = list(EVERY_WIRING.lights)
    assert {name: bench.lit(name) for name in names} == dict.fromkeys(names, 0.0)
    for lit in names:
        bench.pins.show({name: float(name == lit) for name in names})
        assert {name: bench.lit(name) for name in names} == {name: float(name == lit) for name in names}


def test_lights_that_are_not_named_stay_and_those_that_are_missing_are_passed_over(bench: Bench) -> None:
    bench.pins.show({"live": 1.0, "calls": 1.0})
    bench.pins.show({"call": 1.0})
    assert (bench.lit("live"), bench.lit("call")) == (1.0, 1.0)


def test_nothing_is_told_after_the_end_and_the_end_may_come_twice(bench: Bench) -> None:
    told: list[str] = []
    bench.pins.start(lambda button, pressed: told.append(button))
    bench.pins.show({"live": 1.0, "status": 1.0})
    bench.pins.close()
    bench.press("mute", True)
    bench.pins.close()
    assert told == []
    assert bench.lit("live") == 0.0


def test_no_threads_are_left_by_the_panel(bench: Bench) -> None:
    before = threading.active_count()
    bench.pins.start(lambda button, pressed: None)
    bench.press("talk", True)
    bench.pins.show({"live": 1.0, "message": 1.0})
    assert threading.active_count() == before


# --- the real pins alone ---


def test_only_dimmed_lights_use_pwm(tmp_path: Path) -> None:
    bench = GpioBench(EVERY_WIRING, tmp_path)
    assert bench.leds["live"].frequency is None
    assert bench.leds["message"].frequency
    bench.pins.show({"message": 1.0})
    assert bench.leds["message"].state == 0.5


def test_the_activity_light_is_given_back_to_the_system(tmp_path: Path) -> None:
    bench = GpioBench(EVERY_WIRING, tmp_path)
    assert (bench.activity / "trigger").read_text() == "none"
    bench.pins.close()
    assert (bench.activity / "trigger").read_text() == "mmc0"


def test_without_an_activity_light_the_rest_works_and_it_is_told(tmp_path: Path) -> None:
    pins = GpioPins(EVERY_WIRING, MockFactory(pin_class=MockPWMPin), tmp_path / "none")
    assert len(pins.faults) == 1
    assert "[light.status] The Pi's activity light cannot be used (No such file" in pins.faults[0]
    pins.show({"status": 1.0, "live": 1.0})


def test_an_activity_light_that_comes_late_is_used_from_then_on(tmp_path: Path) -> None:
    pins = GpioPins(EVERY_WIRING, MockFactory(pin_class=MockPWMPin), tmp_path)
    pins.show({"status": 1.0})
    assert pins.faults
    (tmp_path / "ACT").mkdir()
    for file, text in (("trigger", "none [timer]"), ("max_brightness", "255"), ("brightness", "0")):
        (tmp_path / "ACT" / file).write_text(text)
    pins.show({"status": 1.0})
    assert pins.faults == ()
    assert (tmp_path / "ACT/brightness").read_text() == "255"
    pins.close()
    assert (tmp_path / "ACT/trigger").read_text() == "timer"


def test_a_pin_in_use_is_told_in_words_and_the_others_are_let_go(tmp_path: Path) -> None:
    factory = MockFactory(pin_class=MockPWMPin)
    taken = LED(24, pin_factory=factory)
    assert not taken.closed
    with pytest.raises(PinsUnavailable) as caught:
        GpioPins(find_board("breadboard"), factory, tmp_path)
    assert str(caught.value).startswith("[button.dial2] GPIO24 is in use by another part of this program.\nStop that")
    assert factory.pins == {}


@pytest.mark.parametrize("message", ["[Errno 16] Device or resource busy", "'GPIO busy'"])
def test_who_holds_a_pin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    def refuse(factory: MockFactory, pin: int) -> None:
        raise OSError(message)

    monkeypatch.setattr(MockFactory, "pin", refuse)
    with pytest.raises(PinsUnavailable, match=r"\[light.live\] GPIO\d+ is in use by `spi0 CS0`\.\nStop that"):
        GpioPins(find_board("breadboard"), MockFactory(), tmp_path, lambda pin: "`spi0 CS0`")


def test_what_a_pin_refuses_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pin: MockPWMPin, value: str) -> None:
        if value == "up":
            raise PinInvalidPull("cannot pull up")

    monkeypatch.setattr(MockPWMPin, "_set_pull", refuse)
    with pytest.raises(PinsUnavailable, match=r"\[button.talk\] GPIO17 cannot be used: cannot pull up\."):
        GpioPins(load_board("[button.talk]\npin = 17\n", "my.toml"), MockFactory(pin_class=MockPWMPin), tmp_path)


Find = Callable[[dict[int, str | None]], Path]


class FakeChip:
    """What libgpiod opens: /dev/gpiochipN has the label `labels[N]`; None: it may not be opened."""

    labels: Mapping[int, str | None]
    line: Any = None
    open = 0

    def __init__(self, path: str) -> None:
        label = self.labels[int(path.rpartition("gpiochip")[2])]
        if label is None:
            raise PermissionError(errno.EACCES, "Permission denied")
        self.label = label

    def __enter__(self) -> "FakeChip":
        FakeChip.open += 1
        return self

    def __exit__(self, *_: object) -> None:
        FakeChip.open -= 1

    def get_info(self) -> Any:
        return SimpleNamespace(label=self.label)

    def get_line_info(self, pin: int) -> Any:
        return self.line


@pytest.fixture
def header_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Find]:
    monkeypatch.setattr(gpiod, "Chip", FakeChip)

    def find(chips: dict[int, str | None]) -> Path:
        for number in chips:
            (tmp_path / f"gpiochip{number}").touch()
        FakeChip.labels = chips
        return find_header_chip(tmp_path)

    yield find
    assert FakeChip.open == 0


@pytest.mark.parametrize(
    ("chips", "number"),
    [
        ({0: "pinctrl-bcm2835", 1: "brcmvirt-gpio"}, 0),
        ({0: "pinctrl-bcm2711", 1: "raspberrypi-exp-gpio"}, 0),
        ({0: "gpio-brcmstb@107d508500", 4: "pinctrl-rp1"}, 4),
        ({0: "pinctrl-rp1", 10: "gpio-brcmstb"}, 0),
        ({0: None, 10: "pinctrl-rp1"}, 10),
    ],
)
def test_the_header_is_found_by_its_label(header_chip: Find, chips: dict[int, str | None], number: int) -> None:
    assert header_chip(chips).name == f"gpiochip{number}"


def test_a_chip_that_does_not_open_is_told_as_such(header_chip: Find) -> None:
    with pytest.raises(PinsUnavailable, match=r"may (not )?open the GPIO pins"):
        header_chip({0: None})


@pytest.mark.parametrize("chips", [{}, {0: "pch-gpio"}])
def test_a_machine_without_header_is_told_what_to_do(header_chip: Find, chips: dict[int, str | None]) -> None:
    with pytest.raises(PinsUnavailable, match="no 40-pin GPIO header"):
        header_chip(chips)


@pytest.mark.parametrize(
    ("mine", "group", "mode", "words", "cure"),
    [
        (False, "staff", 0o660, "by the user pi, who is not in the group staff", "sudo usermod -aG staff pi"),
        (False, "root", 0o600, "given to no group", "udevadm trigger"),
        (False, "staff", 0o600, "given to no group", "udevadm trigger"),
        (True, "staff", 0o660, "The service may not open", "DeviceAllow=char-gpiochip rw"),
    ],
)
def test_a_chip_that_may_not_be_opened_is_told_with_the_cure_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mine: bool, group: str, mode: int, words: str, cure: str
) -> None:
    chip = tmp_path / "gpiochip0"
    chip.touch()
    owners = SimpleNamespace(st_gid=grp.getgrnam(group).gr_gid, st_mode=mode)
    monkeypatch.setattr(Path, "stat", lambda path: owners)
    monkeypatch.setattr(os, "access", lambda path, mode: mine)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: SimpleNamespace(pw_name="pi"))
    told = refusal(chip)
    assert words in told.what
    assert cure in told.cure


@pytest.mark.parametrize(
    ("used", "consumer", "holder"),
    [
        (False, "", ""),
        (True, "spi0 CS0", "`spi0 CS0`"),
        (True, "lg", "another program that uses lgpio, as gpiozero does"),
        (True, "", "a driver of the kernel"),
    ],
)
def test_the_kernel_names_who_holds_a_line(
    monkeypatch: pytest.MonkeyPatch, used: bool, consumer: str, holder: str
) -> None:
    monkeypatch.setattr(gpiod, "Chip", FakeChip)
    monkeypatch.setattr(FakeChip, "labels", {0: "pinctrl-bcm2711"})
    monkeypatch.setattr(FakeChip, "line", SimpleNamespace(used=used, consumer=consumer))
    assert line_holder(Path("/dev/gpiochip0"), 8) == holder
    assert FakeChip.open == 0


def test_lgpio_without_a_folder_to_write_to_is_not_even_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LG_WD", str(tmp_path / "none"))
    with pytest.raises(PinsUnavailable, match="may not write to") as caught:
        load_lgpio()
    assert "LG_WD" in caught.value.cure


def test_lgpio_finds_its_pipe_where_it_looks_for_it(tmp_path: Path) -> None:
    program = "from callbox.panel.pins._dimming import load_lgpio; load_lgpio(); import os; print(os.getcwd())"
    environment = {**os.environ, "LG_WD": "", "RUNTIME_DIRECTORY": f"{tmp_path}:/elsewhere"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path)


# --- opening by name ---


def test_members_are_opened_by_name() -> None:
    pins = open_pins("simulated", find_board("breadboard"))
    assert isinstance(pins, SimulatedPins)
    assert pins.faults == ()
    with pytest.raises(WrongUse, match="Did you mean `gpio`"):
        open_pins("gpoi", find_board("breadboard"))


def test_the_simulated_panel_keeps_a_history_and_refuses_unknown_buttons() -> None:
    pins = SimulatedPins(find_board("breadboard"))
    pins.show({"live": 1.0})
    pins.show({"live": 1.0})
    pins.show({"live": 0.0})
    assert [shown["live"] for shown in pins.history] == [1.0, 0.0]
    with pytest.raises(WrongUse, match="Did you mean `talk`"):
        pins.press("tlak")
