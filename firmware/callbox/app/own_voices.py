"""Our voice messages on this account's other boxes: which of them still have to get there.

    spoken -> a copy under a key of its own, noted -> uploaded after those for contacts -> own-voice, sealed -> [others]
    [others] find it gone -> own-voice-wanted -> noted without a key -> a new copy -> uploaded ...

The copy is a blob of its own, addressed to our own account: a blob that contact and own boxes shared would tell who
blocked us, for a server keeps nothing of what a blocked sender puts. Where a server does not take it, the letter goes
without, so that the line is there and says where its sound is.
"""

from collections.abc import Callable, Mapping

import msgspec

from callbox.app.core import Core
from callbox.app.post import Post
from callbox.conversations.items import BlobKey, VoiceItem
from callbox.conversations.stores import Delete, Put, Write, read_rows
from callbox.crypto.blobs import KEY_BYTES, digest_of, seal_blob
from callbox.wire.bodies import OwnVoice, VoiceMessage
from callbox.wire.codec import PART_BYTES

TABLE = "own_voices"
NUMBER_BYTES = 16
UNMADE = BlobKey(b"", b"", 0)  # of a copy that is wanted: it is made when its turn comes, from the sound in the store


class OwnVoices:
    """Pure. `others`: whether the account has other boxes."""

    def __init__(self, core: Core, post: Post, loaded: Mapping[str, bytes]) -> None:
        self._core = core
        self._post = post
        rows = read_rows(BlobKey, TABLE, loaded.items())
        self._copies = {bytes.fromhex(key): blob for key, blob in rows.items()}
        self.others: Callable[[], bool] = lambda: False

    def spoken(self, item_id: bytes, content: bytes) -> list[Write]:
        """A message was spoken here; return the writes that note its copy."""
        return self.made(item_id, content) if self.others() else []

    def made(self, item_id: bytes, content: bytes) -> list[Write]:
        """Choose a key and a number for its copy; return the writes that note it."""
        number, key = self._core.chance.token(NUMBER_BYTES), self._core.chance.token(KEY_BYTES)
        sealed = seal_blob(content, number, key)
        copy = self._copies[item_id] = BlobKey(key, digest_of(sealed), len(sealed) // PART_BYTES, number)
        return [Put(TABLE, item_id.hex(), msgspec.msgpack.encode(copy))]

    def wanted(self, item_id: bytes) -> list[Write]:
        """Another box asks for a copy of what was spoken here: a server that was restored may have forgotten it."""
        item = self._post.threads.get(item_id)
        ours = isinstance(item, VoiceItem) and item.outgoing and item.letter != item.id and self.others()
        if not ours or item_id in self._copies:
            return []
        self._copies[item_id] = UNMADE
        return [Put(TABLE, item_id.hex(), msgspec.msgpack.encode(UNMADE))]

    def waiting(self) -> list[tuple[VoiceItem, BlobKey]]:
        """Return what is to be uploaded, oldest first."""
        found = [(self._post.threads.get(item_id), copy) for item_id, copy in self._copies.items()]
        return [(item, copy) for item, copy in found if isinstance(item, VoiceItem)]

    def tell(self, item: VoiceItem, copy: BlobKey | None) -> list[Write]:
        """Its copy is at the server, or never will be (None): return the writes that queue the letter about it."""
        if self._copies.pop(item.id, None) is None:
            return []
        sound = None
        if copy is not None:
            sound = VoiceMessage(copy.at, copy.key, copy.digest, copy.parts, item.duration_ms)
        problem = item.problem if item.state == "unsent" else ""
        body = OwnVoice(item.id, item.contact, item.duration_ms, item.state, sound, problem)
        return [Delete(TABLE, item.id.hex()), *self._post.letters_to(self._core.identity.account, body)]

    def tick(self) -> None:
        """Let go of what was deleted meanwhile, and of everything once there is no other box."""
        gone = [key for key in self._copies if self._post.threads.get(key) is None or not self.others()]
        if gone:
            for item_id in gone:
                del self._copies[item_id]
            self._core.commit([Delete(TABLE, item_id.hex()) for item_id in gone])
