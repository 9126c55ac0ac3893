"""Whether a box works, or which part of it hangs. The facts and the time go in, a sentence comes out."""

from dataclasses import dataclass

from callbox.base import health
from callbox.base.health import Duty
from callbox.base.time import Instant

LOOP_S = 5.0
SOUND_S = 10.0  # opening a card takes seconds on a slow Pi
STORE_S = 60.0  # a worn card may take half a minute over one write, and starting again would not hasten it


@dataclass(frozen=True, slots=True)
class Vitals:
    """Since when each part owes something, on the clock of `now`; None: it owes nothing."""

    loop_owes_since: Instant | None
    """An event waits to be handled by the box."""
    sound_owes_since: Instant | None
    """A cycle of the audio thread has begun; while sound is open, one follows the other."""
    store_owes_since: Instant | None
    """Something was handed to the store, or it finished the one before."""


def ailment(vitals: Vitals, now: Instant) -> str:
    """Return which part hangs, as a sentence; "" while all of them work."""
    duties = (
        Duty("main loop has handled nothing", vitals.loop_owes_since, LOOP_S),
        Duty("audio thread has finished no cycle", vitals.sound_owes_since, SOUND_S),
        Duty("store has written nothing", vitals.store_owes_since, STORE_S),
    )
    return health.ailment(duties, now)
