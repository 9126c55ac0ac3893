"""The ledger: durable writes in order, and what may happen only after them.

One transaction is under way at a time; what comes meanwhile is joined into the next one. A failed transaction is
tried again, with all that joined it, until the disk takes it: nothing is acknowledged or sent that was not stored,
and a disk that heals, heals the box. `urgent` continuations (call signals) run even if the write failed, because a
call must work on a full disk; the write itself stays queued.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callbox.app.effects import Commit
from callbox.base.time import Instant
from callbox.conversations.stores import Write

RETRY_S = 2.0
MAX_WAITING = 2_000

Then = Callable[[], None]


@dataclass(slots=True)
class _Entry:
    writes: Sequence[Write]
    then: Then | None
    urgent: bool


class Ledger:
    """Pure: hands out Commit effects and runs continuations when they are answered."""

    def __init__(self, emit: Callable[[Commit], None]) -> None:
        self._emit = emit
        self._waiting: list[_Entry] = []
        self._under_way: list[_Entry] = []
        self._ticket = 0
        self._retry_at: Instant | None = None
        self.fault: str | None = None

    @property
    def deadline(self) -> Instant | None:
        return self._retry_at

    @property
    def full(self) -> bool:
        """True when so much waits for a broken disk that nothing new should be taken."""
        return len(self._waiting) + len(self._under_way) >= MAX_WAITING

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._under_way

    def commit(self, writes: Sequence[Write], then: Then | None = None, urgent: bool = False) -> None:
        """Store `writes`, then call `then`. Without writes, `then` still waits for all that was put before it."""
        if not writes and self.idle:
            if then:
                then()
            return
        self._waiting.append(_Entry(writes, then, urgent))
        if self.fault and urgent:
            self._run_urgent()
        self._start()

    def committed(self, ticket: int) -> None:
        if ticket != self._ticket:
            return
        done, self._under_way = self._under_way, []
        self.fault = None
        for entry in done:
            if entry.then:
                entry.then()
        self._start()

    def failed(self, ticket: int, sentence: str, now: Instant) -> None:
        if ticket != self._ticket:
            return
        self.fault = sentence
        self._waiting = self._under_way + self._waiting
        self._under_way = []
        self._retry_at = now + RETRY_S
        self._run_urgent()

    def tick(self, now: Instant) -> None:
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._start()

    def _start(self) -> None:
        if self._under_way or not self._waiting or self._retry_at is not None:
            return
        self._under_way, self._waiting = self._waiting, []
        self._ticket += 1
        self._emit(Commit(self._ticket, [write for entry in self._under_way for write in entry.writes]))

    def _run_urgent(self) -> None:
        for entry in self._waiting:
            if entry.urgent and entry.then:
                then, entry.then = entry.then, None
                then()
