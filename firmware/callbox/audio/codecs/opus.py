"""Opus by ctypes over libopus: hard constant bit rate, forward error correction, concealment, run-time rate.

    samples int16 -> opus_encode -> packet of bits_per_s * packet_ms / 8000 bytes, always
    packet -> opus_decode(fec=0) decode | opus_decode(fec=1) recover | opus_decode(NULL) conceal

No binding on PyPI does all of this at once; the part of the C interface that we need is small.
Constants: opus_defines.h; the packet's first byte ("TOC"): RFC 6716 section 3.1.

What the encoder does at which rate is chosen by measurement (PESQ-WB, 20 s of recorded speech of two people):
without its voice model from 40 kbit/s on (10 ms, 48 kbit/s: 4.54 for 4.41, a third of the processor time, 4 ms less
look-ahead); below that with the bandwidth that the bits are enough for (20 ms, 24 kbit/s: 4.38 for 4.20); and a packet
of 60 ms as three frames of 20 ms, which share bits better than one of 60 (12 kbit/s: 3.66 for 2.91).
"""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_int16, c_int32, c_void_p
from dataclasses import dataclass

import numpy as np

from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples

_SET_APPLICATION, _SET_BITRATE, _SET_VBR, _SET_BANDWIDTH, _SET_COMPLEXITY = 4000, 4002, 4006, 4008, 4010
_SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_DTX, _GET_LOOKAHEAD, _RESET_STATE = 4012, 4014, 4016, 4027, 4028
_FORCE_MODE = 11002  # not in opus_defines.h, but in every libopus since 1.0: opus_private.h
_AUTO, _SILK = -1000, 1000
_MOST_BYTES = 1500
_LONGEST_SAMPLES = RATE_HZ * 120 // 1000


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libopus.so.0")
    except OSError:
        raise CallboxError("the Opus library is missing", "install it: sudo apt install libopus0") from None
    library.opus_encoder_create.argtypes = [c_int32, c_int, c_int, POINTER(c_int)]
    library.opus_encoder_create.restype = c_void_p
    library.opus_encoder_destroy.argtypes = [c_void_p]
    library.opus_encode.argtypes = [c_void_p, c_void_p, c_int, c_void_p, c_int32]
    library.opus_repacketizer_init.argtypes = [c_char_p]
    library.opus_repacketizer_init.restype = c_void_p
    library.opus_repacketizer_cat.argtypes = [c_char_p, c_char_p, c_int32]
    library.opus_repacketizer_out.argtypes = [c_char_p, c_char_p, c_int32]
    library.opus_packet_pad.argtypes = [c_char_p, c_int32, c_int32]
    library.opus_decoder_create.argtypes = [c_int32, c_int, POINTER(c_int)]
    library.opus_decoder_create.restype = c_void_p
    library.opus_decoder_destroy.argtypes = [c_void_p]
    library.opus_decode.argtypes = [c_void_p, c_char_p, c_int32, POINTER(c_int16), c_int, c_int]
    # opus_encoder_ctl is variadic: without argtypes the handle must be passed as c_void_p at every call.
    return library


def packet_samples(packet: bytes) -> int:
    """Return how many 48 kHz samples an Opus packet spans; 0 for what cannot be one (RFC 6716, 3.1 and 3.2)."""
    if not packet:
        return 0
    toc = packet[0]
    config = toc >> 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    code = toc & 3
    if code == 3 and len(packet) < 2:
        return 0
    frames = (1, 2, 2)[code] if code < 3 else packet[1] & 0x3F
    samples = frame * frames
    return samples if samples <= _LONGEST_SAMPLES else 0


@dataclass(frozen=True, slots=True)
class _Way:
    """How the encoder works from a rate on: OPUS_APPLICATION_*, mode, OPUS_BANDWIDTH_*, complexity."""

    from_bits_per_s: int
    application: int
    mode: int
    bandwidth: int
    complexity: int


_WAYS = (
    _Way(40_000, 2051, _AUTO, _AUTO, 10),  # low delay: no voice model, so no copies of earlier packets either
    _Way(16_000, 2048, _SILK, 1103, 5),  # 8 kHz; at complexity 10 it takes twice the time for .1 PESQ more
    _Way(10_000, 2048, _SILK, 1102, 5),  # 6 kHz
    _Way(0, 2048, _SILK, 1101, 5),  # 4 kHz
)
_SPLIT_OVER_MS = 40
_SPLIT_MS = 20


def _way(bits_per_s: int) -> _Way:
    return next(way for way in _WAYS if bits_per_s >= way.from_bits_per_s)


class _Joiner:
    """Makes one packet of several, of exactly the size that is wanted (RFC 6716, 3.2.5; libopus' repacketizer)."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._state = ctypes.create_string_buffer(library.opus_repacketizer_get_size())
        self._packet = ctypes.create_string_buffer(_MOST_BYTES)

    def joined(self, frames: Sequence[bytes], size: int) -> bytes:
        library, state = self._library, self._state
        library.opus_repacketizer_init(state)
        refused = sum(library.opus_repacketizer_cat(state, frame, len(frame)) for frame in frames)
        made = library.opus_repacketizer_out(state, self._packet, size)
        if refused or made <= 0 or library.opus_packet_pad(self._packet, made, size):
            raise CallboxError(f"the Opus library did not join {len(frames)} frames in {size} bytes")
        return self._packet.raw[:size]


class OpusEncoder:
    """One direction of one call; see `Encoder`."""

    def __init__(self, library: ctypes.CDLL, bits_per_s: int, packet_ms: int) -> None:
        self._library = library
        error = c_int(0)
        self._way = _way(bits_per_s)
        self._state: int | None = library.opus_encoder_create(RATE_HZ, 1, self._way.application, byref(error))
        if error.value or not self._state:
            raise CallboxError(f"the Opus library refused to make an encoder (error {error.value})")
        self._packet = ctypes.create_string_buffer(_MOST_BYTES)
        self._set(_SET_VBR, 0)
        self._set(_SET_DTX, 0)
        self._joiner = _Joiner(library)
        self._fec = False
        self.packet_bytes = self._samples = self._frame_samples = self._frame_bytes = 0
        self._tune()
        self.set_rate(bits_per_s, packet_ms)

    def _tune(self) -> None:
        self._set(_FORCE_MODE, self._way.mode)
        self._set(_SET_BANDWIDTH, self._way.bandwidth)
        self.set_complexity(self._way.complexity)

    def _set(self, request: int, value: int) -> None:
        self._library.opus_encoder_ctl(c_void_p(self._state), c_int(request), c_int32(value))

    def set_rate(self, bits_per_s: int, packet_ms: int) -> None:
        frame_ms = _SPLIT_MS if packet_ms > _SPLIT_OVER_MS else packet_ms
        self._samples, self._frame_samples = (RATE_HZ * ms // 1000 for ms in (packet_ms, frame_ms))
        self.packet_bytes = self._frame_bytes = bits_per_s * packet_ms // 8000
        if frame_ms < packet_ms:
            self._frame_bytes = (self.packet_bytes - 3) * frame_ms // packet_ms + 1  # 3: the head of the joined one
        way = _way(bits_per_s)
        if way is not self._way:
            self._way = way
            self._set(_RESET_STATE, 0)  # the application can be changed only before the first packet
            self._set(_SET_APPLICATION, way.application)
            self._tune()
        self._set(_SET_BITRATE, self._frame_bytes * 8000 // frame_ms)

    def set_packet_loss(self, percent: int) -> None:
        self._set(_SET_PACKET_LOSS, max(0, min(100, percent)))

    def set_fec(self, on: bool) -> None:
        self._fec = on
        self._set(_SET_INBAND_FEC, int(on))

    @property
    def carries_copies(self) -> bool:
        return self._fec and self._way.mode == _SILK

    def set_complexity(self, complexity: int) -> None:
        self._set(_SET_COMPLEXITY, max(0, min(10, complexity)))

    @property
    def lookahead_samples(self) -> int:
        """Delay that the encoder itself adds, in samples."""
        value = c_int32(0)
        self._library.opus_encoder_ctl(c_void_p(self._state), c_int(_GET_LOOKAHEAD), byref(value))
        return value.value

    def encode(self, samples: Samples) -> bytes:
        if len(samples) != self._samples:
            raise ValueError(f"a packet takes {self._samples} samples, not {len(samples)}")
        if self._frame_samples == self._samples:
            return self._encode(samples)
        starts = range(0, self._samples, self._frame_samples)
        frames = [self._encode(samples[at : at + self._frame_samples]) for at in starts]
        return self._joiner.joined(frames, self.packet_bytes)

    def _encode(self, samples: Samples) -> bytes:
        # As bytes: NumPy's `.ctypes` builds objects that cost more than copying 10 ms of sound.
        pcm, size = samples.tobytes(), self._frame_bytes
        written = self._library.opus_encode(self._state, pcm, self._frame_samples, self._packet, size)
        if written != size:
            raise CallboxError(f"the Opus encoder gave {written} where {size} bytes were due")
        return self._packet.raw[:written]

    def close(self) -> None:
        if self._state:
            self._library.opus_encoder_destroy(self._state)
            self._state = None


class OpusDecoder:
    """One direction of one call; see `Decoder`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        error = c_int(0)
        self._state: int | None = library.opus_decoder_create(RATE_HZ, 1, byref(error))
        if error.value or not self._state:
            raise CallboxError(f"the Opus library refused to make a decoder (error {error.value})")
        self._pcm = np.zeros(_LONGEST_SAMPLES, dtype=np.int16)
        self._into = self._pcm.ctypes.data_as(POINTER(c_int16))

    def span(self, packet: bytes) -> int:
        return packet_samples(packet)

    def decode(self, packet: bytes, samples: int) -> Samples:
        made = self._run(packet, _LONGEST_SAMPLES, 0)
        return self._pcm[:samples].copy() if made == samples else self.conceal(samples)

    def recover(self, packet: bytes, samples: int) -> Samples:
        made = self._run(packet, samples, 1)
        return self._pcm[:samples].copy() if made == samples else self.conceal(samples)

    def conceal(self, samples: int) -> Samples:
        made = self._run(None, samples, 0)
        if made < samples:
            self._pcm[max(0, made) : samples] = 0
        return self._pcm[:samples].copy()

    def _run(self, packet: bytes | None, room: int, fec: int) -> int:
        size = len(packet) if packet is not None else 0
        made: int = self._library.opus_decode(self._state, packet, size, self._into, room, fec)
        return made

    def close(self) -> None:
        if self._state:
            self._library.opus_decoder_destroy(self._state)
            self._state = None


class Opus:
    """The codec: see `Codec`."""

    def __init__(self) -> None:
        self._library = _load()

    def encoder(self, bits_per_s: int, packet_ms: int) -> OpusEncoder:
        return OpusEncoder(self._library, bits_per_s, packet_ms)

    def decoder(self) -> OpusDecoder:
        return OpusDecoder(self._library)


def codec() -> Opus:
    """Return the Opus codec. Raises CallboxError if libopus is not installed."""
    return Opus()
