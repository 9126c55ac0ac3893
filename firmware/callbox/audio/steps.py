"""Rate steps: the formats in which voice is sent. `audio.rate` chooses among them.

    near   10 ms |====|====|====|====|====|====|   most bytes, least delay
    bare   60 ms |=============================|   a frame's headers weigh as much as what is in it
    last  120 ms |============================================================|   the same sound, fewest bytes

A step fixes frame length and bit rate, so every frame of a step has one size, speech or silence. Steps change
with the network only, never with the voice (RFC 6562 tells why sizes must not follow speech).

Figures: libopus 1.3.1, recorded wide-band speech of two speakers, 20 s, no loss (PESQ-WB / STOI):
near 4.54 / .998, clear 4.48 / .997, steady 4.38 / .991, saver 4.26 / .988, thin 4.07 / .979,
thinner 3.66 / .962, bare and last 3.09 / .935.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from callbox.base.frames import RATE_HZ
from callbox.wire.media import PLAIN_HEAD_BYTES

HEAD_BYTES = 85  # around each sealed frame on its way, measured: media message, WebSocket, TLS, TCP, IP
SEAL_BYTES = 20


@dataclass(frozen=True, slots=True)
class RateStep:
    """One combination of frame length and bit rate."""

    name: str
    packet_ms: int
    bits_per_s: int

    @property
    def packet_bytes(self) -> int:
        """Size of each Opus packet."""
        return self.bits_per_s * self.packet_ms // 8000

    @property
    def plain_bytes(self) -> int:
        """Size of each plain frame before sealing; voice and reports alike."""
        return PLAIN_HEAD_BYTES + self.packet_bytes

    @property
    def wire_bits_per_s(self) -> int:
        """What one direction costs a network, all headers included."""
        return (self.plain_bytes + SEAL_BYTES + HEAD_BYTES) * 8000 // self.packet_ms

    @property
    def packet_samples(self) -> int:
        """Samples of each packet, at 48 kHz."""
        return RATE_HZ * self.packet_ms // 1000


# Best first. 10 ms frames at 48 kbit/s are the default: measured 10 ms less delay than `clear`, and the higher
# rate makes up for what short frames cost in quality. How the codec uses each rate: `audio.codecs.opus`.
STEPS = (
    RateStep("near", 10, 48_000),
    RateStep("clear", 20, 40_000),
    RateStep("steady", 20, 24_000),
    RateStep("saver", 40, 20_000),
    RateStep("thin", 40, 16_000),
    RateStep("thinner", 60, 12_000),
    RateStep("bare", 60, 8_000),
    RateStep("last", 120, 8_000),
)
DEFAULT_STEP = STEPS[0]


def within(most_kbps: int, steps: Sequence[RateStep] = STEPS) -> Sequence[RateStep]:
    """Return those of `steps` that cost a network no more than `most_kbps` (0: no limit), at least the last."""
    fitting = [step for step in steps if most_kbps == 0 or step.wire_bits_per_s <= 1000 * most_kbps]
    return fitting or steps[-1:]


def step_named(name: str) -> RateStep:
    """Return the step called `name`. Raises KeyError naming those that exist."""
    for step in STEPS:
        if step.name == name:
            return step
    raise KeyError(f"no rate step {name!r}; there are {', '.join(step.name for step in STEPS)}")
