"""The controls of the whole box: calls enabled, do not disturb, quiet hours. Kept over a restart."""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from callbox.base.errors import WrongUse
from callbox.conversations.stores import Put, Write, read_row

TABLE = "controls"
_KEY = "controls"
MINUTES_PER_DAY = 24 * 60
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EVERY_DAY = 0b1111111
_DAY_OF_WORD = {day.lower(): number for number, day in enumerate(DAYS)}

Span: TypeAlias = tuple[int, ...]
"""Start and end in minutes of the local day, start in, end out; may pass midnight. A third number names the days on
which it begins, Monday the lowest bit; without it, it begins every day."""


class Controls(msgspec.Struct, frozen=True):
    """What the person set."""

    calls_enabled: bool = True
    do_not_disturb: bool = False
    quiet: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        if not all(len(span) in (2, 3) for span in self.quiet):
            raise ValueError("a quiet span has a start, an end, and perhaps days")

    def quiet_span(self, week_minute: int) -> Span | None:
        """Return the quiet span in which this minute of the local week lies, counted from Monday's midnight."""
        return next((span for span in self.quiet if _holds(span, week_minute)), None)

    def is_quiet_hour(self, week_minute: int) -> bool:
        """Say whether this minute of the local week lies in a quiet span."""
        return self.quiet_span(week_minute) is not None


def _holds(span: Span, week_minute: int) -> bool:
    day, minute = divmod(week_minute, MINUTES_PER_DAY)
    start, end = span[:2]
    if start < end:
        return start <= minute < end and _begins(span, day)
    return (minute >= start and _begins(span, day)) or (minute < end and _begins(span, day - 1))


def _begins(span: Span, day: int) -> bool:
    return bool(span[2] >> day % 7 & 1) if len(span) == 3 else True


def load_controls(loaded: Mapping[str, bytes]) -> Controls:
    """Return what was kept, or the controls of a new box. Raises StoreFault."""
    return read_row(Controls, TABLE, loaded[_KEY]) if _KEY in loaded else Controls()


def keep_controls(controls: Controls) -> list[Write]:
    return [Put(TABLE, _KEY, msgspec.msgpack.encode(controls))]


def parse_quiet(text: str) -> tuple[Span, ...]:
    """Read "mon-fri 22:00-07:00, sat sun 23:30-09:00, 13:00-14:30"; without days, a span holds every day.

    Raises WrongUse.
    """
    words = re.sub(r"\s*[-–]\s*", "-", text.strip().lower()).replace(",", " ").split()
    spans: list[Span] = []
    days = 0
    for word in words:
        named = _days(word)
        if named:
            days |= named
        else:
            span = _span(word)
            spans.append(span if days in (0, EVERY_DAY) else (*span, days))
            days = 0
    if days or not spans:
        raise _bad_quiet(text)
    return tuple(dict.fromkeys(spans))


def format_quiet(spans: Iterable[Span]) -> str:
    """Return spans as `parse_quiet` reads them, joined by ", "."""
    return ", ".join(_format_span(span) for span in spans)


def _format_span(span: Span) -> str:
    clocks = "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in span[:2])
    return clocks if len(span) == 2 else f"{_format_days(span[2])} {clocks}"


def _format_days(days: int) -> str:
    """Return three days or more in a row as `Mon-Wed`, others one by one."""
    names = "".join("x" if days >> day & 1 else "." for day in range(7))
    runs = [match.span() for match in re.finditer("x+", names)]
    return " ".join(
        f"{DAYS[first]}-{DAYS[past - 1]}" if past - first > 2 else " ".join(DAYS[first:past]) for first, past in runs
    )


def _days(word: str) -> int:
    """Return the days that `mon` or `fri-mon` names, as bits; 0 if it names none."""
    ends = [_DAY_OF_WORD.get(end) for end in word.split("-")]
    if None in ends or len(ends) > 2:
        return 0
    first, last = ends[0] or 0, ends[-1] or 0
    return sum(1 << (first + step) % 7 for step in range((last - first) % 7 + 1))


def _span(text: str) -> Span:
    parts = text.split("-")
    if len(parts) != 2:
        raise _bad_quiet(text)
    start, end = (_minutes(part, text) for part in parts)
    if start == end:
        raise WrongUse(f"Quiet hours {text!r} start and end at once.", "For all day, use do not disturb instead.")
    return start, end


def _minutes(clock: str, text: str) -> int:
    hours, colon, minutes = clock.partition(":")
    if not colon or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in (hours, minutes)):
        raise _bad_quiet(text)
    if int(hours) > 24 or int(minutes) > 59 or (int(hours) == 24 and int(minutes)):
        raise _bad_quiet(text)
    return (int(hours) * 60 + int(minutes)) % MINUTES_PER_DAY


def _bad_quiet(text: str) -> WrongUse:
    return WrongUse(f"{text!r} is not a span of the day.", "Write it like 22:00-07:00, or mon-fri 22:00-07:00.")
