"""speexdsp by ctypes: an adaptive filter, then a suppressor for what is left of the echo and for steady noise.

    captured, played -> speex_echo_cancellation (128 ms of filter) -> speex_preprocess_run -> out, 10 ms later

At 48 kHz: the filter alone costs as much there as at 16 kHz with resampling to and fro, and voice keeps its treble.
Filter: Soo and Pang's multidelay block filter with Valin's adaptive rate (IEEE Trans. ASLP 15, 2007), which goes on
learning while both speak. Constants: speex_echo.h, speex_preprocess.h.
"""

import ctypes
from ctypes import byref, c_char_p, c_int, c_void_p

import numpy as np

from callbox.audio.echo import TAIL_MS
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples

_ECHO_SET_RATE = 24
_SET_DENOISE, _SET_NOISE_DB, _SET_ECHO_DB, _SET_ECHO_ACTIVE_DB, _SET_ECHO_STATE = 0, 18, 20, 22, 24
_LEAST_NOISE_DB = -2
_ECHO_DB = -40  # of what the filter leaves, while the person is silent
_ECHO_ACTIVE_DB = -6  # and while they speak: more makes them hoarse


def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libspeexdsp.so.1")
    except OSError:
        raise CallboxError("the speexdsp library is missing", "install it: sudo apt install libspeexdsp1") from None
    library.speex_echo_state_init.argtypes = [c_int, c_int]
    library.speex_echo_state_init.restype = c_void_p
    library.speex_echo_state_reset.argtypes = [c_void_p]
    library.speex_echo_state_destroy.argtypes = [c_void_p]
    library.speex_echo_cancellation.argtypes = [c_void_p, c_char_p, c_char_p, c_void_p]
    library.speex_echo_ctl.argtypes = [c_void_p, c_int, c_void_p]
    library.speex_preprocess_state_init.argtypes = [c_int, c_int]
    library.speex_preprocess_state_init.restype = c_void_p
    library.speex_preprocess_state_destroy.argtypes = [c_void_p]
    library.speex_preprocess_run.argtypes = [c_void_p, c_void_p]
    library.speex_preprocess_ctl.argtypes = [c_void_p, c_int, c_void_p]
    return library


class SpeexCanceller:
    """See `Canceller`."""

    noise_db = 15.0
    late_samples = CYCLE_SAMPLES

    def __init__(self) -> None:
        self._library = library = _load()
        self._echo: int | None = library.speex_echo_state_init(CYCLE_SAMPLES, RATE_HZ * TAIL_MS // 1000)
        self._rest: int | None = library.speex_preprocess_state_init(CYCLE_SAMPLES, RATE_HZ)
        if not self._echo or not self._rest:
            raise CallboxError("the speexdsp library refused to make an echo canceller")
        library.speex_echo_ctl(self._echo, _ECHO_SET_RATE, byref(c_int(RATE_HZ)))
        # Without its noise suppressor it does not suppress what is left of the echo either.
        for request, value in ((_SET_DENOISE, 1), (_SET_ECHO_DB, _ECHO_DB), (_SET_ECHO_ACTIVE_DB, _ECHO_ACTIVE_DB)):
            library.speex_preprocess_ctl(self._rest, request, byref(c_int(value)))
        self._mode: tuple[bool, bool] | None = None
        self._out = np.zeros(CYCLE_SAMPLES, dtype=np.int16)
        self._into = self._out.ctypes.data

    def begin(self) -> None:
        self._library.speex_echo_state_reset(self._echo)

    def process(self, captured: Samples, played: Samples | None, noisy: bool) -> Samples:
        if played is None and not noisy:
            return captured
        self._set(played is not None, noisy)
        if played is None:
            self._out[:] = captured
        else:
            self._library.speex_echo_cancellation(self._echo, captured.tobytes(), played.tobytes(), self._into)
        self._library.speex_preprocess_run(self._rest, self._into)
        return self._out.copy()

    def _set(self, echo: bool, noise: bool) -> None:
        if self._mode != (echo, noise):
            self._mode = (echo, noise)
            self._library.speex_preprocess_ctl(self._rest, _SET_ECHO_STATE, c_void_p(self._echo if echo else None))
            noise_db = c_int(-round(self.noise_db) if noise else _LEAST_NOISE_DB)
            self._library.speex_preprocess_ctl(self._rest, _SET_NOISE_DB, byref(noise_db))

    def close(self) -> None:
        if self._echo:
            self._library.speex_preprocess_state_destroy(self._rest)
            self._library.speex_echo_state_destroy(self._echo)
            self._echo = self._rest = None


def canceller() -> SpeexCanceller:
    """Return the canceller. Raises CallboxError if libspeexdsp is not installed."""
    return SpeexCanceller()
