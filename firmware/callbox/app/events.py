"""What can happen to a box. Past tense; made by the world, handled once by `Box.handle`.

Transport events (`callbox.link.session`) and audio facts (`callbox.audio.engine`) are handed on as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callbox.base.time import Instant


@dataclass(frozen=True, slots=True)
class Started:
    """The process runs; everything saved is loaded."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """The box's own deadline came."""


@dataclass(frozen=True, slots=True)
class ClockSet:
    """Wall time, told at the start and whenever it jumped: Unix milliseconds at this very moment.

    `trusted`: False for a clock that nobody set (1970). `utc_offset_s`: of the local time zone, summer time included.
    """

    wall_ms: int
    trusted: bool = True
    utc_offset_s: int = 0


@dataclass(frozen=True, slots=True)
class ButtonMoved:
    """A pin's level changed, bounces included. `at`: when the pins saw it, which may be before now."""

    button: str
    pressed: bool
    at: Instant


@dataclass(frozen=True, slots=True)
class Committed:
    """The store wrote this ticket's batch durably."""

    ticket: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    ticket: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line asks something over the control socket. Answered by `effects.Answer` with the same id."""

    ask: int
    what: str
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskerLeft:
    ask: int


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process was asked to end: say goodbye to the far end and the server."""
