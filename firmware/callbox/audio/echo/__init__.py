"""Echo cancellers: what takes the far end's voice out of the microphone. Each other file here is one member.

    captured, played (what the speaker got last) -> process -> captured without the echo of played

A member is a module with `canceller() -> Canceller`; `open_canceller(name)` finds it by its file name.
"""

from importlib import import_module
from typing import Protocol, cast

from callbox.base.frames import Samples


class Canceller(Protocol):
    """Called once per cycle, from one thread."""

    def process(self, captured: Samples, played: Samples) -> Samples:
        """Return `captured` (one cycle) without the echo of what was played. Same length, may be `captured`."""
        ...

    def close(self) -> None:
        """Free what the library holds. Safe to call twice."""
        ...


def open_canceller(name: str = "none") -> Canceller:
    """Return the canceller of the file `name`."""
    return cast(Canceller, import_module(f"{__name__}.{name}").canceller())
