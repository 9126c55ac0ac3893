"""The session with the server: lane 0 logged in, requests and their answers, media lanes beside it.

    box: request, say, in_call, want_lanes, hurry --+
    transport: LaneOpened, LaneReceived, ... -------+--> Session --> effects down (lanes) and up (the box)
    the clock: tick at `deadline` ------------------+

In a call, a connection that has gone silent is not given up at once: after a moment of darkness it is heard again
before any new one could be. Only when the server answers a fresh one (the probe) and not the old, the old one is dead.

It tries for ever. A request is answered exactly once: by the server, or with None when the session went first; the
box then submits again in the next session, and the server takes the same letter twice for one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.link.events import (
    CONTROL_LANE,
    PROBE_LANE,
    CloseLane,
    EpochRolledBack,
    Incoming,
    LaneReceived,
    LinkEffect,
    LinkFault,
    OpenLane,
    Replied,
    Reply,
    Retrying,
    SendOnLane,
    SessionLost,
    SessionUp,
    TransportEvent,
)
from callbox.link.lane import LaneAdmitted, LaneFailed, LaneHeard, LaneMachine, Outcome
from callbox.link.lanes import LaneSet
from callbox.link.refusals import OTHER_SERVER, SILENT, Refusal
from callbox.link.states import CONNECTED, State
from callbox.link.timing import Timing
from callbox.wire.codec import encode_message, login_transcript
from callbox.wire.records import SignedRecord
from callbox.wire.signals import (
    Challenge,
    ClientMessage,
    Login,
    ServerMessage,
    Welcome,
)

NONCE_BYTES = 32
_SILENT_SERVER = Refusal("The server does not answer what it was asked.")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who logs in. `next_epoch` returns a number higher than ever before, already stored durably."""

    account: str
    device: str
    sign: Callable[[bytes], bytes]
    next_epoch: Callable[[], int]
    software: str = ""
    record: SignedRecord | None = None  # shown to a server that may have been restored from a backup

    def login(self, challenge: Challenge, nonce: bytes) -> Login:
        """Return the signed answer to `challenge`; `nonce` is 32 fresh random bytes."""
        epoch = self.next_epoch()
        transcript = login_transcript(challenge.server_id, challenge.nonce, nonce, self.device, epoch)
        return Login(self.account, self.device, nonce, epoch, self.sign(transcript), self.software, self.record)


class Session:
    """Pure. Every method returns effects in the order in which they must be performed."""

    def __init__(
        self, credentials: Credentials, server_id: bytes, chance: Chance, timing: Timing | None = None
    ) -> None:
        timing = timing or Timing()
        self._credentials = credentials
        self._server_id = server_id
        self._chance = chance
        self._timing = timing
        openings = count(1)
        self._control = LaneMachine(CONTROL_LANE, self._prove, timing, chance, openings)
        self._lanes = LaneSet(server_id, timing, chance, openings)
        self._openings = openings
        self._media_flows = False
        self._probe: LaneMachine | None = None  # does the server answer while the session is silent?
        self._next_request = 1
        self._unanswered: dict[int, Instant] = {}
        self._received_at: Instant = 0.0
        self._fault: LinkFault | None = None

    @property
    def up(self) -> bool:
        return self._control.up

    @property
    def state(self) -> State:
        return self._control.state

    @property
    def lanes(self) -> tuple[int, ...]:
        """The media lanes that are up."""
        return self._lanes.up

    @property
    def media_lanes(self) -> tuple[int, ...]:
        """The lanes to send media on now: while no media lane has joined, the session's own will do."""
        return self.lanes or ((CONTROL_LANE,) if self.up else ())

    @property
    def deadline(self) -> Instant | None:
        probe_due = self._probe.deadline if self._probe else None
        return earliest(self._control.deadline, self._lanes.deadline, self._answer_due(), probe_due)

    def start(self, now: Instant) -> list[LinkEffect]:
        return self._translate(self._control.start(now), now)

    def stop(self, now: Instant) -> list[LinkEffect]:
        """Close everything. Outstanding requests are answered with None, and SessionLost is told if it was up."""
        was_up = self.up
        effects = [*self._translate(self._control.stop(), now), *self._mind_probe(now)]
        return [*self._lanes.session_lost(), *effects, *(self._lose("The box closed the session.") if was_up else [])]

    def hurry(self, now: Instant) -> list[LinkEffect]:
        """The network has changed: try at once, doubt what seems to be up, and wait no longer for what was silent."""
        silent = self._control.fail(SILENT, now) if self._control.silent else []
        effects = self._translate([*silent, *self._control.hurry(now)], now)
        return [*effects, *self._lanes.hurry(now), *self._mind_probe(now)]

    def in_call(self, on: bool, now: Instant) -> list[LinkEffect]:
        """In a call, silence is noticed within 1.5 s and no pause between attempts is long; idle costs little."""
        self._media_flows = False
        return [*self._translate(self._control.set_in_call(on, now), now), *self._mind_probe(now)]

    def media_flows(self, flows: bool, now: Instant) -> list[LinkEffect]:
        """Voice is heard, or is not any more. While it is the server is there, however long its answers take."""
        self._media_flows = flows
        return self._mind_probe(now)

    def want_lanes(self, count: int, now: Instant) -> list[LinkEffect]:
        """Keep `count` media lanes up, in this and in later sessions."""
        return self._lanes.want(count, now)

    def tick(self, now: Instant) -> list[LinkEffect]:
        answer_due = self._answer_due()
        if answer_due is not None and now >= answer_due:
            return self._translate(self._control.fail(_SILENT_SERVER, now), now)
        effects = [*self._translate(self._control.tick(now), now), *self._lanes.tick(now)]
        if self._probe is not None:
            effects += _lane_effects(self._probe.tick(now))
        return [*effects, *self._mind_probe(now)]

    def handle(self, event: TransportEvent, now: Instant) -> list[LinkEffect]:
        if event.lane == PROBE_LANE:
            return self._probed(event, now)
        if event.lane != CONTROL_LANE:
            return self._lanes.handle(event, now)
        if isinstance(event, LaneReceived):
            self._received_at = now
        return [*self._translate(self._control.handle(event, now), now), *self._mind_probe(now)]

    def request(self, build: Callable[[int], ClientMessage], now: Instant) -> tuple[int, list[LinkEffect]]:
        """Send `build(number)`; return the number, with which exactly one `Replied` will come.

        Without a session that `Replied` is among the effects already, with None.
        """
        number = self._next_request
        self._next_request += 1
        if not self.up:
            return number, [Replied(number, None)]
        self._unanswered[number] = now
        return number, [SendOnLane(CONTROL_LANE, encode_message(build(number)))]

    def say(self, message: ClientMessage, now: Instant) -> list[LinkEffect]:
        """Send a message that has no answer; without a session it is dropped."""
        return [SendOnLane(CONTROL_LANE, encode_message(message))] if self.up else []

    def _mind_probe(self, now: Instant) -> list[LinkEffect]:
        """Have a probe while the session is silent, and only then."""
        if self._media_flows and self._control.silent:
            self._control.reassure(now)
        if self._control.silent and self._probe is None:
            self._probe = LaneMachine(PROBE_LANE, lambda _: SILENT, self._timing, self._chance, self._openings)
            self._probe.set_in_call(True, now)
            return _lane_effects(self._probe.start(now))
        if self._probe is not None and not self._control.silent:
            probe, self._probe = self._probe, None
            return _lane_effects(probe.stop())
        return []

    def _probed(self, event: TransportEvent, now: Instant) -> list[LinkEffect]:
        if self._probe is None:
            return []
        effects = _lane_effects(self._probe.handle(event, now))
        if self._probe.state in CONNECTED:
            effects += self._translate([*self._control.fail(SILENT, now), *self._control.hurry(now)], now)
        return [*effects, *self._mind_probe(now)]

    def _answer_due(self) -> Instant | None:
        """When the oldest request has waited too long. What else comes in shows a slow link, not a stuck server."""
        oldest = next(iter(self._unanswered.values()), None)
        return None if oldest is None else max(oldest, self._received_at) + self._timing.answer_s

    def _prove(self, challenge: Challenge) -> ClientMessage | Refusal:
        if challenge.server_id != self._server_id:
            return OTHER_SERVER
        return self._credentials.login(challenge, self._chance.token(NONCE_BYTES))

    def _translate(self, outcomes: list[Outcome], now: Instant) -> list[LinkEffect]:
        effects: list[LinkEffect] = []
        for outcome in outcomes:
            match outcome:
                case LaneAdmitted(message=Welcome() as welcome):
                    self._fault = None
                    effects += [SessionUp(welcome), *self._lanes.session_up(welcome.tickets, now)]
                case LaneAdmitted():
                    effects += self._translate(self._control.fail(_SILENT_SERVER, now), now)
                case LaneHeard(message=message):
                    effects.append(self._heard(message))
                case LaneFailed():
                    effects += self._failed(outcome)
                case effect:
                    effects.append(effect)
        return effects

    def _heard(self, message: ServerMessage) -> LinkEffect:
        if isinstance(message, Reply):
            return self._answered(message)
        return Incoming(message)

    def _answered(self, reply: Reply) -> LinkEffect:
        """Match an answer to its request; a second one (a route now complete) is an ordinary message."""
        if self._unanswered.pop(reply.request, None) is None:
            return Incoming(reply)
        return Replied(reply.request, reply)

    def _failed(self, failed: LaneFailed) -> list[LinkEffect]:
        effects: list[LinkEffect] = self._lanes.session_lost()
        if failed.was_up:
            effects += self._lose(failed.refusal.sentence)
        if failed.refused is not None and failed.refused.why == "epoch":
            effects.append(EpochRolledBack(failed.refused.connection_epoch))
        fault = LinkFault(failed.refusal.sentence, failed.refusal.cure)
        if failed.refusal.lasting and fault != self._fault:
            self._fault = fault
            effects.append(fault)
        effects.append(Retrying(failed.refusal.sentence, failed.delay_s))
        return effects

    def _lose(self, why: str) -> list[LinkEffect]:
        unanswered, self._unanswered = self._unanswered, {}
        return [*(Replied(number, None) for number in unanswered), SessionLost(why)]


def _lane_effects(outcomes: list[Outcome]) -> list[LinkEffect]:
    """Return what a probe wants done; what it learns concerns nobody."""
    return [outcome for outcome in outcomes if isinstance(outcome, OpenLane | CloseLane)]
