"""What the desks of a box share: who it is, the time of this event, and one way out for effects.

A desk (calling, post, front, control) is a part of the pure box. It never waits: it emits effects, asks the server
with a continuation for the answer, or commits with a continuation for the disk.
"""

from collections import deque
from collections.abc import Callable, Sequence

from callbox.app.effects import Effect, Log, ReadSound
from callbox.app.events import SoundRead
from callbox.app.ledger import Ledger, Then
from callbox.app.saved import SESSIONS, keep_identity
from callbox.app.settings import BoxSettings
from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.conversations.stores import Delete, Put, Write
from callbox.crypto.identity import Identity
from callbox.crypto.letters import seal_letter
from callbox.crypto.sessions import Sessions
from callbox.link.session import Session
from callbox.wire.bodies import Body
from callbox.wire.records import DeviceRecord
from callbox.wire.signals import Class, ClientMessage, Denied, Envelope, ServerMessage, Submit

Reply = Callable[[ServerMessage | None], None]

DAY_MS = 24 * 3600 * 1000
MOST_COMPLAINTS = 20
MOST_TOLD = 8
FOR_NOW = frozenset({"no-storage", "too-often"})
ASK_AGAIN_S = 10.0
COMPLAINTS_OVER_S = 60.0


class Core:
    """Shared services of one box. `now` is the time of the event being handled."""

    def __init__(
        self, settings: BoxSettings, identity: Identity, sessions: Sessions, session: Session, chance: Chance
    ) -> None:
        self.settings = settings
        self.identity = identity
        self.sessions = sessions
        self.link = session
        self.chance = chance
        self.now: Instant = 0.0
        self.ledger = Ledger(self.emit, lambda: self.now)
        self._wall_offset_ms = 0
        self.wall_moved_at: Instant | None = None  # when the wall clock was last set to another day
        self._effects: list[Effect] = []
        self._replies: dict[int, Reply] = {}
        self._put_off: dict[Callable[[], None], Instant] = {}
        self._reads: dict[int, Callable[[bytes | None], None]] = {}
        self._reads_begun = 0
        self.told: deque[tuple[int, str]] = deque(maxlen=MOST_TOLD)
        self._complaints = 0
        self._complaints_since: Instant = 0.0

    @property
    def wall_ms(self) -> int:
        """Unix milliseconds at the event being handled, as far as the clock can be trusted."""
        return self._wall_offset_ms + round(self.now * 1000)

    def wall_ms_of(self, instant: Instant) -> int:
        """Return what the wall clock shows at an instant, going by how it is set now."""
        return self._wall_offset_ms + round(instant * 1000)

    def set_wall(self, wall_ms: int) -> None:
        """Take the wall time of this very moment."""
        offset_ms = wall_ms - round(self.now * 1000)
        if self.wall_moved_at is None or abs(offset_ms - self._wall_offset_ms) > DAY_MS:
            self.wall_moved_at = self.now
        self._wall_offset_ms = offset_ms

    def emit(self, *effects: Effect) -> None:
        """Ask the world for these, in order, once the event is decided."""
        self._effects.extend(effects)

    def drain(self) -> list[Effect]:
        """Take out what was emitted since the last time."""
        effects, self._effects = self._effects, []
        return effects

    def log(self, text: str) -> None:
        """Tell the operator what goes on."""
        self.emit(Log("info", text))

    def warn(self, text: str) -> None:
        """Tell the operator what should not be."""
        # What is wrong and its cure come on two lines; a line of the log must stand by itself.
        self.emit(Log("warning", ". ".join(line.rstrip(".") for line in text.splitlines())))

    def tell(self, text: str) -> None:
        """Tell the owner something that a person should know: in the log, and in `callbox status` for a while."""
        self.warn(text)
        self.told.append((self.wall_ms, text))

    def complain(self, text: str) -> None:
        """Tell the operator of something that others can bring about as often as they like: a few times a minute.

        So nobody fills the log, or hides in it what `warn` says.
        """
        if self.now - self._complaints_since >= COMPLAINTS_OVER_S:
            if self._complaints > MOST_COMPLAINTS:
                self.warn(f"{self._complaints - MOST_COMPLAINTS} more complaints of that kind were left out")
            self._complaints_since, self._complaints = self.now, 0
        self._complaints += 1
        if self._complaints <= MOST_COMPLAINTS:
            self.warn(text)

    def request(self, build: Callable[[int], ClientMessage], reply: Reply) -> None:
        """Ask the server; `reply` gets its answer, or None when the session was lost first."""
        if not self.link.up:
            reply(None)
            return
        number, effects = self.link.request(build, self.now)
        self._replies[number] = reply
        self.emit(*effects)

    def replied(self, number: int, message: ServerMessage | None) -> None:
        """Hand an answer of the server to whoever asked."""
        reply = self._replies.pop(number, None)
        if reply:
            reply(message)

    def put_off(self, answer: ServerMessage | None, again: Callable[[], None]) -> bool:
        """Say whether the server only cannot do it now (its disk is full, too much was asked); `again` is called later.

        Not after the session: the next one begins by telling the server all that it lacks.
        """
        if not isinstance(answer, Denied) or answer.why not in FOR_NOW:
            return False
        self._put_off[again] = self.now + max(float(answer.retry_after_s), ASK_AGAIN_S)
        return True

    def session_lost(self) -> None:
        """Nothing is asked again in this session."""
        self._put_off.clear()

    @property
    def deadline(self) -> Instant | None:
        """When link, store, or what was put off is due."""
        return earliest(self.link.deadline, self.ledger.deadline, *self._put_off.values())

    def tick(self) -> None:
        """Do what is due."""
        self.emit(*self.link.tick(self.now))
        self.ledger.tick()
        for again in [again for again, due in self._put_off.items() if due <= self.now]:
            del self._put_off[again]
            again()

    def say(self, message: ClientMessage) -> None:
        """Tell the server something that needs no answer; lost when there is no session."""
        if self.link.up:
            self.emit(*self.link.say(message, self.now))

    def seal(
        self, record: DeviceRecord, cls: Class, body: Body, ttl_s: int, message_id: bytes | None = None
    ) -> Envelope:
        """Seal a letter to a verified device; commit before it leaves, for the ratchet has moved. Raises NoSession."""
        return seal_letter(
            self.sessions,
            self.identity,
            record,
            cls,
            body,
            message_id=message_id or self.chance.token(16),
            sent_ms=self.wall_ms,
            ttl_s=ttl_s,
        )

    def send(self, envelope: Envelope, urgent: bool = False) -> None:
        """Submit a letter once its ratchet is on disk. Nobody waits for the answer: it may be lost."""

        def submit() -> None:
            self.request(lambda number: Submit(number, envelope), lambda answer: None)

        self.commit([], then=submit, urgent=urgent)

    def commit(self, writes: Sequence[Write], then: Then | None = None, urgent: bool = False) -> None:
        """Store `writes` and every key that changed meanwhile, then call `then` (see `Ledger.commit`)."""
        self.ledger.commit([*writes, *self.key_writes()], then, urgent)

    def read_sound(self, item_id: bytes, then: Callable[[bytes | None], None]) -> None:
        """Read what is stored of a voice message's sound; `then` gets it, or None when the store cannot be read."""
        self._reads_begun += 1
        self._reads[self._reads_begun] = then
        self.emit(ReadSound(self._reads_begun, item_id))

    def sound_read(self, event: SoundRead) -> None:
        """Hand a sound to whoever asked."""
        if event.sound is None:
            self.warn(f"a voice message cannot be read: {event.sentence}")
        then = self._reads.pop(event.ticket, None)
        if then is not None:
            then(event.sound)

    def key_writes(self) -> list[Write]:
        """Return what changed in the Olm account and sessions since the last call, as writes."""
        writes: list[Write] = []
        for key, exported in self.sessions.changed().items():
            if key == "account":
                writes.append(keep_identity(exported))
            else:
                writes.append(Put(SESSIONS, key, exported) if exported else Delete(SESSIONS, key))
        return writes
