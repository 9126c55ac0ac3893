"""Voice messages as files, for the command line: one is sent from an Ogg Opus file, or handed out as one."""

import base64
import binascii
from typing import Any

from callbox.app.control import Control, Facts, failure
from callbox.app.core import Core
from callbox.app.post import Post
from callbox.app.voice_messages import VoiceMessages
from callbox.audio import ogg
from callbox.audio.recorder import LONGEST_MS, MOST_S
from callbox.base.errors import WrongUse
from callbox.conversations.items import VoiceItem, sound_is_here, trouble_with
from callbox.crypto.blobs import MAX_CONTENT_BYTES


class VoiceFiles:
    """Answers the asks `voice` and `sound`."""

    def __init__(self, core: Core, post: Post, voice_messages: VoiceMessages) -> None:
        self._core = core
        self._post = post
        self._voice_messages = voice_messages

    def join(self, control: Control) -> None:
        """Let the command line ask."""
        asks = {
            "voice": lambda ask, words: self._send(str(words["contact"]), str(words["sound"])),
            "sound": lambda ask, words: self._hand_out(control, ask, str(words["id"])),
        }
        control.learn(asks, kept=("voice",))

    def _send(self, contact: str, encoded: str) -> dict[str, Any]:
        try:
            content = base64.b64decode(encoded, validate=True)
            sound = ogg.read(content)
        except (binascii.Error, ogg.NotOggOpus) as error:
            raise WrongUse(f"This is no voice message: {error}.", "Give a WAV or Ogg Opus file.") from None
        if sound.duration_ms > LONGEST_MS or len(content) > MAX_CONTENT_BYTES:
            what = f"This is too long: {sound.duration_ms // 1000} s, {len(content)} bytes."
            raise WrongUse(what, f"A voice message has up to {MOST_S // 60} minutes and 2 MiB.")
        item = self._voice_messages.keep(contact, content, sound.duration_ms)
        return {"ok": True, "id": item.id.hex(), "contact": item.contact, "state": item.state}

    def _hand_out(self, control: Control, ask: int, prefix: str) -> Facts | None:
        """Hand out the sound of the one voice message whose id begins so, once the store has read it."""
        item = self._found(prefix)
        answers: list[Facts] = []

        def read(content: bytes | None) -> None:
            sound = base64.b64encode(content or b"").decode()
            answer = {"ok": True, "id": item.id.hex(), "contact": item.contact, "sound": sound}
            answers.append(answer if content else failure("The sound of this message is not here.", trouble_with(item)))

        self._core.read_sound(item.id, read)
        control.wait(ask, lambda: answers[0] if answers else None, failure("The card is too slow."))
        return None

    def _found(self, prefix: str) -> VoiceItem:
        """Return the voice message that is meant. Raises WrongUse if it is not one, or not here."""
        items = self._post.threads.items(limit=1_000_000)
        voices = [item for item in items if isinstance(item, VoiceItem)]
        found = [item for item in voices if prefix and item.id.hex().startswith(prefix.lower())]
        if len(found) != 1:
            what = "Several voice messages begin" if found else "No voice message begins"
            raise WrongUse(f"{what} with {prefix!r}.", "`callbox messages` shows their numbers.")
        if not sound_is_here(found[0]):
            why = trouble_with(found[0]) or "It is still being fetched."
            raise WrongUse("The sound of this message is not here.", why)
        return found[0]
