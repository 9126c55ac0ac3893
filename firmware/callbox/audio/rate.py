"""Rate control: which step to send at. Pure: it takes reports, unsent bytes and the time, and names a step.

    near end sends at a step --------------------> far end counts; a report comes back once a second,
             ^                                     four times a second while a queue stands or frames are lost
             |                                                   |
             +---- RateControl: down at once, up by trying <-----+     (and what our own link could not send)

Down: while a queue stands, what arrives *is* the link's rate, and that says which step fits. A queue that stays
although the least is sent and nothing is lost is not ours (another route) and is taken as it is.
Up: one step after some calm. A step that brought trouble is tried again only after twice the time, up to
`LONGEST_CALM_S`: on a link that stays as it is, the step soon stays too. Trouble long after the last change means
that the link has changed; what was learnt is forgotten.

The voice has no part in any of this: sizes must not follow speech (RFC 6562).
"""

from collections import deque
from collections.abc import Sequence

from callbox.audio.steps import DEFAULT_STEP, HEAD_BYTES, STEPS, RateStep, within
from callbox.base.time import Instant
from callbox.wire.media import Report

LOST_SHARE = 0.03  # of a report's frames: lost above this means down at once
HEAVY_LOST_SHARE = 0.15  # ... and two steps
LATE_REPORTS = 3  # late alone is the jitter buffer's to cure; so many reports in a row mean that it cannot
GROWTH_MS = 60  # queueing delay above the least of the last `USUAL_S`
USUAL_S = 30.0
FITTING_SHARE = 0.85  # of what the link carries: the rest empties the queue
NARROW_SHARE = 0.75  # of what is sent: a hop that delivers more only lags behind, as every one does now and then
SHRUNK_SHARE = 0.95  # a queue that is at most so much of what it was, shrinks
UNSENT_FRAMES = 6  # frames waiting in our own link
SETTLE_S = 1.2  # after a step down, reports still speak of the step before
CALM_S = 6.0  # without trouble before one step up is tried ...
CALM_AT_FIRST_S = 2.0  # ... and before there was any trouble at all
LONGEST_CALM_S = 240.0
PROBE_S = 30.0  # trouble this soon after a step up means that the step was too much
CARRIED_OVER_S = 0.4  # what the link carries is counted over at least this
COPIES_SHARE = 0.05  # lost above this, three reports in a row and no queue: lanes do not repair it
COPIES_AFTER_REPORTS = 3
COPIES_UNTIL_CLEAN = 10
_FEW_FRAMES = 5
_NEVER = float("-inf")


class RateControl:
    """One direction of one call. `steps`: those allowed, best first."""

    def __init__(self, start: RateStep = DEFAULT_STEP, steps: Sequence[RateStep] = STEPS) -> None:
        self._steps = steps
        self._at = list(steps).index(start)
        self._best = 0
        self.fec = False  # carry copies of earlier frames
        self._calm_since: Instant | None = None
        self._usual_calm_s = CALM_AT_FIRST_S
        self._calm_s: dict[int, float] = {}  # before the step with this number is tried, where it is not the usual
        self._raised_at = self._lowered_at = _NEVER
        self._delays: deque[tuple[Instant, int]] = deque()
        self._arrived: deque[tuple[Instant, int]] = deque()  # bytes that came, headers included, while a queue stood
        self._bytes_before: int | None = None
        self._growth_ms = 0  # of the last report
        self._lossy_reports = self._late_reports = self._clean_reports = 0

    @property
    def step(self) -> RateStep:
        return self._steps[self._at]

    def report(self, report: Report, now: Instant) -> RateStep:
        """Take in one report of the far end; return the step to send at from now on."""
        self._limit(report.most_kbps)
        growth_ms, before_ms = self._growth(report.delay_ms, now), self._growth_ms
        self._growth_ms = growth_ms
        self._count_arrived(report, now)
        expected = report.received + report.lost + report.late
        lost, late = (share / expected if expected >= _FEW_FRAMES else 0.0 for share in (report.lost, report.late))
        self._late_reports = self._late_reports + 1 if late > LOST_SHARE else 0
        self._weigh_copies(lost, growth_ms)
        if growth_ms > GROWTH_MS:
            self._empty_queue(growth_ms > SHRUNK_SHARE * before_ms, lost, now)
        elif lost > LOST_SHARE:
            self._lower(self._at + (2 if lost > HEAVY_LOST_SHARE else 1), now)
        elif self._late_reports >= LATE_REPORTS:
            self._late_reports = 0
            self._lower(self._at + 1, now)
        else:
            self._consider_raising(now)
        return self.step

    def unsent(self, waiting_bytes: int, now: Instant, dropped: int = 0, carries_bits_per_s: int = 0) -> RateStep:
        """Take in how many bytes our link holds unsent, and frames that became stale there; return the step to use.

        Only of a link that moves: one that stands still says nothing about its rate. `carries_bits_per_s`: what it
        carries, where it is known and less than what is sent.
        """
        narrow = 0 < carries_bits_per_s < NARROW_SHARE * self.step.wire_bits_per_s
        if narrow and (fitting := self._fitting_in(carries_bits_per_s)) > self._at:
            self._lower(fitting, now, settled=True)
        frames = waiting_bytes / self.step.plain_bytes + dropped
        if frames > UNSENT_FRAMES:
            self._calm_since = None
            self._lower(self._at + (2 if frames > 2 * UNSENT_FRAMES else 1), now)
        return self.step

    def _limit(self, most_kbps: int) -> None:
        """Send no more than the far end wants."""
        self._best = list(self._steps).index(within(most_kbps, self._steps)[0])
        self._at = max(self._at, self._best)

    def _growth(self, delay_ms: int, now: Instant) -> int:
        self._delays.append((now, delay_ms))
        while now - self._delays[0][0] > USUAL_S:
            self._delays.popleft()
        return delay_ms - min(delay for _, delay in self._delays)

    def _count_arrived(self, report: Report, now: Instant) -> None:
        before, self._bytes_before = self._bytes_before, report.bytes_received
        if self._growth_ms <= GROWTH_MS or before is None:
            self._arrived.clear()
            return
        self._arrived.append((now, (report.bytes_received - before) % (1 << 32) + report.received * HEAD_BYTES))
        while len(self._arrived) > 1 and now - self._arrived[1][0] >= CARRIED_OVER_S:
            self._arrived.popleft()

    def _fitting(self) -> int:
        """Return the best step from the present one on that the link carries; the present one if nobody can say."""
        over_s = self._arrived[-1][0] - self._arrived[0][0] if self._arrived else 0.0
        if over_s < CARRIED_OVER_S:
            return self._at
        carried = 8 * sum(size for _, size in list(self._arrived)[1:]) / over_s
        return self._fitting_in(carried)

    def _fitting_in(self, carried_bits_per_s: float) -> int:
        """Return the best step from the present one on that a link of this rate carries, with some to spare."""
        most = FITTING_SHARE * carried_bits_per_s
        fits = (n for n in range(self._at, len(self._steps)) if self._steps[n].wire_bits_per_s <= most)
        return next(fits, len(self._steps) - 1)

    def _empty_queue(self, stays: bool, lost: float, now: Instant) -> None:
        self._calm_since = None
        fitting = self._fitting()
        if fitting > self._at:
            self._lower(fitting, now, settled=True)
        elif stays and self._at < len(self._steps) - 1:
            self._lower(self._at + 1, now)
        elif stays and lost <= LOST_SHARE and now - self._lowered_at > USUAL_S / 3:
            self._delays.clear()

    def _lower(self, to: int, now: Instant, settled: bool = False) -> bool:
        """Go down to the step with the number `to`; False while an earlier step down still has to show."""
        self._calm_since = None
        if not settled and now - self._lowered_at < SETTLE_S:
            return False
        if now - self._raised_at < PROBE_S:  # it was tried and was too much: back to the step that went well
            self._calm_s[self._at] = min(LONGEST_CALM_S, 2 * self._calm_s.get(self._at, CALM_S))
            to = self._at + 1
        elif now - self._lowered_at > PROBE_S:
            self._calm_s.clear()
        self._raised_at, self._lowered_at, self._usual_calm_s = _NEVER, now, CALM_S
        self._at = min(len(self._steps) - 1, to)
        return True

    def _weigh_copies(self, lost_share: float, growth_ms: int) -> None:
        if lost_share > COPIES_SHARE and growth_ms <= GROWTH_MS:
            self._lossy_reports += 1
            self._clean_reports = 0
        else:
            self._lossy_reports = 0
            self._clean_reports += 1
        if self._lossy_reports >= COPIES_AFTER_REPORTS:
            self.fec = True
        elif self._clean_reports >= COPIES_UNTIL_CLEAN:
            self.fec = False

    def _consider_raising(self, now: Instant) -> None:
        if self._calm_since is None:
            self._calm_since = now
        elif self._at > self._best and now - self._calm_since >= self._calm_s.get(self._at - 1, self._usual_calm_s):
            self._at -= 1
            self._calm_since = self._raised_at = now
