"""Jitter buffer, part 2: what to do for the next stretch of sound. Touches no samples.

nothing waiting           -> WAIT      conceal or stay silent; the delay grows meanwhile
far behind, newer there   -> SKIP      drop what is stale
hole before what waits    -> WAIT while there is time, then RECOVER (copy in the next) or CONCEAL
next packet waiting       -> ACCELERATE above target, STRETCH below it, else PLAY
"""

from enum import Enum, auto

from msgspec import Struct

from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ

SKIP_OVER_SAMPLES = 120 * RATE_HZ // 1000  # more than this above target is not worth speeding through
LOOSE_SAMPLES = 9 * RATE_HZ // 1000  # above target, before speech is shortened by a period of up to 12.5 ms
TIGHT_SAMPLES = CYCLE_SAMPLES // 2  # below target, before speech is lengthened
HURRY_SAMPLES = 60 * RATE_HZ // 1000
FAR_SAMPLES = 20 * RATE_HZ // 1000  # off target by less than this can wait for a pause in the speech ...
PATIENCE_SAMPLES = 3 * RATE_HZ  # ... but not for ever
SHORTEN_NEEDS_SAMPLES = 20 * RATE_HZ // 1000  # two pitch periods of a low voice


class Choice(Enum):
    WAIT = auto()
    PLAY = auto()
    ACCELERATE = auto()
    STRETCH = auto()
    RECOVER = auto()
    CONCEAL = auto()
    SKIP = auto()


class Urgency(Enum):
    """How much may be heard of a change of pace."""

    CALM = auto()  # only where the speech pauses
    USUAL = auto()  # wherever a pitch period fits well
    URGENT = auto()  # anywhere


class View(Struct, frozen=True, gc=False):
    """All that a decision rests on; lengths in samples. A struct, for one is made every 10 ms."""

    started: bool
    delay: int  # what plays next is this much older than the freshest sound could be
    target: int
    ample: int  # at least the target: a delay up to here need not be taken back
    gap: int | None  # from what plays next to the first packet that waits; None: nothing waits
    ahead: int  # from what plays next to the end of the last packet without a hole
    newer: bool  # a second packet waits behind the first
    copy: bool  # the first packet that waits carries a copy of the one before it
    span: int  # length of the latest packet
    since_stretch: int  # played since speech was last shortened or lengthened
    off_target: int  # played since the delay was last about right


def about_right(delay: int, target: int, ample: int) -> bool:
    """Say whether a delay needs no change."""
    return target - TIGHT_SAMPLES <= delay <= max(target + LOOSE_SAMPLES, ample)


def urgency(view: View) -> Urgency:
    """Return how soon the delay must come back to target."""
    off = abs(view.delay - view.target)
    if off > HURRY_SAMPLES:
        return Urgency.URGENT
    if off > FAR_SAMPLES or view.off_target > PATIENCE_SAMPLES:
        return Urgency.USUAL
    return Urgency.CALM


def decide(view: View) -> Choice:
    """Return what to do next. Pure: a table of views and choices is its test."""
    if view.gap is None:
        return Choice.WAIT
    over = view.delay - view.target
    if over > SKIP_OVER_SAMPLES and view.newer:
        return Choice.SKIP
    if not view.started:
        return Choice.PLAY if over >= 0 else Choice.WAIT
    if view.gap > 0:
        if over < 0:
            return Choice.WAIT
        return Choice.RECOVER if view.copy and view.gap <= view.span else Choice.CONCEAL
    rested = view.since_stretch >= (0 if abs(over) > HURRY_SAMPLES else 2 * SHORTEN_NEEDS_SAMPLES)
    if over > LOOSE_SAMPLES and view.delay > view.ample and rested and view.ahead >= SHORTEN_NEEDS_SAMPLES:
        return Choice.ACCELERATE
    if over < -TIGHT_SAMPLES and rested:
        return Choice.STRETCH
    return Choice.PLAY
