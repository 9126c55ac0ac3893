"""What was said, called and heard here, told to this account's other devices; and what they tell of it.

    a text is written, a call made or taken here -----> own-text, own-call, in the same transaction
    a voice message is spoken here -------------------> own-voice, once a copy is at the server (`own_voices`)
    something was sent, delivered, heard, refused ----> own-marks
    the copy of a voice message is gone --------------> own-voice-wanted, and whoever spoke it makes another one

Messages of before a device was linked are not copied.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable

from callbox.app.core import Core
from callbox.app.own_devices import OwnDevices
from callbox.app.post import Post
from callbox.base.reasons import Reason
from callbox.conversations.items import BlobKey, CallItem, Item, TextItem, VoiceItem, is_unread
from callbox.conversations.stores import Delete, Put, Write
from callbox.wire.bodies import Body, OwnCall, OwnMarks, OwnText, OwnVoice, OwnVoiceWanted

AHEAD = "marks_ahead"
MOST_AHEAD = 256
MOST_MARKS = 100  # in one letter
SPOKEN_MARKS = ("queued", "sent", "delivered", "heard", "unsent")
TOLD_UNANSWERED = frozenset({Reason.DECLINED})


class OwnItems:
    """Both directions of it, for texts, voice messages and calls. Without other devices nothing is sent."""

    def __init__(self, core: Core, own: OwnDevices, post: Post, ahead: Iterable[str]) -> None:
        self._core = core
        self._own = own
        self._post = post
        self._ahead: OrderedDict[str, None] = OrderedDict((key, None) for key in ahead)
        self._marks: dict[tuple[str, str], tuple[bytes, list[bytes]]] = {}  # of this event: mark -> its letter, of what
        self._taking = False
        self.on_copy_wanted: Callable[[bytes], list[Write]] = lambda item_id: []
        self.on_copy: Callable[[VoiceItem], list[Write]] = lambda item: []
        post.threads.on_change = self._item_changed

    def tick(self) -> None:
        """Send on the marks of this event."""
        if self._marks and self._own.others:
            self._core.commit([], then=self._post.pump)
        self._marks.clear()

    # --- what happened here -------------------------------------------------------------------------------------

    def _item_changed(self, before: Item | None, after: Item) -> list[Write]:
        """An item of a thread is new or has changed; what other devices should know goes with it."""
        if self._taking or not self._own.others:
            return []
        if before is None:
            return self._ahead_of(after) or self._told(after)
        if isinstance(after, TextItem | VoiceItem) and after.outgoing:
            if isinstance(before, TextItem | VoiceItem) and before.state != after.state:
                return self._mark(after.state, after.id, after.problem if after.state == "unsent" else "")
        elif is_unread(before) and not is_unread(after):
            return self._mark("heard", after.id)
        return []

    def _mark(self, mark: str, item_id: bytes, problem: str = "") -> list[Write]:
        """Put a mark into this event's letter of such marks, in the transaction that stores the mark here."""
        if mark not in ("sent", "delivered", "heard", "unsent"):
            return []
        message_id, ids = self._marks.get((mark, problem), (b"", []))
        if not self._post.is_fresh(message_id) or len(ids) >= MOST_MARKS:
            message_id, ids = self._core.chance.token(16), []
        self._marks[mark, problem] = (message_id, [*ids, item_id])
        body = OwnMarks((*ids, item_id), mark, problem)  # type: ignore[arg-type]  # one of the four
        return self._post.letters_to(self._core.identity.account, body, message_id)

    def _told(self, item: Item) -> list[Write]:
        if isinstance(item, TextItem) and item.outgoing:
            return self._letter(OwnText(item.id, item.contact, item.text, item.ready_made))
        if isinstance(item, CallItem) and (item.outgoing or item.answered or item.reason in TOLD_UNANSWERED):
            line = (item.id, item.contact, item.outgoing, item.reason.value, item.answered, item.duration_s, item.knock)
            return self._letter(OwnCall(*line))
        return []

    def _letter(self, body: Body) -> list[Write]:
        return self._post.letters_to(self._core.identity.account, body)

    def _ahead_of(self, item: Item) -> list[Write]:
        """Another device's person heard this before it came here."""
        if not is_unread(item) or item.id.hex() not in self._ahead:
            return []
        del self._ahead[item.id.hex()]
        self._taking = True
        try:
            return [*self._post.threads.heard([item.id]), Delete(AHEAD, item.id.hex())]
        finally:
            self._taking = False

    # --- what another device tells ------------------------------------------------------------------------------

    def take(self, body: Body) -> list[Write]:
        """Take a letter of one of our own devices; returns the writes that belong to it."""
        self._taking = True
        try:
            match body:
                case OwnText():
                    return self._text(body)
                case OwnVoice():
                    return self._voice(body)
                case OwnVoiceWanted(message_id=message_id):
                    return self.on_copy_wanted(message_id)
                case OwnCall():
                    return self._call(body)
                case OwnMarks():
                    return self._marked(body)
        finally:
            self._taking = False
        return []

    def _text(self, body: OwnText) -> list[Write]:
        threads, now_ms = self._post.threads, self._core.wall_ms
        if threads.get(body.message_id) is not None:
            return []
        return threads.text_written(body.message_id, body.contact, body.text, now_ms, body.ready_made)[1]

    def _voice(self, body: OwnVoice) -> list[Write]:
        sound, blob = body.sound, None
        if sound is not None and sound.codec == "ogg-opus" and sound.blob:
            blob = BlobKey(sound.key, sound.digest, sound.parts, sound.blob)
        state = body.mark if body.mark in SPOKEN_MARKS else "sent"
        item = VoiceItem(
            body.message_id,
            body.contact,
            True,
            self._core.wall_ms,
            body.duration_ms,
            state,  # type: ignore[arg-type]  # one of SPOKEN_MARKS
            body.message_id,  # its letter is another box's affair; that there is one keeps this one from sending
            blob,
            body.problem,
            blob is None,
        )
        return self.on_copy(item)

    def _call(self, body: OwnCall) -> list[Write]:
        try:
            reason = Reason(body.reason)
        except ValueError:
            reason = Reason.FAILED  # of a later version
        if not body.answered and not body.outgoing and reason is Reason.DECLINED:
            reason = Reason.DECLINED_ELSEWHERE
        line = CallItem(
            body.call_id,
            body.contact,
            body.outgoing,
            self._core.wall_ms,
            reason,
            body.answered,
            max(0.0, body.duration_s),
            ("on another device",),
            body.knock,
        )
        return self._post.threads.call_elsewhere(line)

    def _marked(self, body: OwnMarks) -> list[Write]:
        threads, writes = self._post.threads, list[Write]()
        for item_id in body.messages:
            item = threads.get(item_id)
            if item is None:
                writes += self._note_ahead(item_id) if body.mark == "heard" else []
            elif item.outgoing and body.mark == "unsent":
                writes += threads.unsent(item_id, body.problem)
            elif item.outgoing:
                writes += threads.mark([item_id], body.mark)
            elif body.mark == "heard":
                writes += threads.heard([item_id])
        return writes

    def _note_ahead(self, item_id: bytes) -> list[Write]:
        self._ahead[item_id.hex()] = None
        writes: list[Write] = [Put(AHEAD, item_id.hex(), b"")]
        while len(self._ahead) > MOST_AHEAD:
            writes.append(Delete(AHEAD, self._ahead.popitem(last=False)[0]))
        return writes
