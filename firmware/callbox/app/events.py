"""What can happen to a box. Past tense; made by the world, handled once by `Box.handle`.

Transport events (`callbox.link.events`) and audio facts (`callbox.audio.facts`) are handed on as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from callbox.audio.facts import Fact
from callbox.base.frames import Samples
from callbox.base.time import Instant
from callbox.conversations.stores import FaultKind
from callbox.link.events import TransportEvent


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
    """Nothing of this ticket's batch is on the disk. `sentence` says why, `kind` is that of the StoreFault."""

    ticket: int
    sentence: str
    kind: FaultKind = "device"


@dataclass(frozen=True, slots=True)
class SoundRead:
    """What the store holds of a sound. None: it could not be read, and `sentence` says why."""

    ticket: int
    sound: bytes | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class VaultOpened:
    """A passphrase was tried for this ask: the key of the store, or why not."""

    ask: int
    key: bytes | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line asks something over the control socket. Answered by `effects.Answer` with the same id."""

    ask: int
    what: str
    words: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AskerLeft:
    """The command line waits no longer for the answer to this ask."""

    ask: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """The voice made sound of the words of this ticket: mono 48 kHz, empty if there was nothing to say."""

    ticket: int
    samples: Samples


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    """The voice could not say the words of this ticket. `lasting`: it will not be able to say any others either."""

    ticket: int
    sentence: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class SignalSeen:
    """How well the Wi-Fi is received, in percent; None where there is none, as with a cable."""

    percent: int | None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The process was asked to end: say goodbye to the far end and the server."""


OwnEvent: TypeAlias = (
    Started
    | Ticked
    | ClockSet
    | ButtonMoved
    | Committed
    | CommitFailed
    | SoundRead
    | VaultOpened
    | Asked
    | AskerLeft
    | Spoken
    | SpeechFailed
    | SignalSeen
    | Stopping
)
Event: TypeAlias = OwnEvent | TransportEvent | Fact
