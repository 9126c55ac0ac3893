"""One lane's machine: open, be challenged, prove, stay alive, fail, wait, again (see `states`).

transport events, time --> LaneMachine --> OpenLane, SendOnLane, PingLane, CloseLane
                                       --> LaneAdmitted, LaneHeard, MediaReceived, LaneFailed  (to the session)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.link.events import (
    CloseLane,
    LaneClosed,
    LaneEffect,
    LaneOpened,
    LanePonged,
    LaneReceived,
    MediaReceived,
    Opening,
    OpenLane,
    PingLane,
    SendOnLane,
    TransportEvent,
)
from callbox.link.refusals import OTHER_CERTIFICATE_CURE, OTHER_VERSION, REFUSALS, SILENT, Refusal
from callbox.link.states import CONNECTED, TABLE, Cause, State
from callbox.link.timing import Backoff, Heartbeat, Timing
from callbox.wire.codec import decode_server_message, encode_message
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import MEDIA_TYPE
from callbox.wire.signals import Challenge, ClientMessage, LaneJoined, Refused, ServerMessage, Welcome

PROTOCOL_VERSION = 1


@dataclass(frozen=True, slots=True)
class LaneAdmitted:
    lane: int
    message: Welcome | LaneJoined


@dataclass(frozen=True, slots=True)
class LaneHeard:
    """A control message on a lane that is up."""

    lane: int
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class LaneFailed:
    """`refusal.lasting`: tell the person. The lane waits `delay_s` and tries again by itself."""

    lane: int
    was_up: bool
    refusal: Refusal
    delay_s: float
    refused: Refused | None = None


Outcome: TypeAlias = LaneEffect | LaneAdmitted | LaneHeard | LaneFailed | MediaReceived
Prove: TypeAlias = Callable[[Challenge], ClientMessage | Refusal]
"""Answer a challenge with a Login or JoinLane, or refuse the server that sent it."""


class LaneMachine:
    """Keeps one lane up for as long as it is wanted."""

    def __init__(self, lane: int, prove: Prove, timing: Timing, chance: Chance, openings: Iterator[Opening]) -> None:
        self.lane = lane
        self.state = State.STOPPED
        self._prove = prove
        self._openings = openings
        self._opening: Opening = 0
        self._timing = timing
        self._backoff = Backoff(timing, chance)
        self._in_call = False
        self._due: Instant | None = None  # of the back-off, or of a handshake's timeout
        self._up_since: Instant = 0.0
        self._heartbeat: Heartbeat | None = None

    @property
    def deadline(self) -> Instant | None:
        return earliest(self._due, self._heartbeat.deadline if self._heartbeat else None)

    @property
    def up(self) -> bool:
        return self.state is State.UP

    @property
    def silent(self) -> bool:
        """Say whether nothing has come for long, in a call: perhaps the lane is dead, perhaps the network is dark."""
        return self._heartbeat is not None and self._heartbeat.silent

    def start(self, now: Instant) -> list[Outcome]:
        return self._open(Cause.STARTED, now)

    def stop(self) -> list[Outcome]:
        """Close the lane for good, without a word to the session."""
        open_or_opening = self.state in CONNECTED or self.state is State.OPENING
        self._move(Cause.STOPPED)
        self._due = self._heartbeat = None
        self._backoff.reset()
        return [CloseLane(self.lane)] if open_or_opening else []

    def hurry(self, now: Instant) -> list[Outcome]:
        """Try at once; where a lane is up, doubt it: an unanswered ping now kills it as fast as in a call."""
        self._backoff.reset()
        if self.state is State.WAITING:
            return self._open(Cause.RETRY_DUE, now)
        if self.state is State.OPENING:
            return [CloseLane(self.lane), *self._dial(now)]
        if self._heartbeat is not None:
            self._heartbeat.doubt(now)
            return self.tick(now)
        return []

    def set_in_call(self, in_call: bool, now: Instant) -> list[Outcome]:
        self._in_call = in_call
        if self._heartbeat is not None:
            self._heartbeat.set_in_call(in_call, now)
        if in_call and self.state is State.WAITING and self._due is not None:
            self._due = min(self._due, now + self._timing.call_longest_retry_s)
        return self.tick(now)

    def tick(self, now: Instant) -> list[Outcome]:
        if self._due is not None and now >= self._due:
            if self.state is State.WAITING:
                return self._open(Cause.RETRY_DUE, now)
            return self.fail(Refusal(_TOO_SLOW[self.state]), now)
        if self._heartbeat is not None:
            if self._heartbeat.dead(now):
                return self.fail(SILENT, now)
            self._heartbeat.listen(now)
            if self._heartbeat.ping_due(now):
                return [PingLane(self.lane)]
        return []

    def reassure(self, now: Instant) -> None:
        """The server was heard on another lane."""
        if self._heartbeat is not None:
            self._heartbeat.heard(now)

    def handle(self, event: TransportEvent, now: Instant) -> list[Outcome]:
        """Take what the transport reports of this lane. In an unconnected state only opening can go on or fail."""
        if event.opening not in (0, self._opening):
            return []
        match event:
            case LaneOpened() if self.state is State.OPENING:
                self._move(Cause.OPENED)
                self._due = now + self._timing.login_s
            case LaneClosed(why=why, kind=kind) if self.state is State.OPENING or self.state in CONNECTED:
                cure = OTHER_CERTIFICATE_CURE if kind == "certificate" else ""
                return self.fail(Refusal(why, cure, lasting=kind == "certificate"), now, close=False)
            case LanePonged() if self._heartbeat is not None:
                self._heartbeat.heard(now)
            case LaneReceived(data=data) if self.state in CONNECTED:
                return self._received(data, now)
        return []

    def fail(self, refusal: Refusal, now: Instant, refused: Refused | None = None, close: bool = True) -> list[Outcome]:
        """Give up this connection and wait for the next attempt."""
        was_up = self.up
        if was_up and now - self._up_since >= self._timing.stable_s:
            self._backoff.reset()
        self._move(Cause.FAILED)
        delay_s = self._backoff.next_delay(self._in_call, slow=refusal.lasting)
        self._due = now + delay_s
        self._heartbeat = None
        closing: list[Outcome] = [CloseLane(self.lane)] if close else []
        return [*closing, LaneFailed(self.lane, was_up, refusal, delay_s, refused)]

    def _received(self, data: bytes, now: Instant) -> list[Outcome]:
        if self._heartbeat is not None:
            self._heartbeat.heard(now)
        if data[:1] == bytes([MEDIA_TYPE]):
            return [MediaReceived(self.lane, data)] if self.up else []
        try:
            message = decode_server_message(data)
        except MalformedMessage as error:
            return self.fail(Refusal(f"The server said something that is not of the protocol: {error}."), now)
        match message:
            case Refused(why=why):
                return self.fail(REFUSALS[why], now, refused=message)
            case Challenge() if self.state is State.GREETING:
                return self._challenged(message, now)
            case Welcome() | LaneJoined() if self.state is State.PROVING:
                self._move(Cause.ADMITTED)
                self._due = None
                self._up_since = now
                self._heartbeat = Heartbeat(self._timing, self._in_call, now)
                return [LaneAdmitted(self.lane, message)]
        return [LaneHeard(self.lane, message)] if self.up else []

    def _challenged(self, challenge: Challenge, now: Instant) -> list[Outcome]:
        answer = OTHER_VERSION if PROTOCOL_VERSION not in challenge.versions else self._prove(challenge)
        if isinstance(answer, Refusal):
            return self.fail(answer, now)
        self._move(Cause.CHALLENGED)
        return [SendOnLane(self.lane, encode_message(answer))]

    def _open(self, cause: Cause, now: Instant) -> list[Outcome]:
        self._move(cause)
        return self._dial(now)

    def _dial(self, now: Instant) -> list[Outcome]:
        self._due = now + self._backoff.connect_timeout_s(self._in_call)
        self._opening = next(self._openings)
        return [OpenLane(self.lane, opening=self._opening)]

    def _move(self, cause: Cause) -> None:
        self.state = TABLE[self.state].get(cause, self.state)


_TOO_SLOW = {
    State.OPENING: "The server does not answer.",
    State.GREETING: "The server took the connection, but says nothing.",
    State.PROVING: "The server does not answer the login.",
}
