"""The front desk: gestures become actions, and the state of the box becomes lights.

The lights are computed from facts: `live` from what the audio thread says it does with the microphone's samples, never
from what was asked of it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from callbox.app import effects as do
from callbox.app.announcing import PanelFacts
from callbox.app.calling import Calling
from callbox.app.core import Core
from callbox.app.people import People
from callbox.app.post import Post
from callbox.app.saved import keep_volume
from callbox.app.spoken import Spoken
from callbox.app.voice_messages import VoiceMessages
from callbox.audio import facts as audio
from callbox.audio.tones import Tone
from callbox.base.errors import CallboxError
from callbox.base.time import Instant, earliest
from callbox.calls import events as happened
from callbox.panel import meaning as means
from callbox.panel.contacts import contacts
from callbox.panel.gestures import ButtonChanged, ButtonGesture, Gesture, Gestures, Pressed, Released, Switched
from callbox.panel.intents import Intent, NotYet
from callbox.panel.lights import CallLook, LightState, lights, next_change
from callbox.panel.parts import Board

VOLUME_STEP = 0.1
CALL_BACK_S = 3.0
LOCKED_AWAY = (means.SetCalls, means.SetDoNotDisturb, means.OpenMenu)
"""What presses do not do in family mode; the command line does."""
Status = Literal["off", "connecting", "connected", "fault"]


@dataclass(slots=True)
class Sounding:
    """What the audio thread last reported."""

    live: bool = False
    open: bool = False
    fault: str | None = None
    fault_kind: str = ""
    meter: audio.Meter | None = None


class Front:
    """Panel of one box: what a press does, what the lights show."""

    def __init__(
        self,
        core: Core,
        board: Board,
        people: People,
        calling: Calling,
        post: Post,
        spoken: Spoken,
        voice_messages: VoiceMessages,
    ) -> None:
        self._core = core
        self._board = board
        self._people = people
        self._calling = calling
        self._post = post
        self._spoken = spoken
        self._voice_messages = voice_messages
        self._gestures = Gestures(contacts(board))
        self._shown: dict[str, float] = {}
        self._armed_call_back_until: Instant | None = None
        self._call_word: str = "idle"
        self._call_since: Instant = 0.0
        self._muted_since: Instant = 0.0
        self._mute_switched = False
        self.status: Status = "off"
        self.muted = False
        self.volume = core.settings.sound.volume
        self.sounding = Sounding()
        self._doers = self._make_doers()
        self.on_mute: Callable[[], None] = lambda: None

    # --- presses --------------------------------------------------------------------------------------------------

    @property
    def buttons(self) -> tuple[str, ...]:
        """Names of the buttons of this board."""
        return tuple(self._board.buttons)

    def button_moved(self, button: str, pressed: bool, at: Instant) -> None:
        """Take a raw change that the pins saw at `at`."""
        self._act(self._gestures.handle(ButtonChanged(button, pressed), at))

    def tick(self) -> None:
        """Let held buttons and pauses between presses be noticed."""
        self._act(self._gestures.tick(self._core.now))

    @property
    def deadline(self) -> Instant | None:
        """When a gesture or a light changes by time alone."""
        return earliest(self._gestures.deadline, next_change(self.light_state(), self._core.now, self._board.shown_on))

    def view(self, pressed_at: Instant | None = None) -> means.PanelView:
        """What the meaning of a press depends on. `pressed_at`: of that press, which may have stopped a reading."""
        people = self._people
        return means.PanelView(
            call=self._word(),
            call_since=self._call_since,
            muted=self.muted,
            muted_since=self._muted_since,
            calls_enabled=people.controls.calls_enabled,
            do_not_disturb=people.controls.do_not_disturb,
            mute_switched=self._mute_switched,
            unread=self._post.unread,
            reading=self._read_contact(pressed_at) is not None,
            last_conversation=self._post.last_contact,
            armed_call_back_until=self._armed_call_back_until,
            buttons_held=self._gestures.held,
            one_button=self._board.one_button,
        )

    def _word(self) -> means.CallWord:
        """The call's state as the panel knows it; a call that passes in silence is no call here."""
        machine = self._calling.machine
        if machine.state == "ringing" and self._calling.alerting is None:
            return "idle"
        return machine.state.value

    def _note_call(self) -> None:
        word = self._word()
        if word != self._call_word:
            self._call_word, self._call_since = word, self._core.now

    def _act(self, gestures: Iterable[Gesture]) -> None:
        for gesture in gestures:
            if isinstance(gesture, Switched):
                self._mute_switched = gesture.on
                self._mean(gesture, None)
            elif not self._spoken.menus.took(gesture):
                if gesture.button == "talk" and isinstance(gesture, Pressed):
                    self._hush(gesture.pressed_at)
                self._mean(gesture, gesture.pressed_at)
                self._say_mute(gesture)

    def _mean(self, gesture: Gesture, pressed_at: Instant | None) -> None:
        for intent in means.meaning(gesture, self.view(pressed_at)):
            if self._core.settings.family.panel_lock and isinstance(intent, LOCKED_AWAY):
                self._core.emit(audio.Play(Tone.ERROR, False))
                self._spoken.announcing.refused("panel_locked")
            elif isinstance(intent, means.CallBack):
                self._dial(self._read_contact(pressed_at) or self._post.last_contact)
            elif isinstance(intent, means.Record) and intent.slot is None:
                self._voice_messages.record(self._read_contact(pressed_at) or self._post.last_contact, named=True)
            else:
                self.do(intent)

    def _read_contact(self, pressed_at: Instant | None) -> str | None:
        reading = self._spoken.reading
        return reading.contact if pressed_at is None else reading.contact_at(pressed_at)

    def _hush(self, pressed_at: Instant) -> None:
        self._spoken.reading.stop(pressed_at)
        self._spoken.announcing.enough()

    def _say_mute(self, gesture: ButtonGesture) -> None:
        """Say mute when the button that set it comes up: until then it may become a hold."""
        only = self._board.one_button and gesture.pressed_at <= self._muted_since
        if isinstance(gesture, Released) and (only if gesture.was_hold else gesture.button == "mute"):
            self._spoken.announcing.changed("muted" if self.muted else "unmuted")

    def do(self, intent: Intent) -> None:
        """Carry out one intent, from a press or from the command line."""
        self._doers[type(intent)](intent)

    def _make_doers(self) -> dict[type, Callable[[Any], None]]:
        feed = self._calling.feed
        return {
            means.Answer: lambda intent: feed(happened.Answered()),
            means.HangUp: lambda intent: self._hang_up(),
            means.Decline: lambda intent: feed(happened.Declined(intent.with_text)),
            means.SetMute: lambda intent: self.set_mute(intent.on),
            means.SetCalls: lambda intent: self._set_calls(intent.on),
            means.SetDoNotDisturb: lambda intent: self._set_do_not_disturb(intent.on),
            means.Dial: lambda intent: self._dial(self._people.by_dial(intent.slot)),
            means.CallBack: lambda intent: self._dial(self._post.last_contact),
            means.SayLast: lambda intent: self._say_last(),
            means.SpeakState: lambda intent: self._spoken.announcing.say_state(),
            means.OpenMenu: lambda intent: self._open_menu(),
            means.ChangeVolume: lambda intent: self._change_volume(intent.step),
            means.PlayNext: lambda intent: self._spoken.reading.play_next(),
            means.Record: lambda intent: self._voice_messages.record(self._people.by_dial(intent.slot or 0)),
            means.EndRecording: lambda intent: self._voice_messages.release(),
            NotYet: lambda intent: self._core.emit(audio.Play(Tone.ERROR, False)),
        }

    def _set_calls(self, on: bool) -> None:
        self._people.set_calls(on)
        self._calling.feed(happened.CallsSet(on))
        self._spoken.announcing.changed("calls_on" if on else "calls_off")

    def _set_do_not_disturb(self, on: bool) -> None:
        self._people.set_do_not_disturb(on)
        self._spoken.announcing.changed("quiet_on" if on else "quiet_off")

    def _hang_up(self) -> None:
        self._spoken.announcing.enough()
        self._calling.feed(happened.HungUp())

    def _dial(self, contact: str | None) -> None:
        self._armed_call_back_until = None
        try:
            self._calling.dial(self._people.known(contact or ""))
        except CallboxError as error:
            self._core.warn(f"nobody to call: {error.what}")
            self._core.emit(audio.Play(Tone.ERROR, False))

    def _say_last(self) -> None:
        if self._post.last_contact:
            self._armed_call_back_until = self._core.now + CALL_BACK_S
        self._spoken.announcing.say_last(self._post.last_contact)

    def _change_volume(self, step: int) -> None:
        self.volume = min(1.0, max(0.0, round(self.volume + step * VOLUME_STEP, 2)))
        self._core.emit(audio.SetVolume(self.volume), audio.Play(Tone.TICK, False))
        self._core.commit([keep_volume(self._core.settings.sound.volume, self.volume)])

    def remember_volume(self, kept: tuple[float, float] | None) -> None:
        """Take the volume that the buttons left, unless box.toml was changed since."""
        if kept is not None and kept[0] == self._core.settings.sound.volume:
            self.volume = kept[1]

    def _open_menu(self) -> None:
        """Open the menu; the mute button that was held for it has not muted anything."""
        if self._muted_by_held_press():
            self.set_mute(False, tone=False)
        self._spoken.menus.open()

    def _muted_by_held_press(self) -> bool:
        pressed_at = self._gestures.pressed_at("mute")
        return pressed_at is not None and self._muted_since >= pressed_at and not self._mute_switched

    def set_mute(self, on: bool, tone: bool = True) -> None:
        """Close or open the microphone: at once, whatever network and far end do. A switch has the last word."""
        on = on or self._mute_switched
        if self.muted == on:
            return
        self.muted, self._muted_since = on, self._core.now
        self._core.emit(audio.SetCapture(not on))
        if on:
            self._voice_messages.mute_pressed()
        if tone:
            self._core.emit(audio.Play(Tone.MUTE_ON if on else Tone.MUTE_OFF, False))
        self.on_mute()

    # --- lights -----------------------------------------------------------------------------------------------------

    def sound_fact(self, fact: audio.Fact) -> None:
        """Note what the audio thread says of itself."""
        match fact:
            case audio.LiveChanged(live=live):
                self.sounding.live = live
            case audio.SoundOpened():
                self.sounding.open, self.sounding.fault = True, None
            case audio.SoundFound():
                self.sounding.fault = None
            case audio.SoundLost(sentence=sentence, kind=kind):
                self.sounding.open, self.sounding.fault, self.sounding.fault_kind = False, sentence, kind
                self._core.warn(f"sound: {sentence}")
            case audio.Meter():
                self.sounding.meter = fact

    def light_state(self) -> LightState:
        """Return the facts that the lights show."""
        alerting = self._calling.alerting
        call: CallLook = self._word()
        if call == "ringing" and alerting is not None and alerting.knock:
            call = "knock"
        controls = self._people.controls
        return LightState(
            live=self.sounding.live,
            muted=self.muted,
            call=call,
            call_since=self._call_since,
            calls="disabled" if not controls.calls_enabled else "quiet" if self._people.quiet_now() else "on",
            unread=self._post.unread,
            status="fault" if self.fault else self.status,
        )

    @property
    def fault(self) -> str | None:
        """The one sentence that the status light's fast blinking stands for."""
        return self._core.ledger.fault or self.sounding.fault

    def spoken_facts(self) -> PanelFacts:
        """Return what is said of the panel. A mute that the press which asks for it will undo is none."""
        muted = self.muted and not self._muted_by_held_press()
        store, sound = self._core.ledger, self.sounding
        if store.fault is not None:
            return PanelFacts(muted, store.fault, "store", store.fault_kind)
        return PanelFacts(muted, sound.fault, "sound", sound.fault_kind)

    def show(self) -> None:
        """Note what changed since the last event and emit the lights if they differ."""
        self._note_call()
        levels = lights(self.light_state(), self._core.now, self._board.shown_on)
        if levels != self._shown:
            self._shown = levels
            self._core.emit(do.ShowLights(levels))

    @property
    def shown(self) -> dict[str, float]:
        """Return the brightness of every light at this moment."""
        return dict(self._shown)
