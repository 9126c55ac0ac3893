"""No echo cancellation: for handsets and headsets, where the speaker does not reach the microphone.

captured -> captured
"""

from callbox.base.frames import Samples


class NoCanceller:
    """Passes the microphone through untouched; see `Canceller`."""

    def process(self, captured: Samples, played: Samples) -> Samples:
        del played
        return captured

    def close(self) -> None:
        pass


def canceller() -> NoCanceller:
    return NoCanceller()
