"""Voice messages on their way out: the sound goes to the server sealed, part by part; then a letter names it.

    queued -> read from the store -> sealed -> begin-blob -> put-part ... -> the letter with its key -> [outbox]

One at a time, in the order spoken, and none while a call needs the line; copies for our own other boxes go last. The
letter is queued only once the server has
committed every part, in the same transaction that notes it: whatever is killed in between, the message leaves once.
Sealing is repeatable, so that a message goes on at the part where it was cut off.
"""

from collections.abc import Callable
from dataclasses import dataclass

from callbox.app.core import Core
from callbox.app.own_voices import UNMADE, OwnVoices
from callbox.app.post import Post
from callbox.audio.facts import Play
from callbox.audio.tones import Tone
from callbox.base.time import Instant, earliest
from callbox.conversations.items import BlobKey, VoiceItem
from callbox.crypto.blobs import digest_of, seal_blob
from callbox.wire.bodies import VoiceMessage
from callbox.wire.codec import PART_BYTES
from callbox.wire.signals import Accepted, BeginBlob, BlobPlace, Denied, DropBlob, PutPart, ServerMessage, Welcome

RETRY_S = 30.0
LOST_AGAIN_S = 5.0
FOR_GOOD = frozenset({"not-allowed", "no-such-account", "not-yours", "too-large"})
NO_BLOBS = "the server takes no voice messages"


@dataclass(frozen=True, slots=True)
class Job:
    """A sound to upload: to the contact whom it was spoken to, or a copy to our own account."""

    item: VoiceItem
    blob: BlobKey
    account: str
    own: bool = False

    @property
    def number(self) -> bytes:
        """What the server knows it by."""
        return self.blob.at or self.item.id


class Uploads:
    """Pure. `free`: whether no call needs the line."""

    def __init__(self, core: Core, post: Post, copies: OwnVoices, free: Callable[[], bool]) -> None:
        self._core = core
        self._post = post
        self._copies = copies
        self._free = free
        self._current: Job | None = None  # what is on its way
        self._paused = False
        self._unstored: set[bytes] = set()  # in the thread, but their sound is not on disk yet
        self._not_before: dict[bytes, Instant] = {}
        self._again: set[bytes] = set()  # named already, but the server may have forgotten their sound
        self._parts_taken: int | None = None  # how large a blob this session's server takes; None: no session yet

    @property
    def deadline(self) -> Instant | None:
        """When one that had to wait is due."""
        return earliest(*self._not_before.values())

    def session_up(self, welcome: Welcome) -> None:
        """There is a session: go on with what waits."""
        self._parts_taken = welcome.blob_parts
        self._not_before.clear()
        self.pump()

    def storing(self, item_id: bytes) -> Callable[[], None]:
        """A voice message was spoken; return what to call once its sound is on disk: only then can it be sent."""
        self._unstored.add(item_id)

        def stored() -> None:
            self._unstored.discard(item_id)
            self.pump()

        return stored

    def session_lost(self) -> None:
        """Nothing will be answered any more."""
        self._current = self._parts_taken = None

    def again(self) -> None:
        """The server was restored from a backup: what is not delivered yet may be missing there."""
        threads = self._post.threads
        named = [item for item in [*threads.voices("queued"), *threads.voices("sent")] if item.letter]
        self._again |= {item.id for item in named if item.blob is not None and not item.blob.at}
        self.pump()

    def tick(self) -> None:
        """Go on after a wait or a call."""
        self._copies.tick()
        due = [number for number, at in self._not_before.items() if at <= self._core.now]
        for number in due:
            del self._not_before[number]
        if due or (self._paused and self._free()):
            self.pump()

    def pump(self) -> None:
        """Begin with the oldest that may go; one that waits holds back the later ones to the same contact."""
        self._paused = not self._free()
        if self._current is not None or self._paused or self._parts_taken is None:
            return
        job = self._next()
        if job is None:
            return
        if job.blob.parts > self._parts_taken:
            self._unsent(job, NO_BLOBS)
            return
        self._current = job
        self._core.read_sound(job.item.id, lambda content: self._read(job, content))

    def _next(self) -> Job | None:
        threads = self._post.threads
        named = [item for item in map(threads.get, self._again) if isinstance(item, VoiceItem) and item.blob]
        queued = [*named, *(item for item in threads.voices("queued") if not item.letter)]
        held = {item.contact for item in queued if item.id in self._not_before or item.id in self._unstored}
        jobs = (Job(item, item.blob, item.contact) for item in queued if item.contact not in held and item.blob)
        return next(jobs, None) or self._next_copy()

    def _next_copy(self) -> Job | None:
        jobs = (Job(item, copy, self._core.identity.account, own=True) for item, copy in self._copies.waiting())
        job = next(jobs, None)
        return None if job is None or job.number in self._not_before or job.item.id in self._unstored else job

    def _read(self, job: Job, content: bytes | None) -> None:
        if self._current is not job:
            return
        if content is None:
            self._wait(job, RETRY_S)
            return
        if job.blob == UNMADE:
            self._make(job, content)
            return
        sealed = seal_blob(content, job.number, job.blob.key)
        if digest_of(sealed) != job.blob.digest:
            self._unsent(job, "its sound is damaged")
            return

        def answered(message: ServerMessage | None) -> None:
            if self._current is job and isinstance(message, BlobPlace) and message.blob == job.number:
                self._put(job, sealed, message.next_part)
            else:
                self._denied(job, message)

        self._core.request(lambda number: BeginBlob(number, job.number, job.account, job.blob.parts), answered)

    def _make(self, job: Job, content: bytes) -> None:
        """Another box of ours wants a copy of what was spoken here."""
        self._current = None
        if content:
            self._core.commit(self._copies.made(job.item.id, content), then=self.pump)
        else:
            self._unsent(job, "its sound is gone")

    def _put(self, job: Job, sealed: bytes, part: int) -> None:
        """Hand over one part and go on with the next once it is safe."""
        if self._post.threads.get(job.item.id) is None:
            self._withdraw(job)
        elif not self._free():
            self._current, self._paused = None, True
        elif part * PART_BYTES >= len(sealed):
            self._whole(job)
        else:
            data = sealed[part * PART_BYTES : (part + 1) * PART_BYTES]

            def answered(message: ServerMessage | None) -> None:
                if self._current is job and isinstance(message, Accepted):
                    self._put(job, sealed, part + 1)
                else:
                    self._denied(job, message)

            self._core.request(lambda number: PutPart(number, job.number, part, data), answered)

    def _denied(self, job: Job, message: ServerMessage | None) -> None:
        if self._current is not job or message is None:
            return  # of an earlier session, or the session is lost
        if not isinstance(message, Denied):
            self._wait(job, RETRY_S)
        elif message.why in FOR_GOOD:
            self._unsent(job, message.why)
        elif message.why == "no-blob":  # the server has lost it: announce it anew
            self._wait(job, LOST_AGAIN_S)
        else:
            self._wait(job, max(float(message.retry_after_s), LOST_AGAIN_S))

    def _wait(self, job: Job, seconds: float) -> None:
        self._current = None
        self._not_before[job.number] = self._core.now + seconds
        self.pump()

    def _unsent(self, job: Job, why: str) -> None:
        self._current = None
        if job.own:
            self._core.commit(self._copies.tell(job.item, None), then=self._post.pump)
            self.pump()
            return
        if job.item.id in self._again:
            self._again.discard(job.item.id)
            self.pump()
            return
        self._core.warn(f"a voice message was not sent: {why}")
        if self._free():
            self._core.emit(Play(Tone.ERROR, False))  # whoever spoke has no other sign of it
        self._core.commit(self._post.threads.unsent(job.item.id, why), then=self.pump)

    def _withdraw(self, job: Job) -> None:
        """Its person deleted it while it was on its way."""
        self._current = None
        self._take_back(job.number)
        self.pump()

    def _take_back(self, blob: bytes) -> None:
        def answered(message: ServerMessage | None) -> None:
            self._core.put_off(message, lambda: self._take_back(blob))

        self._core.request(lambda number: DropBlob(number, blob), answered)

    def _whole(self, job: Job) -> None:
        item = self._post.threads.get(job.item.id)
        self._current = None
        if job.own:
            if isinstance(item, VoiceItem):
                self._core.commit(self._copies.tell(item, job.blob), then=self._post.pump)
            self.pump()
            return
        self._again.discard(job.item.id)
        if isinstance(item, VoiceItem) and item.blob is not None and not item.letter:
            letter, blob = self._core.chance.token(16), item.blob
            body = VoiceMessage(item.id, blob.key, blob.digest, blob.parts, item.duration_ms)
            self._post.queue(letter, item.contact, "mail", body, self._post.threads.voice_named(item.id, letter))
        self.pump()
