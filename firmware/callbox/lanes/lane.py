"""One lane as its sender sees it: the messages it still owes, oldest first, and whether it has stalled.

carry -> owed: [message][message][message] -> note(facts): what is acknowledged is owed no more
                 ^ too old: the lane is stalled until it has caught up
"""

from collections import deque
from dataclasses import dataclass

from callbox.base.time import Instant
from callbox.lanes.facts import HEAD_BYTES, LaneFacts

PATIENCE_S = 0.012
DEVIATIONS = 2.0
DELAYED_S = 0.045  # Linux waits up to 40 ms for something to send an acknowledgement along with
LATE_S = 0.004
CONGESTED_S = 0.060
RECENT_S = 1.0
GUESSED_RTT_S = 0.1  # before the kernel has said anything
MOST_OWED = 64
ROUNDING_S = 1e-6  # a look at exactly the time that was asked for finds the lane overdue


@dataclass(slots=True)
class Counters:
    """Of one sender, in frames."""

    sent: int = 0
    stale: int = 0
    again: int = 0
    repeated: int = 0
    stalls: int = 0


@dataclass(slots=True)
class Frame:
    """One sealed frame. `done`: a copy is acknowledged; `again`: it was sent again because a lane stalled."""

    captured_at: Instant
    sealed: bytes
    done: bool = False
    again: bool = False
    repeated: bool = False


@dataclass(slots=True)
class Owed:
    """A message that is not known to have arrived."""

    sent_at: Instant
    wire_bytes: int
    frames: tuple[Frame, ...]


class SendingLane:
    """What is known of one lane. `stalled_since`: None while it does what it should."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.owed: deque[Owed] = deque()
        self.facts: LaneFacts | None = None
        self.used_at: Instant = float("-inf")
        self.heard_at: Instant = float("-inf")  # when something was acknowledged
        self.stalled_since: Instant | None = None
        self.owed_bytes = 0  # heads of IP and TCP included
        self.acked_bytes = 0  # by the last `note`; the same
        self.hurried = False  # lanes are used in turn: the far end acknowledges at once

    @property
    def patience_s(self) -> float:
        """How long an acknowledgement may take before the lane counts as stalled.

        As long as usual of late, for a queue on the way is no stall, and a little. While nothing shows that bytes are
        missing, a calm far end may also wait for bytes of its own to send it along with.
        """
        facts = self.facts
        if facts is None:
            return GUESSED_RTT_S
        usual_s = facts.rtt_s + DEVIATIONS * facts.rtt_deviation_s + PATIENCE_S
        return usual_s if facts.holes or self.hurried else usual_s + DELAYED_S

    @property
    def due(self) -> Instant | None:
        """When this lane will have to be looked at."""
        if not self.owed or self.stalled_since is not None:
            return None
        return self.owed[0].sent_at + (self.patience_s if self.facts is not None else 0.0)

    @property
    def idle(self) -> bool:
        """Say whether everything has arrived: such a lane cannot be stalled."""
        return not self.owed

    @property
    def clogged(self) -> bool:
        """Say whether bytes wait in the kernel for this lane to move."""
        return self.facts is not None and self.facts.unsent > 0

    def queues(self, now: Instant) -> bool:
        """Say whether bytes queue on the way, by what was acknowledged of late: more of them would make it worse."""
        facts = self.facts
        if facts is None or now - self.heard_at > RECENT_S:
            return False
        return facts.queueing_s > max(CONGESTED_S, facts.least_rtt_s)

    def doubt(self, now: Instant) -> tuple[int, Instant, int]:
        """The less, the better this lane for what is sent now: one that owes nothing, or whose answer is not due yet,
        and of these the one that rested longest; then one whose answer is late, the shortest time first."""
        if self.idle:
            return 0, self.used_at, self.number
        since = self.owed[0].sent_at
        late = self.facts is not None and now - since > self.facts.rtt_s + LATE_S
        return (2, -since, self.number) if late else (1, self.used_at, self.number)

    def carry(self, wire_bytes: int, frames: tuple[Frame, ...], now: Instant) -> None:
        if len(self.owed) == MOST_OWED:
            self.owed_bytes -= self.owed.popleft().wire_bytes + HEAD_BYTES
        self.owed.append(Owed(now, wire_bytes, frames))
        self.owed_bytes += wire_bytes + HEAD_BYTES
        self.used_at = now

    def note(self, facts: LaneFacts | None, now: Instant) -> bool:
        """Take in what the kernel says; return whether the lane has stalled by it just now.

        A kernel that says nothing (None) leaves the lane as if all had arrived.
        """
        self.facts = facts
        self._strike(facts.unacked if facts is not None else 0)
        if self.acked_bytes:
            self.heard_at = now
        if not self.owed or now - self.owed[0].sent_at < self.patience_s - ROUNDING_S:
            self.stalled_since = None
            return False
        stalled_now = self.stalled_since is None
        if stalled_now:
            self.stalled_since = now
        return stalled_now

    def undone(self) -> list[Frame]:
        """Return the frames that this lane owes and no other has delivered, oldest first."""
        return [frame for message in self.owed for frame in message.frames if not frame.done]

    def _strike(self, unacked: int) -> None:
        """Strike off what was acknowledged: all but the newest messages, as far as `unacked` bytes reach."""
        newer = still = 0
        for message in reversed(self.owed):
            if newer >= unacked:
                break
            newer += message.wire_bytes
            still += 1
        before = self.owed_bytes
        while len(self.owed) > still:
            arrived = self.owed.popleft()
            self.owed_bytes -= arrived.wire_bytes + HEAD_BYTES
            for frame in arrived.frames:
                frame.done = True
        self.acked_bytes = before - self.owed_bytes
