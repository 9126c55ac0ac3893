"""The speech thread: off the loop, one sentence after another, the newest only; and what it remembers."""

import queue
import threading

import numpy as np

from callbox.app.effects import Speak
from callbox.app.events import SpeechFailed, Spoken
from callbox.app.speech import Memory, SpeechThread
from callbox.audio.speech import SpeechFault
from callbox.base.frames import Samples


class Slow:
    """A voice that speaks when it is let to."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def say(self, text: str, language: str) -> Samples:
        self.said.append(f"{language}: {text}")
        self.begun.release()
        assert self.go_on.acquire(timeout=10)
        if text == "fault":
            raise SpeechFault("It cannot.", "Mend it.", lasting=True)
        if text == "bug":
            raise ZeroDivisionError
        return np.full(100, len(text), dtype=np.int16)


class Desk:
    def __init__(self) -> None:
        self.told: queue.Queue[Spoken | SpeechFailed] = queue.Queue()
        self.voice = Slow()
        self.thread = SpeechThread(self.voice, self.told.put)
        self.thread.start()

    def next(self) -> Spoken | SpeechFailed:
        return self.told.get(timeout=10)


def test_whoever_asks_does_not_wait_and_only_the_newest_is_worth_making() -> None:
    desk = Desk()
    desk.thread.speak(Speak(1, "first", "en"))
    assert desk.voice.begun.acquire(timeout=10)
    for ticket in range(2, 50):
        desk.thread.speak(Speak(ticket, f"number {ticket}", "en"))
    for _ in range(2):
        desk.voice.go_on.release()
    assert [desk.next().ticket, desk.next().ticket] == [1, 49]
    assert desk.voice.said == ["en: first", "en: number 49"]
    desk.thread.stop()


def test_the_same_words_are_made_once_in_each_language() -> None:
    desk = Desk()
    for ticket, language in enumerate(("en", "en", "de")):
        desk.voice.go_on.release()
        desk.thread.speak(Speak(ticket, "Menu.", language, own=True))
        assert isinstance(desk.next(), Spoken)
    assert desk.voice.said == ["en: Menu.", "de: Menu."]
    for ticket in range(2):
        desk.voice.go_on.release()
        desk.thread.speak(Speak(ticket, "a secret", "en"))
        assert isinstance(desk.next(), Spoken)
    assert desk.voice.said[2:] == ["en: a secret"] * 2, "what people wrote is not remembered"
    desk.thread.stop()


def test_faults_are_told_and_the_thread_goes_on() -> None:
    desk = Desk()
    for text, told in (
        ("fault", SpeechFailed(1, "It cannot. Mend it.", lasting=True)),
        ("bug", SpeechFailed(1, "The voice failed: ZeroDivisionError().")),
    ):
        desk.voice.go_on.release()
        desk.thread.speak(Speak(1, text, "en"))
        assert desk.next() == told
    desk.voice.go_on.release()
    desk.thread.speak(Speak(2, "hello", "en"))
    assert desk.next().ticket == 2
    desk.thread.stop()


def test_what_is_remembered_is_bounded() -> None:
    memory = Memory(most_bytes=1000)
    for number in range(50):
        memory.keep(str(number), "en", np.zeros(100, dtype=np.int16))
        assert memory.get("0", "en") is not None or number >= 50, "what is used stays"
        assert memory.size_bytes <= 1000
    assert memory.get("1", "en") is None
    memory.keep("0", "en", np.zeros(100, dtype=np.int16))
    assert memory.size_bytes <= 1000
    memory.keep("huge", "en", np.zeros(1000, dtype=np.int16))
    assert memory.get("huge", "en") is None
