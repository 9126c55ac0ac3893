"""A desk alone: the core of one box, and a link that notes what is asked of the server and lets the test answer."""

from collections.abc import Callable

from callbox.app.core import Core
from callbox.app.effects import Commit, Log
from callbox.app.settings import BoxSettings
from callbox.base.chance import SeededChance
from callbox.base.time import Instant
from callbox.crypto.identity import Identity
from callbox.crypto.sessions import Sessions
from callbox.link.events import LinkEffect
from callbox.link.session import Credentials, Session
from callbox.wire.signals import ClientMessage, DevicePrekey, ServerMessage

MADE_MS = 1_780_300_800_000


class NotedLink(Session):
    """Connected or not, as the test says; requests and words to the server are kept."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(
            Credentials(identity.account, identity.device, identity.sign_login, lambda: 1), bytes(32), SeededChance(0)
        )
        self.connected = True
        self.asked: list[ClientMessage] = []

    @property
    def up(self) -> bool:
        return self.connected

    def request(self, build: Callable[[int], ClientMessage], now: Instant) -> tuple[int, list[LinkEffect]]:
        number = len(self.asked) + 1
        self.asked.append(build(number))
        return number, []


class Desk:
    """One core whose disk works at once."""

    def __init__(self, name: str = "kitchen") -> None:
        identity = Identity.create(name, SeededChance(name), MADE_MS)
        self.link = NotedLink(identity)
        self.core = Core(BoxSettings(), identity, Sessions(identity, {}), self.link, SeededChance(1))
        self.core.set_wall(MADE_MS)
        self.log: list[str] = []

    def settle(self) -> None:
        """Write what is to be written, note what is told to the operator."""
        while effects := self.core.drain():
            for effect in effects:
                if isinstance(effect, Commit):
                    self.core.ledger.committed(effect.ticket)
                elif isinstance(effect, Log):
                    self.log.append(effect.text)

    def answer(self, message: ServerMessage | None) -> None:
        """Let the server answer the last request."""
        self.core.replied(len(self.link.asked), message)
        self.settle()


def peer(name: str) -> Identity:
    """Return the identity of somebody else's box."""
    return Identity.create(name, SeededChance(f"{name} elsewhere"), MADE_MS)


def published(identity: Identity) -> DevicePrekey:
    """Return what the server gives out for a device: its record, and one prekey."""
    return DevicePrekey(identity.record, identity.new_prekeys(1, fallback=False)[0])
