"""The real pins of a Raspberry Pi, by gpiozero over libgpiod (`_lines`); over lgpio where dimmed (`_dimming`).

`changed` is called on the pins' thread: hand it over with `loop.call_soon_threadsafe`. Only digital inputs and
LEDs of gpiozero are used; its holds and blinks would each bring a thread of their own.

The kernel swallows what is shorter than 2 ms before Python hears of it, so that a sparking contact cannot
keep the processor busy; the real debouncing is done in `panel.gestures`, the same for every member.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpiozero import LED, PWMLED, DigitalInputDevice
from gpiozero.exc import GPIOPinInUse, GPIOZeroError

from callbox.base.errors import CallboxError
from callbox.panel.contacts import switch_name
from callbox.panel.parts import Board, Button, Light, Switch
from callbox.panel.pins import STOP_OR_MOVE, Changed, PinsUnavailable
from callbox.panel.pins._chip import find_header_chip, line_holder
from callbox.panel.pins._dimming import open_dimming
from callbox.panel.pins._lines import LineFactory

KERNEL_DEBOUNCE_S = 0.002
ACTIVITY_LIGHTS = Path("/sys/class/leds")


class GpioPins:
    """Buttons, switches and lights of `board` on the pins that `factory`, a gpiozero pin factory, gives.

    `holder` tells who else holds a pin; `dimming` is the factory for lights that are dimmed, if not the same.
    """

    def __init__(
        self,
        board: Board,
        factory: Any,
        activity_lights: Path = ACTIVITY_LIGHTS,
        holder: Callable[[int], str] = lambda pin: "",
        dimming: Any = None,
    ) -> None:
        self._factory = factory
        self._dimming = dimming or factory
        self._holder = holder
        self._inputs: dict[str, _Input] = {}
        self._lights: dict[str, Any] = {}
        self._shown: dict[str, float] = {}
        self._activity_lights = activity_lights
        self._missing: dict[str, str] = {}  # lights on the Pi's own, which is not there yet, and why
        try:
            for name, light in board.lights.items():
                self._open_light(name, light)
            for name, button in board.buttons.items():
                self._open_input(name, f"button.{name}", button)
            for name, switch in board.switches.items():
                self._open_input(switch_name(name), f"switch.{name}", switch)
        except CallboxError:
            self.close()
            raise

    def _open_input(self, name: str, section: str, part: Button | Switch) -> None:
        with _told(section, part.pin, self._holder):
            self._inputs[name] = _Input(name, part, self._factory)

    @property
    def faults(self) -> tuple[str, ...]:
        return tuple(
            f"[light.{name}] The Pi's activity light cannot be used ({why})." for name, why in self._missing.items()
        )

    def _open_light(self, name: str, light: Light) -> None:
        if light.pin == "ACT":
            self._open_activity_light(name)
            return
        active_high = light.active_level == "high"
        with _told(f"light.{name}", light.pin, self._holder):
            if light.brightness < 1:
                dimmed = PWMLED(light.pin, active_high=active_high, pin_factory=self._dimming)
                self._lights[name] = _Dimmed(dimmed, light.brightness)
            else:
                self._lights[name] = LED(light.pin, active_high=active_high, pin_factory=self._factory)

    def _open_activity_light(self, name: str) -> None:
        try:
            self._lights[name] = _ActivityLight(self._activity_lights)
        except OSError as error:
            self._missing[name] = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        else:
            self._missing.pop(name, None)

    def start(self, changed: Changed) -> None:
        for contact in self._inputs.values():
            contact.start(changed)

    def show(self, levels: Mapping[str, float]) -> None:
        for name in levels.keys() & self._missing.keys():  # its driver may come late in the boot
            self._open_activity_light(name)
        for name, level in levels.items():
            if name in self._lights and self._shown.get(name, 0.0) != level:
                self._shown[name] = level
                self._lights[name].value = level

    def close(self) -> None:
        """Also gives the activity light back to the system and closes the pin factories."""
        for contact in self._inputs.values():
            contact.close()
        for light in self._lights.values():
            light.close()
        self._inputs.clear()
        self._lights.clear()
        self._factory.close()
        self._dimming.close()


class _Input:
    """One contact. gpiozero knows active levels only together with a pull, so levels are read here."""

    def __init__(self, name: str, part: Button | Switch, factory: Any) -> None:
        self.name = name
        pull_up = {"up": True, "down": False, "none": None}[part.pull]
        self._device = DigitalInputDevice(
            part.pin,
            pull_up=pull_up,
            active_state=True if pull_up is None else None,
            bounce_time=KERNEL_DEBOUNCE_S,
            pin_factory=factory,
        )
        # The device is active when its pin is at this level; ours may be the other one.
        self._turned = (part.active_level == "low") != (pull_up is True)
        self._changed: Changed | None = None

    @property
    def pressed(self) -> bool:
        return bool(self._device.is_active) != self._turned

    def start(self, changed: Changed) -> None:
        self._changed = changed
        self._device.when_activated = lambda: self._tell(not self._turned)
        self._device.when_deactivated = lambda: self._tell(self._turned)
        if self.pressed:
            changed(self.name, True)

    def _tell(self, pressed: bool) -> None:
        if self._changed is not None:
            self._changed(self.name, pressed)

    def close(self) -> None:
        self._changed = None
        self._device.close()


class _Dimmed:
    """An LED whose full brightness is turned down."""

    def __init__(self, device: Any, brightness: float) -> None:
        self._device = device
        self._brightness = brightness

    @property
    def value(self) -> float:
        return float(self._device.value) / self._brightness

    @value.setter
    def value(self, level: float) -> None:
        self._device.value = level * self._brightness

    def close(self) -> None:
        self._device.close()


class _ActivityLight:
    """The Pi's own activity light, through the kernel's LED files; given back to the SD card at the end."""

    def __init__(self, lights: Path) -> None:
        # Called ACT since Linux 5.16 or so, led0 before.
        self._folder = next((lights / name for name in ("ACT", "led0") if (lights / name).is_dir()), lights / "ACT")
        trigger = (self._folder / "trigger").read_text("ascii")
        self._trigger = trigger.partition("[")[2].partition("]")[0] or "mmc0"
        self._full = (self._folder / "max_brightness").read_text("ascii").strip()
        self._write("trigger", "none")
        self.value = 0.0

    def _write(self, file: str, text: str) -> None:
        (self._folder / file).write_text(text, "ascii")

    @property
    def value(self) -> float:
        return float((self._folder / "brightness").read_text("ascii") != "0")

    @value.setter
    def value(self, level: float) -> None:
        self._write("brightness", self._full if level >= 0.5 else "0")

    def close(self) -> None:
        self._write("trigger", self._trigger)


@contextmanager
def _told(section: str, pin: int, holder: Callable[[int], str]) -> Iterator[None]:
    """Turn what gpiozero or lgpio says of one pin into a sentence for a person."""
    place = f"[{section}] GPIO{pin}"
    try:
        yield
    except Exception as error:
        if isinstance(error, GPIOPinInUse) or "busy" in str(error).lower():
            raise PinsUnavailable(
                f"{place} is in use by {holder(pin) or 'another part of this program'}.", STOP_OR_MOVE
            ) from error
        if isinstance(error, GPIOZeroError | OSError) or type(error).__module__ == "lgpio":
            raise PinsUnavailable(f"{place} cannot be used: {error}.") from error
        raise


def open_member(board: Board) -> GpioPins:
    """Open the real pins for `board`. Raises PinsUnavailable with what to do about it."""
    chip = find_header_chip(Path("/dev"))
    dimming = open_dimming(chip) if board.dimmed else None
    return GpioPins(board, LineFactory(chip), holder=lambda pin: line_holder(chip, pin), dimming=dimming)
