"""Ogg Opus: what we write others read, what others write we read, and whatever is broken is refused in words."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.audio import ogg
from callbox.audio.codecs import open_codec
from callbox.audio.ogg import NotOggOpus, Sound
from callbox.audio.recorder import MOST_S, encode, unfold
from callbox.base.frames import RATE_HZ, silence
from callbox.crypto.blobs import MAX_CONTENT_BYTES, seal_blob
from callbox.testing.playout import hum, loudness
from callbox.wire.codec import PART_BYTES

CODEC = open_codec()
SPOKEN = encode(CODEC, hum(2.5))
FILE = ogg.write(SPOKEN)
HEADER_OF_FFMPEG = bytes.fromhex(
    "4f6767530002000000000000000076e5e47c000000003cf9b6b801134f707573486561640102380180bb0000000000"
)
"""The first page of a file of ffmpeg 5.1, stereo."""


def test_a_voice_message_sounds_as_it_was_spoken() -> None:
    sound = ogg.read(FILE)
    assert sound == Sound(SPOKEN)
    assert sound.duration_ms == 2493
    heard = list(unfold(CODEC, sound))
    assert sum(map(len, heard)) == 125 * 960 - ogg.PRE_SKIP
    assert loudness(heard[60]) == pytest.approx(loudness(hum(0.02)), rel=0.1)


def test_the_pages_of_others_have_our_checksum() -> None:
    assert (
        ogg._page([HEADER_OF_FFMPEG[28:]], 2, 0, *struct.unpack_from("<II", HEADER_OF_FFMPEG, 14)) == HEADER_OF_FFMPEG
    )


def test_five_minutes_fit_and_equal_times_have_equal_sizes() -> None:
    longest = ogg.write(SPOKEN[:50] * MOST_S)
    assert len(longest) < MAX_CONTENT_BYTES
    assert len(seal_blob(longest, bytes(16), bytes(32))) == 32 * PART_BYTES
    quiet = encode(CODEC, silence(RATE_HZ * 5 // 2))
    assert len(ogg.write(quiet)) == len(FILE), "speech and silence look alike"


@given(st.lists(st.integers(1, 1400), min_size=1, max_size=300))
def test_packets_of_any_size_come_back(sizes: list[int]) -> None:
    packets = tuple(bytes([0xF8]) + bytes(size - 1) for size in sizes)  # 20 ms, one frame
    assert ogg.read(ogg.write(packets, serial=9)).packets == packets


def test_packets_may_lie_across_pages() -> None:
    """Others let a page end in the middle of a packet; ours never does."""
    packet = bytes([0xF8]) + bytes(range(1, 250)) + bytes(400)
    head, tags = ogg.write([packet]).split(b"OggS")[1:3]
    torn = [
        ogg._page([packet[:255]], 0, 0, 1, 2)[:27],
        ogg._page([packet[510:]], 5, 960, 1, 3),
    ]
    first = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, -1, 1, 2, 0, 2) + b"\xff\xff" + packet[:510]
    first = first[:22] + ogg._crc(first).to_bytes(4, "little") + first[26:]
    assert len(torn[0]) == 27
    assert ogg.read(b"OggS" + head + b"OggS" + tags + first + torn[1]).packets == (packet,)


BROKEN = {
    "nothing": (b"", "does not begin"),
    "a wav file": (b"RIFF" + bytes(60), "not an Ogg file"),
    "cut in a header": (FILE[:20], "ends in the middle"),
    "cut in a page": (FILE[:-1], "ends in the middle"),
    "a bit turned": (FILE[:500] + bytes([FILE[500] ^ 1]) + FILE[501:], "damaged"),
    "a page missing": (FILE[: FILE.rindex(b"OggS", 0, -2000)] + FILE[FILE.rindex(b"OggS") :], "missing"),
    "no sound": (ogg.write([]), "no Opus sound"),
    "what is no Opus": (ogg.write([b"\x03"]), "no Opus sound"),
    "a packet too large": (ogg.write([bytes([0xF8]) + bytes(1500)]), "no Opus sound"),
    "vorbis": (ogg._page([b"\x01vorbis" + bytes(23)], 2, 0, 1, 0), "Opus header"),
    "no tags": (FILE[: FILE.index(b"OggS", 4)], "tags"),
    "surround": (FILE.replace(b"OpusHead\x01\x01", b"OpusHead\x01\x06"), "damaged"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_refused_in_words(how: str) -> None:
    data, words = BROKEN[how]
    with pytest.raises(NotOggOpus, match=words):
        ogg.read(data)


@given(st.binary(max_size=400), st.integers(0, len(FILE)))
def test_no_bytes_do_more_than_be_refused(noise: bytes, at: int) -> None:
    for data in (noise, b"OggS\0" + noise, FILE[:at] + noise + FILE[at + len(noise) :]):
        try:
            ogg.read(data)
        except NotOggOpus:
            continue
