"""The desk of voice messages: recorded while a button is held, sent when it comes up; played when their turn comes.

    hold -> (whose name) -> tone -> recording -> release -> stored, queued -> uploads ... downloads -> light -> played

Only what a person said on purpose leaves: muted, nothing is recorded; a mute pressed meanwhile throws it away; less
than half a second is none. Whatever else ends it (five minutes, a call, a lost microphone) sends what was said.
"""

from collections.abc import Callable
from dataclasses import dataclass

from callbox.app.calling import Calling
from callbox.app.core import Core
from callbox.app.downloads import Downloads, sound_writes
from callbox.app.own_voices import TABLE as COPIES
from callbox.app.own_voices import OwnVoices
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.saved import Saved
from callbox.app.speaking import Speaking
from callbox.app.uploads import Uploads
from callbox.audio import facts as audio
from callbox.audio import ogg
from callbox.audio.recorder import MOST_S
from callbox.audio.tones import Tone
from callbox.base.errors import CallboxError
from callbox.base.time import Instant, earliest
from callbox.conversations.items import BlobKey, Item, VoiceItem
from callbox.crypto.blobs import KEY_BYTES, digest_of, seal_blob
from callbox.wire.codec import PART_BYTES
from callbox.wire.signals import Welcome

LEAST_MS = 500
ID_BYTES = 16


@dataclass(slots=True)
class Take:
    """What is being recorded, and for whom."""

    contact: str
    listening: bool = False  # the microphone was asked for
    unwanted: bool = False


class VoiceMessages:
    """Records, keeps, sends and plays. `muted`: whether the microphone must stay shut."""

    def __init__(
        self, core: Core, people: People, post: Post, calling: Calling, speaking: Speaking, saved: Saved
    ) -> None:
        self._core = core
        self._people = people
        self._post = post
        self._calling = calling
        self._speaking = speaking
        self._take: Take | None = None
        self.muted: Callable[[], bool] = lambda: True
        self.copies = OwnVoices(core, post, saved.store.load(COPIES))
        self.uploads = Uploads(core, post, self.copies, self._line_is_free)
        self.downloads = Downloads(core, people, post, saved, self._line_is_free)
        post.inbox.on_voice = self._pump

    # --- recording ----------------------------------------------------------------------------------------------

    @property
    def recording(self) -> str | None:
        """For whom something is being recorded now."""
        return self._take.contact if self._take is not None else None

    def record(self, contact: str | None, named: bool = False) -> None:
        """The button is held: record for this contact. `named`: say first whom it is for."""
        if self._take is not None:
            return
        known = self._people.get(contact) if contact else None
        if known is None or not self._people.is_taken_in(known.name) or self.muted() or self._core.ledger.full:
            why = "the microphone is muted" if self.muted() else "there is nobody to send it to"
            self._core.log(f"no voice message was recorded: {self._core.ledger.fault or why}")
            self._fail()
            return
        take = self._take = Take(known.name)

        def listen(whole: bool) -> None:
            if self._take is take:
                take.listening = True
                self._core.emit(audio.Play(Tone.RECORD, False), audio.SetCapture(True), audio.StartRecording(MOST_S))

        if named:
            self._speaking.say("name", listen, name=known.name)
        else:
            listen(True)

    def release(self) -> None:
        """The button came up: send what was said."""
        take = self._take
        if take is not None and take.listening:
            self._core.emit(audio.StopRecording())
        elif take is not None:
            self._take = None
            self._speaking.hush()
            self._fail()

    def mute_pressed(self) -> None:
        """Nothing of what is being recorded shall leave."""
        if self._take is not None:
            self._take.unwanted = True
            self.release()

    def recorded(self, fact: audio.Recorded) -> None:
        """The audio thread hands over what it recorded."""
        take, self._take = self._take, None
        if take is None:
            return
        sound = ogg.Sound(fact.packets)
        if take.unwanted or sound.duration_ms < LEAST_MS:
            self._fail()
            return
        try:
            self.keep(take.contact, ogg.write(fact.packets), sound.duration_ms)
        except CallboxError as error:
            self._core.warn(f"a voice message was not kept: {error.what}")
            self._fail()
            return
        if not self._in_call():
            self._core.emit(audio.Play(Tone.TICK if fact.ended == "stopped" else Tone.ENDED, False))

    def keep(self, contact: str, content: bytes, duration_ms: int) -> VoiceItem:
        """Store a voice message and send it when it can be. Raises CallboxError if the box cannot take it."""
        core = self._core
        known = self._people.get(contact)
        if known is None or known.permission == "blocked":
            raise self._people.no_contact(contact)
        if core.ledger.full:
            raise CallboxError("The box cannot store any more messages now.", core.ledger.fault or "")
        item_id, key = core.chance.token(ID_BYTES), core.chance.token(KEY_BYTES)
        sealed = seal_blob(content, item_id, key)
        blob = BlobKey(key, digest_of(sealed), len(sealed) // PART_BYTES)
        item, writes = self._post.threads.voice_spoken(item_id, known.name, duration_ms, core.wall_ms, blob)
        writes = [*sound_writes(item_id, known.name, content), *writes, *self.copies.spoken(item_id, content)]
        core.commit(writes, then=self.uploads.storing(item_id))
        return item

    def _fail(self) -> None:
        if not self._in_call():
            self._core.emit(audio.Play(Tone.ERROR, False))

    def _in_call(self) -> bool:
        machine = self._calling.machine
        return machine.state != "idle" and not (machine.state == "ringing" and self._calling.alerting is None)

    def _line_is_free(self) -> bool:
        return self._calling.machine.state == "idle"

    # --- what happens -------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When something waits for time alone."""
        return earliest(self.uploads.deadline, self.downloads.deadline)

    def tick(self) -> None:
        """A call ends a recording; and what waited goes on."""
        if self._take is not None and self._in_call():
            self.release()
        self.uploads.tick()
        self.downloads.tick()

    def _pump(self) -> None:
        """A letter about voice messages was taken."""
        self.uploads.pump()
        self.downloads.pump()

    def session_up(self, welcome: Welcome) -> None:
        """There is a session."""
        self.uploads.session_up(welcome)
        self.downloads.session_up()

    def session_lost(self) -> None:
        """There is none any more."""
        self.uploads.session_lost()
        self.downloads.session_lost()


class VoicePlayer:
    """Plays voice messages for the reading desk."""

    def __init__(self, core: Core, speaking: Speaking) -> None:
        self._core = core
        self._speaking = speaking
        self._playing = 0  # which play this is; a stop makes the answers to earlier ones stale

    def play(self, item: Item, ended: Callable[[bool], None]) -> None:
        """Play one. `ended(True)`: it was heard to its end."""
        self._playing += 1
        this = self._playing

        def read(content: bytes | None) -> None:
            if this != self._playing:
                return
            try:
                sound = ogg.read(content or b"")
            except ogg.NotOggOpus as error:
                self._core.warn(f"a voice message cannot be played: {error}")
                self._core.emit(audio.Play(Tone.ERROR, False))
                ended(False)
                return
            ticket = self._speaking.ticket()
            self._speaking.on_ended[ticket] = ended
            self._core.emit(audio.PlaySound(sound, ticket))

        self._core.read_sound(item.id, read)

    def stop(self) -> None:
        """Be silent at once: the speaking desk, which is hushed next, lets go of what plays."""
        self._playing += 1
