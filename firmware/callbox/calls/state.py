"""What the machine knows: the state, the one live call, and how long each thing may take.

Only handlers (`outgoing`, `incoming`, `talking`, `strays`) change these, through `core.Core`.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls.events import Taker
from callbox.wire.told import Told


class State(StrEnum):
    """Each has a connected and a lost side; `table` says for every row which of them it is about."""

    IDLE = "idle"
    DIALING = "dialing"
    RINGING = "ringing"
    CONNECTING = "connecting"
    TALKING = "talking"
    RECONNECTING = "reconnecting"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds."""

    ring_s: float = 45.0
    dial_s: float = 47.0  # the callee's ring plus the way there and back, so that its word comes first
    connect_s: float = 10.0
    grace_s: float = 30.0
    link_s: float = 10.0  # a call that is not up yet waits this long for our own link
    decline_settle_s: float = 0.2  # an answer pressed at the same time on another device beats a decline
    refusal_settle_s: float = 1.5  # one device is busy: another may still be about to ring
    glare_s: float = 5.0
    retry_s: float = 3.0
    remember_s: float = 60.0
    unstable_s: float = 3.0  # lost again so soon after coming back: the same loss, the same grace


@dataclass(frozen=True, slots=True)
class CallView:
    """The present call as lights, speech and the command line see it. In Ending: the call that just ended."""

    call_id: bytes
    contact: str
    outgoing: bool
    since: Instant
    ringing_since: Instant | None
    far_alerting: bool
    knock: bool
    device: str | None
    talking_since: Instant | None
    reason: Reason | None = None


@dataclass(slots=True)
class LiveCall:
    """The call that has the machine. `device`: the other side's, once it is known which."""

    call_id: bytes
    contact: str
    outgoing: bool
    since: Instant
    device: str | None = None
    knock: bool = False
    chain: tuple[str, ...] = ()
    ringing_since: Instant | None = None
    alerting_since: Instant | None = None
    alerting: set[str] = field(default_factory=set)
    refused: dict[str, Told] = field(default_factory=dict)
    offered_to: int = 0  # devices; 0: not known
    acked: bool = False  # the caller chose a device: from here on media may flow
    resuming: bool = False  # we restarted and ask to be let back in
    talking_since: Instant | None = None
    back_since: Instant | None = None  # of the last return to Talking, until it has proven itself
    lowered: bool = False  # it knocks because it may not ring
    asks: bool = False  # we are the caller of the handshake that the present keys come from

    def __post_init__(self) -> None:
        self.asks = self.outgoing

    def view(self, reason: Reason | None = None) -> CallView:
        return CallView(
            call_id=self.call_id,
            contact=self.contact,
            outgoing=self.outgoing,
            since=self.since,
            ringing_since=self.ringing_since,
            far_alerting=self.alerting_since is not None,
            knock=self.knock,
            device=self.device,
            talking_since=self.talking_since,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class Rival:
    """The second of two calls that crossed. `ours`: our own offer, withdrawn because theirs has the lower id."""

    call_id: bytes
    contact: str
    device: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Shadow:
    """A silenced caller: hears ringing, then no answer; nothing is heard or seen here."""

    call_id: bytes
    contact: str
    device: str
    until: Instant
    chain: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """An id that must not ring (again). `early`: its end came before its ring did."""

    until: Instant
    contact: str
    by: Taker
    device: str | None = None
    early: bool = False
