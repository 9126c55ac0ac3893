"""Linking a further device to this account: an invite, the same three numbers on both, and a yes here.

    begin() -> invite line     [open]    the new box comes with it (`callbox join INVITE`)     [asked]
    both show `numbers`; confirm(numbers) signs the new device, refuse() sends it away         [idle]

The invite lasts 15 minutes and is good for one device. `on_asked` is called with the numbers when they are there: for
a voice, or a menu. How the numbers keep everybody else out is written in `crypto.linking`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from callbox.app.core import Core
from callbox.app.own_devices import OwnDevices, no_key
from callbox.base.errors import CallboxError, WrongUse
from callbox.base.time import Instant
from callbox.crypto.errors import Untrusted
from callbox.crypto.linking import link_numbers, link_token
from callbox.crypto.records import card_fingerprint, verify_half_record
from callbox.wire.cards import Invite
from callbox.wire.signals import Accepted, AnswerLink, LinkAsked, OpenLink, ServerMessage

LINK_S = 870.0  # a little less than the server keeps it
NONCE_BYTES = 32
MOST_UNHEARD = 3
EXPIRED = CallboxError("The link invite has expired.", "Make a new one: callbox link")


@dataclass(slots=True)
class Open:
    """An invite that waits to be taken up. `asked`: by whom, and the numbers that both show."""

    nonce: bytes
    ends: Instant
    asked: LinkAsked | None = None
    numbers: str = ""
    kind: str = ""
    unheard: int = 0

    @property
    def token(self) -> str:
        """What the invite carries."""
        return link_token(self.nonce)


class Linking:
    """One link at a time."""

    def __init__(self, core: Core, own: OwnDevices, address: Callable[[], str], server_id: bytes) -> None:
        self._core = core
        self._own = own
        self._address = address
        self._server_id = server_id
        self._open: Open | None = None
        self.on_asked: Callable[[str], None] = lambda numbers: None
        self.on_ended: Callable[[bool], None] = lambda linked: None

    @property
    def deadline(self) -> Instant | None:
        """When the invite expires."""
        return self._open.ends if self._open is not None else None

    @property
    def numbers(self) -> str:
        """The three numbers to compare; empty while no device asks."""
        return self._open.numbers if self._open is not None else ""

    @property
    def opened(self) -> bool:
        """Whether an invite waits to be taken up or confirmed."""
        return self._open is not None

    def begin(self) -> dict[str, Any]:
        """Make an invite; one from before is good no more. Raises CallboxError without key or connection."""
        identity = self._core.identity
        if not self._own.holds_key:
            raise no_key()
        if not self._core.link.up:
            raise CallboxError("The box has no connection to its server.", "`callbox status` says what fails.")
        self.refuse()
        self._open = Open(self._core.chance.token(NONCE_BYTES), self._core.now + LINK_S)
        self._announce()
        invite = Invite(
            self._address(),
            identity.account,
            self._open.token,
            self._server_id.hex(),
            card_fingerprint(identity.account_public),
            identity.account_public,
        )
        return {"ok": True, "invite": str(invite)}

    def confirm(self, numbers: str) -> dict[str, Any]:
        """The numbers agree: sign the device. Raises WrongUse if these are not the ones that are shown now."""
        opened = self._open
        if opened is None or opened.asked is None:
            raise WrongUse("No device asks to be linked.", "Make an invite first: callbox link")
        if "".join(numbers.split()) != opened.numbers.replace(" ", ""):
            raise WrongUse("These are not the numbers that this box shows now.", "Compare them again.")
        linked = self._own.link(opened.asked.record, opened.asked.by_device)
        self._open = None
        self.on_ended(True)
        return {"ok": True, "device": linked.device}

    def refuse(self) -> dict[str, Any]:
        """The numbers differ, or it was not meant so: whoever asks is sent away, and the invite is good no more."""
        opened, self._open = self._open, None
        if opened is not None:
            self._core.say(AnswerLink(opened.token, bytes(NONCE_BYTES), agreed=False))
            self.on_ended(False)
        return {"ok": True}

    def asked(self, message: LinkAsked) -> None:
        """A device came with our invite. The first one counts: another is not even answered."""
        opened = self._open
        if opened is None or message.token != opened.token:
            return
        if opened.asked is not None:
            if opened.asked.record == message.record:
                self._core.say(AnswerLink(opened.token, opened.nonce))  # it lost its connection and came again
            return
        identity = self._core.identity
        try:
            record = verify_half_record(message.record, message.by_device)
        except Untrusted as error:
            self._core.complain(f"a device that asks to be linked has a record that does not hold: {error}")
            return
        ours = (record.account, record.account_key) == (identity.account, identity.account_public)
        known = record.device in {identity.device, *(other.device for other in self._own.others)}
        if not ours or known or record.revoked or record.sequence != 1:
            self._core.complain("a device that asks to be linked has the record of something else; not answered")
            return
        opened.asked, opened.kind = message, record.kind
        opened.numbers = link_numbers(identity.account_public, message.record, opened.nonce)
        self._core.say(AnswerLink(opened.token, opened.nonce))
        self.on_asked(opened.numbers)

    def session_up(self) -> None:
        """A new session, perhaps with a server that was started anew: the invite goes on."""
        if self._open is not None:
            self._announce()

    def tick(self) -> None:
        """Let an old invite expire."""
        if self._open is not None and self._core.now >= self._open.ends:
            self.refuse()

    def waits(self) -> dict[str, Any] | None:
        """Return the numbers once a device asks, or that the invite is over; None: it waits on."""
        if self._open is None:
            return {"ok": False, "error": EXPIRED.what, "cure": EXPIRED.cure}
        if not self._open.numbers:
            return None
        return {"ok": True, "numbers": self._open.numbers, "kind": self._open.kind}

    def _announce(self) -> None:
        opened = self._open
        assert opened is not None

        def answered(message: ServerMessage | None) -> None:
            if self._open is not opened or isinstance(message, Accepted):
                return
            opened.unheard += 1
            if message is not None or opened.unheard >= MOST_UNHEARD:  # one that does not know the word hangs up on it
                self._open = None
                self._core.warn("the server takes no link invites; is it of an older release?")

        self._core.request(lambda number: OpenLink(number, opened.token), answered)
