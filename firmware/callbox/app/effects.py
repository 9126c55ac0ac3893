"""What a box wants done. Imperative; made by `Box.handle`, performed by the world without blocking.

Link effects (`callbox.link.events`) and audio commands (`callbox.audio.facts`) are handed on as they are. What the
link tells the box itself among its effects (SessionUp, Replied, ...) the box handles; the world sees none of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from callbox.audio.facts import Command
from callbox.conversations.stores import Write
from callbox.link.events import LinkEffect


@dataclass(frozen=True, slots=True)
class Commit:
    """Write one durable transaction; answered by Committed or CommitFailed."""

    ticket: int
    writes: Sequence[Write]


@dataclass(frozen=True, slots=True)
class OpenVault:
    """Try a passphrase on the sealed key, which takes a second or so; answered by VaultOpened."""

    ask: int
    passphrase: str


@dataclass(frozen=True, slots=True)
class SettleStore:
    """This program has proved good: let go of the store's copy for an earlier one. Not answered."""


@dataclass(frozen=True, slots=True)
class LookAtSignal:
    """Look how well the Wi-Fi is received; answered by SignalSeen."""


@dataclass(frozen=True, slots=True)
class ReadSound:
    """Read what is stored of a voice message's sound, after all commits before it; answered by SoundRead."""

    ticket: int
    item_id: bytes


@dataclass(frozen=True, slots=True)
class Readdress:
    """Lanes that are opened from now on go to this server address; those that are open were closed before."""

    address: str


@dataclass(frozen=True, slots=True)
class ShowLights:
    """Brightness 0..1 per light of the board."""

    levels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AttachRoute:
    """Sealed frames from the microphone go to this route now, over the lanes that are up. `copies`: bytes that may be
    sent again where the network is bad, for each byte of voice."""

    route: int
    copies: float = 1.0


@dataclass(frozen=True, slots=True)
class DetachRoute:
    """There is no route any more: sealed frames are dropped."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Make sound of a few words; answered by Spoken or SpeechFailed, or never if another Speak came in between.

    `own`: a sentence of the box's own, which may be remembered; what people wrote is not.
    """

    ticket: int
    text: str
    language: str
    own: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply to an Asked; `done` False where more follow (`status --watch`, progress of a call)."""

    ask: int
    reply: Mapping[str, Any]
    done: bool = True


@dataclass(frozen=True, slots=True)
class MoveButton:
    """Press or release a button of a simulated panel (`callbox press`)."""

    button: str
    pressed: bool


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the operator. Never a secret, never what was said."""

    level: Literal["info", "warning", "error"]
    text: str


OwnEffect: TypeAlias = (
    Commit
    | SettleStore
    | LookAtSignal
    | OpenVault
    | Readdress
    | ReadSound
    | ShowLights
    | AttachRoute
    | DetachRoute
    | Speak
    | Answer
    | MoveButton
    | Log
)
Effect: TypeAlias = OwnEffect | LinkEffect | Command
