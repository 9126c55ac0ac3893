"""What a gesture means in a state: which intents the box gets from it.

| button | in this state      | short press                              | hold (1 s)                      |
|--------|--------------------|------------------------------------------|---------------------------------|
| talk   | ringing            | answer, on the press edge                |                                 |
|        | in a call          | hang up, on the press edge               |                                 |
|        | its last tone      | enough of it, on the press edge          |                                 |
|        | a message is read  | call its sender                          | record to its sender while held |
|        | idle, unread       | play the next                            | record to the last conversation |
|        | idle               | say the last name; again in 3 s: call it | record to the last conversation |
| mute   | any                | mute on the press, unmute on the release | speak the state; mute as it was |
| calls  | ringing            | decline                                  | decline with the ready text     |
|        | else               | calls on or off                          | do not disturb on or off        |
| dial N | idle, last tone    | call contact N                           | idle: record to contact N       |
| volume | any                | one step                                 | continuous                      |
| talk and mute | idle        |                                          | the spoken menu (MENU.md)       |

One-button mode, all on release: ringing: answer / hold declines with text; in a call: hang up / hold mutes; its last
tone: enough of it;
idle: play or call back, twice calls on or off / hold records, three times the menu.

A press belongs to the state it began in: what rings, ends or is answered while a button is down takes the
meaning from that press (except mute's, which works in any state). So a talk button that is already down
when it rings does not answer, the release after a hang-up plays no message, and a decline that comes too
late does not turn calls off. Everything short of mute's press and talk's waits for the release, because
only then a press is known not to be a hold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from callbox.base.time import Instant
from callbox.panel.contacts import switch_name
from callbox.panel.gestures import ButtonGesture, Gesture, Held, Pressed, PressedTimes, Released, Repeated, Switched
from callbox.panel.intents import (
    Answer,
    CallBack,
    ChangeVolume,
    Decline,
    Dial,
    EndRecording,
    HangUp,
    Intent,
    NotYet,
    OpenMenu,
    PlayNext,
    Record,
    SayLast,
    SetCalls,
    SetDoNotDisturb,
    SetMute,
    SpeakState,
)

__all__ = [
    "Answer",
    "CallBack",
    "CallWord",
    "ChangeVolume",
    "Decline",
    "Dial",
    "EndRecording",
    "HangUp",
    "Intent",
    "NotYet",
    "OpenMenu",
    "PanelView",
    "PlayNext",
    "Record",
    "SayLast",
    "SetCalls",
    "SetDoNotDisturb",
    "SetMute",
    "SpeakState",
    "meaning",
]

RING_GUARD_S = 0.5

CallWord = Literal["idle", "dialing", "ringing", "connecting", "talking", "reconnecting", "ending"]
IN_A_CALL: frozenset[str] = frozenset(("dialing", "connecting", "talking", "reconnecting"))
MUTE_SWITCH = switch_name("mute")


@dataclass(frozen=True, slots=True)
class PanelView:
    """What a press is judged by. `call_since` and `muted_since`: when `call` and `muted` last changed."""

    call: CallWord
    call_since: Instant
    muted: bool
    muted_since: Instant
    calls_enabled: bool = True
    do_not_disturb: bool = False
    mute_switched: bool = False
    unread: int = 0
    reading: bool = False
    last_conversation: str | None = None
    armed_call_back_until: Instant | None = None
    buttons_held: frozenset[str] = frozenset()
    one_button: bool = False


Intents = tuple[Intent, ...]


def meaning(gesture: Gesture, view: PanelView) -> Intents:
    """Return what `gesture` asks of a box that looks like `view`. Empty: nothing."""
    if isinstance(gesture, Switched):
        return _switch(gesture)
    if view.one_button:
        return _only_button(gesture, view)
    if (chord := _chord(gesture, view)) is not None:
        return chord
    if gesture.button.startswith("dial"):
        return _dial(gesture, view)
    rule = _RULES.get(gesture.button)
    return () if rule is None else rule(gesture, view)


def _began_before(gesture: ButtonGesture, view: PanelView) -> bool:
    """Whether the press began in a state that is over."""
    return gesture.pressed_at < view.call_since


def _too_soon(gesture: ButtonGesture, view: PanelView) -> bool:
    """Whether a press comes so soon after the ring began that it was meant for something else."""
    return gesture.pressed_at - view.call_since < RING_GUARD_S


def _talk(gesture: ButtonGesture, view: PanelView) -> Intents:
    if _began_before(gesture, view):
        return ()
    match gesture:
        case Pressed() if view.call == "ringing":
            return () if _too_soon(gesture, view) else (Answer(),)
        case Pressed() if view.call in IN_A_CALL or view.call == "ending":
            return (HangUp(),)
        case Released(was_hold=False) if view.call == "idle":
            return _idle_talk(gesture.pressed_at, view)
        case Held() if view.call == "idle":
            return (Record(),)
        case Released(was_hold=True) if view.call == "idle":
            return (EndRecording(),)
    return ()


def _idle_talk(pressed_at: Instant, view: PanelView) -> Intents:
    if view.reading:
        return (CallBack(),)
    if view.unread:
        return (PlayNext(),)
    armed = view.armed_call_back_until is not None and pressed_at <= view.armed_call_back_until
    return (CallBack(),) if armed and view.last_conversation is not None else (SayLast(),)


def _mute(gesture: ButtonGesture, view: PanelView) -> Intents:
    """The press mutes; the release unmutes if the press found it muted, or if a hold must undo its press."""
    if isinstance(gesture, Pressed):
        return () if view.muted else (SetMute(True),)
    if isinstance(gesture, Held):
        return (SpeakState(),)
    if isinstance(gesture, Released) and view.muted and not view.mute_switched:
        muted_by_this_press = view.muted_since >= gesture.pressed_at
        # Undone on release, not when the second is over: while the button is down, nobody is heard.
        return (SetMute(False),) if muted_by_this_press == gesture.was_hold else ()
    return ()


def _calls(gesture: ButtonGesture, view: PanelView) -> Intents:
    if _began_before(gesture, view):
        return ()
    ringing = view.call == "ringing"
    match gesture:
        case Released(was_hold=False):
            return (Decline(),) if ringing else (SetCalls(not view.calls_enabled),)
        case Held():
            return (Decline(with_text=True),) if ringing else (SetDoNotDisturb(not view.do_not_disturb),)
    return ()


def _dial(gesture: ButtonGesture, view: PanelView) -> Intents:
    if _began_before(gesture, view) or view.call not in ("idle", "ending"):
        return ()
    match gesture:
        case Released(was_hold=False):
            return (Dial(int(gesture.button.removeprefix("dial"))),)
        case Held() if view.call == "idle":
            return (Record(int(gesture.button.removeprefix("dial"))),)
        case Released(was_hold=True) if view.call == "idle":
            return (EndRecording(),)
    return ()


def _volume(gesture: ButtonGesture, view: PanelView) -> Intents:
    step = 1 if gesture.button == "volume_up" else -1
    return (ChangeVolume(step),) if isinstance(gesture, Pressed | Held | Repeated) else ()


_RULES: dict[str, Callable[[ButtonGesture, PanelView], Intents]] = {
    "talk": _talk,
    "mute": _mute,
    "calls": _calls,
    "volume_up": _volume,
    "volume_down": _volume,
}


def _chord(gesture: ButtonGesture, view: PanelView) -> Intents | None:
    """Two buttons held together are for the menu and the reset, and mean nothing of their own; None: no chord."""
    menu = view.call == "idle" and view.buttons_held >= {"talk", "mute"} and not _began_before(gesture, view)
    reset = view.buttons_held >= {"calls", "mute"}
    match gesture:
        case Held(button="talk") if menu:
            return (OpenMenu(),)
        case Held(button="calls") if reset:
            return (NotYet("reset"),)
        case Held(button="mute") if menu or reset:
            return ()
    return None


def _only_button(gesture: ButtonGesture, view: PanelView) -> Intents:
    if _began_before(gesture, view):
        return ()
    match gesture:
        case Released(was_hold=True) if view.call == "ringing":
            return (Decline(with_text=True),)
        case Released() if view.call == "ringing":
            return () if _too_soon(gesture, view) else (Answer(),)
        case Released(was_hold=True) if view.call in IN_A_CALL:
            return () if view.mute_switched else (SetMute(not view.muted),)
        case Released() if view.call in IN_A_CALL:
            return (HangUp(),)
        case Released(was_hold=False) if view.call == "ending":
            return (HangUp(),)
    return _only_button_idle(gesture, view) if view.call == "idle" else ()


def _only_button_idle(gesture: ButtonGesture, view: PanelView) -> Intents:
    match gesture:
        case Held():
            return (Record(),)
        case Released(was_hold=True):
            return (EndRecording(),)
        case PressedTimes(times=1):
            return _idle_talk(gesture.pressed_at, view)
        case PressedTimes(times=2):
            return (SetCalls(not view.calls_enabled),)
        case PressedTimes(times=3):
            return (OpenMenu(),)
    return ()


def _switch(gesture: Switched) -> Intents:
    """A switch's position is the truth, whatever the state; the hook is not listened to yet."""
    return (SetMute(gesture.on),) if gesture.switch == MUTE_SWITCH else (NotYet("hook switch"),)
