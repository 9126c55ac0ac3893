"""What a person copies by hand: the contact card of an account and the invite to a server. Pure text, no keys used.

    card     name@server#fingerprint          printed by `callbox contacts card`, read by `callbox allow`
    invite   callbox-invite:<base64url>       printed by `callbox server invite`, read by `callbox join`

Both survive a shell's double quotes (none of $ ` ! \\ ") and the line breaks that chat programs add. An invite ends
in a checksum, so that half a line is told apart from a wrong one before any network is touched.
"""

import base64
import binascii
import hashlib
import re
import string
from dataclasses import dataclass

import msgspec

from callbox.base.errors import WrongUse
from callbox.wire.names import is_valid_name, valid_name
from callbox.wire.records import KEY_BYTES

FINGERPRINT_LETTERS = 32
"""Base32 letters of a fingerprint: 160 bits of a hash of the account key (`crypto.records.fingerprint`)."""

_SERVER = re.compile(r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[0-9]{1,5})?\Z")
_FINGERPRINT = re.compile(r"^[A-Z2-7]{32}\Z")
_TOKEN = re.compile(r"^[A-Za-z0-9_-]{8,64}\Z")
_PIN = re.compile(r"^[0-9a-f]{64}\Z")
_PREFIX = "callbox-invite:"
_CHECK_BYTES = 4
_QUOTES = "\"'`<>()[]“”‘’«»"
_BASE64URL = frozenset(string.ascii_letters + string.digits + "-_=")
_NEW_INVITE = "Ask for a new one: `callbox server invite NAME` on the server prints it."


@dataclass(frozen=True, slots=True)
class Card:
    """Who somebody is and where: enough to pin the account key before the first word."""

    name: str
    server: str  # HOST or HOST:PORT
    fingerprint: str  # 32 base32 letters

    def __str__(self) -> str:
        return f"{self.name}@{self.server}#{self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Invite:
    """Everything that `callbox join` needs: where, as whom, and how to know the server is the right one."""

    server: str  # HOST:PORT
    name: str
    token: str
    authority_pin: str  # hex SHA-256 of the CA certificate (DER)
    fingerprint: str = ""  # of the account that the box must belong to; empty for a new account
    account_key: bytes = b""  # the key that it is of: the box is linked to that account, its token made by a box of it

    def __str__(self) -> str:
        pin = bytes.fromhex(self.authority_pin)
        payload = _encoder.encode(_Packed(self.server, self.name, self.token, pin, self.fingerprint, self.account_key))
        text = base64.urlsafe_b64encode(payload + _check(payload)).decode()
        return _PREFIX + text.rstrip("=")


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    server: str
    name: str
    token: str
    pin: bytes
    fingerprint: str
    account_key: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_packed = msgspec.msgpack.Decoder(_Packed)


def parse_fingerprint(text: str) -> str:
    """Return the 32 letters of a fingerprint written with or without groups, in any case. Raises WrongUse."""
    letters = "".join(text.split()).replace("-", "").upper()
    if not _FINGERPRINT.search(letters):
        raise WrongUse(
            f"{_shown(text)} is not a fingerprint.",
            f"A fingerprint has {FINGERPRINT_LETTERS} letters A-Z and digits 2-7; `callbox contacts card` prints it.",
        )
    return letters


def parse_card(text: str) -> Card:
    """Read a contact card. Raises WrongUse, in words for the person who pasted it."""
    joined = "".join(text.split()).strip(_QUOTES)
    name, at, rest = joined.partition("@")
    server, hash_sign, letters = rest.partition("#")
    if not at or not hash_sign or not _SERVER.search(server):
        raise WrongUse(
            f"{_shown(text)} is not a contact card.",
            "A card reads name@server#fingerprint; the other box prints its own with `callbox contacts card`.",
        )
    return Card(valid_name(name), server, parse_fingerprint(letters))


def parse_invite(line: str) -> Invite:
    """Read an invite line. Raises WrongUse, in words for the person who pasted it."""
    joined = "".join(line.split()).strip(_QUOTES)
    if not joined.startswith(_PREFIX):
        raise WrongUse(f"{_shown(line)} is not an invite: one begins with {_PREFIX}", _NEW_INVITE)
    payload = _checked(joined.removeprefix(_PREFIX))
    try:
        packed = _packed.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise WrongUse("This invite was made by another version of Callbox.", _NEW_INVITE) from None
    invite = Invite(packed.server, packed.name, packed.token, packed.pin.hex(), packed.fingerprint, packed.account_key)
    sound = (
        _SERVER.search(invite.server)
        and is_valid_name(invite.name)
        and _TOKEN.search(invite.token)
        and _PIN.search(invite.authority_pin)
        and (not invite.fingerprint or _FINGERPRINT.search(invite.fingerprint))
        and len(invite.account_key) in (0, KEY_BYTES)
        and bool(invite.fingerprint) >= bool(invite.account_key)
    )
    if not sound:
        raise WrongUse("This invite holds something that no server writes.", _NEW_INVITE)
    return invite


def _checked(text: str) -> bytes:
    """Return the payload under a base64url text with checksum. Raises WrongUse."""
    damaged = WrongUse(
        "This invite is cut short or was changed on its way.", "Copy the whole line again, or: " + _NEW_INVITE
    )
    if not set(text) <= _BASE64URL:  # the decoder would skip foreign letters silently
        raise damaged
    bare = text.rstrip("=")
    try:
        data = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (binascii.Error, ValueError):
        raise damaged from None
    payload, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if not payload or check != _check(payload):
        raise damaged
    return payload


def _check(payload: bytes) -> bytes:
    return hashlib.sha256(b"CALLBOX1 invite" + payload).digest()[:_CHECK_BYTES]


def _shown(text: str) -> str:
    """Return the beginning of what a person pasted, fit for a terminal."""
    short = text if len(text) <= 40 else text[:37] + "..."
    return repr(short)
