"""What a transport reports, and what the link wants done: down to the transport, and up to the box.

transport --TransportEvent--> Session --LinkEffect--> transport (OpenLane, SendOnLane, PingLane, CloseLane)
                                      --LinkEffect--> the box   (SessionUp, Replied, Incoming, LaneUp, ...)
"""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from callbox.wire.signals import (
    Accepted,
    BlobPart,
    BlobPlace,
    Denied,
    Devices,
    Erased,
    RouteOpened,
    ServerMessage,
    Welcome,
)

CONTROL_LANE = 0
"""The session's own connection. All other lanes carry media only."""

PROBE_LANE = 255
"""No lane of the session: a fresh connection that shows whether the server answers while the session is silent."""

ClosedKind = Literal["network", "certificate", "refused"]
"""network: no name, no way, no answer, or lost; certificate: somebody else answered; refused: nobody listens there,
or what listens does not take us."""

Reply: TypeAlias = Accepted | Denied | Devices | RouteOpened | BlobPlace | BlobPart | Erased


Opening: TypeAlias = int
"""Which opening of a lane is meant. Between a transport and the session may lie a queue: what it still holds of an
earlier opening must not be taken for news of the present one. 0: not said. It says nothing about what happened, so it
does not count when events are compared."""


# --- up from a transport ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LaneOpened:
    """TLS and the WebSocket handshake are done."""

    lane: int
    opening: Opening = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class LaneReceived:
    lane: int
    data: bytes
    opening: Opening = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class LanePonged:
    """The other end's WebSocket answered a ping."""

    lane: int
    opening: Opening = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class LaneClosed:
    """The lane could not be opened, or is lost. `why` is a sentence for a person."""

    lane: int
    why: str
    kind: ClosedKind = "network"
    opening: Opening = field(default=0, compare=False, kw_only=True)


TransportEvent: TypeAlias = LaneOpened | LaneReceived | LanePonged | LaneClosed


# --- down to the transport --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenLane:
    lane: int
    opening: Opening = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class SendOnLane:
    lane: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PingLane:
    lane: int


@dataclass(frozen=True, slots=True)
class CloseLane:
    """Close at once; nothing more is reported about this lane until it is opened again."""

    lane: int


LaneEffect: TypeAlias = OpenLane | SendOnLane | PingLane | CloseLane


# --- up to the box ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionUp:
    welcome: Welcome


@dataclass(frozen=True, slots=True)
class SessionLost:
    """The session that was up is gone; it comes back by itself. `why` is a sentence for a person."""

    why: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """An attempt to connect failed; the next follows in `delay_s`. For status and log, once per attempt."""

    why: str
    delay_s: float


@dataclass(frozen=True, slots=True)
class Replied:
    """The answer to a request, exactly once; None: the session went before the answer came. Submit it again."""

    request: int
    message: Reply | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message of the server's own accord (also a RouteOpened that repeats, once its route is complete)."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class MediaReceived:
    """One media message, undecoded (see `wire.media`)."""

    lane: int
    data: bytes


@dataclass(frozen=True, slots=True)
class LaneUp:
    """A media lane has joined the session."""

    lane: int


@dataclass(frozen=True, slots=True)
class LaneDown:
    lane: int


@dataclass(frozen=True, slots=True)
class LinkFault:
    """Something that time alone will not mend. The session goes on trying, slowly. Ends with the next SessionUp."""

    sentence: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class EpochRolledBack:
    """The server has seen a higher connection epoch: this box's storage is an old copy. Re-key, raise the epoch."""

    server_epoch: int


UpEffect: TypeAlias = (
    SessionUp
    | SessionLost
    | Retrying
    | Replied
    | Incoming
    | MediaReceived
    | LaneUp
    | LaneDown
    | LinkFault
    | EpochRolledBack
)
LinkEffect: TypeAlias = LaneEffect | UpEffect
