"""Checking who signed what. Only verification, no secrets: the server imports this file, and only this one.

Every signature covers a label first, so that none can be passed off as another kind:

    device record   Ed25519 by the account key and by the device's auth key over "CALLBOX1 record" | record bytes
    prekey          Ed25519 by the device's auth key over "CALLBOX1 prekey" | fallback u8 | key
    login           Ed25519 by the device's auth key over wire.codec.login_transcript (its label is inside)
"""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from callbox.crypto.errors import Untrusted
from callbox.wire.codec import decode_record
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import DeviceRecord, SignedKey, SignedRecord

__all__ = [
    "Untrusted",
    "card_fingerprint",
    "fingerprint",
    "prekey_bytes",
    "record_bytes",
    "safety_number",
    "verify_login",
    "verify_prekey",
    "verify_record",
]

_FINGERPRINT_BYTES = 20  # 160 bits: nobody finds a second key for a fingerprint, even with many to choose from
_SAFETY_ROUNDS = 5200  # makes a search for a look-alike number dearer, as Signal's safety numbers do


def record_bytes(record: bytes) -> bytes:
    """Return what the account key and the device's auth key sign for an encoded device record."""
    return b"CALLBOX1 record" + record


def prekey_bytes(key: bytes, fallback: bool) -> bytes:
    """Return what a device's auth key signs for a prekey."""
    return b"CALLBOX1 prekey" + bytes([fallback]) + key


def verify_record(signed: SignedRecord, account_key: bytes | None = None) -> DeviceRecord:
    """Return the record if both signatures hold, and it is of the account with `account_key` where one is given.

    Raises Untrusted for anything that is wrong, a malformed record included. The caller still compares the
    sequence with the last one seen, and refuses what is `revoked`.
    """
    try:
        record = decode_record(signed.record)
    except MalformedMessage as error:
        raise Untrusted(f"device record is malformed: {error}") from None
    if account_key is not None and record.account_key != account_key:
        raise Untrusted("device record is of another account key")
    message = record_bytes(signed.record)
    _verify(record.account_key, signed.by_account, message, "the account's signature over the device record is wrong")
    _verify(record.auth_key, signed.by_device, message, "the device's signature over its record is wrong")
    return record


def verify_login(record: DeviceRecord, transcript: bytes, signature: bytes) -> None:
    """Raise Untrusted unless the device signed this login transcript and is not revoked."""
    if record.revoked:
        raise Untrusted("the device is revoked")
    _verify(record.auth_key, signature, transcript, "the login signature is wrong")


def verify_prekey(record: DeviceRecord, key: SignedKey) -> None:
    """Raise Untrusted unless the device signed this prekey (as the kind, one-time or fallback, that it claims)."""
    _verify(record.auth_key, key.signature, prekey_bytes(key.key, key.fallback), "the prekey's signature is wrong")


def card_fingerprint(account_key: bytes) -> str:
    """Return the fingerprint as cards and invites carry it: 32 base32 letters."""
    digest = hashlib.sha256(b"CALLBOX1 fingerprint" + account_key).digest()
    return base64.b32encode(digest[:_FINGERPRINT_BYTES]).decode()


def fingerprint(account_key: bytes) -> str:
    """Return the fingerprint for people: the same letters in eight groups of four."""
    letters = card_fingerprint(account_key)
    return " ".join(letters[start : start + 4] for start in range(0, len(letters), 4))


def safety_number(key_a: bytes, key_b: bytes) -> str:
    """Return 60 digits in 12 groups of 5 for two account keys, the same whichever comes first."""
    return " ".join(sorted((_half_number(key_a), _half_number(key_b))))


def _half_number(account_key: bytes) -> str:
    digest = hashlib.sha512(b"CALLBOX1 safety" + account_key).digest()
    for _ in range(_SAFETY_ROUNDS):
        digest = hashlib.sha512(digest + account_key).digest()
    groups = (int.from_bytes(digest[start : start + 5], "big") % 100_000 for start in range(0, 30, 5))
    return " ".join(f"{group:05d}" for group in groups)


def _verify(key: bytes, signature: bytes, message: bytes, complaint: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise Untrusted(complaint) from None
