"""A server core in a room of its own: time by hand, a store in memory, boxes that remember what they were told."""

from collections.abc import Callable
from typing import TypeVar

from callbox.base.chance import SeededChance
from callbox.server.core import Server
from callbox.server.events import (
    Audit,
    CloseConnection,
    Closed,
    FetchBlobPart,
    FetchMail,
    FindInvite,
    Opened,
    Received,
    Save,
    SendMedia,
    SendTo,
    ServerEffect,
    ServerEvent,
)
from callbox.server.invites import new_invite
from callbox.server.items import PutAccount, PutDevice, PutInvite
from callbox.server.settings import ServerSettings
from callbox.server.stores import carry_out
from callbox.server.stores.memory import MemoryStore
from callbox.wire.codec import decode_server_message, encode_message
from callbox.wire.media import pack_media
from callbox.wire.records import Row
from callbox.wire.signals import (
    Accepted,
    Challenge,
    ClientMessage,
    Denied,
    JoinLane,
    LaneJoined,
    OpenRoute,
    Ring,
    RouteOpened,
    ServerMessage,
    SetRow,
    Submit,
    Welcome,
)
from server.people import Box, digest

AUTHORITY = b"the authority's certificate"
START_MS = 1_800_000_000_000
Kind = TypeVar("Kind")


class Peer:
    """One connection as its box sees it."""

    def __init__(self, room: "Room", number: int) -> None:
        self.room = room
        self.number = number
        self.heard: list[ServerMessage] = []
        self.media: list[bytes] = []
        self.closed: str | None = None
        self._requests = 0

    def say(self, message: ClientMessage) -> None:
        self.room.say(self, message)

    def ask(self, build: Callable[[int], ClientMessage]) -> ServerMessage:
        """Send a request and return the first answer that carries its number."""
        self._requests += 1
        seen = len(self.heard)
        self.say(build(self._requests))
        answers = [message for message in self.heard[seen:] if getattr(message, "request", None) == self._requests]
        assert answers, f"no answer, heard {self.heard[seen:]}"
        return answers[0]

    def all(self, kind: type[Kind]) -> list[Kind]:
        return [message for message in self.heard if isinstance(message, kind)]

    def last(self, kind: type[Kind]) -> Kind:
        return self.all(kind)[-1]

    def take(self, kind: type[Kind]) -> list[Kind]:
        """Return what was heard of a kind, and forget it."""
        found = self.all(kind)
        self.heard = [message for message in self.heard if not isinstance(message, kind)]
        return found

    def leave(self) -> None:
        self.closed = "left"
        self.room.give(Closed(self.number))


class Room:
    """A server with accounts, and whoever is connected to it."""

    def __init__(self, *boxes: Box, settings: ServerSettings | None = None) -> None:
        self.settings = settings or ServerSettings()
        self.store = MemoryStore()
        self.now = 1000.0
        self.wall_ms = START_MS
        self.audited: list[str] = []
        self.peers: dict[int, Peer] = {}
        self.epoch = 0
        self.held: list[Save | FetchMail | FindInvite | FetchBlobPart] | None = None
        for box in boxes:
            self.store.apply([PutAccount(box.account()), PutDevice(box.stored())])
        self.start()

    def start(self) -> None:
        """Start a server on what the store holds; whoever was connected is not any more."""
        for peer in self.peers.values():
            peer.closed = peer.closed or "the server died"
        self.server = Server(self.settings, SeededChance("server"), self.store.open(), AUTHORITY, self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        until = self.now + seconds
        while (due := self.server.deadline) is not None and due <= until:
            self._advance(max(due, self.now))
            self.perform(self.server.tick(self.now, self.wall_ms))
        self._advance(until)

    def _advance(self, to: float) -> None:
        self.wall_ms += round((to - self.now) * 1000)
        self.now = to

    def give(self, event: ServerEvent) -> None:
        self.perform(self.server.handle(event, self.now, self.wall_ms))

    def perform(self, effects: list[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case SendTo(connection, data):
                    assert not self.peers[connection].closed, "sent to a closed connection"
                    self.peers[connection].heard.append(decode_server_message(data))
                case SendMedia(connection, data):
                    self.peers[connection].media.append(data)
                case CloseConnection(connection, why):
                    self.peers[connection].closed = why
                case Audit(line):
                    self.audited.append(line)
                case _ if self.held is not None:
                    self.held.append(effect)
                case _:
                    self.give(carry_out(self.store, effect))

    def release(self) -> None:
        """Perform the effects on the store that were held back."""
        held, self.held = self.held or [], None
        for effect in held:
            self.give(carry_out(self.store, effect))

    # --- boxes ---

    def connect(self, address: str = "192.0.2.7") -> Peer:
        peer = Peer(self, len(self.peers) + 1)
        self.peers[peer.number] = peer
        self.give(Opened(peer.number, address))
        return peer

    def say(self, peer: Peer, message: ClientMessage) -> None:
        self.give(Received(peer.number, encode_message(message)))

    def login(self, box: Box, epoch: int | None = None) -> Peer:
        """Connect and log in, with an epoch above all before if none is given."""
        self.epoch += 1
        peer = self.connect()
        peer.say(box.login(peer.last(Challenge), epoch or self.epoch))
        return peer

    def lane(self, session: Peer, ticket: bytes | None = None) -> Peer:
        peer = self.connect()
        peer.say(JoinLane(ticket or session.last(Welcome).tickets[0]))
        return peer

    def allow(self, owner: Peer, other: Box, row: Row) -> None:
        assert owner.ask(lambda request: SetRow(request, other.name, row)) == Accepted(owner._requests)

    def invite(self, name: str, days: float = 7.0) -> str:
        """Make an invite as another process does: behind the running server's back."""
        token, invite = new_invite(name, SeededChance(name), self.wall_ms, days)
        self.store.apply([PutInvite(invite)])
        return token


def call_id(number: int) -> bytes:
    return digest("call", number, size=16)


def ring_of(
    caller: Box, callees: list[Box], call: int, knock: bool = False, resume: bool = False, letter: int = 0
) -> Callable[[int], Ring]:
    """Return what builds the Ring of call number `call`; `letter` tells repeated offers apart."""
    envelopes = tuple(caller.to(callee, 10_000 * (letter + 1) + call, "call") for callee in callees)
    return lambda request: Ring(request, call_id(call), callees[0].name, envelopes, knock, resume)


def submit_of(envelope_from: Box, to: Box, number: int, **about: object) -> Callable[[int], Submit]:
    envelope = envelope_from.to(to, number, **about)  # type: ignore[arg-type]  # passed through
    return lambda request: Submit(request, envelope)


def route_of(peer: Box, call: int, token: int = 1) -> Callable[[int], OpenRoute]:
    return lambda request: OpenRoute(request, digest("token", token, size=16), call_id(call), peer.name, peer.device)


def accepted(answer: ServerMessage) -> bool:
    return isinstance(answer, Accepted)


def denied(answer: ServerMessage) -> str:
    assert isinstance(answer, Denied), answer
    return answer.why


def opened(answer: ServerMessage) -> RouteOpened:
    assert isinstance(answer, RouteOpened), answer
    return answer


def joined(peer: Peer) -> LaneJoined:
    return peer.last(LaneJoined)


def media(route: int, number: int = 0, size: int = 120) -> bytes:
    return pack_media(route, [digest("frame", number, size=size)])
