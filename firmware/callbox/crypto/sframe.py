"""Sealed media frames: SFrame (RFC 9605), suite 5 (AES-256-GCM, SHA-512, 128-bit tag).

    sealed = header | AES-GCM(key, nonce = salt xor counter, aad = header | metadata, plain) with its tag
    header = config byte, then the key id and the counter in as few bytes as they need (section 4.3)
    metadata = "DMCALL1 media" | call id | direction

Counters are never stored: a new handshake is a new key. They begin at 65,536 so that the header, and with it the
frame, keeps its size for 16.7 million frames (92 hours at 50 a second) instead of growing with the second byte after
8 frames and the third after 256. A receiver marks a counter only after the frame is authentic.
"""

from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Direction = Literal["c2r", "r2c"]

FIRST_COUNTER = 1 << 16
REPLAY_WINDOW = 128
TAG_BYTES = 16
_NONCE_BYTES = 12
_WINDOW_MASK = (1 << REPLAY_WINDOW) - 1


@dataclass(frozen=True, slots=True)
class Suite:
    """One row of RFC 9605 section 4.5 (table 1)."""

    number: int
    hash: HashAlgorithm
    key_bytes: int


AES_128_GCM = Suite(4, SHA256(), 16)
AES_256_GCM = Suite(5, SHA512(), 32)


def derive(base_key: bytes, kid: int, suite: Suite = AES_256_GCM) -> tuple[bytes, bytes]:
    """Return (key, salt) of a base key (RFC 9605 section 4.4.2): extract with an empty salt, expand twice."""
    label = kid.to_bytes(8, "big") + suite.number.to_bytes(2, "big")
    key = HKDF(suite.hash, suite.key_bytes, salt=None, info=b"SFrame 1.0 Secret key " + label).derive(base_key)
    salt = HKDF(suite.hash, _NONCE_BYTES, salt=None, info=b"SFrame 1.0 Secret salt " + label).derive(base_key)
    return key, salt


def encode_header(kid: int, counter: int) -> bytes:
    """Return the header (RFC 9605 section 4.3). Both numbers are below 2**64."""
    kid_bits, kid_bytes = _encode_number(kid)
    counter_bits, counter_bytes = _encode_number(counter)
    return bytes([kid_bits << 4 | counter_bits]) + kid_bytes + counter_bytes


def decode_header(frame: bytes) -> tuple[int, int, int] | None:
    """Return (kid, counter, header size), or None when the frame is shorter than its header."""
    if not frame:
        return None
    kid, end = _decode_number(frame, frame[0] >> 4, 1)
    counter, end = _decode_number(frame, frame[0] & 0x0F, end)
    return None if end > len(frame) else (kid, counter, end)


def sealed_bytes(plain_bytes: int) -> int:
    """Return the size of the sealed frame for a plain one, for key ids below 8 and the first 92 hours."""
    return len(encode_header(0, FIRST_COUNTER)) + plain_bytes + TAG_BYTES


def media_metadata(call_id: bytes, direction: Direction) -> bytes:
    """Return what both sides know of a frame besides its header."""
    return b"DMCALL1 media" + call_id + direction.encode()


class Sealer:
    """Seals one direction of one call. Every frame gets the next counter, so no nonce is used twice."""

    def __init__(self, base_key: bytes, call_id: bytes, direction: Direction, kid: int) -> None:
        key, salt = derive(base_key, kid)
        self._cipher = AESGCM(key)
        self._salt = int.from_bytes(salt, "big")
        self._metadata = media_metadata(call_id, direction)
        self._kid = kid
        self.counter = FIRST_COUNTER

    def seal(self, plain: bytes) -> bytes:
        """Return the sealed frame of `plain`: a few bytes of header, as many as plain, and a tag of 16."""
        counter = self.counter
        self.counter = counter + 1
        header = encode_header(self._kid, counter)
        nonce = (self._salt ^ counter).to_bytes(_NONCE_BYTES, "big")
        return header + self._cipher.encrypt(nonce, plain, header + self._metadata)


class Opener:
    """Opens one direction of one call: the first copy of a frame wins, whichever lane brought it."""

    def __init__(self, base_key: bytes, call_id: bytes, direction: Direction, kid: int) -> None:
        key, salt = derive(base_key, kid)
        self._cipher = AESGCM(key)
        self._salt = int.from_bytes(salt, "big")
        self._metadata = media_metadata(call_id, direction)
        self._kid = kid
        self._highest = -1
        self._seen = 0  # bit n: counter highest-n was opened
        self.rejected = 0
        self.duplicates = 0

    def open(self, frame: bytes) -> bytes | None:
        """Return the plain frame; None for one that is forged, damaged, too old or here already."""
        header = decode_header(frame)
        if header is None or header[0] != self._kid or len(frame) < header[2] + TAG_BYTES:
            self.rejected += 1
            return None
        _, counter, size = header
        if self._is_known(counter):
            self.duplicates += 1
            return None
        nonce = (self._salt ^ counter).to_bytes(_NONCE_BYTES, "big")
        try:
            plain = self._cipher.decrypt(nonce, frame[size:], frame[:size] + self._metadata)
        except InvalidTag:
            self.rejected += 1
            return None
        self._mark(counter)
        return plain

    def _is_known(self, counter: int) -> bool:
        """Whether the counter was opened, or lies before the window, where nobody remembers."""
        age = self._highest - counter
        return age >= 0 and (age >= REPLAY_WINDOW or bool(self._seen >> age & 1))

    def _mark(self, counter: int) -> None:
        ahead = counter - self._highest
        if ahead > 0:
            self._seen = (self._seen << ahead & _WINDOW_MASK | 1) if ahead < REPLAY_WINDOW else 1
            self._highest = counter
        else:
            self._seen |= 1 << -ahead


def _encode_number(number: int) -> tuple[int, bytes]:
    """Return the four config bits of a number (extended flag and three bits) and the bytes that follow, if any."""
    if number < 8:
        return number, b""
    size = (number.bit_length() + 7) // 8
    return 8 | (size - 1), number.to_bytes(size, "big")


def _decode_number(frame: bytes, bits: int, start: int) -> tuple[int, int]:
    """Return a number and the offset after it; an offset beyond the frame means that it is cut short."""
    if bits < 8:
        return bits, start
    end = start + (bits & 7) + 1
    return int.from_bytes(frame[start:end], "big"), end
