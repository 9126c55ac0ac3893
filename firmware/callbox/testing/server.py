"""The signaling server of a simulated world: the very `server.core.Server`, its pipes and its store simulated."""

from collections.abc import Callable, Iterable

from callbox.base.chance import Chance
from callbox.base.time import Instant
from callbox.server import authority
from callbox.server.authority import sign_move
from callbox.server.core import Server
from callbox.server.events import (
    Audit,
    CloseConnection,
    FetchBlobPart,
    FetchMail,
    FindInvite,
    MoveDecided,
    Save,
    SendMedia,
    SendTo,
    ServerEffect,
    ServerEvent,
)
from callbox.server.invites import new_invite
from callbox.server.items import PutInvite
from callbox.server.settings import ServerSettings
from callbox.server.stores import carry_out
from callbox.server.stores.memory import MemoryStore
from callbox.testing.authority import AUTHORITY, issued
from callbox.testing.network import Network
from callbox.testing.network_transport import ServerPort
from callbox.wire.cards import Invite


class SimulatedServer:
    """Can be killed and started again; its store outlives it."""

    def __init__(
        self, network: Network, chance: Chance, wall_ms: Callable[[], int], settings: ServerSettings, server_id: bytes
    ) -> None:
        self._network = network
        self._chance = chance
        self._wall_ms = wall_ms
        self._settings = settings
        self._server_id = server_id
        self.store = MemoryStore()
        self.authority = AUTHORITY
        self.core: Server | None = None
        self.audit: list[str] = []
        # For a server that lies: it hears everything, and says other things than the core wanted.
        self.listen_in: Callable[[ServerEvent], None] = lambda event: None
        self.twist: Callable[[ServerEffect], Iterable[ServerEffect]] = lambda effect: [effect]
        self._port = ServerPort(network, self._heard)
        self.start()

    @property
    def deadline(self) -> Instant | None:
        """When the server is due."""
        return self.core.deadline if self.core else None

    def start(self) -> None:
        """Start, or start again, with what the store holds."""
        loaded, now = self.store.open(), self._network.now
        self.core = Server(self._settings, self._chance, loaded, self.authority, now, sign=self._sign)
        self._port.listen()

    def move(self, address: str) -> None:
        """Say that the server goes on at another address, as `callbox server move` does."""
        self._heard(MoveDecided(sign_move(issued(), address, self._wall_ms())))

    def kill(self) -> None:
        """End the process at once: connections break, memory is gone, the store stays."""
        self._network.server_down()
        self.core = None

    def tick(self) -> None:
        """Do what is due."""
        if self.core is not None and self.core.deadline is not None and self.core.deadline <= self._network.now:
            self._perform(self.core.tick(self._network.now, self._wall_ms()))

    def invite(self, name: str) -> Invite:
        """Return an invite for a new account, as `callbox server invite` makes it."""
        token, kept = new_invite(name, self._chance, self._wall_ms(), valid_days=7)
        self.store.apply([PutInvite(kept)])
        return Invite("server.simulated:8443", name, token, self._server_id.hex())

    def say(self, effect: SendTo | SendMedia | CloseConnection) -> None:
        """Say something that the core never wanted."""
        self._port.perform(effect)

    @staticmethod
    def _sign(data: bytes) -> bytes:
        return authority.sign(issued(), data)

    def _heard(self, event: ServerEvent) -> None:
        self.listen_in(event)
        if self.core is not None:
            self._perform(self.core.handle(event, self._network.now, self._wall_ms()))

    def _perform(self, effects: list[ServerEffect]) -> None:
        for effect in (said for wanted in effects for said in self.twist(wanted)):
            match effect:
                case SendTo() | SendMedia() | CloseConnection():
                    self._port.perform(effect)
                case Save() | FetchMail() | FindInvite() | FetchBlobPart():
                    self._heard(carry_out(self.store, effect))
                case Audit():
                    self.audit.append(effect.line)
