"""What the machine asks for, in the imperative. They are to be performed in the order given.

`contact` and `device` tell the shell whom to write to, so that it needs no memory of calls of its own.
"""

from dataclasses import dataclass
from typing import Literal

from callbox.base.reasons import Reason
from callbox.calls.events import Taker
from callbox.wire.told import Told

ToneName = Literal["ringback", "busy", "congestion", "error", "reconnecting", "ended"]

# --- signals -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendOffer:
    """Make fresh handshakes and ring every device of `contact`; a resume goes to `device` alone."""

    call_id: bytes
    contact: str
    knock: bool
    resume: bool
    device: str | None = None


@dataclass(frozen=True, slots=True)
class SendAlerting:
    call_id: bytes
    contact: str
    device: str


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """The newest handshake under `call_id` counts; sending it again is harmless."""

    call_id: bytes
    contact: str
    device: str


@dataclass(frozen=True, slots=True)
class SendAck:
    call_id: bytes
    device: str
    contact: str


@dataclass(frozen=True, slots=True)
class SendTaken:
    """To every device of `contact` that was offered the call, except one; or, where `to_device` is set, to that alone.

    `to_device` is used for a straggler: by then the shell may have forgotten whom it offered the call to.
    """

    call_id: bytes
    by: Taker
    except_device: str | None
    contact: str
    to_device: str | None = None


@dataclass(frozen=True, slots=True)
class SendEnd:
    """To `device`; None: to every device of `contact` that was offered the call."""

    call_id: bytes
    told: Told
    contact: str
    device: str | None


@dataclass(frozen=True, slots=True)
class WithdrawOffer:
    """Take the live offer back from the server."""

    call_id: bytes


@dataclass(frozen=True, slots=True)
class ForgetKeys:
    """Erase handshakes and call keys of this id. Letters about it may still be sent."""

    call_id: bytes


# --- sound and media -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenSound:
    """Open the sound device. The microphone goes nowhere before StartMedia."""


@dataclass(frozen=True, slots=True)
class CloseSound:
    pass


@dataclass(frozen=True, slots=True)
class StartMedia:
    """Open the route with this device under the newest keys and pass samples both ways."""

    call_id: bytes
    device: str
    contact: str


@dataclass(frozen=True, slots=True)
class ReopenRoute:
    """Same keys, same counters: ask the server for the route again if it is not open."""

    call_id: bytes
    device: str
    contact: str


@dataclass(frozen=True, slots=True)
class StopMedia:
    """Close the route; the microphone goes nowhere from here on."""

    call_id: bytes


@dataclass(frozen=True, slots=True)
class PlayTone:
    tone: ToneName
    repeat: bool


@dataclass(frozen=True, slots=True)
class StopTone:
    pass


@dataclass(frozen=True, slots=True)
class Ring:
    """`loud`: sound and light; else light only."""

    contact: str
    loud: bool
    knock: bool


@dataclass(frozen=True, slots=True)
class StopRing:
    pass


@dataclass(frozen=True, slots=True)
class SoftTick:
    """One soft tick and the message light: `contact` called while this box was busy."""

    contact: str


@dataclass(frozen=True, slots=True)
class ClearMute:
    """The call is over, and so is its mute."""


# --- the thread ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecordCall:
    """The call's one line in the thread. `chain`: the reasons in words, for `callbox why`."""

    call_id: bytes
    contact: str
    outgoing: bool
    answered: bool
    reason: Reason
    duration_s: float
    chain: tuple[str, ...]
    knock: bool = False


@dataclass(frozen=True, slots=True)
class QueueMissedNotice:
    """Tell them by sealed mail that we called. `rang_ms`: how long a device of theirs rang."""

    call_id: bytes
    contact: str
    rang_ms: int
    knock: bool


@dataclass(frozen=True, slots=True)
class SendReadyText:
    """The ready-made "can't talk now"."""

    contact: str


Effect = (
    SendOffer
    | SendAlerting
    | SendAnswer
    | SendAck
    | SendTaken
    | SendEnd
    | WithdrawOffer
    | ForgetKeys
    | OpenSound
    | CloseSound
    | StartMedia
    | ReopenRoute
    | StopMedia
    | PlayTone
    | StopTone
    | Ring
    | StopRing
    | SoftTick
    | ClearMute
    | RecordCall
    | QueueMissedNotice
    | SendReadyText
)
