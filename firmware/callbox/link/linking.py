"""How a further device joins an account by the link invite of one that is there: a pure core like `joining`.

    connect, proving nothing --AskAuthority--> certificate; its SHA-256 must be the invite's pin
    connect, proven by it    --AskLink--> the old box shows numbers, and so does this one (`numbers`)
    somebody presses yes there            --Linked--> Login, PublishPrekeys --> joined

Cut off anywhere, it begins again with the same record; once the account signed it, the server says so at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from callbox.base.chance import Chance
from callbox.base.errors import CallboxError
from callbox.base.time import Instant
from callbox.link.events import TransportEvent
from callbox.link.joining import JoinEffect, Joining, Patience
from callbox.link.session import NONCE_BYTES, Credentials
from callbox.wire.cards import Invite
from callbox.wire.records import SignedKey, SignedRecord
from callbox.wire.signals import AskLink, Challenge, LinkAnswered, Linked, Refused, ServerMessage

LINK_PATIENCE = Patience(whole_s=900.0)
_REFUSED = (
    "The other box said no: this device is not linked.",
    "Make a new invite there (callbox link), and compare the numbers of both.",
)
_WRONG_ANSWER = (
    "Somebody else answered in place of the box that made this invite; nothing was linked.",
    "Make a new invite (callbox link). If this happens again, do not trust the server.",
)
_USED = (
    "This link invite is not good any more, or another device came with it.",
    "They last 15 minutes, while the box that made it is running. Make a new one there: callbox link",
)


@dataclass(frozen=True, slots=True)
class Asking:
    """What asks to be linked: everything that needs keys is done by whoever made this."""

    record: bytes
    by_device: bytes
    numbers: Callable[[bytes], str]  # of the old box's nonce; raises ValueError for one that the token does not fit
    joined: Callable[[SignedRecord], tuple[Credentials, tuple[SignedKey, ...]]]  # raises ValueError


class Linking(Joining):
    """Until `outcome` is there: perform the effects, feed the events, tick at the deadline.

    `show` is called with the numbers, once for each time that the old box was reached.
    """

    def __init__(self, invite: Invite, asking: Asking, show: Callable[[str], None], chance: Chance) -> None:
        record = SignedRecord(asking.record, b"", asking.by_device)
        super().__init__(invite, record, Credentials("", "", bytes, int), (), chance, LINK_PATIENCE)
        self._asking = asking
        self._show = show
        self._shown = ""

    def handle(self, event: TransportEvent, now: Instant) -> list[JoinEffect]:
        """Take what the transport reports of lane 0."""
        effects = super().handle(event, now)
        if self._challenge is not None and not self._prekeys:
            self._step_due = None  # a person takes their time
        return effects

    def _step(self, message: ServerMessage) -> list[JoinEffect]:
        match message:
            case Refused(why="bad-invite"):
                return self._end(CallboxError(*_USED))
            case LinkAnswered(agreed=False):
                return self._end(CallboxError(*_REFUSED))
            case LinkAnswered(nonce=nonce):
                return self._answered(nonce)
            case Linked(record=record) if self._challenge is not None:
                return self._linked(record, self._challenge)
        return super()._step(message)

    def _introduce(self) -> list[JoinEffect]:
        return self._say(AskLink(self._invite.token, self._asking.record, self._asking.by_device))

    def _answered(self, nonce: bytes) -> list[JoinEffect]:
        try:
            numbers = self._asking.numbers(nonce)
        except ValueError:
            return self._end(CallboxError(*_WRONG_ANSWER))
        if numbers != self._shown:
            self._shown = numbers
            self._show(numbers)
        return []

    def _linked(self, record: SignedRecord, challenge: Challenge) -> list[JoinEffect]:
        try:
            self._credentials, self._prekeys = self._asking.joined(record)
        except ValueError:
            return self._end(CallboxError(*_WRONG_ANSWER))
        return self._say(self._credentials.login(challenge, self._chance.token(NONCE_BYTES)))
