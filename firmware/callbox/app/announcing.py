"""The announcing desk: what the box says of itself, without being asked or because the state was asked for.

    it rings        "Workshop calls", in the pauses of the ring       a call ends    why, after its last tone
    it dials        "Calling workshop"                                mute is held   everything there is to say
    a control changes: what it is now

Whatever the call does, speech of before is over: nobody shall miss a ring because of a voice.
"""

from collections.abc import Callable
from dataclasses import dataclass

from callbox.app.calling import Calling
from callbox.app.core import Core
from callbox.app.people import People
from callbox.app.phrases import Phrases
from callbox.app.post import Post
from callbox.app.reading import Reading
from callbox.app.speaking import Piece, Speaking
from callbox.audio.facts import Play
from callbox.audio.tones import Tone
from callbox.base.reasons import Reason
from callbox.base.time import Instant, earliest

FIRST_NAME_S = 2.15  # the ring pauses for 1.9 s from here; its period is 4 s
NAME_EVERY_S = 8.0

ENDS = {
    Reason.BUSY: "busy",
    Reason.DECLINED: "declined",
    Reason.NO_ANSWER: "no_answer",
    # Also of a blocked caller, as with the tones: a block must not be told from a box that is switched off.
    Reason.UNREACHABLE: "unreachable",
    Reason.CALLS_DISABLED: "calls_disabled",
    Reason.NOT_ALLOWED: "not_allowed",
    Reason.LOST: "lost",
    Reason.FAILED: "failed",
    Reason.KEY_CHANGED: "key_changed",
}


@dataclass(frozen=True, slots=True)
class PanelFacts:
    """What the front desk knows of the box. `fault`: the sentence behind the fast blinking of the status light.

    `about`: what it is about, store or sound; `kind`: which fault of those it is.
    """

    muted: bool
    fault: str | None = None
    about: str = "sound"
    kind: str = ""


class Announcing:
    """Watches the call after every event, and says what there is to say."""

    def __init__(
        self, core: Core, people: People, post: Post, calling: Calling, speaking: Speaking, reading: Reading
    ) -> None:
        self._core = core
        self._people = people
        self._post = post
        self._calling = calling
        self._speaking = speaking
        self._reading = reading
        self._state = "idle"
        self._ended: tuple[Reason, str] | None = None
        self._enough_at: Instant | None = None
        self._name_at: Instant | None = None
        self._link_up = False
        self.up_since_ms: int | None = None
        self.panel: Callable[[], PanelFacts] = lambda: PanelFacts(False)
        self.recording: Callable[[], bool] = lambda: False  # the microphone must not hear the box
        self.on_call: Callable[[], None] = lambda: None  # the call changed: who speaks or listens, stop

    # --- what happens ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> Instant | None:
        """When the name of who calls is due again."""
        return earliest(self._name_at)

    def enough(self) -> None:
        """The person wants no more words about what is on: they have pressed something."""
        self._enough_at = self._core.now
        self._speaking.hush()

    def tick(self) -> None:
        """Look at the call and the link after each event."""
        if self._core.link.up != self._link_up:
            self._link_up = self._core.link.up
            self.up_since_ms = self._core.wall_ms if self._link_up else None
        self._look_at_call()
        if self._name_at is not None and self._core.now >= self._name_at:
            self._name_at += NAME_EVERY_S
            if self._calling.alerting is not None:
                self._speaking.say("calls_you", name=self._calling.alerting.contact)

    def _look_at_call(self) -> None:
        alerting, machine = self._calling.alerting, self._calling.machine
        state = "idle" if machine.state == "ringing" and alerting is None else machine.state.value
        if state == "dialing" and machine.current is not None and machine.current.knock:
            state = "asking"  # from the beginning, or because it turned out that it may not ring
        if state == self._state:
            return
        before, self._state = self._state, state
        self._name_at = None
        self.on_call()
        self._reading.stop()
        self._speaking.hush()
        view, announce = machine.current, self._core.settings.speech.announce
        if state == "ending" and view is not None and view.reason is not None:
            self._ended = (view.reason, view.contact)
        elif state == "ringing" and alerting is not None and alerting.loud and announce:
            self._name_at = self._core.now + FIRST_NAME_S
        elif state in ("dialing", "asking") and view is not None and announce:
            self._speaking.say("asking" if view.knock else "dialing", name=view.contact)
        elif state == "idle" and before == "ending" and announce:
            self._say_end()

    def _say_end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None and ended[0] in ENDS and self._enough_at != self._core.now:
            self._speaking.say(ENDS[ended[0]], name=ended[1])

    # --- what is asked for ------------------------------------------------------------------------------------------

    def changed(self, key: str) -> None:
        """Say what a control is now, unless a message is being read: lights and tones say it too."""
        if self._core.settings.speech.announce and self._reading.contact is None and not self.recording():
            self._speaking.say(key)

    def refused(self, key: str) -> None:
        """Say why a press did nothing; whoever pressed asked for it."""
        if self._reading.contact is None and not self.recording():
            self._speaking.say(key)

    def link_asked(self) -> None:
        """A further box asks to be linked: its person waits for an answer."""
        self._core.emit(Play(Tone.MESSAGE, False))
        if self._state == "idle" and not self.recording():
            self._speaking.say("link_asked")

    def say_last(self, contact: str | None) -> None:
        """Say whose conversation was last."""
        self._core.emit(Play(Tone.TICK, False))
        if contact is None:
            self._speaking.say("nobody_yet")
        else:
            self._speaking.say("name", name=contact)

    def say_state(self) -> None:
        """Say how the box is: microphone, call, controls, connection, fault, messages, time."""
        if self._speaking.says:
            self._speaking.speak(self._state_pieces())
        else:
            self._core.emit(Play(Tone.ERROR, False))

    def _state_pieces(self) -> list[Piece]:
        say, people, panel = self._speaking.piece, self._people, self.panel()
        view, controls = self._calling.machine.current, people.controls
        pieces = [say("muted" if panel.muted else "unmuted")]
        if view is not None and view.talking_since is not None and view.reason is None:
            pieces.append(say("in_call", name=view.contact))
            if code := self._calling.media.code:
                pieces += [say("call_code"), *self._speaking.digits(code)]
        elif self._calling.alerting is not None:
            pieces.append(say("ringing", name=self._calling.alerting.contact))
        pieces.append(say("calls_on" if controls.calls_enabled else "calls_off"))
        if controls.do_not_disturb:
            pieces.append(say("quiet_on"))
        elif people.quiet_now():
            pieces.append(say("quiet_hours"))
        pieces.append(say("connected" if self._core.link.up else "not_connected"))
        if panel.fault is not None:
            which = f"fault_{panel.about}_{panel.kind.replace('-', '_')}"
            # For a rare fault there is only the sentence that the doctor prints; it is written in English, and so read.
            known = which in self._speaking.phrases
            pieces += [say(f"fault_{panel.about}"), say(which) if known else Piece(panel.fault.splitlines()[0], "en")]
        return [*pieces, self._unread(), self._time()]

    def _unread(self) -> Piece:
        say, unread = self._speaking.piece, self._post.unread
        return say("unread_many", count=unread) if unread > 1 else say("unread_one" if unread else "unread_none")

    def _time(self) -> Piece:
        if not self._people.clock_trusted:
            return self._speaking.piece("clock_unknown")
        return self._speaking.piece(
            "time_is", time=local_time(self._core.wall_ms, self._people, self._speaking.phrases)
        )


def local_time(at_ms: int, people: People, phrases: Phrases) -> str:
    """Return a moment as the time of the day here."""
    return phrases.time(at_ms + people.utc_offset_s * 1000)
