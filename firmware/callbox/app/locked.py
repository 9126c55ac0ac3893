"""A box before its passphrase: it cannot read who it is or whom it knows, and says so; nothing rings.

It takes the place of `app.box.Box` in the same world, without network and store, until somebody unlocks it:

    any press, the start --> "locked", by voice, or the error tone; the status light in its own rhythm
    callbox unlock --> OpenVault --> VaultOpened, right --> finished, with the key
                                                  wrong --> the next try waits: 1, 2, 4 ... 60 s

To the server, and so to everybody else, a locked box is a box that is switched off.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from callbox import __version__
from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.effects import Effect
from callbox.app.phrases import Phrases
from callbox.app.settings import SoundSettings
from callbox.audio.facts import CheckSound, Play, PlaySpeech, SetVolume
from callbox.audio.tones import Tone
from callbox.base.time import Instant
from callbox.panel.lights import LightState, lights, next_change
from callbox.panel.parts import Board

LONGEST_WAIT_S = 60.0
SAY_AGAIN_S = 3.0
_STATE = LightState(live=False, muted=False, call="idle", status="locked")
_LOCKED = {
    "ok": False,
    "locked": True,
    "error": "This box is locked: its key is sealed with a passphrase.",
    "cure": "Unlock it: callbox unlock",
}


class LockedBox:
    """See the module's docstring. `key` is there once it is finished by unlocking."""

    def __init__(self, board: Board, phrases: Phrases, speaks: bool, sound: SoundSettings) -> None:
        self.finished = False
        self.key: bytes | None = None
        self._board = board
        self._phrases = phrases
        self._speaks = speaks
        self._sound = sound
        self._now: Instant = 0.0
        self._effects: list[Effect] = []
        self._shown: dict[str, float] = {}
        self._wrong = 0
        self._may_try_at: Instant = 0.0
        self._trying: int | None = None
        self._said_at: Instant | None = None
        self._handlers: dict[type, Callable[[Any], None]] = {
            happened.Started: lambda event: self._started(),
            happened.ButtonMoved: self._button_moved,
            happened.Asked: self._asked,
            happened.VaultOpened: self._vault_opened,
            happened.Spoken: self._spoken,
            happened.SpeechFailed: lambda event: self._tone(),
            happened.Stopping: lambda event: self._finish(),
        }

    @property
    def deadline(self) -> Instant | None:
        """When the light changes next."""
        return next_change(_STATE, self._now, self._board.shown_on)

    def handle(self, event: happened.Event, now: Instant) -> list[Effect]:
        """Decide about one event; return the effects to perform, in order."""
        self._now = now
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)
        levels = lights(_STATE, now, self._board.shown_on)
        if levels != self._shown:
            self._shown = levels
            self._effects.append(do.ShowLights(levels))
        effects, self._effects = self._effects, []
        return effects

    def _started(self) -> None:
        sound = self._sound
        self._effects += [SetVolume(sound.volume), CheckSound(sound.input, sound.output)]
        self._effects += [do.Log("warning", "locked: waiting for `callbox unlock`")]
        self._say()

    def _button_moved(self, event: happened.ButtonMoved) -> None:
        if event.pressed and (self._said_at is None or self._now - self._said_at >= SAY_AGAIN_S):
            self._say()

    def _say(self) -> None:
        """Say that it is locked: by voice, or by the tone that says that a press did nothing."""
        self._said_at = self._now
        if self._speaks:
            self._effects.append(do.Speak(1, self._phrases.say("locked"), self._phrases.language, own=True))
        else:
            self._tone()

    def _spoken(self, event: happened.Spoken) -> None:
        self._effects.append(PlaySpeech(event.samples, event.ticket))

    def _tone(self) -> None:
        self._effects.append(Play(Tone.ERROR, False))

    def _finish(self) -> None:
        self.finished = True

    # --- asks ---------------------------------------------------------------------------------------------------

    def _asked(self, event: happened.Asked) -> None:
        if event.what == "status":
            self._answer(event.ask, self.status())
        elif event.what == "stop":
            self._answer(event.ask, {"ok": True})
            self._finish()
        elif event.what == "unlock":
            self._unlock(event.ask, str(event.words.get("passphrase", "")))
        else:
            self._answer(event.ask, _LOCKED)

    def _unlock(self, ask: int, passphrase: str) -> None:
        wait_s = self._may_try_at - self._now
        if self._trying is not None:
            self._answer(ask, {"ok": False, "error": "Another try is being made now.", "cure": "Wait a moment."})
        elif wait_s > 0:
            error = f"After a wrong passphrase the next try waits: {math.ceil(wait_s)} s more."
            self._answer(ask, {"ok": False, "error": error, "cure": "Try again then.", "wait_s": round(wait_s, 1)})
        else:
            self._trying = ask
            self._effects.append(do.OpenVault(ask, passphrase))

    def _vault_opened(self, event: happened.VaultOpened) -> None:
        self._trying = None
        if event.key is not None:
            self.key = event.key
            self._answer(event.ask, {"ok": True, "state": "unlocked"})
            self._effects.append(do.Log("info", "unlocked"))
            self._finish()
            return
        self._wrong += 1
        self._may_try_at = self._now + min(2.0 ** (self._wrong - 1), LONGEST_WAIT_S)
        self._effects.append(do.Log("warning", f"a try to unlock failed, number {self._wrong} since the start"))
        self._answer(event.ask, {"ok": False, "error": event.sentence, "cure": "Try again."})

    def _answer(self, ask: int, reply: Mapping[str, Any]) -> None:
        self._effects.append(do.Answer(ask, reply))

    def status(self) -> dict[str, Any]:
        """Return the facts that `callbox status` prints; who this is cannot be known yet."""
        return {
            "ok": True,
            "locked": True,
            "name": "a locked box",
            "version": __version__,
            "server": "not known while locked",
            "link": "off; unlock it: callbox unlock",
            "state": "locked",
            "call": None,
            "recording": None,
            "muted": False,
            "calls_enabled": True,
            "do_not_disturb": False,
            "quiet_hours": "",
            "unread": 0,
            "lights": dict(self._shown),
            "media": None,
            "fault": "",
        }
