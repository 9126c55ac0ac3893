"""Transports: what carries lanes. Each other module here that has a `Transport` class of its own name is a member.

`websocket` is the real one; the simulated network of `callbox.testing.network` is another. `dialling` and
`connecting` hold what real members share: addresses, TLS, errors in a person's words, the way to a TCP connection. One
contract suite runs over all members.
"""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from callbox.lanes.facts import LaneFacts
from callbox.link.events import CloseLane, LaneEffect, Opening, OpenLane, PingLane, SendOnLane, TransportEvent

Events: TypeAlias = Callable[[TransportEvent], None]
"""Where a transport reports. Called on the loop's own turn, never from inside `open`, `send`, `ping` or `close`."""


class Transport(Protocol):
    """Opens numbered lanes to one server. No method blocks or raises for what the network does."""

    def open(self, lane: int, opening: Opening = 0) -> None:
        """Begin to connect; LaneOpened or LaneClosed follows. A lane of that number that is open is closed first.

        All that is reported of this lane carries `opening`.
        """
        ...

    def send(self, lane: int, data: bytes) -> bool:
        """Queue one message. False: the lane is not open, or its bounded queue is full and nothing was queued.

        Lane 0 must lose no message out of the middle: when its queue is full it is closed and LaneClosed follows.
        """
        ...

    def ping(self, lane: int) -> None:
        """Send a WebSocket ping; LanePonged follows if the other end's WebSocket lives."""
        ...

    def close(self, lane: int) -> None:
        """Close. Nothing more is reported about the lane until it is opened again."""
        ...

    def queued_bytes(self, lane: int) -> int:
        """Return how many bytes wait in front of the network; 0 for a lane that is not open."""
        ...

    def facts(self, lane: int) -> LaneFacts | None:
        """Return what the kernel says of a lane now; None: it is not open, or the kernel cannot tell."""
        ...

    def acknowledge(self, lane: int) -> None:
        """Have what this lane brought acknowledged now, where the kernel would wait for bytes to ride along with."""
        ...

    def give_up(self, lane: int, why: str) -> None:
        """End a lane that serves no more; LaneClosed follows, as if the network had ended it."""
        ...

    def readdress(self, server: str) -> None:
        """Open lanes to this HOST:PORT from now on."""
        ...

    def shutdown(self) -> None:
        """Close all lanes."""
        ...


class NoTransport:
    """No network at all, for a box that must not reach out: whatever is asked of it, nothing happens."""

    def __init__(self, events: Events) -> None:
        """Nothing is ever reported."""

    def open(self, lane: int, opening: Opening = 0) -> None: ...

    def send(self, lane: int, data: bytes) -> bool:
        return False

    def ping(self, lane: int) -> None: ...

    def close(self, lane: int) -> None: ...

    def queued_bytes(self, lane: int) -> int:
        return 0

    def facts(self, lane: int) -> LaneFacts | None:
        return None

    def acknowledge(self, lane: int) -> None: ...

    def give_up(self, lane: int, why: str) -> None: ...

    def readdress(self, server: str) -> None: ...

    def shutdown(self) -> None: ...


def perform(transport: Transport, effect: LaneEffect) -> None:
    """Do what the core wants done with a lane."""
    match effect:
        case OpenLane(lane=lane, opening=opening):
            transport.open(lane, opening)
        case SendOnLane(lane=lane, data=data):
            transport.send(lane, data)
        case PingLane(lane=lane):
            transport.ping(lane)
        case CloseLane(lane=lane):
            transport.close(lane)
