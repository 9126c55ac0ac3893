"""The one thread that may touch the store: effects in, outcomes back to the loop, one commit for all that waits."""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from callbox.base.time import Instant
from callbox.server.events import Audit, ServerEvent, StoreEffect
from callbox.server.shell.audit import AuditLog
from callbox.server.stores import ServerStore, carry_out_all

MAX_GROUP = 256
_log = logging.getLogger("callbox.server")
Item = StoreEffect | Audit | None


class StoreThread:
    """Runs from `start` to `stop`. `report` is called on the loop; `crashed` too, if the thread dies of a bug."""

    def __init__(
        self,
        store: ServerStore,
        audit: AuditLog,
        report: Callable[[list[ServerEvent]], None],
        crashed: Callable[[], None],
    ) -> None:
        self._store = store
        self._audit = audit
        self._report = report
        self._crashed = crashed
        self._queue: SimpleQueue[Item] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._undone = 0
        self.owes_since: Instant | None = None
        """Since when something waits, or it finished the one before; for the loop's eyes."""
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: StoreEffect | Audit) -> None:
        if not self._undone:
            self.owes_since = self._loop.time()
        self._undone += 1
        self._queue.put(item)

    def stop(self) -> None:
        """Do what was put in until now, and end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        finished = False
        try:
            while not finished:
                items = self._waiting()
                finished = None in items
                done = [item for item in items if item is not None]
                self._perform(done)
                self._tell(partial(self._finished, len(done)))
        finally:
            if not finished:
                self._tell(self._crashed)

    def _waiting(self) -> list[Item]:
        """Wait for one item and take all that came with it."""
        items = [self._queue.get()]
        try:
            while len(items) < MAX_GROUP and items[-1] is not None:
                items.append(self._queue.get_nowait())
        except Empty:
            pass
        return items

    def _perform(self, items: Sequence[StoreEffect | Audit]) -> None:
        self._audit.append(item.line for item in items if isinstance(item, Audit))
        effects = [item for item in items if not isinstance(item, Audit)]
        if effects:
            outcomes = carry_out_all(self._store, effects)
            self._tell(lambda: self._report(outcomes))

    def _finished(self, items: int) -> None:
        self._undone -= items
        self.owes_since = self._loop.time() if self._undone else None

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop is closed: the server is on its way out
            _log.debug("an outcome of the store came after the end")
