"""Blobs: what is too large for a letter, sealed under a key of its own that travels in one.

    content -> length u32 | content | zeros up to a step -> AES-256-GCM -> exactly 1, 2, 4 ... 64 parts

The nonce is all zeros, which is sound for a key that seals one thing once: sealing the same content again under the
same key and number gives the same bytes, so that an upload can go on after a restart. An observer learns the step and
no more.
"""

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callbox.crypto.errors import Untrusted
from callbox.wire.codec import BLOB_STEPS, MAX_BLOB_BYTES, PART_BYTES

KEY_BYTES = 32
_TAG_BYTES = 16
_LENGTH_BYTES = 4
_NONCE = bytes(12)
MAX_CONTENT_BYTES = MAX_BLOB_BYTES - _TAG_BYTES - _LENGTH_BYTES


def seal_blob(content: bytes, blob: bytes, key: bytes) -> bytes:
    """Seal `content` under a fresh `key` of 32 bytes. Raises ValueError when it is too large for a blob."""
    needed = _LENGTH_BYTES + len(content) + _TAG_BYTES
    step = next((step for step in BLOB_STEPS if needed <= step * PART_BYTES), None)
    if step is None:
        raise ValueError("too large for a blob")
    padded = (len(content).to_bytes(_LENGTH_BYTES, "big") + content).ljust(step * PART_BYTES - _TAG_BYTES, b"\0")
    return AESGCM(key).encrypt(_NONCE, padded, _context(blob))


def digest_of(sealed: bytes) -> bytes:
    """Return the SHA-256 that travels with the key."""
    return hashlib.sha256(sealed).digest()


def open_blob(sealed: bytes, blob: bytes, key: bytes, digest: bytes) -> bytes:
    """Return the content. Raises Untrusted when these are not the very bytes that were sealed."""
    if digest_of(sealed) != digest:
        raise Untrusted("the parts are not those that were sent")
    try:
        padded = AESGCM(key).decrypt(_NONCE, sealed, _context(blob))
    except (InvalidTag, ValueError):
        raise Untrusted("it was not sealed under the key that came with it") from None
    length = int.from_bytes(padded[:_LENGTH_BYTES], "big")
    if length > len(padded) - _LENGTH_BYTES:
        raise Untrusted("its length is not true")
    return padded[_LENGTH_BYTES : _LENGTH_BYTES + length]


def _context(blob: bytes) -> bytes:
    return b"CALLBOX1 blob" + blob
