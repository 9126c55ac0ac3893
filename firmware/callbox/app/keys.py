"""The box's own keys at the server: prekeys that others claim, and the connection epoch.

The epoch grows with every login and is on disk *before* it is used: the next one is reserved while the present one
serves. So a box that crashed never repeats one, and a server that has seen a higher one knows an old backup.

One-time prekeys are refilled when few are left. The fallback key, which serves when none is, is renewed every week: a
box that is switched on has its mail by then, so letters under the one before are enough to be able to open.
"""

from collections.abc import Callable

from callbox.app.core import Core
from callbox.app.ledger import Then
from callbox.app.saved import (
    Saved,
    keep_epoch,
    keep_fallback_made,
    keep_identity,
    keep_server_store,
    keep_welcomed,
)
from callbox.base.time import TRUSTED_AFTER_MS, Instant
from callbox.conversations.stores import Put
from callbox.wire.signals import Accepted, PublishPrekeys, ServerMessage, Welcome

PREKEYS = 50
REFILL_BELOW = 20
MOST_EPOCH = 2**48  # a login a millisecond for 8,900 years; beyond it a lying server would use up all numbers
DOUBTS_APART_S = 3600.0
ROLL_BACKS_APART_S = 60.0
DAY_MS = 24 * 3600 * 1000
FALLBACK_LIVES_MS = 7 * DAY_MS
FALLBACKS_APART_S = 24 * 3600.0  # whatever the wall clock does: only the present one and the one before open letters
LOOK_EVERY_S = 3600.0


class Keys:
    """Prekeys and epochs of this box."""

    def __init__(self, saved: Saved) -> None:
        self._identity = saved.identity
        self._epoch = saved.connection_epoch
        self._core: Core | None = None
        self._publishing = False
        self._rolled_back_at: Instant | None = None
        self._welcomed = saved.welcomed_epoch
        self._server_store = saved.server_store
        self._renew_all = False
        self._server_restored_at: Instant | None = None
        self._fallback_made_ms = saved.fallback_made_ms
        self._fallback_renewed_at: Instant | None = None
        self._look_at: Instant | None = None
        self._doubted_at: Instant | None = None
        self.on_gap: Callable[[], None] = lambda: None

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

    @property
    def published(self) -> bool:
        """Whether the server holds prekeys of ours, as far as we know."""
        return not self._publishing and not self._renew_all

    def session_up(self, welcome: Welcome) -> None:
        """Publish prekeys if few are left. What either side forgot is told again (`on_gap`).

        A server that has another store than before, or that knows an earlier login of ours than the last, was restored
        from a backup; this box may have been, too.
        """
        assert self._core is not None
        now, epoch = self._core.now, self._epoch - 1
        known, store = welcome.known_epoch, welcome.store_id
        earlier = known is not None and known < self._welcomed
        another = bool(store and self._server_store) and store != self._server_store
        if (earlier or another) and self._may_doubt(now):
            self._server_restored_at = now
            self._renew_all = True
            self._core.tell(
                "The server was restored from a backup and has forgotten what came after it: this box tells it again."
            )
        self._welcomed, self._server_store = epoch, store or self._server_store
        self._core.commit([keep_welcomed(epoch), keep_server_store(self._server_store)])
        if self._renew_all:
            self.on_gap()
        self._look_at = now + LOOK_EVERY_S
        self.publish(0 if self._renew_all else welcome.prekeys_left)

    @property
    def deadline(self) -> Instant | None:
        """When to look at the age of the fallback key again."""
        return self._look_at

    def tick(self) -> None:
        """Renew the fallback key when it is a week old."""
        core = self._core
        if core is not None and self._look_at is not None and core.now >= self._look_at:
            self._look_at = core.now + LOOK_EVERY_S if core.link.up else None
            self.publish(PREKEYS)

    def _fallback_is_old(self) -> bool:
        """Say whether the fallback key is to be renewed. A date that cannot be is replaced by the present one."""
        assert self._core is not None
        now_ms, now = self._core.wall_ms, self._core.now
        if now_ms < TRUSTED_AFTER_MS:
            return False
        if not TRUSTED_AFTER_MS <= self._fallback_made_ms <= now_ms + DAY_MS:
            self._fallback_made_ms = now_ms
            self._core.commit([keep_fallback_made(now_ms)])
        renewed_at = self._fallback_renewed_at
        lately = renewed_at is not None and now - renewed_at < FALLBACKS_APART_S
        return now_ms - self._fallback_made_ms >= FALLBACK_LIVES_MS and not lately

    def _may_doubt(self, now: Instant) -> bool:
        last = self._server_restored_at
        return last is None or now - last >= ROLL_BACKS_APART_S

    def no_such_prekey(self) -> None:
        """A letter came under a prekey that is not here: perhaps the card has lost what lies at the server.

        New prekeys take the place of those; anybody can bring that about, so once an hour at most.
        """
        assert self._core is not None
        now = self._core.now
        if self._doubted_at is None or now - self._doubted_at >= DOUBTS_APART_S:
            self._doubted_at = now
            self._renew_all = True
            self.publish(0)

    def publish(self, left: int) -> None:
        """Give the server fresh prekeys when few are `left` or the fallback key is old; our copy is on disk before.

        After a gap those that lie at the server may be used up, or their secrets gone: new ones take their place.
        """
        core = self._core
        if core is None or self._publishing:
            return
        refill, fallback = left < REFILL_BELOW, self._renew_all or self._fallback_is_old()
        if not (refill or fallback):
            return
        self._publishing = True
        replace_all = self._renew_all
        if replace_all:
            self._identity.mark_published()  # what was made before counts no more
        missing = PREKEYS if replace_all else PREKEYS - left if refill else 0
        keys = self._identity.new_prekeys(missing, fallback)

        def published(message: ServerMessage | None) -> None:
            self._publishing = False
            if isinstance(message, Accepted):
                self._renew_all = self._renew_all and not replace_all
                self._identity.mark_published()
                core.commit([self._saved(), *(self._fallback_taken() if any(key.fallback for key in keys) else ())])
            else:
                core.put_off(message, lambda: self.publish(left))

        def publish() -> None:
            core.request(lambda number: PublishPrekeys(number, keys, replace_all), published)

        core.commit([self._saved()], then=publish)

    def _fallback_taken(self) -> list[Put]:
        assert self._core is not None
        self._fallback_renewed_at = self._core.now
        self._fallback_made_ms = max(self._core.wall_ms, 0)
        return [keep_fallback_made(self._fallback_made_ms)]

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
        core.tell(
            "This box was set back: its card is an older copy. What came since is not on it. It makes new keys "
            "with everybody and goes on. If another card of this box is still in use, take that one out of use."
        )
        core.sessions.forget_all()
        self._renew_all = True
        self._epoch = server_epoch
        again = self._rolled_back_at is not None and core.now - self._rolled_back_at < ROLL_BACKS_APART_S
        self._rolled_back_at = core.now
        self.reserve_epoch(then=None if again else lambda: core.emit(*core.link.hurry(core.now)))

    def _saved(self) -> Put:
        return keep_identity(self._identity.export())
