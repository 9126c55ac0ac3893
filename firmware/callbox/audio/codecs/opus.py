"""Opus by ctypes over libopus: hard constant bit rate, forward error correction, concealment, run-time rate.

    samples int16 -> opus_encode -> packet of bits_per_s * packet_ms / 8000 bytes, always
    packet -> opus_decode(fec=0) decode | opus_decode(fec=1) recover | opus_decode(NULL) conceal

No binding on PyPI does all of this at once; the part of the C interface that we need is small.
Constants: opus_defines.h; the packet's first byte ("TOC"): RFC 6716 section 3.1.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int16, c_int32, c_void_p

import numpy as np

from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples

_VOIP = 2048
_SET_BITRATE, _SET_VBR, _SET_COMPLEXITY = 4002, 4006, 4010
_SET_INBAND_FEC, _SET_PACKET_LOSS, _SET_DTX, _GET_LOOKAHEAD = 4012, 4014, 4016, 4027
_MOST_BYTES = 1500
COMPLEXITY = 5  # of 10: what the figures in `audio.steps` were measured with
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


class OpusEncoder:
    """One direction of one call; see `Encoder`."""

    def __init__(self, library: ctypes.CDLL, bits_per_s: int, packet_ms: int) -> None:
        self._library = library
        error = c_int(0)
        self._state: int | None = library.opus_encoder_create(RATE_HZ, 1, _VOIP, byref(error))
        if error.value or not self._state:
            raise CallboxError(f"the Opus library refused to make an encoder (error {error.value})")
        self._packet = ctypes.create_string_buffer(_MOST_BYTES)
        self._set(_SET_VBR, 0)
        self._set(_SET_DTX, 0)
        self.set_complexity(COMPLEXITY)
        self.packet_bytes = 0
        self._samples = 0
        self.set_rate(bits_per_s, packet_ms)

    def _set(self, request: int, value: int) -> None:
        self._library.opus_encoder_ctl(c_void_p(self._state), c_int(request), c_int32(value))

    def set_rate(self, bits_per_s: int, packet_ms: int) -> None:
        self._samples = RATE_HZ * packet_ms // 1000
        self.packet_bytes = bits_per_s * packet_ms // 8000
        self._set(_SET_BITRATE, bits_per_s)

    def set_packet_loss(self, percent: int) -> None:
        self._set(_SET_PACKET_LOSS, max(0, min(100, percent)))

    def set_fec(self, on: bool) -> None:
        self._set(_SET_INBAND_FEC, int(on))

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
        # As bytes: NumPy's `.ctypes` builds objects that cost more than copying 10 ms of sound.
        pcm = samples.tobytes()
        written = self._library.opus_encode(self._state, pcm, self._samples, self._packet, self.packet_bytes)
        if written != self.packet_bytes:
            raise CallboxError(f"the Opus encoder gave {written} where {self.packet_bytes} bytes were due")
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
