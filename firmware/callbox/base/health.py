"""Whether a service works, or which part of it hangs: facts and the time go in, a sentence comes out.

Box and server are asked before systemd is told that all is well; one that hangs says nothing, and systemd starts it
again. What heals by itself is no ailment: no network, no sound card, a full card.
"""

from collections.abc import Iterable
from typing import NamedTuple

from callbox.base.time import Instant


class Duty(NamedTuple):
    """What one part of a service owes, since when (None: nothing), and how long that may last."""

    part: str
    """Such as "store has written nothing"."""
    owed_since: Instant | None
    most_s: float


def ailment(duties: Iterable[Duty], now: Instant) -> str:
    """Return the first part that hangs, as a sentence; "" while all of them work. `now` is on the duties' clock."""
    for part, since, most_s in duties:
        if since is not None and now - since > most_s:
            return f"The {part} for {now - since:.0f} s."
    return ""
