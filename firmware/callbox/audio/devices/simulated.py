"""A simulated sound card: no waiting, no hardware; whoever drives the audio engine is its clock.

    say(samples) or microphone() -> read() -> ... -> write() -> heard()

`unplug()` makes an open card fail as a pulled USB plug does, `plug()` brings it back. A card whose crystal is
off has `drift_ppm`: its cycle lasts `cycle_s`, and the driver calls the engine at that pace.
"""

from collections.abc import Callable, Iterable

import numpy as np

from callbox.audio.devices import DeviceBusy, DeviceInfo, DeviceLost, NoSuchDevice
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, RATE_HZ, Samples, silence


class SimulatedCard:
    """One card with a microphone and a speaker."""

    def __init__(
        self, name: str = "simulated", microphone: Callable[[], Samples] | None = None, drift_ppm: float = 0.0
    ) -> None:
        self.name = name
        self.microphone = microphone
        self.drift_ppm = drift_ppm
        self.plugged = True
        self.busy = False
        self.opened = 0
        self._to_say = silence(0)
        self._heard: list[Samples] = []

    @property
    def cycle_s(self) -> float:
        """How long one cycle of this card's clock lasts, in true seconds."""
        return CYCLE_MS / 1000 / (1 + self.drift_ppm * 1e-6)

    def say(self, samples: Samples) -> None:
        """Queue sound for the microphone, after what is still being said."""
        self._to_say = np.concatenate((self._to_say, samples))

    def heard(self) -> Samples:
        """Return everything that the speaker has played since the start or the last `forget`."""
        return np.concatenate(self._heard) if self._heard else silence(0)

    def forget(self) -> None:
        self._heard.clear()

    def unplug(self) -> None:
        self.plugged = False

    def plug(self) -> None:
        self.plugged = True

    def capture(self) -> Samples:
        """Return the next cycle that the microphone hears."""
        if self.microphone is not None:
            return self.microphone()
        part, self._to_say = self._to_say[:CYCLE_SAMPLES], self._to_say[CYCLE_SAMPLES:]
        return part if len(part) == CYCLE_SAMPLES else np.concatenate((part, silence(CYCLE_SAMPLES - len(part))))

    def play(self, samples: Samples) -> None:
        """Let the speaker play `samples`."""
        self._heard.append(samples.copy())


class SimulatedDevice:
    """An open simulated microphone and speaker, maybe of two cards."""

    rate_hz = RATE_HZ
    latency_ms = 0.0

    def __init__(self, microphone: SimulatedCard, speaker: SimulatedCard) -> None:
        self._microphone = microphone
        self._speaker = speaker
        self._open = True
        for card in {microphone, speaker}:
            card.opened += 1

    def read(self) -> Samples:
        self._check(self._microphone)
        return self._microphone.capture()

    def write(self, samples: Samples) -> None:
        self._check(self._speaker)
        self._speaker.play(samples)

    def close(self) -> None:
        if self._open:
            self._open = False
            for card in {self._microphone, self._speaker}:
                card.opened -= 1

    def _check(self, card: SimulatedCard) -> None:
        if not self._open or not card.plugged:
            raise DeviceLost(f"{card.name} was unplugged")


class SimulatedDevices:
    """The backend: a handful of simulated cards. "default" is the first one that is plugged in."""

    def __init__(self, cards: Iterable[SimulatedCard]) -> None:
        self.cards = list(cards)

    def open(self, input_name: str, output_name: str) -> SimulatedDevice:
        return SimulatedDevice(self._find(input_name, "input"), self._find(output_name, "output"))

    def _find(self, name: str, use: str) -> SimulatedCard:
        there = [card for card in self.cards if card.plugged]
        for card in there:
            if name in {card.name, "default"}:
                if card.busy:
                    raise DeviceBusy(card.name, "something else uses it")
                return card
        raise NoSuchDevice(name, use, (card.name for card in there))

    def list(self) -> list[DeviceInfo]:
        return [DeviceInfo(card.name, card.name, 1, 1, RATE_HZ) for card in self.cards if card.plugged]


def backend(cards: Iterable[SimulatedCard] = ()) -> SimulatedDevices:
    """Return a backend over `cards`, or over one card called "simulated"."""
    return SimulatedDevices(list(cards) or [SimulatedCard()])
