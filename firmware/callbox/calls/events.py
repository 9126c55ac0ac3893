"""Everything that can happen to a call, in the past tense, by origin: person, far end, server, media, link, time.

`contact` on what comes from the far end is the account that the letter was proven to come from; the machine
ignores a letter about a call of somebody else. "" means: not known, no check.
"""

from dataclasses import dataclass
from typing import Literal

from callbox.base.admission import Admission
from callbox.wire.told import Told

Taker = Literal["answered", "declined", "cancelled", "replaced"]

# --- the person ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dialed:
    """`call_id` is 16 fresh random bytes, drawn by the shell."""

    contact: str
    call_id: bytes
    knock: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    pass


@dataclass(frozen=True, slots=True)
class HungUp:
    pass


@dataclass(frozen=True, slots=True)
class Declined:
    with_text: bool = False


@dataclass(frozen=True, slots=True)
class CallsSet:
    enabled: bool


# --- the far end ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RingProven:
    """A caller proved to be live (reveal verified); `admission` is what our rules say about it."""

    call_id: bytes
    contact: str
    device: str
    admission: Admission


@dataclass(frozen=True, slots=True)
class ResumeProven:
    """A restarted box proved to be live and asks to take up a call that it says we share."""

    call_id: bytes
    contact: str
    device: str


@dataclass(frozen=True, slots=True)
class FarAlerting:
    call_id: bytes
    device: str
    contact: str = ""


@dataclass(frozen=True, slots=True)
class FarAnswered:
    """A device of the callee answered, its mac verified."""

    call_id: bytes
    device: str
    contact: str = ""


@dataclass(frozen=True, slots=True)
class FarAcked:
    """The caller chose this device, its mac verified."""

    call_id: bytes
    contact: str = ""


@dataclass(frozen=True, slots=True)
class FarEnded:
    call_id: bytes
    device: str
    told: Told
    contact: str = ""


@dataclass(frozen=True, slots=True)
class FarTaken:
    """The caller says: stop ringing."""

    call_id: bytes
    by: Taker
    contact: str = ""


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """The account key of `contact` is not the one we knew."""

    contact: str


# --- the server ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfferAccepted:
    """`devices`: how many were offered the call; 0 if not known."""

    call_id: bytes
    devices: int = 0


@dataclass(frozen=True, slots=True)
class OfferDenied:
    call_id: bytes
    why: str
    told: Told | None = None


@dataclass(frozen=True, slots=True)
class Unreachable:
    """There is no device to offer the call to."""

    call_id: bytes


@dataclass(frozen=True, slots=True)
class RingWithdrawn:
    """The server no longer holds the offer."""

    call_id: bytes


@dataclass(frozen=True, slots=True)
class RouteReady:
    """Both devices opened the media route."""

    call_id: bytes


@dataclass(frozen=True, slots=True)
class RouteLost:
    """The server closed the media route; the session stands."""

    call_id: bytes


# --- media and link ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """No frame of the far end for longer than a call can bear (muted ends send frames too)."""


@dataclass(frozen=True, slots=True)
class MediaBack:
    pass


@dataclass(frozen=True, slots=True)
class LinkLost:
    pass


@dataclass(frozen=True, slots=True)
class LinkBack:
    pass


@dataclass(frozen=True, slots=True)
class Resumed:
    """This box restarted and finds that it was in this call."""

    call_id: bytes
    contact: str
    device: str
    outgoing: bool
    talked_s: float = 0.0  # for how long it had been on, the time without us included


# --- time: made by the machine itself, one per timer, so that the table names them -----------------------------


@dataclass(frozen=True, slots=True)
class RingTimeOver:
    """The callee's 45 s."""


@dataclass(frozen=True, slots=True)
class DialTimeOver:
    """The caller's own limit, a little longer."""


@dataclass(frozen=True, slots=True)
class ConnectTimeOver:
    """Answered, and still no media."""


@dataclass(frozen=True, slots=True)
class GraceOver:
    """A lost call was kept for as long as is promised."""


@dataclass(frozen=True, slots=True)
class LinkTimeOver:
    """No link for too long while a call was being set up."""


@dataclass(frozen=True, slots=True)
class SettleTimeOver:
    """A device refused; the others had their moment."""


@dataclass(frozen=True, slots=True)
class GlareTimeOver:
    """We won a glare, and the loser did not answer by itself."""


@dataclass(frozen=True, slots=True)
class RetryDue:
    """Ask again: for the route, or to resume."""


@dataclass(frozen=True, slots=True)
class ToneOver:
    """The last tone of an ended call."""


TimerEvent = (
    RingTimeOver
    | DialTimeOver
    | ConnectTimeOver
    | GraceOver
    | LinkTimeOver
    | SettleTimeOver
    | GlareTimeOver
    | RetryDue
    | ToneOver
)
FarEvent = FarAlerting | FarAnswered | FarAcked | FarEnded | FarTaken
ServerEvent = OfferAccepted | OfferDenied | Unreachable | RingWithdrawn | RouteReady | RouteLost
CallEvent = FarEvent | ServerEvent
"""Events about one call id, which may be another call than the present one."""

Event = (
    Dialed
    | Answered
    | HungUp
    | Declined
    | CallsSet
    | RingProven
    | ResumeProven
    | CallEvent
    | KeyChanged
    | MediaSilent
    | MediaBack
    | LinkLost
    | LinkBack
    | Resumed
    | TimerEvent
)
