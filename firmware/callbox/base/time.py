"""Time, as the rooms see it: an argument, never a call.

Two kinds, never mixed:

* `Instant`: seconds of a monotonic clock with an arbitrary start. Every timer, deadline and delay uses it.
* wall time: Unix milliseconds (`..._ms` fields named `sent_ms`, `created_ms`, `wall_ms`). Shown to people
  and written into records; no decision about a live call rests on it, because a Pi may boot in 1970.
"""

from typing import TypeAlias

Instant: TypeAlias = float

TRUSTED_AFTER_MS = 1_767_225_600_000
"""2026-01-01: an earlier wall time is older than this firmware, so its clock was never set."""


def earliest(*deadlines: Instant | None) -> Instant | None:
    """Return the first of several deadlines; None stands for "none"."""
    return min((deadline for deadline in deadlines if deadline is not None), default=None)
