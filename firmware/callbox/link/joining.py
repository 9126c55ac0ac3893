"""How a box joins a server by an invite: a pure core; `transports.websocket.join` runs it.

    connect, proving nothing --AskAuthority--> certificate; its SHA-256 must be the invite's pin
    connect, proven by it    --Enrol, Login, PublishPrekeys--> joined

The invite is only ever shown to the server whose certificate fits the pin. Whatever was cut off on the way begins
again from the top: the server takes the same enrolment twice for one.
"""

import hashlib
import hmac
from dataclasses import dataclass
from typing import TypeAlias

from callbox.base.chance import Chance
from callbox.base.errors import CallboxError
from callbox.base.time import Instant, earliest
from callbox.link.events import (
    CONTROL_LANE,
    CloseLane,
    LaneClosed,
    LaneEffect,
    LaneOpened,
    LaneReceived,
    OpenLane,
    SendOnLane,
    TransportEvent,
)
from callbox.link.refusals import REFUSALS
from callbox.link.session import NONCE_BYTES, Credentials
from callbox.wire.cards import Invite
from callbox.wire.codec import decode_server_message, encode_message
from callbox.wire.errors import MalformedMessage
from callbox.wire.records import SignedKey, SignedRecord
from callbox.wire.signals import (
    Accepted,
    AskAuthority,
    Authority,
    Challenge,
    ClientMessage,
    Denied,
    Enrol,
    Enrolled,
    PublishPrekeys,
    Refused,
    ServerMessage,
    Welcome,
)

_NEW_INVITE = "Ask for a new one: callbox server invite NAME, on the server."
_WRONG_SERVER = (
    "The server that answers is not the one that made this invite.",
    f"A wrong address, a server set up anew, or somebody posing as it; nothing was told to it. {_NEW_INVITE}",
)
_NO_ROOM = (
    "The server cannot take this box in now: its disk may be full.",
    "Once it has room again, say the same with the same invite.",
)
_PUBLISH = 1


@dataclass(frozen=True, slots=True)
class Patience:
    """All in seconds."""

    whole_s: float = 10.0  # from the start to the end
    step_s: float = 5.0  # without anything from the server
    pause_s: float = 0.25  # between attempts: the server may be starting this very moment


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Trust:
    """Have all lanes opened from now on prove themselves by this certificate (DER); None: prove nothing."""

    authority: bytes | None


@dataclass(frozen=True, slots=True)
class Joined:
    """What the box keeps of its server."""

    authority: bytes
    server_id: bytes
    welcome: Welcome


JoinEffect: TypeAlias = Trust | LaneEffect


class Joining:
    """Until `outcome` is there: perform the effects, feed the events, tick at the deadline."""

    def __init__(
        self,
        invite: Invite,
        record: SignedRecord,
        credentials: Credentials,
        prekeys: tuple[SignedKey, ...],
        chance: Chance,
        patience: Patience = DEFAULT_PATIENCE,
    ) -> None:
        self.outcome: Joined | CallboxError | None = None
        self._invite = invite
        self._record = record
        self._credentials = credentials
        self._prekeys = prekeys
        self._chance = chance
        self._patience = patience
        self._server_id = bytes.fromhex(invite.authority_pin)
        self._authority: bytes | None = None
        self._challenge: Challenge | None = None
        self._welcome: Welcome | None = None
        self._give_up: Instant = 0.0
        self._step_due: Instant | None = None
        self._retry_at: Instant | None = None
        self._last_failure = ""

    @property
    def deadline(self) -> Instant | None:
        return None if self.outcome else earliest(self._give_up, self._step_due, self._retry_at)

    def start(self, now: Instant) -> list[JoinEffect]:
        self._give_up = now + self._patience.whole_s
        return self._connect(now)

    def tick(self, now: Instant) -> list[JoinEffect]:
        if self.outcome is not None:
            return []
        if now >= self._give_up:
            why = self._last_failure or f"{self._invite.server} does not answer."
            return self._end(
                CallboxError(why, "Check that the server runs and can be reached from here; then try again.")
            )
        if self._retry_at is not None and now >= self._retry_at:
            return self._connect(now)
        if self._step_due is not None and now >= self._step_due:
            return [CloseLane(CONTROL_LANE), *self._again(f"{self._invite.server} does not answer.", now)]
        return []

    def handle(self, event: TransportEvent, now: Instant) -> list[JoinEffect]:
        """Take what the transport reports of lane 0."""
        if self.outcome is not None or self._retry_at is not None:
            return []
        self._step_due = now + self._patience.step_s
        match event:
            case LaneClosed(kind="certificate"):
                return self._end(CallboxError(*_WRONG_SERVER))
            case LaneClosed(why=why):
                return self._again(why, now)
            case LaneReceived(data=data):
                try:
                    message = decode_server_message(data)
                except MalformedMessage:
                    return self._end(CallboxError(*_other_release(self._invite.server)))
                return self._step(message)
            case LaneOpened():
                pass
        return []

    def _step(self, message: ServerMessage) -> list[JoinEffect]:
        """Take the next step that `message` allows; what does not fit is ignored and ends in the step's timeout."""
        match message:
            case Refused(why=why):
                refusal = REFUSALS[why]
                return self._end(CallboxError(refusal.sentence, refusal.cure or "Try again in a minute."))
            case Challenge() if self._authority is None:
                return self._say(AskAuthority())
            case Challenge(server_id=server_id):
                if server_id != self._server_id:
                    return self._end(CallboxError(*_WRONG_SERVER))
                self._challenge = message
                return self._introduce()
            case Authority(certificate=certificate) if self._authority is None:
                return self._prove(certificate)
            case Enrolled() if self._challenge is not None:
                return self._say(self._credentials.login(self._challenge, self._chance.token(NONCE_BYTES)))
            case Welcome():
                self._welcome = message
                return self._say(PublishPrekeys(_PUBLISH, self._prekeys, replace=True))
            case Accepted(request=request) if request == _PUBLISH and self._welcome and self._authority:
                return self._end(Joined(self._authority, self._server_id, self._welcome))
            case Denied(why="no-storage"):
                return self._end(CallboxError(*_NO_ROOM))
            case Denied():
                return self._end(CallboxError("The server did not take this box's keys.", "Try again in a minute."))
        return []

    def _introduce(self) -> list[JoinEffect]:
        return self._say(Enrol(self._invite.token, self._record))

    def _prove(self, certificate: bytes) -> list[JoinEffect]:
        """Go on over a proven connection if the certificate is the one that the invite pins."""
        if not hmac.compare_digest(hashlib.sha256(certificate).digest(), self._server_id):
            return self._end(CallboxError(*_WRONG_SERVER))
        self._authority = certificate
        return [CloseLane(CONTROL_LANE), Trust(certificate), OpenLane(CONTROL_LANE)]

    def _connect(self, now: Instant) -> list[JoinEffect]:
        self._retry_at = None
        self._challenge = self._welcome = None
        self._step_due = now + self._patience.step_s
        return [Trust(self._authority), OpenLane(CONTROL_LANE)]

    def _again(self, why: str, now: Instant) -> list[JoinEffect]:
        self._last_failure = why
        self._step_due = None
        self._retry_at = now + self._patience.pause_s
        return []

    def _say(self, message: ClientMessage) -> list[JoinEffect]:
        return [SendOnLane(CONTROL_LANE, encode_message(message))]

    def _end(self, outcome: Joined | CallboxError) -> list[JoinEffect]:
        self.outcome = outcome
        return [CloseLane(CONTROL_LANE)]


def _other_release(server: str) -> tuple[str, str]:
    return f"{server} speaks another version of the protocol.", "Update the box and the server to the same release."
