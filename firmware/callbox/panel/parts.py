"""What a board is made of: buttons, switches and lights, each on a pin. The sections of a board file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

BUTTONS = ("talk", "mute", "calls", *(f"dial{slot}" for slot in range(1, 10)), "volume_up", "volume_down")
LIGHTS = ("live", "mute", "call", "calls", "message", "status")
SWITCHES = ("mute", "hook")

# Its range is checked with the wiring, where the free pins can be named.
Gpio = Annotated[int, Meta(description="GPIO number, 2 to 27; not the position on the header.", examples=[17])]
ActiveLevel = Annotated[Literal["low", "high"], Meta(description="The level on the pin that means pressed or lit.")]
Pull = Annotated[
    Literal["up", "down", "none"],
    Meta(description="The Pi's own resistor: up for a button to ground; none if the board has its own."),
]
Debounce = Annotated[
    int, Meta(ge=1, le=200, description="Milliseconds that a level must stand before it counts.", examples=[15])
]
Note = Annotated[str, Meta(description="A line for whoever builds it.")]


class Button(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A push button: by default between its pin and ground, so that pressing pulls the pin low."""

    pin: Gpio
    active_level: ActiveLevel = "low"
    pull: Pull = "up"
    debounce_ms: Debounce = 15
    note: Note = ""


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A switch that stays where it is put: a latching mute switch, or the hook of a handset."""

    pin: Gpio
    active_level: ActiveLevel = "low"
    pull: Pull = "up"
    debounce_ms: Debounce = 15
    note: Note = ""


class Light(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An LED: by default from its pin through a resistor to ground, so that a high pin lights it."""

    pin: Gpio | Annotated[Literal["ACT"], Meta(description='"ACT" is the Pi\'s own activity light.')]
    active_level: ActiveLevel = "high"
    colour: Annotated[str, Meta(description="For the wiring table and the drawing; meaning never rests on it.")] = ""
    resistor_ohm: Annotated[int, Meta(ge=0, le=10000, description="In series with the LED; 0 if on the board.")] = 330
    brightness: Annotated[float, Meta(gt=0, le=1, description="Below 1 the light is dimmed by PWM, in software.")] = 1.0
    also: Annotated[
        tuple[str, ...],
        Meta(description="Lights the board lacks, shown here while this one's own is dark.", examples=[["calls"]]),
    ] = ()
    note: Note = ""


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a board file holds. `button`, `switch` and `light` sections become dicts by name."""

    name: Annotated[str, Meta(description="By default the name of the file.")] = ""
    title: Annotated[str, Meta(description="One line on what this board is.")] = ""
    header: Annotated[Literal["raspberry-pi-40"], Meta(description="The pin header.")] = "raspberry-pi-40"
    reserve: Annotated[
        tuple[Literal["i2c", "spi", "uart", "i2s"], ...],
        Meta(description="Functions of the header that are in use or kept free."),
    ] = ()
    notes: Annotated[tuple[str, ...], Meta(description="Lines for whoever builds it.")] = ()
    buttons: dict[str, Button] = msgspec.field(default_factory=dict, name="button")
    switches: dict[str, Switch] = msgspec.field(default_factory=dict, name="switch")
    lights: dict[str, Light] = msgspec.field(default_factory=dict, name="light")

    @property
    def one_button(self) -> bool:
        """Whether one button must do everything, by counting presses."""
        return len(self.buttons) == 1 and "hook" not in self.switches

    @property
    def dimmed(self) -> bool:
        """Whether a light is dimmed."""
        return any(light.brightness < 1 for light in self.lights.values())

    @property
    def shown_on(self) -> dict[str, tuple[str, ...]]:
        """Light -> the states it shows, its own first."""
        return {name: (name, *light.also) for name, light in self.lights.items()}


Part = Button | Switch | Light
KINDS: dict[str, type[Part]] = {"button": Button, "switch": Switch, "light": Light}
NAMES: dict[str, tuple[str, ...]] = {"button": BUTTONS, "switch": SWITCHES, "light": LIGHTS}
