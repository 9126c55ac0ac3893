"""Voice messages on their way out: the sound goes to the server sealed, part by part; then a letter names it.

    queued -> read from the store -> sealed -> begin-blob -> put-part ... -> the letter with its key -> [outbox]

One at a time, in the order spoken, and none while a call needs the line. The letter is queued only once the server has
committed every part, in the same transaction that notes it: whatever is killed in between, the message leaves once.
Sealing is repeatable, so that a message goes on at the part where it was cut off.
"""

from collections.abc import Callable

from callbox.app.core import Core
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


class Uploads:
    """Pure. `free`: whether no call needs the line."""

    def __init__(self, core: Core, post: Post, free: Callable[[], bool]) -> None:
        self._core = core
        self._post = post
        self._free = free
        self._current: bytes | None = None  # whose sound is on its way
        self._paused = False
        self._unstored: set[bytes] = set()  # in the thread, but their sound is not on disk yet
        self._not_before: dict[bytes, Instant] = {}
        self._again: set[bytes] = set()  # named already, but the server may have forgotten their sound
        self._parts_taken = 0  # how large a blob this session's server takes

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
        self._current = None

    def again(self) -> None:
        """The server was restored from a backup: what is not delivered yet may be missing there."""
        threads = self._post.threads
        named = [item for item in [*threads.voices("queued"), *threads.voices("sent")] if item.letter and item.blob]
        self._again |= {item.id for item in named}
        self.pump()

    def tick(self) -> None:
        """Go on after a wait or a call."""
        due = [item_id for item_id, at in self._not_before.items() if at <= self._core.now]
        for item_id in due:
            del self._not_before[item_id]
        if due or (self._paused and self._free()):
            self.pump()

    def pump(self) -> None:
        """Begin with the oldest that may go; one that waits holds back the later ones to the same contact."""
        self._paused = not self._free()
        if self._current is not None or self._paused or not self._core.link.up:
            return
        threads = self._post.threads
        named = [item for item in map(threads.get, self._again) if isinstance(item, VoiceItem) and item.blob]
        queued = [*named, *(item for item in threads.voices("queued") if not item.letter)]
        held = {item.contact for item in queued if item.id in self._not_before or item.id in self._unstored}
        item = next((item for item in queued if item.contact not in held), None)
        if item is None:
            return
        blob = item.blob
        if blob is None or blob.parts > self._parts_taken:
            self._unsent(item.id, NO_BLOBS)
            return
        self._current = item.id
        self._core.read_sound(item.id, lambda content: self._read(item, blob, content))

    def _read(self, item: VoiceItem, blob: BlobKey, content: bytes | None) -> None:
        if self._current != item.id:
            return
        if content is None:
            self._wait(item.id, RETRY_S)
            return
        sealed = seal_blob(content, item.id, blob.key)
        if digest_of(sealed) != blob.digest:
            self._unsent(item.id, "its sound is damaged")
            return

        def answered(message: ServerMessage | None) -> None:
            if self._current == item.id and isinstance(message, BlobPlace) and message.blob == item.id:
                self._put(item.id, sealed, message.next_part)
            else:
                self._denied(item.id, message)

        self._core.request(lambda number: BeginBlob(number, item.id, item.contact, blob.parts), answered)

    def _put(self, item_id: bytes, sealed: bytes, part: int) -> None:
        """Hand over one part and go on with the next once it is safe."""
        if self._post.threads.get(item_id) is None:
            self._withdraw(item_id)
        elif not self._free():
            self._current, self._paused = None, True
        elif part * PART_BYTES >= len(sealed):
            self._whole(item_id)
        else:
            data = sealed[part * PART_BYTES : (part + 1) * PART_BYTES]

            def answered(message: ServerMessage | None) -> None:
                if self._current == item_id and isinstance(message, Accepted):
                    self._put(item_id, sealed, part + 1)
                else:
                    self._denied(item_id, message)

            self._core.request(lambda number: PutPart(number, item_id, part, data), answered)

    def _denied(self, item_id: bytes, message: ServerMessage | None) -> None:
        if self._current != item_id or message is None:
            return  # of an earlier session, or the session is lost
        if not isinstance(message, Denied):
            self._wait(item_id, RETRY_S)
        elif message.why in FOR_GOOD:
            self._unsent(item_id, message.why)
        elif message.why == "no-blob":  # the server has lost it: announce it anew
            self._wait(item_id, LOST_AGAIN_S)
        else:
            self._wait(item_id, max(float(message.retry_after_s), LOST_AGAIN_S))

    def _wait(self, item_id: bytes, seconds: float) -> None:
        self._current = None
        self._not_before[item_id] = self._core.now + seconds
        self.pump()

    def _unsent(self, item_id: bytes, why: str) -> None:
        self._current = None
        if item_id in self._again:
            self._again.discard(item_id)
            self.pump()
            return
        self._core.warn(f"a voice message was not sent: {why}")
        if self._free():
            self._core.emit(Play(Tone.ERROR, False))  # whoever spoke has no other sign of it
        self._core.commit(self._post.threads.unsent(item_id, why), then=self.pump)

    def _withdraw(self, item_id: bytes) -> None:
        """Its person deleted it while it was on its way."""
        self._current = None
        self._core.request(lambda number: DropBlob(number, item_id), lambda message: None)
        self.pump()

    def _whole(self, item_id: bytes) -> None:
        item = self._post.threads.get(item_id)
        self._current = None
        self._again.discard(item_id)
        if isinstance(item, VoiceItem) and item.blob is not None and not item.letter:
            letter, blob = self._core.chance.token(16), item.blob
            body = VoiceMessage(item.id, blob.key, blob.digest, blob.parts, item.duration_ms)
            self._post.queue(letter, item.contact, "mail", body, self._post.threads.voice_named(item.id, letter))
        self.pump()
