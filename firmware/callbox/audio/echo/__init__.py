"""Echo cancellers: what takes the far end's voice, and steady noise, out of the microphone.

    captured, played (so long ago that its echo arrives now) -> process -> captured without the echo of played

Each other file here is one member: a module with `canceller() -> Canceller`; `open_canceller(name)` finds it by its
file name, `auto` takes the best one that is installed. A member need not find out how late the echo comes, nor whether
there is any: `audio.cleaning` does. Why this order: firmware/decisions/echo.md; figures: `make bench-echo`.
"""

from importlib import import_module
from typing import Protocol, cast

from callbox.base.errors import CallboxError
from callbox.base.frames import Samples

BEST_FIRST = ("speex", "webrtc", "half_duplex")
TAIL_MS = 128  # echo that comes later than this after `played` is nobody's duty


class Canceller(Protocol):
    """Called once per cycle, from one thread."""

    noise_db: float
    """By how much it takes down steady noise."""
    late_samples: int
    """By how much what comes out is later than what goes in, while it has something to do."""

    def begin(self) -> None:
        """Forget the way from speaker to microphone: it is another one now."""
        ...

    def process(self, captured: Samples, played: Samples | None, noisy: bool) -> Samples:
        """Return `captured` (one cycle) without the echo of `played`. May be `captured` itself, and a cycle late.

        `played` None: no echo can be in it. `noisy`: steady noise is to be taken out, too.
        """
        ...

    def close(self) -> None:
        """Free what the library holds. Safe to call twice."""
        ...


def open_canceller(name: str = "auto") -> Canceller:
    """Return the canceller of the file `name`. Raises CallboxError if its library is missing."""
    if name != "auto":
        return cast(Canceller, import_module(f"{__name__}.{name}").canceller())
    for best in BEST_FIRST[:-1]:
        try:
            return open_canceller(best)
        except CallboxError:
            continue
    return open_canceller(BEST_FIRST[-1])
