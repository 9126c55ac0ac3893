"""The ledger: durable writes in order (`conversations.commits`), and what may happen only after them.

A call must work on a full disk: *urgent* continuations (call signals) run even while writing fails. Their writes stay
queued with all others until the disk takes them, so nothing is acknowledged or sent as mail that was not stored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from callbox.app.effects import Commit
from callbox.base.time import Instant
from callbox.conversations.commits import Commits
from callbox.conversations.stores import FaultKind, StoreFault, Write

MAX_WAITING = 2_000

Then = Callable[[], None]


@dataclass(slots=True)
class _Continuation:
    then: Then | None
    urgent: bool

    def run(self) -> None:
        """Run once."""
        then, self.then = self.then, None
        if then is not None:
            then()


class Ledger:
    """Pure: hands out Commit effects and runs continuations when they are answered."""

    def __init__(self, emit: Callable[[Commit], None], clock: Callable[[], Instant]) -> None:
        self._emit = emit
        self._clock = clock
        self._commits: Commits[_Continuation] = Commits()
        self._waiting: list[_Continuation] = []
        self._ticket = 0

    @property
    def deadline(self) -> Instant | None:
        """When to try again after a failure."""
        return self._commits.deadline

    @property
    def fault(self) -> str | None:
        """Why the store does not take writes at present, in a sentence."""
        return self._commits.fault.what if self._commits.fault else None

    @property
    def fault_kind(self) -> str:
        """Which kind of fault that is; "" while there is none."""
        return self._commits.fault.kind if self._commits.fault else ""

    @property
    def full(self) -> bool:
        """True when so much waits for a broken disk that nothing new should be taken."""
        return self.fault is not None and len(self._waiting) >= MAX_WAITING

    @property
    def idle(self) -> bool:
        """Whether everything is on disk."""
        return not self._waiting

    def commit(self, writes: Sequence[Write], then: Then | None = None, urgent: bool = False) -> None:
        """Store `writes`, then call `then`. Without writes, `then` still waits for all that was put before it."""
        continuation = _Continuation(then, urgent)
        if not writes and self.idle:
            continuation.run()
            return
        self._waiting.append(continuation)
        self._commits.add(writes, [continuation])
        if urgent and self.fault is not None:
            continuation.run()
        self._start()

    def committed(self, ticket: int) -> None:
        """The batch of this ticket is on disk: do what waited for it."""
        if ticket != self._ticket:
            return
        done = self._commits.written()
        del self._waiting[: len(done)]
        for continuation in done:
            continuation.run()
        self._start()

    def failed(self, ticket: int, sentence: str, kind: FaultKind = "device") -> None:
        """Nothing of the batch is on disk: do what is urgent, keep the rest for the next try."""
        if ticket != self._ticket:
            return
        self._commits.failed(StoreFault(kind, sentence), self._clock())
        for continuation in list(self._waiting):
            if continuation.urgent:
                continuation.run()

    def tick(self) -> None:
        """Try again when it is time."""
        self._start()

    def _start(self) -> None:
        writes = self._commits.batch(self._clock())
        if writes is not None:
            self._ticket += 1
            self._emit(Commit(self._ticket, writes))
