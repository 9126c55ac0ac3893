"""People with boxes, for the tests of this room: an identity with its sessions, and a call handshake between two."""

from dataclasses import dataclass, field

from callbox.base.chance import Chance, SeededChance
from callbox.crypto.handshake import CalleeHandshake, CallerHandshake
from callbox.crypto.identity import Identity
from callbox.crypto.letters import open_letter, seal_letter, session_class
from callbox.crypto.sessions import SessionClass, Sessions
from callbox.wire.bodies import Body, CallOffer, Inner, Text
from callbox.wire.records import DeviceRecord, SignedKey
from callbox.wire.signals import Class, Envelope

CALL_ID = bytes(range(16))


@dataclass
class Person:
    """One box: what it is, its sessions, and the prekeys that the server would hold for it."""

    identity: Identity
    sessions: Sessions
    prekeys: list[SignedKey] = field(default_factory=list)
    sent: int = 0
    stored: dict[str, bytes] = field(default_factory=dict)

    @property
    def record(self) -> DeviceRecord:
        return self.identity.device_record

    @property
    def device(self) -> str:
        return self.identity.device

    def start(self, peer: "Person", cls: SessionClass) -> None:
        self.sessions.start(peer.record, cls, peer.prekeys.pop())

    def seal(self, peer: "Person", cls: Class, body: Body) -> Envelope:
        self.sent += 1
        if not self.sessions.has(peer.device, session_class(cls)):
            self.start(peer, session_class(cls))
        message_id = self.sent.to_bytes(16, "big")
        return seal_letter(self.sessions, self.identity, peer.record, cls, body, message_id, 1000, 60)

    def open(self, peer: "Person", envelope: Envelope, now: float = 0.0) -> Inner:
        return open_letter(self.sessions, self.identity, peer.record, envelope, now)

    def restarted(self) -> "Person":
        """The same box after its process was killed and everything stored was read again."""
        self.stored.update(self.sessions.changed())
        identity = Identity.restore(self.identity.export())
        return Person(identity, Sessions(identity, self.stored), self.prekeys, self.sent, self.stored)


def person(name: str, prekeys: int = 10) -> Person:
    identity = Identity.create(name, SeededChance(name), wall_ms=1_700_000_000_000)
    keys = list(identity.new_prekeys(prekeys, fallback=False))
    identity.mark_published()
    return Person(identity, Sessions(identity, {}), keys)


def caller(
    alice: Person,
    bob: Person,
    seed: int | str = "caller",
    *,
    call_id: bytes = CALL_ID,
    resume: bool = False,
    chance: Chance | None = None,
) -> CallerHandshake:
    return CallerHandshake(
        call_id,
        my_account_key=alice.identity.account_public,
        my_olm_signing_key=alice.identity.olm_signing_key,
        peer_account_key=bob.identity.account_public,
        peer_device_id=bob.device,
        peer_olm_signing_key=bob.identity.olm_signing_key,
        chance=chance or SeededChance(seed),
        resume=resume,
    )


def callee(
    bob: Person, alice: Person, offer: CallOffer, seed: int | str = "callee", *, now: float = 0.0
) -> CalleeHandshake:
    return CalleeHandshake(
        offer,
        my_account_key=bob.identity.account_public,
        my_device_id=bob.device,
        my_olm_signing_key=bob.identity.olm_signing_key,
        peer_account_key=alice.identity.account_public,
        peer_olm_signing_key=alice.identity.olm_signing_key,
        chance=SeededChance(seed),
        now=now,
    )


def text_of(inner: Inner) -> str:
    """Return the text of a letter that must be one."""
    assert isinstance(inner.body, Text)
    return inner.body.text
