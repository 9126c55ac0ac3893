"""Checking who signed what. Only verification, no secrets: the server imports this file, and only this one.

Every signature covers a label first, so that none can be passed off as another kind:

    device record   Ed25519 by the account key and by the device's auth key over "CALLBOX1 record" | record bytes
    prekey          Ed25519 by the device's auth key over "CALLBOX1 prekey" | fallback u8 | key
    revoked record  Ed25519 by the account key alone: whoever lost a device cannot have it sign
    move            ECDSA P-256, SHA-256, by the server's authority over "CALLBOX1 move" | server id | decided_ms u64 |
                    address
    login           Ed25519 by the device's auth key over wire.codec.login_transcript (its label is inside)
"""

import base64
import hashlib

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from callbox.crypto.errors import Untrusted
from callbox.wire.codec import decode_record
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import DeviceRecord, SignedKey, SignedRecord

__all__ = [
    "Untrusted",
    "card_fingerprint",
    "fingerprint",
    "move_bytes",
    "prekey_bytes",
    "record_bytes",
    "safety_number",
    "verify_half_record",
    "verify_login",
    "verify_move",
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
    """Return the record if its signatures hold, and it is of the account with `account_key` where one is given.

    A record that revokes its device needs the account's signature only.

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
    if not record.revoked:
        _verify(record.auth_key, signed.by_device, message, "the device's signature over its record is wrong")
    return record


def verify_half_record(record: bytes, by_device: bytes) -> DeviceRecord:
    """Return a record that only its device has signed so far, as one that asks to be linked. Raises Untrusted."""
    try:
        read = decode_record(record)
    except MalformedMessage as error:
        raise Untrusted(f"device record is malformed: {error}") from None
    _verify(read.auth_key, by_device, record_bytes(record), "the device's signature over its record is wrong")
    return read


def move_bytes(server_id: bytes, address: str, decided_ms: int) -> bytes:
    """Return what a server's authority signs when the server goes on at another address."""
    return b"CALLBOX1 move" + server_id + decided_ms.to_bytes(8, "big") + address.encode()


def verify_move(authority: bytes, address: str, decided_ms: int, proof: bytes) -> None:
    """Raise Untrusted unless the authority (certificate, DER) signed this move."""
    try:
        key = x509.load_der_x509_certificate(authority).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Untrusted("the server's authority has a key of another kind")
        message = move_bytes(hashlib.sha256(authority).digest(), address, decided_ms)
        key.verify(proof, message, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise Untrusted("the server's authority did not sign this move") from None


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
