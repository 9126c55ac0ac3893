"""A simulated network on virtual time: pure, seeded, the same every time.

    box "kitchen" ==access link==\
                                  >== server        each access link: delay, jitter, loss, rate, and its faults
    box "workshop" =access link==/

What crosses it are ordered, reliable pipes of whole messages, as TCP with WebSocket above gives them. A lost packet
is therefore never missing: it comes late, and everything behind it on the same pipe with it. All pipes of one place
share its link's rate.

    pipe = network.connect("kitchen", events)       # PipeOpened or PipeClosed follows
    network.advance(network.deadline)               # jump from deadline to deadline; events are called on the way
    network.blackhole("kitchen"); network.restore("kitchen"); network.cut("kitchen"); network.server_down()
"""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Literal, TypeAlias

from callbox.base.chance import Chance
from callbox.base.time import Instant
from callbox.lanes.facts import LaneFacts, wire_bytes

SEGMENT_BYTES = 1400
FRAME_BYTES = 90  # of TCP, IP, TLS and WebSocket around each message
WINDOW_MESSAGES = 10  # what TCP sends before the first acknowledgement; more waits at the sender
LEAST_TIMEOUT_S = 0.2  # Linux' least time before TCP repeats a segment
LONGEST_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of one access link, alike in both directions. `loss` is the share of segments that do not arrive."""

    delay_ms: float = 1.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    rate_kbps: float | None = None


GOOD_LINK = Conditions()


@dataclass(frozen=True, slots=True)
class PipeOpened:
    pass


@dataclass(frozen=True, slots=True)
class PipeReceived:
    data: bytes


@dataclass(frozen=True, slots=True)
class PipePonged:
    pass


@dataclass(frozen=True, slots=True)
class PipeClosed:
    why: str
    kind: Literal["network", "certificate", "refused"] = "network"


PipeEvent: TypeAlias = PipeOpened | PipeReceived | PipePonged | PipeClosed
Hear: TypeAlias = Callable[[PipeEvent], None]
Direction: TypeAlias = Literal["up", "down"]
_Item: TypeAlias = tuple[Literal["data", "ping", "pong", "close"], bytes]


@dataclass(slots=True)
class Access:
    """The link of one place. `dark`: everything vanishes without a word; `cut`: the place knows that it is off."""

    conditions: Conditions
    state: Literal["up", "dark", "cut"] = "up"
    changed_at: Instant = 0.0
    free_at: dict[str, Instant] = field(default_factory=lambda: {"up": 0.0, "down": 0.0})


class End:
    """One end of a pipe: what its owner holds."""

    def __init__(self, network: "Network", place: str, direction: Direction, hear: Hear) -> None:
        self.place = place
        self.server = ""
        self._direction = direction
        self.open = False
        self.on_room: Callable[[], None] | None = None  # called when something sent has arrived
        self.hear = hear
        self.gone = False
        self._network = network
        self._peer: End | None = None
        self._undelivered: deque[_Item] = deque()
        self._last_arrival: Instant = 0.0
        self._repeats = 0  # flights scheduled before TCP began anew are void

    @property
    def alive(self) -> bool:
        return self.open or bool(self._undelivered)

    @property
    def queued_bytes(self) -> int:
        """What TCP has not sent yet, because too much before it is unacknowledged."""
        return sum(_size(item) for item in islice(self._undelivered, WINDOW_MESSAGES, None))

    @property
    def facts(self) -> LaneFacts:
        """What a kernel would say of this end: everything that has not arrived is unacknowledged."""
        least_s = 2 * self._network.access(self.place).conditions.delay_ms / 1000
        unacked = sum(wire_bytes(len(item[1]), self._direction == "up") for item in self._undelivered)
        return LaneFacts(unacked, self.queued_bytes, False, least_s, 0.0, least_s)

    def send(self, data: bytes) -> bool:
        if self.open:
            self._transmit(("data", data))
        return self.open

    def ping(self) -> None:
        if self.open:
            self._transmit(("ping", b""))

    def close(self) -> None:
        """Close; this end hears nothing more, the other one after what was sent before."""
        if self.open:
            self._transmit(("close", b""))
        self.open = False
        self.gone = True

    def join(self, peer: "End") -> None:
        self._peer = peer

    def tell(self, event: PipeEvent) -> None:
        """Let the owner hear `event`, unless this end is closed."""
        if not self.gone:
            self.gone = isinstance(event, PipeClosed)
            self.open = not self.gone
            self.hear(event)

    def resume(self, dark_s: float) -> None:
        """The link is back: TCP repeats what was not delivered when its timeout passes, which doubled in the dark."""
        if self._undelivered:
            stall_s = self._network.chance.between(0.0, min(dark_s, LONGEST_TIMEOUT_S))
            self._repeats += 1
            self._last_arrival = self._network.now
            for item in self._undelivered:
                self._fly(item, stall_s)

    def fail(self, why: str) -> None:
        """Lose everything on the way and hear that the pipe is closed."""
        self._undelivered.clear()
        self._repeats += 1
        self.tell(PipeClosed(why))

    def _transmit(self, item: _Item) -> None:
        self._undelivered.append(item)
        if self._network.access(self.place).state == "up":
            self._fly(item)

    def _fly(self, item: _Item, stall_s: float = 0.0) -> None:
        arrival = self._network.arrival(self.place, self._direction, _size(item)) + stall_s
        self._last_arrival = max(self._last_arrival, arrival)
        repeats = self._repeats
        self._network.at(self._last_arrival, lambda: self._arrive(repeats))

    def _arrive(self, repeats: int) -> None:
        """Deliver the oldest message, unless it met the dark on its way."""
        if repeats != self._repeats or self._network.access(self.place).state != "up" or self._peer is None:
            return
        item, peer = self._undelivered.popleft(), self._peer
        match item:
            case ("data", data):
                peer.tell(PipeReceived(data))
            case ("ping", _) if peer.open:
                peer._transmit(("pong", b""))
            case ("pong", _):
                peer.tell(PipePonged())
            case ("close", _):
                peer.tell(PipeClosed("The other end closed the connection."))
        if self.on_room is not None and self.open:
            self.on_room()


def _size(item: _Item) -> int:
    return len(item[1]) + FRAME_BYTES


class Network:
    """Everything between the boxes and the server. `now` follows `advance`, also while events are told."""

    def __init__(
        self,
        chance: Chance,
        conditions: Conditions = GOOD_LINK,
        now: Instant = 0.0,
        server_patience_s: float = 30.0,
    ) -> None:
        self.chance = chance
        self.now = now
        self.posed_as = False  # somebody else answers at the server's address
        self._conditions = conditions
        self._server_patience_s = server_patience_s
        self._accept: Callable[[End], Hear] | None = None
        self._access: dict[str, Access] = {}
        self._pipes: list[tuple[End, End]] = []
        self._agenda: list[tuple[Instant, int, Callable[[], None]]] = []
        self._entries = 0
        self.deserted: set[str] = set()  # addresses at which nothing listens, or nothing any more

    # --- time -------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When the next thing happens on any pipe."""
        return self._agenda[0][0] if self._agenda else None

    def advance(self, now: Instant) -> None:
        """Let everything happen that is due by `now`, in order, each at its own instant."""
        while self._agenda and self._agenda[0][0] <= now:
            due, _, act = heapq.heappop(self._agenda)
            self.now = max(self.now, due)
            act()
        self.now = max(self.now, now)

    def at(self, instant: Instant, act: Callable[[], None]) -> None:
        self._entries += 1
        heapq.heappush(self._agenda, (instant, self._entries, act))

    def wake(self, due: Instant, act: Callable[[], None]) -> Callable[[], None]:
        """Call `act` at `due` unless what is returned is called before."""
        entry: list[Callable[[], None]] = [act]
        self.at(due, lambda: entry[0]() if entry else None)
        return entry.clear

    # --- pipes ------------------------------------------------------------------------------------------------

    def listen(self, accept: Callable[[End], Hear]) -> None:
        """Start the server: `accept` gets the server's end of each new pipe and returns who hears for it."""
        self._accept = accept

    def connect(self, place: str, hear: Hear, server: str = "") -> End:
        """Begin to connect from `place` to the address `server`; `hear` is called later, never from inside this."""
        client = End(self, place, "up", hear)
        client.server = server
        self.at(self.now, lambda: self._try_connect(client, 0))
        return client

    def arrival(self, place: str, direction: Direction, size: int) -> Instant:
        """Return when `size` bytes sent now arrive: after the line is free, the way, and the segments lost on it."""
        access = self.access(place)
        conditions = access.conditions
        sent = self.now
        if conditions.rate_kbps is not None:
            sent = max(sent, access.free_at[direction]) + size * 8 / (conditions.rate_kbps * 1000)
            access.free_at[direction] = sent
        way_s = (conditions.delay_ms + self.chance.between(0.0, conditions.jitter_ms)) / 1000
        segments = math.ceil(size / SEGMENT_BYTES)
        return sent + way_s + max(self._stall_s(conditions) for _ in range(segments))

    def access(self, place: str) -> Access:
        return self._access.setdefault(place, Access(self._conditions))

    # --- faults -----------------------------------------------------------------------------------------------

    def set_conditions(self, place: str, conditions: Conditions) -> None:
        """Change how good the access of one place is."""
        self.access(place).conditions = conditions

    def blackhole(self, place: str) -> None:
        """Everything to and from `place` vanishes; nobody is told. The server's own pings notice in the end."""
        self._set_state(place, "dark")
        for _, server in self._at_place(place):
            self.at(self.now + self._server_patience_s, partial(self._lose_patience, server))

    def cut(self, place: str, noticed_s: float = 0.0) -> None:
        """The link of `place` breaks; after `noticed_s` both ends of all its pipes hear that they are closed."""
        self._set_state(place, "cut")
        for client, server in self._at_place(place):
            for end in (client, server):
                self.at(self.now + noticed_s, partial(end.fail, "The connection broke."))

    def restore(self, place: str) -> None:
        """End a blackhole or a cut; nothing happens where there is none."""
        access = self.access(place)
        if access.state == "up":
            return
        dark_s = self.now - access.changed_at
        self._set_state(place, "up")
        for client, server in self._at_place(place):
            for end in (client, server):
                end.resume(dark_s)

    def server_down(self) -> None:
        """The server's process dies: its kernel closes every pipe, and nobody listens until `listen`."""
        self._accept = None
        for _, server in self._live_pipes():
            server.close()

    # --- inside -----------------------------------------------------------------------------------------------

    def _try_connect(self, client: End, tries: int) -> None:
        """Send a SYN; in the dark it is repeated four times a second apart, then less and less often (Linux 6.5)."""
        if client.gone:
            return
        state = self.access(client.place).state
        if state == "dark":
            again_s = 1.0 if tries < 4 else 2.0 ** (tries - 3)
            self.at(self.now + again_s, lambda: self._try_connect(client, tries + 1))
        elif state == "cut":
            client.tell(PipeClosed("There is no way to the server: the network is down."))
        else:
            ways = 6 if self._accept and not self.posed_as else 2  # TCP, TLS and WebSocket: one round trip each
            conditions = self.access(client.place).conditions
            took_s = sum(conditions.delay_ms / 1000 + self._stall_s(conditions) for _ in range(ways))
            self.at(self.now + took_s, lambda: self._established(client))

    def _established(self, client: End) -> None:
        if client.gone:
            return
        if self.access(client.place).state != "up":
            self._try_connect(client, 0)
        elif self._accept is None or client.server in self.deserted:
            client.tell(PipeClosed("Nothing listens at the server's address.", "refused"))
        elif self.posed_as:
            client.tell(PipeClosed("The certificate is not from the server that this box joined.", "certificate"))
        else:
            server = End(self, client.place, "down", _deaf)
            client.join(server)
            server.join(client)
            self._pipes.append((client, server))
            server.hear = self._accept(server)
            client.tell(PipeOpened())
            server.tell(PipeOpened())

    def _stall_s(self, conditions: Conditions) -> float:
        """Draw how long one segment is late by its losses: TCP repeats it after its timeout, doubling that."""
        stall_s, timeout_s = 0.0, LEAST_TIMEOUT_S + 2 * conditions.delay_ms / 1000
        while conditions.loss > 0 and self.chance.between(0.0, 1.0) < conditions.loss and stall_s < LONGEST_TIMEOUT_S:
            stall_s += timeout_s
            timeout_s *= 2
        return stall_s

    def _lose_patience(self, server: End) -> None:
        """End a half-open pipe at the server, as its own pings would; the box hears of it when it is back."""
        access = self.access(server.place)
        if access.state == "dark" and self.now - access.changed_at >= self._server_patience_s and server.open:
            hear = server.hear
            server.close()
            hear(PipeClosed("The other end has gone silent."))

    def _set_state(self, place: str, state: Literal["up", "dark", "cut"]) -> None:
        access = self.access(place)
        access.state = state
        access.changed_at = self.now

    def _live_pipes(self) -> list[tuple[End, End]]:
        self._pipes = [pipe for pipe in self._pipes if pipe[0].alive or pipe[1].alive]
        return list(self._pipes)

    def _at_place(self, place: str) -> list[tuple[End, End]]:
        return [pipe for pipe in self._live_pipes() if pipe[0].place == place]


def _deaf(_: PipeEvent) -> None:
    """Hear for an end until its owner does."""
