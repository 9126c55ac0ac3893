"""WebRTC's canceller and noise suppressor (AEC3, NS), as browsers have them, by the package pywebrtc-audio.

    captured, played -> AEC3 -> [NS] -> out, 9 ms later

It finds the delay by itself and copes with two clocks; while both speak, it lets little of the person through.
"""

from typing import TYPE_CHECKING

from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples

if TYPE_CHECKING:
    import pywebrtc_audio

_NOISE_LEVEL = 1  # of 0 to 3; this is 12 dB


class WebrtcCanceller:
    """See `Canceller`."""

    noise_db = 12.0
    late_samples = 432

    def __init__(self, echo: "pywebrtc_audio.EchoCanceller", noise: "pywebrtc_audio.NoiseSuppressor") -> None:
        self._echo = echo
        self._noise = noise

    def begin(self) -> None:
        self._echo.reset()

    def process(self, captured: Samples, played: Samples | None, noisy: bool) -> Samples:
        out = captured if played is None else self._echo.process(captured, played)
        return self._noise.process(out) if noisy else out

    def close(self) -> None:
        pass  # freed with the objects


def canceller() -> WebrtcCanceller:
    """Return the canceller. Raises CallboxError if its package is not installed."""
    try:
        from pywebrtc_audio import EchoCanceller, NoiseSuppressor
    except ImportError:
        cure = "install it: pip install pywebrtc-audio"
        raise CallboxError("the Python package pywebrtc-audio is missing", cure) from None
    return WebrtcCanceller(EchoCanceller(RATE_HZ), NoiseSuppressor(RATE_HZ, level=_NOISE_LEVEL))
