"""Whether the server works, or which part of it hangs. The facts and the time go in, a sentence comes out."""

from dataclasses import dataclass

from callbox.base import health
from callbox.base.health import Duty
from callbox.base.time import Instant

LOOP_S = 5.0
STORE_S = 60.0  # a worn card may take half a minute over one write, and starting again would not hasten it
DOOR_S = 20.0


@dataclass(frozen=True, slots=True)
class Vitals:
    """Since when each part owes something, on the clock of `now`; None: it owes nothing."""

    loop_owes_since: Instant | None
    """When the next sweep over all connections is due; it may lie ahead."""
    store_owes_since: Instant | None
    """Something was handed to the store, or it finished the one before."""
    door_owes_since: Instant | None
    """The server has called itself, and that connection was not taken yet."""


def ailment(vitals: Vitals, now: Instant) -> str:
    """Return which part hangs, as a sentence; "" while all of them work."""
    duties = (
        Duty("main loop has looked after no connection", vitals.loop_owes_since, LOOP_S),
        Duty("store has written nothing", vitals.store_owes_since, STORE_S),
        Duty("server has taken no connection", vitals.door_owes_since, DOOR_S),
    )
    return health.ailment(duties, now)
