"""Accounts, devices and invites: who is who, signed.

A device record travels as the exact bytes that were signed, so that no canonical form is needed: read them
with `crypto.records.verify_record`, which checks both signatures.
"""

from typing import Annotated, Literal

import msgspec

from callbox.wire.names import MAX_NAME_CHARACTERS

DEVICE_PATTERN = r"^[0-9a-f]{16}\Z"
AccountName = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
"""An account's name as `names.valid_name` leaves it; the codec refuses any other."""

DeviceId = Annotated[str, msgspec.Meta(pattern=DEVICE_PATTERN)]
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""A count, a time or an identifier: never negative, and small enough for SQLite and eight bytes."""

Words = Annotated[str, msgspec.Meta(max_length=200)]
"""A short text for people or logs. Whoever prints it makes it harmless first."""

RouteNumber = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
"""What a media message carries in four bytes."""

DEVICE_ID_BYTES = 8
KEY_BYTES = 32
SIGNATURE_BYTES = 64


class DeviceRecord(msgspec.Struct, frozen=True, tag="device"):
    """What an account says about one of its devices. A record with a lower sequence than one seen is refused."""

    account: AccountName
    account_key: bytes  # Ed25519 public key of the account
    device: DeviceId  # 16 hex digits
    auth_key: bytes  # Ed25519, signs logins
    olm_signing_key: bytes  # Ed25519 of the Olm account
    olm_exchange_key: bytes  # Curve25519 of the Olm account
    kind: Words  # "box", later "browser" and others
    created_ms: Number
    sequence: Number
    revoked: bool = False


class SignedRecord(msgspec.Struct, frozen=True):
    """An encoded DeviceRecord with the signatures of the account key and of the device's auth key over it."""

    record: bytes
    by_account: bytes
    by_device: bytes


class SignedKey(msgspec.Struct, frozen=True):
    """A Curve25519 prekey signed by the device's auth key (Olm's own 3DH does not sign one-time keys)."""

    key: bytes
    signature: bytes
    fallback: bool = False


Row = Literal["blocked", "request", "message", "knock", "ring"]
"""What one account may do towards another, as the server enforces it; the box keeps the finer rules."""

ROWS: tuple[Row, ...] = ("blocked", "request", "message", "knock", "ring")
