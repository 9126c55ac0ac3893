"""The records desk: what this box keeps, and for how long.

Once an hour everything that is older than `[keep]` in box.toml allows goes (see `conversations.retention`). And when a
newer program has been connected for ten minutes, the copy of the store that an earlier one would need goes too.
"""

from callbox.app import effects as do
from callbox.app.core import Core
from callbox.app.post import Post
from callbox.base.time import Instant

RETENTION_EVERY_S = 3600.0
PROVEN_S = 600.0


class Records:
    """What is kept, and until when."""

    def __init__(self, core: Core, post: Post) -> None:
        self._core = core
        self._post = post
        self._retention_at: Instant | None = None
        self._proven_at: Instant | None = None
        self._proven = False

    @property
    def deadline(self) -> Instant | None:
        """When something is due that nothing else will bring about. Retention waits for any other event."""
        return self._proven_at

    def session_up(self) -> None:
        """The server takes this program: the clock of its good start runs."""
        if not self._proven and self._proven_at is None:
            self._proven_at = self._core.now + PROVEN_S

    def tick(self) -> None:
        """Do what is due."""
        now = self._core.now
        if self._proven_at is not None and now >= self._proven_at:
            self._proven, self._proven_at = True, None
            self._core.emit(do.SettleStore())
        if self._retention_at is None or now >= self._retention_at:
            self._retention_at = now + RETENTION_EVERY_S
            self._post.retire(self._core.settings.keep)
