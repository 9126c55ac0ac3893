"""Intents: everything that a press can ask of the box."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Answer:
    """Take the call that rings."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call, or stop dialling."""


@dataclass(frozen=True, slots=True)
class Decline:
    """Refuse the call that rings, `with_text` together with the ready-made text."""

    with_text: bool = False


@dataclass(frozen=True, slots=True)
class SetMute:
    """Close or open the microphone."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetCalls:
    """Let calls through, or none at all."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetDoNotDisturb:
    """Turn do not disturb on or off."""

    on: bool


@dataclass(frozen=True, slots=True)
class Dial:
    """Call the contact on a dial button, counted from 1."""

    slot: int


@dataclass(frozen=True, slots=True)
class Record:
    """Record a voice message: to the contact on a dial button, or else to whoever CallBack would call."""

    slot: int | None = None


@dataclass(frozen=True, slots=True)
class EndRecording:
    """The button that records came up: send what was said. Nothing, if nothing is being recorded."""


@dataclass(frozen=True, slots=True)
class CallBack:
    """Call the sender of the message being read, or else the last conversation."""


@dataclass(frozen=True, slots=True)
class PlayNext:
    """Play or read the next unread message."""


@dataclass(frozen=True, slots=True)
class SayLast:
    """Say the last conversation's name; a press within CALL_BACK_WINDOW_S then calls it."""


@dataclass(frozen=True, slots=True)
class SpeakState:
    """Say how the box is: muted or not, calls, connection."""


@dataclass(frozen=True, slots=True)
class ChangeVolume:
    """Louder (+1) or softer (-1) by one step, with a tick."""

    step: int


@dataclass(frozen=True, slots=True)
class OpenMenu:
    """Open the spoken menu."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """A gesture that is kept for something the box cannot do yet; it answers with the error tone."""

    what: Literal["reset", "hook switch"]


Intent = (
    Answer
    | HangUp
    | Decline
    | SetMute
    | SetCalls
    | SetDoNotDisturb
    | Dial
    | Record
    | EndRecording
    | CallBack
    | PlayNext
    | SayLast
    | SpeakState
    | ChangeVolume
    | OpenMenu
    | NotYet
)
