"""Ogg Opus, the open format that voice messages are kept in: written, and read back with every bound checked.

    packets --write--> OpusHead page | OpusTags page | a page per second of packets ...   --read--> packets

RFC 3533 (Ogg: pages of up to 255 segments of up to 255 bytes; a packet ends with a segment shorter than that), RFC 7845
(Opus in it: header, tags, granule positions in 48 kHz samples). One stream, one or two channels; nothing else.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from callbox.audio.codecs.opus import packet_samples

PRE_SKIP = 312  # samples that libopus looks ahead at 48 kHz
MOST_PACKETS = 120_000  # 5 minutes of the shortest
MOST_PACKET_BYTES = 1500
_PAGE_SAMPLES = 48_000
_HEAD = struct.Struct("<4sBBqIIIB")
_CRC_AT = 22
_FIRST, _LAST, _CONTINUED = 2, 4, 1
_VENDOR = b"callbox"
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


class NotOggOpus(ValueError):
    """These bytes are no Ogg Opus file that can be played here; the text says why."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What a file holds. `skip`: samples at its beginning that are not to be heard."""

    packets: tuple[bytes, ...]
    skip: int = PRE_SKIP

    @property
    def duration_ms(self) -> int:
        """How long it sounds."""
        return max(0, sum(map(packet_samples, self.packets)) - self.skip) * 1000 // 48_000


def write(packets: Sequence[bytes], serial: int = 1) -> bytes:
    """Return a file of these Opus packets, one channel. `serial`: number of the stream."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, 48_000, 0, 0)
    tags = struct.pack("<8sI7sI", b"OpusTags", len(_VENDOR), _VENDOR, 0)
    pages = [_page([head], _FIRST, 0, serial, 0), _page([tags], 0, 0, serial, 1)]
    granule, gathered, since = 0, list[bytes](), 0
    for place, packet in enumerate(packets):
        gathered.append(packet)
        granule += packet_samples(packet)
        segments = sum(len(waiting) // 255 + 1 for waiting in gathered)
        last = place + 1 == len(packets)
        if last or granule - since >= _PAGE_SAMPLES or segments > 200:
            pages.append(_page(gathered, _LAST if last else 0, granule, serial, len(pages)))
            gathered, since = [], granule
    return b"".join(pages)


def read(data: bytes) -> Sound:
    """Return what is in a file. Raises NotOggOpus for whatever is not a whole Ogg Opus file."""
    packets = list(_packets(data))
    if not packets or packets[0][:8] != b"OpusHead" or len(packets[0]) < 19:
        raise NotOggOpus("it does not begin with an Opus header")
    _, version, channels, skip, _, _, family = struct.unpack_from("<8sBBHIhB", packets[0])
    if version > 15 or channels not in (1, 2) or family:
        raise NotOggOpus("its header is of a kind that is not played here")
    if len(packets) < 2 or packets[1][:8] != b"OpusTags":
        raise NotOggOpus("its tags are missing")
    voice = tuple(packets[2:])
    if not voice or any(not packet_samples(packet) or len(packet) > MOST_PACKET_BYTES for packet in voice):
        raise NotOggOpus("there is no Opus sound in it, or sound that is damaged")
    return Sound(voice, skip)


def _packets(data: bytes) -> Iterator[bytes]:
    """Yield the packets of the one stream, over the borders of pages."""
    at, number, begun, serial, count = 0, 0, bytearray(), None, 0
    while at < len(data):
        lacing, body, kind, stream, sequence, at = _read_page(data, at)
        if serial not in (None, stream) or sequence != number:
            raise NotOggOpus("pages are missing or of another stream")
        if bool(kind & _CONTINUED) != bool(begun):
            raise NotOggOpus("a packet is torn")
        serial, number, place = stream, number + 1, 0
        for size in lacing:
            begun += body[place : place + size]
            place += size
            if size < 255:
                yield bytes(begun)
                begun = bytearray()
                count += 1
                if count > MOST_PACKETS:
                    raise NotOggOpus("it is too long")
    if begun:
        raise NotOggOpus("it ends in the middle")


def _read_page(data: bytes, at: int) -> tuple[bytes, bytes, int, int, int, int]:
    """Return lacing, body, kind, stream, sequence of the page at `at`, and where the next one begins."""
    if len(data) - at < _HEAD.size:
        raise NotOggOpus("it ends in the middle")
    magic, version, kind, _, stream, sequence, crc, segments = _HEAD.unpack_from(data, at)
    if magic != b"OggS" or version:
        raise NotOggOpus("it is not an Ogg file")
    body_at = at + _HEAD.size + segments
    lacing = data[at + _HEAD.size : body_at]
    end = body_at + sum(lacing)
    if len(lacing) != segments or end > len(data):
        raise NotOggOpus("it ends in the middle")
    if crc != _crc(data[at : at + _CRC_AT] + bytes(4) + data[at + _CRC_AT + 4 : end]):
        raise NotOggOpus("it is damaged")
    return lacing, data[body_at:end], kind, stream, sequence, end


def _page(packets: Sequence[bytes], kind: int, granule: int, serial: int, sequence: int) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    head = _HEAD.pack(b"OggS", 0, kind, granule, serial, sequence, 0, len(lacing))
    page = head + lacing + b"".join(packets)
    return page[:_CRC_AT] + _crc(page).to_bytes(4, "little") + page[_CRC_AT + 4 :]


def _crc(page: bytes) -> int:
    """Return Ogg's CRC: that of zlib, but with bits the other way round and nothing inverted."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
