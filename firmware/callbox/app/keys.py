"""The box's own keys at the server: prekeys that others claim, and the connection epoch.

The epoch grows with every login and is on disk *before* it is used: the next one is reserved while the present one
serves. So a box that crashed never repeats one, and a server that has seen a higher one knows an old backup.
"""

from callbox.app.core import Core
from callbox.app.ledger import Then
from callbox.app.saved import Saved, keep_epoch, keep_identity
from callbox.base.time import Instant
from callbox.conversations.stores import Put
from callbox.wire.signals import Accepted, PublishPrekeys, ServerMessage

PREKEYS = 50
REFILL_BELOW = 20
MOST_EPOCH = 2**48  # a login a millisecond for 8,900 years; beyond it a lying server would use up all numbers
ROLL_BACKS_APART_S = 60.0


class Keys:
    """Prekeys and epochs of this box."""

    def __init__(self, saved: Saved) -> None:
        self._identity = saved.identity
        self._epoch = saved.connection_epoch
        self._core: Core | None = None
        self._publishing = False
        self._rolled_back_at: Instant | None = None

    def join(self, core: Core) -> None:
        """Take the core, which needs `next_epoch` before it can be made itself."""
        self._core = core

    def next_epoch(self) -> int:
        """Return the reserved epoch and reserve the next one."""
        epoch = self._epoch
        self.reserve_epoch(None)
        return epoch

    def reserve_epoch(self, then: Then | None) -> None:
        """Keep the next epoch on disk, then go on."""
        assert self._core is not None
        self._epoch += 1
        self._core.commit([keep_epoch(self._epoch)], then, urgent=True)

    def publish(self, left: int) -> None:
        """Give the server fresh prekeys when few are left; our copy is on disk before they are offered."""
        core = self._core
        if core is None or left >= REFILL_BELOW or self._publishing:
            return
        self._publishing = True
        keys = self._identity.new_prekeys(PREKEYS - left, fallback=True)

        def published(message: ServerMessage | None) -> None:
            self._publishing = False
            if isinstance(message, Accepted):
                self._identity.mark_published()
                core.commit([self._saved()])

        core.commit([self._saved()], then=lambda: core.request(lambda number: PublishPrekeys(number, keys), published))

    def rolled_back(self, server_epoch: int) -> None:
        """The server knows a later login: this box's storage is an old copy.

        Its Olm sessions would use keys twice, so they go. A server that says so of an epoch that it cannot know, or
        again and again, lies: the login is then only tried again at the link's own pace.
        """
        assert self._core is not None
        core = self._core
        if not self._epoch - 1 <= server_epoch <= MOST_EPOCH:
            core.warn("the server names a connection epoch that cannot be; it is not believed")
            return
        core.warn("this box's storage is older than the server remembers (a restored card?): sessions are made anew")
        core.sessions.forget_all()
        self._epoch = server_epoch
        again = self._rolled_back_at is not None and core.now - self._rolled_back_at < ROLL_BACKS_APART_S
        self._rolled_back_at = core.now
        self.reserve_epoch(then=None if again else lambda: core.emit(*core.link.hurry(core.now)))

    def _saved(self) -> Put:
        return keep_identity(self._identity.export())
