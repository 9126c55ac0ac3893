"""The controls of the whole box: calls enabled, do not disturb, quiet hours. Kept over a restart."""

from collections.abc import Iterable, Mapping

import msgspec

from callbox.base.errors import WrongUse
from callbox.conversations.stores import Put, Write, read_row

TABLE = "controls"
_KEY = "controls"
MINUTES_PER_DAY = 24 * 60


class Controls(msgspec.Struct, frozen=True):
    """What the person set. `quiet`: windows of minutes of the local day, start in, end out; may pass midnight."""

    calls_enabled: bool = True
    do_not_disturb: bool = False
    quiet: tuple[tuple[int, int], ...] = ()

    def is_quiet_hour(self, wall_minutes: int) -> bool:
        """Say whether this minute of the local day (0..1439) lies in a quiet window."""
        return any(
            start <= wall_minutes < end if start < end else (wall_minutes >= start or wall_minutes < end)
            for start, end in self.quiet
        )


def load_controls(loaded: Mapping[str, bytes]) -> Controls:
    """Return what was kept, or the controls of a new box. Raises StoreFault."""
    return read_row(Controls, TABLE, loaded[_KEY]) if _KEY in loaded else Controls()


def keep_controls(controls: Controls) -> list[Write]:
    return [Put(TABLE, _KEY, msgspec.msgpack.encode(controls))]


def parse_quiet(text: str) -> tuple[int, int]:
    """Read "22:00-07:00" as minutes of the day. Raises WrongUse."""
    parts = text.replace(" ", "").replace("–", "-").split("-")
    if len(parts) != 2:
        raise _bad_quiet(text)
    start, end = (_minutes(part, text) for part in parts)
    if start == end:
        raise WrongUse(f"Quiet hours {text!r} start and end at once.", "For all day, use do not disturb instead.")
    return start, end


def format_quiet(windows: Iterable[tuple[int, int]]) -> str:
    """Return windows as `parse_quiet` reads them, joined by ", "."""
    return ", ".join("-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in window) for window in windows)


def _minutes(clock: str, text: str) -> int:
    hours, colon, minutes = clock.partition(":")
    if not colon or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in (hours, minutes)):
        raise _bad_quiet(text)
    if int(hours) > 24 or int(minutes) > 59 or (int(hours) == 24 and int(minutes)):
        raise _bad_quiet(text)
    return (int(hours) * 60 + int(minutes)) % MINUTES_PER_DAY


def _bad_quiet(text: str) -> WrongUse:
    return WrongUse(f"{text!r} is not a span of the day.", "Write it like 22:00-07:00.")
