"""Rate steps and the control that moves between them.

    near end sends at a step --------------------> far end counts, once a second sends a report back
             ^                                                   |
             +---- RateControl: down at once, up slowly <--------+     (and the link's unsent bytes)

A step fixes frame length and bit rate, so every frame of a step has one size, speech or silence. Steps change
with the network only, never with the voice (RFC 6562 tells why sizes must not follow speech).

Figures: libopus 1.3.1, recorded wide-band speech of two speakers, 20 s, no loss (PESQ-WB / STOI):
near 4.54 / .998, clear 4.48 / .997, steady 4.38 / .991, saver 4.26 / .988, thin 4.07 / .979,
thinner 3.66 / .962, bare 3.09 / .935.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from callbox.base.frames import RATE_HZ
from callbox.base.time import Instant
from callbox.wire.media import PLAIN_HEAD_BYTES, Report


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
)
DEFAULT_STEP = STEPS[0]

LOSS_SHARE = 0.03  # of the last second's frames: lost above this means down at once
LATE_REPORTS = 3  # late alone is the jitter buffer's to cure; so many reports in a row mean that it cannot
HEAVY_LOSS_SHARE = 0.15
GROWTH_MS = 60  # queueing delay above the least of the last 20 s
HEAVY_GROWTH_MS = 200
UNSENT_FRAMES = 6  # frames waiting in our own link
CALM_S = 8.0  # without trouble before one step up is tried
LONGEST_CALM_S = 64.0
PROBE_S = 6.0  # trouble this soon after a step up means that the step was too much
FEC_SHARE = 0.05  # lost (not late) above this, three reports in a row and no queue: lanes do not repair it
FEC_AFTER_REPORTS = 3
FEC_UNTIL_CLEAN = 10
SETTLE_S = 1.5  # after a step down, reports still speak of the step before


def step_named(name: str) -> RateStep:
    """Return the step called `name`. Raises KeyError naming those that exist."""
    for step in STEPS:
        if step.name == name:
            return step
    raise KeyError(f"no rate step {name!r}; there are {', '.join(step.name for step in STEPS)}")


class RateControl:
    """Chooses the step from what the far end reports and what our link could not send. Pure."""

    def __init__(self, start: RateStep = DEFAULT_STEP, steps: Sequence[RateStep] = STEPS) -> None:
        self._steps = steps
        self._at = list(steps).index(start)
        self._calm_since: Instant | None = None
        self._calm_s = CALM_S
        self._raised_at: Instant | None = None
        self._lowered_at: Instant = float("-inf")
        self._delays: deque[int] = deque(maxlen=20)
        self.fec = False  # carry copies of earlier frames
        self._lossy_reports = 0
        self._late_reports = 0
        self._clean_reports = 0

    @property
    def step(self) -> RateStep:
        return self._steps[self._at]

    def report(self, report: Report, now: Instant) -> RateStep:
        """Take in one report of the far end; return the step to send at from now on."""
        self._delays.append(report.delay_ms)
        growth_ms = report.delay_ms - min(self._delays)
        expected = report.received + report.lost + report.late
        lost, late = (share / expected if expected >= 5 else 0.0 for share in (report.lost, report.late))
        self._late_reports = self._late_reports + 1 if late > LOSS_SHARE else 0
        self._weigh_copies(lost, growth_ms)
        if lost > HEAVY_LOSS_SHARE or growth_ms > HEAVY_GROWTH_MS:
            self._lower(2, now)
        elif lost > LOSS_SHARE or growth_ms > GROWTH_MS or self._late_reports >= LATE_REPORTS:
            self._late_reports = 0
            self._lower(1, now)
        else:
            self._consider_raising(now)
        return self.step

    def unsent(self, waiting_bytes: int, now: Instant) -> RateStep:
        """Take in how many bytes our link holds unsent; return the step to send at from now on."""
        frames = waiting_bytes / self.step.plain_bytes
        if frames > 2 * UNSENT_FRAMES:
            self._lower(2, now)
        elif frames > UNSENT_FRAMES:
            self._lower(1, now)
        return self.step

    def _lower(self, steps: int, now: Instant) -> None:
        self._calm_since = None
        if now - self._lowered_at < SETTLE_S:
            return
        if self._raised_at is not None and now - self._raised_at < PROBE_S:
            self._calm_s = min(LONGEST_CALM_S, self._calm_s * 2)
        self._raised_at = None
        self._lowered_at = now
        self._at = min(len(self._steps) - 1, self._at + steps)

    def _weigh_copies(self, lost_share: float, growth_ms: int) -> None:
        if lost_share > FEC_SHARE and growth_ms <= GROWTH_MS:
            self._lossy_reports += 1
            self._clean_reports = 0
        else:
            self._lossy_reports = 0
            self._clean_reports += 1
        if self._lossy_reports >= FEC_AFTER_REPORTS:
            self.fec = True
        elif self._clean_reports >= FEC_UNTIL_CLEAN:
            self.fec = False

    def _consider_raising(self, now: Instant) -> None:
        if self._raised_at is not None and now - self._raised_at >= PROBE_S:
            self._calm_s = max(CALM_S, self._calm_s / 2)
            self._raised_at = None
        if self._calm_since is None:
            self._calm_since = now
        elif self._at > 0 and now - self._calm_since >= self._calm_s:
            self._at -= 1
            self._calm_since = self._raised_at = now
