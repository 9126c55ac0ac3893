"""What a state looks like: one pure function from the state and the time to the brightness of every light.

Position and rhythm carry the meaning, colour only repeats it. A light follows one pattern at a time, and no
pattern flashes more than three times in any second (WCAG 2.3.1: what is safe for photosensitive people).

| light   | steady               | rhythm                                                                    |
|---------|----------------------|---------------------------------------------------------------------------|
| live    | the microphone's samples go somewhere |                                                          |
| mute    | muted                |                                                                           |
| call    | in a call            | rings: double blink each second; dialling: slow pulse; reconnecting:      |
|         |                      | uneven flicker; knock: one blink in two seconds                           |
| calls   | calls disabled       | do not disturb or quiet hours: slow pulse                                 |
| message |                      | one blink per unread message, up to four, then a pause                    |
| status  | connected            | connecting: slow; fault: fast; locked: three blinks, then a pause         |

On a board with fewer lights a light may show further states (`also`): the first of them that is not dark.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from callbox.base.time import Instant, earliest
from callbox.panel.parts import LIGHTS

MOST_BLINKS = 4
# Changes are asked for this much later than they are due, so that rounding never shows the side before.
_JUST_AFTER_S = 1e-6

CallLook = Literal[
    "idle", "dialing", "ringing", "connecting", "talking", "reconnecting", "ending", "incoming", "outgoing", "knock"
]


@dataclass(frozen=True, slots=True)
class LightState:
    """What the lights tell. `live` is the fact reported by whatever handles samples, never what was asked for.

    `call` is the state of the call; "incoming" and "outgoing" look like ringing and dialling. `call_since`
    lets its rhythm begin at once.
    """

    live: bool
    muted: bool
    call: CallLook
    call_since: Instant = 0.0
    calls: Literal["on", "disabled", "quiet"] = "on"
    unread: int = 0
    status: Literal["off", "connecting", "connected", "fault", "locked"] = "off"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A rhythm: within each `period_s` the light is on from each first to each second of `on_s`."""

    period_s: float
    on_s: tuple[tuple[float, float], ...]

    def level(self, elapsed_s: float) -> float:
        """Return the brightness, 0 or 1, `elapsed_s` after the pattern began."""
        phase = elapsed_s % self.period_s
        return 1.0 if any(start <= phase < end for start, end in self.on_s) else 0.0

    def next_change_s(self, elapsed_s: float) -> float | None:
        """Return how long until the brightness changes; None if it never does."""
        edges = sorted({edge % self.period_s for span in self.on_s for edge in span})
        if len(edges) < 2:
            return None
        phase = elapsed_s % self.period_s
        later = next((edge for edge in edges if edge > phase), edges[0] + self.period_s)
        return later - phase


STEADY = Pattern(1.0, ((0.0, 1.0),))
SLOW_PULSE = Pattern(2.0, ((0.0, 1.0),))
DOUBLE_BLINK = Pattern(1.0, ((0.0, 0.12), (0.24, 0.36)))
FLICKER = Pattern(1.6, ((0.0, 0.1), (0.35, 0.75), (0.9, 1.0)))
KNOCK = Pattern(2.0, ((0.0, 0.15),))
FAST = Pattern(0.4, ((0.0, 0.2),))
LOCKED = Pattern(3.0, ((0.0, 0.2), (0.5, 0.7), (1.0, 1.2)))

_CALL: Mapping[CallLook, Pattern | None] = {
    "idle": None,
    "ending": None,
    "dialing": SLOW_PULSE,
    "outgoing": SLOW_PULSE,
    "ringing": DOUBLE_BLINK,
    "incoming": DOUBLE_BLINK,
    "knock": KNOCK,
    "connecting": STEADY,
    "talking": STEADY,
    "reconnecting": FLICKER,
}
_CALLS = {"on": None, "disabled": STEADY, "quiet": SLOW_PULSE}
_STATUS = {"off": None, "connecting": SLOW_PULSE, "connected": STEADY, "fault": FAST, "locked": LOCKED}
ALL_LIGHTS: Mapping[str, Sequence[str]] = {name: (name,) for name in LIGHTS}


def _blinks(count: int) -> Pattern | None:
    """One blink per unread message, then a pause long enough to count them by."""
    shown = min(count, MOST_BLINKS)
    spans = tuple((blink * 0.4, blink * 0.4 + 0.2) for blink in range(shown))
    return Pattern(shown * 0.4 + 1.4, spans) if shown > 0 else None


def _patterns(state: LightState) -> dict[str, Pattern | None]:
    return {
        "live": STEADY if state.live else None,
        "mute": STEADY if state.muted else None,
        "call": _CALL[state.call],
        "calls": _CALLS[state.calls],
        "message": _blinks(state.unread),
        "status": _STATUS[state.status],
    }


def _shown(state: LightState, shown_on: Mapping[str, Sequence[str]]) -> dict[str, tuple[Pattern | None, Instant]]:
    """Return for each light of a board the pattern it follows and when that began."""
    patterns = _patterns(state)
    chosen: dict[str, tuple[Pattern | None, Instant]] = {}
    for light, candidates in shown_on.items():
        name = next((name for name in candidates if patterns[name] is not None), light)
        chosen[light] = patterns[name], state.call_since if name == "call" else 0.0
    return chosen


def lights(state: LightState, now: Instant, shown_on: Mapping[str, Sequence[str]] = ALL_LIGHTS) -> dict[str, float]:
    """Return the brightness, 0 to 1, of every light of a board at `now`.

    `shown_on` says what each light of the board shows, the most important first (`Board.shown_on`).
    """
    chosen = _shown(state, shown_on)
    return {light: 0.0 if pattern is None else pattern.level(now - since) for light, (pattern, since) in chosen.items()}


def next_change(state: LightState, now: Instant, shown_on: Mapping[str, Sequence[str]] = ALL_LIGHTS) -> Instant | None:
    """Return when `lights` next differs from what it is at `now`; None while all are steady."""
    waits = (
        pattern.next_change_s(now - since) for pattern, since in _shown(state, shown_on).values() if pattern is not None
    )
    wait = earliest(*waits)
    return None if wait is None else now + wait + max(_JUST_AFTER_S, math.ulp(now + wait))
