"""Bytes to messages and back: one version byte, then MessagePack by msgspec.

    control message   0x01 | MessagePack of one tagged union member
    media message     0x02 | ...                                     see media.py

Whatever is wrong with the bytes, decoding raises MalformedMessage and nothing else. Unknown fields are ignored,
so that a later version may add some.
"""

import hashlib
from typing import TypeVar

import msgspec

from callbox.wire.bodies import Heard, Inner, OwnMarks, VoiceMessage
from callbox.wire.errors import MalformedMessage
from callbox.wire.names import is_valid_name
from callbox.wire.records import KEY_BYTES, SIGNATURE_BYTES, DeviceRecord
from callbox.wire.signals import (
    Acknowledge,
    BeginBlob,
    BlobPart,
    ClientMessage,
    Envelope,
    PutPart,
    ServerMessage,
    Welcome,
)

CONTROL_VERSION = 0x01
MAX_CONTROL_BYTES = 64 * 1024 + 2048  # a full envelope and what is around it
MAX_CIPHERTEXT_BYTES = 64 * 1024
MESSAGE_ID_BYTES = 16
PADDING_STEPS = (256, 1024, 4096, 16 * 1024, 48 * 1024)
_LENGTH_BYTES = 4

# Blobs: of so many parts, each of this size. An observer learns which step, not more of the length.
PART_BYTES = 32 * 1024
BLOB_STEPS = (1, 2, 4, 8, 16, 32, 64)
MAX_BLOB_BYTES = BLOB_STEPS[-1] * PART_BYTES

_encoder = msgspec.msgpack.Encoder()
_client = msgspec.msgpack.Decoder(ClientMessage)
_server = msgspec.msgpack.Decoder(ServerMessage)
_inner = msgspec.msgpack.Decoder(Inner)
_record = msgspec.msgpack.Decoder(DeviceRecord)
Message = TypeVar("Message")


def encode_message(message: ClientMessage | ServerMessage) -> bytes:
    """Encode a control message, version byte first."""
    return bytes([CONTROL_VERSION]) + _encoder.encode(message)


def decode_client_message(data: bytes) -> ClientMessage:
    """Decode what a box sent to the server. Raises MalformedMessage."""
    message: ClientMessage = _decode(_client, _control_body(data))
    return message


def decode_server_message(data: bytes) -> ServerMessage:
    """Decode what the server sent to a box. Raises MalformedMessage."""
    message: ServerMessage = _decode(_server, _control_body(data))
    return message


def encode_inner(inner: Inner) -> bytes:
    """Encode and pad a letter, ready for Olm."""
    return pad(_encoder.encode(inner))


def decode_inner(padded: bytes) -> Inner:
    """Unpad and decode a letter out of Olm. Raises MalformedMessage."""
    return _decode(_inner, unpad(padded))


def encode_record(record: DeviceRecord) -> bytes:
    return _encoder.encode(record)


def decode_record(data: bytes) -> DeviceRecord:
    """Decode a device record and check its shape, not its signatures. Raises MalformedMessage."""
    record = _decode(_record, data)
    keys = (record.account_key, record.auth_key, record.olm_signing_key, record.olm_exchange_key)
    if any(len(key) != KEY_BYTES for key in keys):
        raise MalformedMessage("a key in the device record has the wrong length")
    return record


def pad(data: bytes) -> bytes:
    """Prefix the length and fill with zeros to the next of PADDING_STEPS. Raises ValueError when too large."""
    needed = _LENGTH_BYTES + len(data)
    for step in PADDING_STEPS:
        if needed <= step:
            return (len(data).to_bytes(_LENGTH_BYTES, "big") + data).ljust(step, b"\0")
    raise ValueError(f"{len(data)} bytes are more than a letter holds")


def unpad(padded: bytes) -> bytes:
    """Undo `pad`. Raises MalformedMessage unless the size is a step and the filling is zeros."""
    if len(padded) not in PADDING_STEPS:
        raise MalformedMessage("letter is not padded to a known size")
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    data, filling = padded[_LENGTH_BYTES : _LENGTH_BYTES + length], padded[_LENGTH_BYTES + length :]
    if len(data) != length or filling.strip(b"\0"):
        raise MalformedMessage("letter's padding is damaged")
    return data


def login_transcript(server_id: bytes, server_nonce: bytes, nonce: bytes, device: str, connection_epoch: int) -> bytes:
    """Return the bytes that a device signs to log in; every part has a fixed length after hashing."""
    parts = (server_id, server_nonce, nonce, device.encode(), connection_epoch.to_bytes(8, "big"))
    digests = b"".join(hashlib.sha256(part).digest() for part in parts)
    return b"CALLBOX1 login" + digests


def erasure_transcript(server_id: bytes, session: bytes, account: str) -> bytes:
    """Return the bytes that an account key signs to have the account erased; good in this one session."""
    return b"CALLBOX1 erase" + b"".join(
        hashlib.sha256(part).digest() for part in (server_id, session, account.encode())
    )


def _control_body(data: bytes) -> bytes:
    if not data or data[0] != CONTROL_VERSION:
        raise MalformedMessage("not a control message of a known version")
    if len(data) > MAX_CONTROL_BYTES:
        raise MalformedMessage("control message is too large")
    return data[1:]


def _decode(decoder: "msgspec.msgpack.Decoder[Message]", data: bytes) -> Message:
    try:
        message = decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError, OverflowError) as error:
        raise MalformedMessage(_printable(str(error))) from None
    _check_struct(message)
    return message


_FIXED_BYTES = {
    "message_id": 16,
    "blob": 16,
    "digest": 32,
    "call_id": 16,
    "token": 16,
    "nonce": 32,
    "server_id": 32,
    "commitment": 32,
    "ephemeral": 32,
    "mac": 32,
    "key": KEY_BYTES,
    "from_key": KEY_BYTES,
    "to_key": KEY_BYTES,
    "signature": SIGNATURE_BYTES,
    "by_account": SIGNATURE_BYTES,
    "by_device": SIGNATURE_BYTES,
}
_NAMES = frozenset({"account", "from_account", "to_account", "peer_account", "contact"})


def _check_struct(message: object) -> None:
    """Refuse names, identifiers and keys of a wrong form, at any depth, before a room sees them."""
    if isinstance(message, tuple):
        for item in message:
            if isinstance(item, msgspec.Struct):
                _check_struct(item)
        return
    if not isinstance(message, msgspec.Struct):
        return
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if isinstance(value, bytes):
            expected = _FIXED_BYTES.get(name)
            if expected is not None and len(value) != expected:
                raise MalformedMessage(f"{name} has {len(value)} bytes, not {expected}")
        elif name in _NAMES:
            _check_name(value)
        elif isinstance(value, msgspec.Struct | tuple):
            _check_struct(value)
    _check_special(message)


def _check_special(message: msgspec.Struct) -> None:
    """Check what a field's name does not tell: sizes, and identifiers inside plain tuples."""
    if isinstance(message, Envelope) and len(message.ciphertext) > MAX_CIPHERTEXT_BYTES:
        raise MalformedMessage("ciphertext is too large")
    if isinstance(message, PutPart | BlobPart) and len(message.data) != PART_BYTES:
        raise MalformedMessage("a part of a wrong size")
    if isinstance(message, BeginBlob | VoiceMessage) and message.parts not in BLOB_STEPS:
        raise MalformedMessage("a blob of a wrong size")
    if isinstance(message, Acknowledge) and any(len(letter[1]) != MESSAGE_ID_BYTES for letter in message.letters):
        raise MalformedMessage("message id of a wrong length")
    if isinstance(message, Heard | OwnMarks) and any(
        len(message_id) != MESSAGE_ID_BYTES for message_id in message.messages
    ):
        raise MalformedMessage("message id of a wrong length")
    if isinstance(message, Welcome):
        for account, _row in message.rows:
            _check_name(account)


def _printable(complaint: str) -> str:
    """Cut a decoder's complaint and drop what would play tricks in a log: it may quote the sender's bytes."""
    return "".join(letter if letter.isprintable() else "?" for letter in complaint[:200])


def _check_name(name: str) -> None:
    if not is_valid_name(name):
        raise MalformedMessage("not an account name")
