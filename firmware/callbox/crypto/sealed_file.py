"""A file that a passphrase opens: Argon2id makes the key, AES-256-GCM seals the content.

    file    "CALLBOX1 sealed\n" | MessagePack [version, memory KiB, passes, lanes, salt, nonce] | ciphertext
    AAD     everything before the ciphertext

The costs travel in the file, within bounds, so that later versions may raise them. The key is derived apart from the
sealing (`derive`), because a running box must not stand still for it.
"""

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from callbox.crypto.errors import Untrusted

MAGIC = b"CALLBOX1 sealed\n"
_VERSION = 1
_LENGTH_BYTES = 2
MOST_MEMORY_KIB = 1024 * 1024
MOST_PASSES = 16


class Costs(msgspec.Struct, frozen=True, array_like=True):
    """How dear a guess is: RFC 9106's second recommendation, which a Pi Zero 2 W does in about two seconds."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4


class _Head(msgspec.Struct, frozen=True, array_like=True):
    version: int
    costs: Costs
    salt: bytes
    nonce: bytes


def derive(passphrase: str, salt: bytes, costs: Costs) -> bytes:
    """Return the 32-byte key of a passphrase. Takes a second or so."""
    argon = Argon2id(salt=salt, length=32, iterations=costs.passes, lanes=costs.lanes, memory_cost=costs.memory_kib)
    return argon.derive(passphrase.encode())


def seal_file(content: bytes, key: bytes, salt: bytes, costs: Costs, nonce: bytes) -> bytes:
    """Return the whole file. `key` is `derive(passphrase, salt, costs)`; salt 16 and nonce 12 bytes, fresh."""
    head = msgspec.msgpack.encode(_Head(_VERSION, costs, salt, nonce))
    front = MAGIC + len(head).to_bytes(_LENGTH_BYTES, "big") + head
    return front + AESGCM(key).encrypt(nonce, content, front)


def open_file(data: bytes, passphrase: str) -> bytes:
    """Return the content. Raises Untrusted: not such a file, damaged, or another passphrase (which look alike)."""
    begin = len(MAGIC) + _LENGTH_BYTES
    if not data.startswith(MAGIC) or len(data) < begin:
        raise Untrusted("not a file of this kind")
    end = begin + int.from_bytes(data[len(MAGIC) : begin], "big")
    try:
        head = msgspec.msgpack.decode(data[begin:end], type=_Head)
        sound = (
            8 * head.costs.lanes <= head.costs.memory_kib <= MOST_MEMORY_KIB and 1 <= head.costs.passes <= MOST_PASSES
        )
        if head.version != _VERSION or not sound or len(head.salt) != 16 or len(head.nonce) != 12:
            raise Untrusted("a file of another version")
        key = derive(passphrase, head.salt, head.costs)
        return AESGCM(key).decrypt(head.nonce, data[end:], data[:end])
    except (InvalidTag, msgspec.DecodeError, ValueError, OverflowError):
        raise Untrusted("damaged, or sealed with another passphrase") from None
