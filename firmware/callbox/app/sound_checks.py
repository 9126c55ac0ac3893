"""The desk that lets a person at the command line look after microphone and speaker: levels, and the self-test.

    ask `listen` -> Listen -> [audio thread] -> Level ... -> replies, Listened -> the last reply

The live light is lit meanwhile, by the audio thread's own word. A muted microphone stays shut; a call goes first.
"""

from collections.abc import Callable
from dataclasses import asdict

from callbox.app import effects as do
from callbox.app.control import Control, Facts, failure
from callbox.app.core import Core
from callbox.audio import facts as audio

LONGEST_S = 600.0


class SoundChecks:
    """Answers the ask `listen`. `in_use`: by a call or a recording; `muted`, `fault`: what the panel knows."""

    def __init__(
        self, core: Core, in_use: Callable[[], bool], muted: Callable[[], bool], fault: Callable[[], str | None]
    ) -> None:
        self._core = core
        self._in_use = in_use
        self._muted = muted
        self._fault = fault
        self._ask: int | None = None
        self._test = False

    def join(self, control: Control) -> None:
        """Let the command line ask."""
        control.learn({"listen": self._listen})
        control.on_asker_left = self.asker_left

    def _listen(self, ask: int, words: Facts) -> Facts | None:
        seconds, test = float(words["seconds"]), bool(words.get("test"))
        if self._muted():
            return failure("The microphone is muted.", "Press mute, or: callbox mute off")
        if self._ask is not None:
            return failure("Somebody looks at the microphone already.")
        if test and self._in_use():
            return failure("This box is in a call, or records.", "The test plays and listens: end that first.")
        if not 0 < seconds <= LONGEST_S:
            return failure(f"Listen for up to {LONGEST_S:.0f} seconds.")
        self._ask, self._test = ask, test
        self._core.emit(audio.Listen(seconds, test, str(words.get("input", "")), str(words.get("output", ""))))
        return None

    def asker_left(self, ask: int) -> None:
        """Nobody looks any more."""
        if ask == self._ask:
            self._core.emit(audio.StopListening())

    def level(self, fact: audio.Level) -> None:
        """A tenth of a second was heard."""
        if self._ask is not None:
            self._core.emit(do.Answer(self._ask, {"ok": True, "level": asdict(fact)}, done=False))

    def listened(self, fact: audio.Listened) -> None:
        """It is over."""
        ask, self._ask = self._ask, None
        if ask is None:
            return
        reply: Facts = {"ok": True}
        if fact.test is not None:
            reply = {"ok": True, "test": asdict(fact.test)}
        elif self._fault() is not None:
            reply = failure(f"There is no sound: {self._fault()}", "callbox sound list")
        elif self._test:
            reply = failure("A call came in between.", "Test again after it.")
        self._core.emit(do.Answer(ask, reply))
