"""The speech thread: makes sound of sentences, so that nothing else waits for it.

The box's own sentences are remembered, those of messages are not.

Only the newest sentence is worth making: whoever asks for another has given up the one before.
"""

import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable

from callbox.app.effects import Speak
from callbox.app.events import SpeechFailed, Spoken
from callbox.audio.speech import SpeechFault, Voice
from callbox.base.frames import Samples

logger = logging.getLogger(__name__)
MOST_REMEMBERED_BYTES = 8 * 1024 * 1024


class Memory:
    """What was spoken lately, as sound, by text and language; the oldest goes first. In memory only."""

    def __init__(self, most_bytes: int = MOST_REMEMBERED_BYTES) -> None:
        self._most_bytes = most_bytes
        self._known: OrderedDict[tuple[str, str], Samples] = OrderedDict()
        self.size_bytes = 0

    def get(self, text: str, language: str) -> Samples | None:
        """Return the sound of a text if it is remembered."""
        known = self._known.get((text, language))
        if known is not None:
            self._known.move_to_end((text, language))
        return known

    def keep(self, text: str, language: str, samples: Samples) -> None:
        """Remember the sound of a text, unless it is too large."""
        if samples.nbytes > self._most_bytes or (text, language) in self._known:
            return
        self._known[text, language] = samples
        self.size_bytes += samples.nbytes
        while self.size_bytes > self._most_bytes:
            self.size_bytes -= self._known.popitem(last=False)[1].nbytes


class SpeechThread:
    """Runs `voice` on a thread of its own; `happened` is called there."""

    def __init__(self, voice: Voice, happened: Callable[[Spoken | SpeechFailed], None]) -> None:
        self._voice = voice
        self._happened = happened
        self._memory = Memory()
        self._work: queue.SimpleQueue[Speak | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="speech", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def speak(self, effect: Speak) -> None:
        """Hand over a sentence."""
        self._work.put(effect)

    def stop(self) -> None:
        """End the thread when it has finished its sentence; nobody waits for that."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._newest()) is not None:
            self._happened(self._made(work))

    def _newest(self) -> Speak | None:
        work = self._work.get()
        while work is not None and not self._work.empty():
            work = self._work.get()
        return work

    def _made(self, work: Speak) -> Spoken | SpeechFailed:
        try:
            samples = self._memory.get(work.text, work.language)
            if samples is None:
                samples = self._voice.say(work.text, work.language)
                if work.own:
                    self._memory.keep(work.text, work.language, samples)
        except SpeechFault as fault:
            return SpeechFailed(work.ticket, f"{fault.what} {fault.cure}".strip(), fault.lasting)
        except Exception as error:  # the box must get its answer, or it would wait for it
            logger.exception("speech failed")
            return SpeechFailed(work.ticket, f"The voice failed: {error!r}.")
        return Spoken(work.ticket, samples)
