"""No echo cancellation: for handsets and headsets, where the speaker does not reach the microphone.

captured -> captured
"""

from callbox.base.frames import Samples


class NoCanceller:
    """Passes the microphone through untouched; see `Canceller`."""

    noise_db = 0.0
    late_samples = 0

    def begin(self) -> None:
        pass

    def process(self, captured: Samples, played: Samples | None, noisy: bool) -> Samples:
        del played, noisy
        return captured

    def close(self) -> None:
        pass


def canceller() -> NoCanceller:
    return NoCanceller()
