"""The speaking desk: sentences go out as work for the voice, come back as sound, and are played one after the other.

    say -> do.Speak -> [voice, on a thread of its own] -> Spoken -> PlaySpeech -> [audio thread] -> SpeechEnded

One utterance at a time; a new one takes the place of the old. A long one is made piece by piece, the next while one
is said, so that nothing waits for more than a piece and memory holds no more than two.
"""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.core import Core
from callbox.app.phrases import Phrases
from callbox.audio.facts import PlaySpeech, SpeechEnded, StopSpeech

PIECES_AHEAD = 2
GROUPS_AT_ONCE = 4  # of the safety number's twelve: as many as one line of `callbox verify` shows

Then = Callable[[bool], None]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words in one language, short enough to be made at once. `own`: of the box, not of a message."""

    text: str
    language: str
    own: bool = False


def digits(number: str) -> list[str]:
    """Return a number in groups as it is said: digit by digit, four groups at once."""
    groups = [" ".join(group) for group in number.split()]
    lines = (groups[start : start + GROUPS_AT_ONCE] for start in range(0, len(groups), GROUPS_AT_ONCE))
    return [", ".join(line) + "." for line in lines]


def nothing(whole: bool) -> None:
    """Do nothing when an utterance is over."""


class Speaking:
    """Says one thing after the other. `fault`: why the box has no voice, though it should."""

    def __init__(self, core: Core, phrases: Phrases) -> None:
        self._core = core
        self.phrases = phrases
        self.says = core.settings.speech.voice != "none"
        self.fault: str | None = None
        self.on_ended: dict[int, Then] = {}  # of sound that others play under a ticket of ours
        self.over_at = 0.0  # when the last utterance ended
        self._tickets = 0
        self._pieces: deque[Piece] = deque()
        self._making: int | None = None
        self._sounding: deque[int] = deque()
        self._then: Then | None = None

    @property
    def busy(self) -> bool:
        """Whether anything is being said, or played for another desk."""
        return self._then is not None or bool(self.on_ended)

    def warm_up(self) -> None:
        """Have a first word made: whether there is a voice is known before it is needed."""
        if self.says:
            self._core.emit(do.Speak(self.ticket(), self.phrases.say("menu"), self.phrases.language, own=True))

    def ticket(self) -> int:
        """Return a number that nothing else is called by."""
        self._tickets += 1
        return self._tickets

    def piece(self, key: str, **words: object) -> Piece:
        """Return a sentence as a piece."""
        return Piece(self.phrases.say(key, **words), self.phrases.language, own=True)

    def digits(self, number: str) -> list[Piece]:
        """Return a number in groups, digit by digit, as pieces of four groups."""
        return [Piece(line, self.phrases.language) for line in digits(number)]

    def say(self, key: str, then: Then = nothing, **words: object) -> None:
        """Say one sentence (see `speak`)."""
        self.speak([self.piece(key, **words)], then)

    def speak(self, pieces: Iterable[Piece], then: Then = nothing) -> None:
        """Say this instead of what is being said; `then(True)` when it was said to its end, `then(False)` if not."""
        self.hush()
        if not self.says:
            then(False)
            return
        self._pieces.extend(pieces)
        self._then = then
        self._next()

    def hush(self) -> None:
        """Be silent at once. What was being said counts as not heard."""
        if self._sounding or self.on_ended:
            self._core.emit(StopSpeech())
        self._finish(False)

    def spoken(self, event: happened.Spoken) -> None:
        """The voice has made a piece."""
        if event.ticket != self._making:
            return  # of an utterance that is over
        self._making = None
        if len(event.samples):
            self._sounding.append(event.ticket)
            self._core.emit(PlaySpeech(event.samples, event.ticket))
        self._next()

    def failed(self, event: happened.SpeechFailed) -> None:
        """The voice could not make a piece."""
        if event.lasting and self.says:
            self.says, self.fault = False, event.sentence
            self._core.warn(f"speech: {event.sentence}")
        if event.ticket == self._making:
            if not event.lasting:
                self._core.warn(f"speech: {event.sentence}")
            self.hush()

    def ended(self, fact: SpeechEnded) -> None:
        """A piece was played, or will not be."""
        other = self.on_ended.pop(fact.ticket, None)
        if other is not None:
            self.over_at = self._core.now
            other(fact.whole)
        elif fact.ticket in self._sounding:
            self._sounding.remove(fact.ticket)
            if fact.whole:
                self._next()
            else:
                self.hush()

    def _next(self) -> None:
        if self._making is None and self._pieces and len(self._sounding) < PIECES_AHEAD:
            piece, self._making = self._pieces.popleft(), self.ticket()
            self._core.emit(do.Speak(self._making, piece.text, piece.language, piece.own))
        elif self._making is None and not self._sounding:
            self._finish(True)

    def _finish(self, whole: bool) -> None:
        then, self._then, self._making = self._then, None, None
        self._pieces.clear()
        self._sounding.clear()
        if then is not None:
            self.over_at = self._core.now
            then(whole)
