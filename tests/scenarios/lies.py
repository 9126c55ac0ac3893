"""A server that lies: the real one, with somebody in between who may change whatever it hears and says.

It knows what a server knows: every envelope, record, prekey and call id; and it may own accounts of its own, with boxes
that do as it likes. It has no key of anybody else's.
"""

from collections.abc import Callable, Iterable

import msgspec

from callbox.base.chance import SeededChance
from callbox.crypto.identity import Identity
from callbox.crypto.letters import seal_letter
from callbox.crypto.sessions import Sessions
from callbox.server.events import Received, SendTo, ServerEffect, ServerEvent
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from callbox.wire.bodies import Body
from callbox.wire.codec import decode_client_message, decode_server_message, encode_message
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import DEVICE_ID_BYTES, SignedKey
from callbox.wire.signals import Class, ClientMessage, Deliver, DevicePrekey, Envelope, Login, ServerMessage
from scenarios.acts import all_idle, talk

Lie = Callable[[str, ServerMessage], Iterable[ServerMessage]]
Hear = Callable[[str, ClientMessage], None]


class LyingServer:
    """Sits on the simulated server's wire. `lie(box, message)` says what a box gets in place of `message`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lie: Lie = lambda box, message: [message]
        self.hear: Hear = lambda box, message: None
        self.heard: list[tuple[str, ClientMessage]] = []
        self.said: list[tuple[str, ServerMessage]] = []
        self.connections: dict[str, int] = {}
        world.server.listen_in = self._listened
        world.server.twist = self._twisted

    def _listened(self, event: ServerEvent) -> None:
        if not isinstance(event, Received):
            return
        try:
            message = decode_client_message(event.data)
        except MalformedMessage:
            return
        if isinstance(message, Login):
            self.connections[message.account] = event.connection
        name = self._name(event.connection)
        self.heard.append((name, message))
        self.hear(name, message)

    def _twisted(self, effect: ServerEffect) -> Iterable[ServerEffect]:
        if not isinstance(effect, SendTo):
            return [effect]
        name = self._name(effect.connection)
        message = decode_server_message(effect.data)
        self.said.append((name, message))
        return [SendTo(effect.connection, encode_message(told)) for told in self.lie(name, message)]

    def _name(self, connection: int) -> str:
        return next((name for name, its in self.connections.items() if its == connection), "")

    def tell(self, box: SimulatedBox, *messages: ServerMessage) -> None:
        """Say something to a box out of nothing."""
        for message in messages:
            self.tell_bytes(box, encode_message(message))

    def tell_bytes(self, box: SimulatedBox, data: bytes) -> None:
        self.world.server.say(SendTo(self.connections[box.name], data))

    def envelopes(self, to: str, cls: Class | None = None) -> list[Envelope]:
        """Return what was delivered to a box, oldest first."""
        delivered = [message.envelope for name, message in self.said if name == to and isinstance(message, Deliver)]
        return [envelope for envelope in delivered if cls in (None, envelope.cls)]


class Puppet:
    """A box of the server's own: any account name, any device id, keys of its own."""

    def __init__(self, account: str, device: str | None = None, account_seed: bytes = b"") -> None:
        chosen = [account_seed] if account_seed else []

        class Choosing(SeededChance):
            def token(self, size: int) -> bytes:
                if device is not None and size == DEVICE_ID_BYTES:
                    return bytes.fromhex(device)
                return chosen.pop() if chosen else super().token(size)

        self.identity = Identity.create(account, Choosing(f"puppet {account} {device}"), wall_ms=0)
        self.sessions = Sessions(self.identity, {})
        self.prekeys = list(self.identity.new_prekeys(20, fallback=False))
        self.sent = 0

    @classmethod
    def second_device(cls, box: SimulatedBox) -> "Puppet":
        """Make another device of a box's own account, with the account's own key."""
        identity = box.box.core.identity
        seed = msgspec.msgpack.decode(identity.export())["account_seed"]
        puppet = cls(identity.account, None, seed)
        assert puppet.identity.account_public == identity.account_public
        return puppet

    def entry(self, with_key: bool = True) -> DevicePrekey:
        """Return its record as the server hands it out."""
        return DevicePrekey(self.identity.record, self.prekeys.pop() if with_key else None)

    def seal(self, to: SimulatedBox, cls: Class, body: Body, prekey: SignedKey | None) -> Envelope:
        """Seal a letter of its own; `prekey`: one of the receiver's, to begin a session with."""
        record = to.box.core.identity.device_record
        if prekey is not None:
            self.sessions.start(record, "call" if cls == "call" else "mail", prekey)
        self.sent += 1
        message_id = self.sent.to_bytes(16, "big")
        return seal_letter(self.sessions, self.identity, record, cls, body, message_id, 0, 60)


def prekey_of(box: SimulatedBox) -> SignedKey:
    """Return a fresh prekey of a box, as the server has many in its store."""
    return box.box.core.identity.new_prekeys(1, fallback=False)[0]


def write(world: World, box: SimulatedBox, contact: str, text: str) -> str:
    sent = str(box.ask("message", contact=contact, text=text)["id"])
    world.run(1.0)
    return sent


def met(world: World) -> tuple[SimulatedBox, SimulatedBox, LyingServer]:
    """Return two boxes that have talked and written, with a server that has been listening since."""
    liar = LyingServer(world)
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(world, kitchen, "workshop", "hello")
    write(world, workshop, "kitchen", "hello")
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    return kitchen, workshop, liar


def texts(box: SimulatedBox, contact: str) -> list[tuple[str, str]]:
    """Return a conversation: what was said, and what speaks against it."""
    return [(item["text"], item["problem"]) for item in box.thread(contact) if item["kind"] == "text"]
