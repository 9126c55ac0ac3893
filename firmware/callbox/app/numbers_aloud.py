"""The numbers that a new box has in common with the one that links it, said by itself: it may have no screen.

    callbox join -> numbers -> said, and again every while, until the other box has answered

No box runs yet, so voice and speaker are opened here, on a thread of its own: the link goes on meanwhile.
"""

import threading
from collections.abc import Callable

from callbox.app.assembly import speech_voice
from callbox.app.phrases import load_phrases
from callbox.app.settings import BoxSettings
from callbox.app.sound_alone import say_alone
from callbox.app.speaking import digits
from callbox.audio.devices import Devices
from callbox.audio.speech import Voice
from callbox.base.errors import CallboxError

SAY_AGAIN_S = 15.0


class NumbersAloud:
    """Says the newest numbers until `stop`. `complain` hears in words why they cannot be said; the link goes on."""

    def __init__(
        self,
        settings: BoxSettings,
        complain: Callable[[str], None],
        voice: Voice | None = None,
        devices: Devices | None = None,
    ) -> None:
        self._settings = settings
        self._complain = complain
        self._voice = voice
        self._devices = devices
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def say(self, numbers: str) -> None:
        """Say these from now on."""
        self.stop()
        if self._settings.speech.voice == "none":
            return
        self._over = over = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(numbers, over), name="numbers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Be silent."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=2.0)  # a sound library that hangs is left behind with the process
            self._thread = None

    def _run(self, numbers: str, over: threading.Event) -> None:
        speech = self._settings.speech
        try:
            phrases, voice = load_phrases(speech.language), self._voice or speech_voice(speech)
            texts = [phrases.say("call_code"), *digits(numbers)]
            said = [voice.say(text, speech.language) for text in texts]
            while not over.is_set():
                say_alone(self._settings, said, over.is_set, self._devices)
                over.wait(SAY_AGAIN_S)
        except CallboxError as error:
            self._complain(f"The numbers are not spoken: {error}")
