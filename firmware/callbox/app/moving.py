"""Following a server that moves: its authority signs where it goes on; the box goes there, and stays if it is it.

    moved, signed, newer --[on disk]--> try the new address --session up--> kept
                                          `-- nothing for a while --> back to the old one, again later

At either address only the server with the pinned authority is spoken to, so the worst that a wrong address does is to
cost a moment.
"""

from collections.abc import Callable

import msgspec

from callbox.app.core import Core
from callbox.app.effects import Readdress
from callbox.app.saved import Membership, keep_membership
from callbox.base.errors import CallboxError
from callbox.base.time import Instant
from callbox.crypto.errors import Untrusted
from callbox.crypto.records import verify_move
from callbox.link.transports.dialling import parse_address
from callbox.wire.signals import Moved

TRY_S = 20.0
AGAIN_S = 600.0
AFTER_CALL_S = 3.0  # its last letters leave first


class Moving:
    """Where the server is, and where it says it goes."""

    def __init__(self, core: Core, membership: Membership, busy: Callable[[], bool]) -> None:
        self._core = core
        self._membership = membership
        self._busy = busy
        self._trying = False
        self._due: Instant | None = None if not membership.next_address else 0.0

    @property
    def membership(self) -> Membership:
        """Where the server is and how it is known, as it is kept."""
        return self._membership

    @property
    def address(self) -> str:
        """Where the server is, as far as it was reached."""
        return self._membership.address

    @property
    def dialled(self) -> str:
        """Where the box connects to now."""
        return self._membership.next_address if self._trying else self._membership.address

    @property
    def deadline(self) -> Instant | None:
        """When to try the new address, or to give it up for now. In a call, that waits for its end."""
        return None if self._due is not None and not self._trying and self._busy() else self._due

    def moved(self, message: Moved) -> None:
        """Take the server's word, if its authority signed it and it is the newest."""
        known = self._membership
        try:
            verify_move(known.authority, message.address, message.decided_ms, message.proof)
            parse_address(message.address)
        except (Untrusted, CallboxError):
            self._core.complain("the server says that it has moved, and its authority did not sign that; not believed")
            return
        if message.decided_ms <= known.moved_ms:
            if message.address == known.next_address and not self._trying and self._due is None:
                self._due = self._core.now
            return
        stays = message.address == known.address
        self._keep(moved_ms=message.decided_ms, next_address="" if stays else message.address)
        self._due = None if stays else self._core.now
        if not stays:
            self._core.tell(f"The server moves to {message.address}: this box tries to reach it there.")

    def session_up(self) -> None:
        """A server with the pinned authority took the login: where it was reached is where it is."""
        if self._trying:
            self._trying, self._due = False, None
            self._keep(address=self._membership.next_address, next_address="")
            self._core.tell(f"The server was reached at {self._membership.address}: this box stays with it.")

    def tick(self) -> None:
        """Go to the new address, or back from it."""
        core = self._core
        if self._due is not None and not self._trying and self._busy():
            self._due = max(self._due, core.now + AFTER_CALL_S)
        if self._due is None or core.now < self._due:
            return
        self._trying = not self._trying
        self._due = core.now + (TRY_S if self._trying else AGAIN_S)
        if not self._trying:
            core.warn(f"the server does not answer at {self._membership.next_address} yet; back to {self.address}")
        core.emit(*core.link.stop(core.now))
        core.emit(Readdress(self.dialled))
        core.emit(*core.link.start(core.now))

    def _keep(self, **changes: str | int) -> None:
        self._membership = msgspec.structs.replace(self._membership, **changes)
        self._core.commit([keep_membership(self._membership)])
