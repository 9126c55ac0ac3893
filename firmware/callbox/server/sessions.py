"""Connections: unproven, a device's session, or a lane of one; and the one-use tickets that make lanes."""

from dataclasses import dataclass, field

from callbox.base.chance import Chance
from callbox.base.time import Instant
from callbox.server.limits import Bucket
from callbox.server.mailbox import Delivery

TICKET_BYTES = 16


@dataclass(slots=True)
class Unproven:
    """A connection that has not shown yet whose it is."""

    connection: int
    address: str
    nonce: bytes
    deadline: Instant
    enrolling: bool = False


@dataclass(slots=True)
class Session:
    """A device that is here. Its lanes and tickets die with it."""

    connection: int
    account: str
    device: str
    call_letters: Bucket
    id: bytes
    lanes: dict[int, int] = field(default_factory=dict)  # lane number -> connection
    tickets: set[bytes] = field(default_factory=set)
    delivery: Delivery = field(default_factory=Delivery)
    pending: int = 0  # submits on their way to the disk
    follows: bool = False  # it knows what `moved` means: a box of an older release would hang up on it
    media_connections: tuple[int, ...] = ()
    """Where media for this device goes: its lanes, or its own connection until one has joined."""

    def __post_init__(self) -> None:
        self.lanes_changed()

    def lanes_changed(self) -> None:
        self.media_connections = tuple(self.lanes.values()) or (self.connection,)


class Sessions:
    """Every connection of the server, by what it is."""

    def __init__(self, chance: Chance, lanes_at_most: int) -> None:
        self._chance = chance
        self._lanes_at_most = lanes_at_most
        self.unproven: dict[int, Unproven] = {}
        self._by_connection: dict[int, tuple[Session, int]] = {}  # -> session, lane (0: its own connection)
        self._by_device: dict[str, Session] = {}
        self._by_ticket: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._by_device)

    def unproven_from(self, address: str) -> int:
        return sum(entry.address == address for entry in self.unproven.values())

    def at(self, connection: int) -> tuple[Session, int] | None:
        """Return the session of a proven connection, and which of its lanes it is."""
        return self._by_connection.get(connection)

    def of_device(self, device: str) -> Session | None:
        return self._by_device.get(device)

    def following(self) -> list[int]:
        """Return the own connection of every session whose box follows a move."""
        return [session.connection for session in self._by_device.values() if session.follows]

    def connections(self) -> list[int]:
        return [*self.unproven, *self._by_connection]

    def begin(self, session: Session) -> None:
        """A device proved itself on `session.connection`."""
        self.unproven.pop(session.connection, None)
        self._by_connection[session.connection] = (session, 0)
        self._by_device[session.device] = session
        for _ in range(self._lanes_at_most):
            self.new_ticket(session)

    def new_ticket(self, session: Session) -> bytes:
        ticket = self._chance.token(TICKET_BYTES)
        session.tickets.add(ticket)
        self._by_ticket[ticket] = session
        return ticket

    def join(self, connection: int, ticket: bytes) -> tuple[Session, int] | None:
        """Make a connection a lane by its ticket, which is used up by that; None if the ticket is not good."""
        session = self._by_ticket.get(ticket)
        if session is None or len(session.lanes) >= self._lanes_at_most:
            return None
        del self._by_ticket[ticket]
        session.tickets.discard(ticket)
        lane = next(number for number in range(1, self._lanes_at_most + 1) if number not in session.lanes)
        session.lanes[lane] = connection
        session.lanes_changed()
        self.unproven.pop(connection, None)
        self._by_connection[connection] = (session, lane)
        return session, lane

    def leave(self, connection: int) -> Session | None:
        """Forget a connection. Returns the session if it ended by that; its lanes are forgotten too."""
        self.unproven.pop(connection, None)
        session, lane = self._by_connection.pop(connection, (None, 0))
        if session is None:
            return None
        if lane:
            session.lanes.pop(lane, None)
            session.lanes_changed()
            return None
        for other in session.lanes.values():
            self._by_connection.pop(other, None)
        for ticket in session.tickets:
            self._by_ticket.pop(ticket, None)
        if self._by_device.get(session.device) is session:
            del self._by_device[session.device]
        return session
