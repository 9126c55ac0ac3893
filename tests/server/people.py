"""Boxes as the server meets them: keys, signatures and envelopes, without Olm (the server never looks inside)."""

import functools
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from callbox.crypto.records import prekey_bytes, record_bytes
from callbox.server.items import Account, Device
from callbox.wire.codec import encode_record, erasure_transcript, login_transcript
from callbox.wire.records import DeviceRecord, SignedKey, SignedRecord
from callbox.wire.signals import Challenge, Class, Enrol, Envelope, Login


def digest(*words: object, size: int = 32) -> bytes:
    """Return bytes that depend on nothing but the words."""
    return hashlib.shake_256(repr(words).encode()).digest(size)


@functools.cache
def _key(label: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(digest("key", label))


def _public(label: str) -> bytes:
    return _key(label).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True)
class Box:
    """One device of an account; `name` is the account's, `which` tells its devices apart."""

    name: str
    which: int = 1
    revoked: bool = False

    @property
    def device(self) -> str:
        return digest("device", self.name, self.which, size=8).hex()

    @property
    def _auth(self) -> str:
        return f"auth {self.name} {self.which}"

    def record(self, **changes: object) -> SignedRecord:
        fields: dict[str, object] = {
            "account": self.name,
            "account_key": _public(f"account {self.name}"),
            "device": self.device,
            "auth_key": _public(self._auth),
            "olm_signing_key": digest("olm", self.name, self.which),
            "olm_exchange_key": digest("olm exchange", self.name, self.which),
            "kind": "box",
            "created_ms": 1,
            "sequence": 1,
            "revoked": self.revoked,
        }
        encoded = encode_record(DeviceRecord(**{**fields, **changes}))  # type: ignore[arg-type]  # a dict of any fields
        message = record_bytes(encoded)
        return SignedRecord(encoded, _key(f"account {self.name}").sign(message), _key(self._auth).sign(message))

    def account(self) -> Account:
        return Account(self.name, _public(f"account {self.name}"), created_ms=1)

    def stored(self) -> Device:
        return Device(self.name, self.device, self.record())

    def enrol(self, token: str) -> Enrol:
        return Enrol(token, self.record())

    def login(self, challenge: Challenge, epoch: int = 1) -> Login:
        nonce = digest("nonce", self.device, epoch)
        transcript = login_transcript(challenge.server_id, challenge.nonce, nonce, self.device, epoch)
        return Login(self.name, self.device, nonce, epoch, _key(self._auth).sign(transcript))

    def ask_to_erase(self, server_id: bytes, session: bytes, name: str = "") -> bytes:
        """Return this account key's signature for erasing its account, or the one called `name`."""
        return _key(f"account {self.name}").sign(erasure_transcript(server_id, session, name or self.name))

    def prekey(self, number: int, fallback: bool = False) -> SignedKey:
        key = digest("prekey", self.device, number, fallback)
        return SignedKey(key, _key(self._auth).sign(prekey_bytes(key, fallback)), fallback)

    def to(self, other: "Box", number: int, cls: Class = "mail", size: int = 256, ttl_s: int = 3600) -> Envelope:
        """Return letter `number` of this box to another; the same number is the same letter."""
        return Envelope(
            cls=cls,
            message_id=digest("message", self.device, other.device, number, size=16),
            from_account=self.name,
            from_device=self.device,
            to_account=other.name,
            to_device=other.device,
            ttl_s=ttl_s,
            olm_type=1,
            ciphertext=digest("ciphertext", number, size=size),
        )
