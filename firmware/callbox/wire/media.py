"""Media on the wire: the clear header of a media message and the plain text inside a sealed frame.

    media message   0x02 | route u32 | (size u16 | sealed frame)+          one binary WebSocket message
    sealed frame    an SFrame (RFC 9605): header | AES-256-GCM ciphertext | tag
    plain text      kind u8 | flags u8 | timestamp u32 | length u16 | payload | zeros up to `size`

`timestamp` counts 48 kHz samples and wraps. The zeros make every frame of a rate step the same size, so
that its size says nothing about the voice. All integers are big-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from msgspec import Struct

from callbox.wire.errors import MalformedMessage

MEDIA_TYPE = 0x02
MAX_MEDIA_BYTES = 4096
MAX_FRAMES = 12
_HEAD = struct.Struct(">BI")
_SIZE = struct.Struct(">H")
_PLAIN = struct.Struct(">BBIH")
PLAIN_HEAD_BYTES = _PLAIN.size


class FrameKind(IntEnum):
    VOICE = 1
    REPORT = 2


_KINDS = {int(kind): kind for kind in FrameKind}


class PlainFrame(Struct, frozen=True, gc=False):
    """What a sealed frame carries: one Opus packet, or one report to the sender. A struct: 200 a second are made."""

    kind: FrameKind
    timestamp: int
    payload: bytes
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a receiver tells the sender about the last second, inside a sealed REPORT frame.

    `most_kbps`: more than this, headers included, it does not want to be sent; 0: as much as the network carries.
    """

    received: int
    lost: int
    late: int
    delay_ms: int
    bytes_received: int = 0
    most_kbps: int = 0


_REPORT = struct.Struct(">HHHHIH")
_SHORTEST_REPORT_BYTES = 12  # without what was added since


def pack_report(report: Report) -> bytes:
    """Encode a report; each count is capped at what 16 bits hold."""
    counts = (report.received, report.lost, report.late, report.delay_ms, report.most_kbps)
    received, lost, late, delay_ms, most_kbps = (max(0, min(count, 0xFFFF)) for count in counts)
    return _REPORT.pack(received, lost, late, delay_ms, report.bytes_received & 0xFFFFFFFF, most_kbps)


def unpack_report(payload: bytes) -> Report:
    """Decode a report. Raises MalformedMessage."""
    if len(payload) < _SHORTEST_REPORT_BYTES:
        raise MalformedMessage("report is cut short")
    return Report(*_REPORT.unpack_from(payload.ljust(_REPORT.size, b"\0")))


def pack_plain(frame: PlainFrame, size: int) -> bytes:
    """Encode `frame` padded with zeros to exactly `size` bytes. Raises ValueError if it does not fit."""
    head = _PLAIN.pack(frame.kind, frame.flags, frame.timestamp & 0xFFFFFFFF, len(frame.payload))
    plain = head + frame.payload
    if len(plain) > size:
        raise ValueError(f"{len(plain)} bytes do not fit the {size}-byte step")
    return plain.ljust(size, b"\0")


def unpack_plain(plain: bytes) -> PlainFrame:
    """Decode the plain text of a sealed frame. Raises MalformedMessage."""
    if len(plain) < _PLAIN.size:
        raise MalformedMessage("media frame is cut short")
    kind, flags, timestamp, length = _PLAIN.unpack_from(plain)
    if _PLAIN.size + length > len(plain):
        raise MalformedMessage("media frame is shorter than it says")
    known = _KINDS.get(kind)
    if known is None:
        raise MalformedMessage(f"media frame of unknown kind {kind}")
    return PlainFrame(known, timestamp, plain[_PLAIN.size : _PLAIN.size + length], flags)


def pack_media(route: int, sealed: Sequence[bytes]) -> bytes:
    """Encode sealed frames for one route into one media message."""
    parts = [_HEAD.pack(MEDIA_TYPE, route)]
    for frame in sealed:
        parts += (_SIZE.pack(len(frame)), frame)
    return b"".join(parts)


def media_route(message: bytes) -> int:
    """Return the route of a media message without looking further. Raises MalformedMessage."""
    if len(message) < _HEAD.size or message[0] != MEDIA_TYPE:
        raise MalformedMessage("not a media message")
    return int.from_bytes(message[1:5], "big")


def unpack_media(message: bytes) -> tuple[int, list[bytes]]:
    """Decode a media message into its route and sealed frames. Raises MalformedMessage."""
    route = media_route(message)
    if len(message) > MAX_MEDIA_BYTES:
        raise MalformedMessage("media message is too large")
    frames: list[bytes] = []
    offset = _HEAD.size
    while offset < len(message):
        if offset + _SIZE.size > len(message):
            raise MalformedMessage("media message is cut short")
        (size,) = _SIZE.unpack_from(message, offset)
        offset += _SIZE.size
        if size == 0 or offset + size > len(message):
            raise MalformedMessage("media message is shorter than it says")
        frames.append(message[offset : offset + size])
        offset += size
        if len(frames) > MAX_FRAMES:
            raise MalformedMessage("media message has too many frames")
    if not frames:
        raise MalformedMessage("media message without frames")
    return route, frames
