"""Voice messages on their way in: a letter named one; its sound is fetched, checked, opened and kept.

    coming -> get-part ... each part into the store -> all there: digest, key, Ogg Opus -> delivered -> drop-blob

One at a time, oldest first, and none while a call needs the line. What came stays through a restart. The sender hears
"delivered" when the sound is safe here; the server hears that it may delete it after that, until it has answered.
What our own person spoke on another box comes the same way, as a copy, and is announced to nobody. Is the copy gone,
for servers are restored from backups, that box is asked once for another one.
"""

from collections.abc import Callable

from callbox.app.core import Core
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.saved import Saved
from callbox.audio import ogg
from callbox.audio.facts import Play
from callbox.audio.recorder import LONGEST_MS
from callbox.audio.tones import Tone
from callbox.base.time import Instant, earliest
from callbox.conversations.admission import welcome_text
from callbox.conversations.items import BlobKey, VoiceItem, is_coming, sound_is_here
from callbox.conversations.stores import Delete, DeleteSound, Put, PutSound, Write
from callbox.crypto.blobs import open_blob
from callbox.crypto.errors import Untrusted
from callbox.wire.bodies import Heard, OwnVoiceWanted
from callbox.wire.codec import PART_BYTES
from callbox.wire.signals import Accepted, BlobPart, Denied, DropBlob, GetPart, ServerMessage

TABLE = "blobs_done"
RETRY_S = 30.0
SOON_S = 5.0
MOST_TRIES = 3  # for what the server has spoiled
SELDOM_S = 3600.0
MOST_ASKED = 52  # for what it has lost, two days in all: whoever spoke it may bring it again, once that box is on


def sound_writes(item_id: bytes, contact: str, content: bytes) -> list[Write]:
    """Return the writes that store a whole sound in place of whatever was stored of it."""
    starts = range(0, len(content), PART_BYTES)
    parts = (PutSound(item_id, contact, at // PART_BYTES, content[at : at + PART_BYTES]) for at in starts)
    return [DeleteSound(item_id), *parts]


def _note_done(blob: bytes) -> Put:
    return Put(TABLE, blob.hex(), b"")


class Downloads:
    """Pure. `free`: whether no call needs the line."""

    def __init__(self, core: Core, people: People, post: Post, saved: Saved, free: Callable[[], bool]) -> None:
        self._core = core
        self._people = people
        self._post = post
        self._free = free
        self._done = {bytes.fromhex(key) for key in saved.store.load(TABLE)}
        self._saying: set[bytes] = set()
        self._current: bytes | None = None
        self._paused = False
        self._not_before: dict[bytes, Instant] = {}
        self._tries: dict[bytes, int] = {}
        self._asked: set[bytes] = set()  # for another copy

    @property
    def deadline(self) -> Instant | None:
        """When one that had to wait is due."""
        return earliest(*self._not_before.values())

    def session_up(self) -> None:
        """There is a session: go on with what waits."""
        self._not_before.clear()
        self._saying.clear()
        self.pump()

    def session_lost(self) -> None:
        """Nothing will be answered any more."""
        self._current = None

    def copy_named(self, item: VoiceItem) -> list[Write]:
        """Another box of ours tells what was spoken there, and where a copy of it is; return what belongs to that."""
        known = self._post.threads.get(item.id)
        if known is None:
            return self._post.threads.voice_elsewhere(item)
        if not isinstance(known, VoiceItem) or not known.outgoing or item.blob is None:
            return []
        if sound_is_here(known):
            self._done.add(item.blob.at)
            return [_note_done(item.blob.at)]
        return [DeleteSound(item.id), *self._post.threads.voice_elsewhere(item)]

    def tick(self) -> None:
        """Go on after a wait or a call."""
        due = [item_id for item_id, at in self._not_before.items() if at <= self._core.now]
        for item_id in due:
            del self._not_before[item_id]
        if due or (self._paused and self._free()):
            self.pump()

    def pump(self) -> None:
        """Say what is done, and begin with the oldest that is to be fetched."""
        self._paused = not self._free()
        if self._paused or not self._core.link.up:
            return
        for blob in self._done - self._saying:
            self._say_done(blob)
        if self._current is not None:
            return
        coming = self._post.threads.coming()
        item = next((item for item in coming if item.id not in self._not_before and item.blob), None)
        if item is not None and item.blob is not None:
            blob_key, self._current = item.blob, item.id
            self._core.read_sound(item.id, lambda sealed: self._read(item, blob_key, sealed))

    def _read(self, item: VoiceItem, blob: BlobKey, sealed: bytes | None) -> None:
        """Go on behind the parts that are here from before."""
        if self._current != item.id:
            return
        if sealed is None:
            self._wait(item.id, RETRY_S)
        else:
            self._get(item, blob, bytearray(sealed))

    def _get(self, item: VoiceItem, blob: BlobKey, sealed: bytearray) -> None:
        part, number = len(sealed) // PART_BYTES, blob.at or item.id
        if not self._is_coming(item.id, blob):
            self._current = None
            self.pump()
        elif part >= blob.parts:
            self._whole(item, blob, bytes(sealed))
        elif not self._free():
            self._current, self._paused = None, True
        else:

            def answered(message: ServerMessage | None) -> None:
                if self._current != item.id or message is None:
                    return
                if isinstance(message, BlobPart) and (message.blob, message.part) == (number, part):
                    sealed.extend(message.data)
                    kept = PutSound(item.id, item.contact, part, message.data)
                    self._core.commit([kept] if self._is_coming(item.id, blob) else [], then=go_on)
                else:
                    self._denied(item, blob, message)

            def go_on() -> None:
                if self._current == item.id:
                    self._get(item, blob, sealed)

            self._core.request(lambda request: GetPart(request, number, part), answered)

    def _is_coming(self, item_id: bytes, blob: BlobKey) -> bool:
        """Say whether it is still to be fetched, and from there."""
        item = self._post.threads.get(item_id)
        return isinstance(item, VoiceItem) and is_coming(item) and item.blob == blob

    def _denied(self, item: VoiceItem, blob: BlobKey, message: ServerMessage) -> None:
        if isinstance(message, Denied) and message.why == "no-blob" and item.outgoing:
            self._lose(item, blob, "")
        elif not isinstance(message, Denied) or message.why == "no-blob":
            self._try_again(item, blob, "the server does not have it any more", MOST_ASKED)
        else:
            self._wait(item.id, max(float(message.retry_after_s), SOON_S))

    def _try_again(self, item: VoiceItem, blob: BlobKey, problem: str, most: int = MOST_TRIES) -> None:
        """Fetch it anew, sooner and then seldom: a server may have spoiled or lost it, for a while or for good."""
        tries = self._tries[item.id] = self._tries.get(item.id, 0) + 1
        self._core.complain(f"a voice message of {item.contact} cannot be fetched: {problem}")
        if tries < most:
            self._core.commit([DeleteSound(item.id)])
            self._wait(item.id, min(SELDOM_S, RETRY_S * (1 if most == MOST_TRIES else 2 ** min(tries - 1, 7))))
        else:
            del self._tries[item.id]
            self._lose(item, blob, problem)

    def _wait(self, item_id: bytes, seconds: float) -> None:
        self._current = None
        self._not_before[item_id] = self._core.now + seconds
        self.pump()

    def _lose(self, item: VoiceItem, blob: BlobKey, problem: str) -> None:
        self._current = None
        if not self._is_coming(item.id, blob):
            self.pump()
            return
        number, writes = blob.at or item.id, self._post.threads.voice_lost(item.id, problem)
        if item.outgoing and item.id not in self._asked:
            self._asked.add(item.id)
            writes += self._post.letters_to(self._core.identity.account, OwnVoiceWanted(item.id))

        def stored() -> None:
            self._post.pump()
            self._is_done(number)

        self._core.commit([*writes, DeleteSound(item.id), _note_done(number)], then=stored)

    def _whole(self, item: VoiceItem, blob: BlobKey, sealed: bytes) -> None:
        """Everything is here: is it what was sent, and can it be heard?"""
        number = blob.at or item.id
        try:
            content = open_blob(sealed, number, blob.key, blob.digest)
        except Untrusted as error:
            self._try_again(item, blob, f"{error}")
            return
        try:
            duration_ms = ogg.read(content).duration_ms
        except ogg.NotOggOpus as error:
            self._lose(item, blob, f"it cannot be played: {error}")
            return
        if duration_ms > LONGEST_MS:
            self._lose(item, blob, f"it is too long: {duration_ms // 60_000} minutes")
            return
        self._current = None
        self._tries.pop(item.id, None)
        came = self._post.threads.voice_came(item.id, duration_ms)
        writes = [*sound_writes(item.id, item.contact, content), *came, _note_done(number)]
        if not item.outgoing and self._people.is_taken_in(
            item.contact
        ):  # to whom was blocked meanwhile, we look switched off
            receipt = Heard((item.id,), "delivered")
            self._post.queue(self._core.chance.token(16), item.contact, "receipt", receipt, writes)
            writes = []
        self._core.commit(writes, then=lambda: self._came(item, number))

    def _came(self, item: VoiceItem, number: bytes) -> None:
        """It is safe here: tell the person, and fetch the next."""
        people = self._people
        if (
            not item.outgoing
            and welcome_text(people.get(item.contact), people.controls, people.minute_of_week, 0) == "read"
        ):
            self._core.emit(Play(Tone.MESSAGE, False))
        self._is_done(number)

    def _is_done(self, blob: bytes) -> None:
        """What became of it is on the card: the server may hear of it."""
        self._done.add(blob)
        self.pump()

    def _say_done(self, blob: bytes) -> None:
        """The server may delete it."""
        self._saying.add(blob)

        def answered(message: ServerMessage | None) -> None:
            if isinstance(message, Accepted):
                self._done.discard(blob)
                self._core.commit([Delete(TABLE, blob.hex())])
            else:
                self._core.put_off(message, again)

        def again() -> None:
            self._saying.discard(blob)
            self.pump()

        self._core.request(lambda number: DropBlob(number, blob), answered)
