"""Sound devices: microphone and speaker. Each other file in this folder is one member of the family.

    Devices.open(input name, output name) -> Device;   Device.read() -> one cycle -> ... -> Device.write(one cycle)

Devices are named by what they are (the card's id, the socket it is plugged into, the name the sound system shows),
never by an index. A member is a module with `backend(**options) -> Devices`; `open_backend(name)` finds it by its
file name.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from callbox.base.errors import CallboxError
from callbox.base.frames import Samples


class DeviceLost(Exception):
    """The device is gone while open: unplugged, or its driver stopped answering."""

    kind = "gone"


class StillOpening(Exception):
    """It takes its time; ask again in a moment. Only `opening.Opening` says so."""


class NoSuchDevice(CallboxError):
    """No device has the name that was asked for; says which there are."""

    kind = "missing"

    def __init__(self, name: str, use: str, there: Iterable[str]) -> None:
        names = ", ".join(sorted(there))
        found = f"these are there: {names}" if names else "none is there: plug one in"
        super().__init__(f"no sound {use} is called {name!r}", found)


class DeviceBusy(CallboxError):
    """The device is there, but something else holds it or it refuses to open."""

    kind = "busy"

    def __init__(self, name: str, why: str, cure: str = "close what else uses it, or unplug and replug it") -> None:
        super().__init__(f"sound device {name!r} does not open: {why}", cure)


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """What is known of a device before it is opened. `card_id` is ALSA's, empty where there is none.

    `names` are those by which it may be asked for, the one that lasts longest first. `twin`: another card of the same
    model is plugged in, so that only the socket tells them apart.
    """

    name: str
    card_id: str
    inputs: int
    outputs: int
    rate_hz: int
    names: tuple[str, ...] = ()
    usb: bool = False
    twin: bool = False


class Device(Protocol):
    """An open microphone and speaker. Mono 48 kHz cycles on this side, whatever the hardware does."""

    @property
    def rate_hz(self) -> int:
        """The rate that the hardware runs at (the microphone's, if the two differ)."""
        ...

    @property
    def latency_ms(self) -> float:
        """What the device says of its own delay, both directions together."""
        ...

    def read(self) -> Samples:
        """Return one captured cycle. Waits for it on real devices. Raises DeviceLost."""
        ...

    def write(self, samples: Samples) -> None:
        """Play one cycle. Never waits long: what does not fit is dropped. Raises DeviceLost."""
        ...

    def close(self) -> None:
        """Let go of the device. Returns even if its driver hangs. Safe to call twice."""
        ...


class Devices(Protocol):
    """One way to reach sound devices."""

    def list(self) -> list[DeviceInfo]:
        """Return what is plugged in now."""
        ...

    def open(self, input_name: str, output_name: str) -> Device:
        """Open microphone and speaker by name. Raises NoSuchDevice or DeviceBusy."""
        ...


def open_backend(name: str, **options: object) -> Devices:
    """Return the backend of the file `name`. Raises CallboxError if there is none or its library is missing."""
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{name}":
            raise CallboxError(f"there is no sound backend {name!r}", "there are: portaudio, simulated, wav") from None
        raise CallboxError(
            f"the sound backend {name!r} needs the Python package {error.name!r}", "install it: pip install pyaudio"
        ) from None
    return cast(Devices, module.backend(**options))
