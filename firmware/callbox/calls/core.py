"""The workbench of the handlers: state, timers and memory, and the verbs that keep effects in pairs.

Every OpenSound has its CloseSound, every StartMedia its StopMedia, every repeated tone its StopTone and every
Ring its StopRing, because only the verbs below emit them.
"""

from collections.abc import Iterable

from callbox.base.reasons import Reason
from callbox.base.time import Instant, earliest
from callbox.calls import effects as do
from callbox.calls.effects import Effect, ToneName
from callbox.calls.events import Taker, TimerEvent
from callbox.calls.state import CallView, Finished, LiveCall, Rival, Shadow, State, Timing
from callbox.wire.told import Told

MOST_REMEMBERED = 256
MOST_SHADOWS = 8
MOST_UNSAID = 16


class Core:
    """Mutable; lives inside `machine.Calls` and is handed to handlers."""

    def __init__(self, timing: Timing) -> None:
        self.timing = timing
        self.state = State.IDLE
        self.link_up = False
        self.calls_enabled = True
        self.call: LiveCall | None = None
        self.ended: CallView | None = None  # shown while the last tone plays
        self.rival: Rival | None = None
        self.shadows: dict[bytes, Shadow] = {}
        self.finished: dict[bytes, Finished] = {}
        self.timers: dict[type[TimerEvent], Instant] = {}
        self._out: list[Effect] = []
        self._unsaid: list[Effect] = []
        self._sound = self._ringing = False
        self._tone: ToneName | None = None
        self._media: bytes | None = None

    # --- effects -----------------------------------------------------------------------------------------

    def emit(self, *effects: Effect) -> None:
        """Ask for effects. Partings that cannot be said now are said once more when the link is back."""
        self._out += effects
        if not self.link_up:
            self._unsaid += (e for e in effects if isinstance(e, do.SendEnd | do.SendTaken | do.WithdrawOffer))
            del self._unsaid[:-MOST_UNSAID]

    def say_partings(self) -> None:
        self._out += self._unsaid
        self._unsaid.clear()

    def drain(self) -> list[Effect]:
        drained, self._out = self._out, []
        return drained

    def open_sound(self) -> None:
        if not self._sound:
            self._sound = True
            self.emit(do.OpenSound())

    def close_sound(self) -> None:
        self.hush()
        if self._sound:
            self._sound = False
            self.emit(do.CloseSound())

    def play(self, tone: ToneName, *, repeat: bool) -> None:
        """Play a tone instead of the present one."""
        if self._tone != tone:
            self.hush()
            self._tone = tone
            self.emit(do.PlayTone(tone, repeat))

    def hush(self) -> None:
        if self._tone is not None:
            self._tone = None
            self.emit(do.StopTone())

    def ring(self, contact: str, *, knock: bool) -> None:
        self.stop_ring()
        self._ringing = True
        if not knock:
            self.open_sound()
        self.emit(do.Ring(contact, loud=not knock, knock=knock))

    def stop_ring(self) -> None:
        if self._ringing:
            self._ringing = False
            self.emit(do.StopRing())

    def start_media(self, call: LiveCall) -> None:
        """Samples pass from here on: only ever after the caller's ack."""
        self.stop_media()
        call.acked = True
        self._media = call.call_id
        self.emit(do.StartMedia(call.call_id, call.device or "", call.contact))

    def stop_media(self) -> None:
        if self._media is not None:
            self.emit(do.StopMedia(self._media))
            self._media = None

    # --- timers ------------------------------------------------------------------------------------------

    def start_timer(self, timer: type[TimerEvent], at: Instant) -> None:
        self.timers[timer] = at

    def stop_timers(self, *timers: type[TimerEvent]) -> None:
        for timer in timers:
            self.timers.pop(timer, None)

    @property
    def deadline(self) -> Instant | None:
        return earliest(*self.timers.values(), *(shadow.until for shadow in self.shadows.values()))

    # --- memory of ids that must not ring ----------------------------------------------------------------

    def remember(self, call_id: bytes, finished: Finished) -> None:
        self.finished.pop(call_id, None)
        self.finished[call_id] = finished
        while len(self.finished) > MOST_REMEMBERED:
            del self.finished[next(iter(self.finished))]

    def forget_old(self, now: Instant) -> None:
        for call_id in [i for i, finished in self.finished.items() if finished.until <= now]:
            del self.finished[call_id]

    def done_with(
        self, call_id: bytes, contact: str, now: Instant, by: Taker = "cancelled", device: str | None = None
    ) -> None:
        """Erase the keys of a call and never ring for it again."""
        self.emit(do.ForgetKeys(call_id))
        self.remember(call_id, Finished(now + self.timing.remember_s, contact, by, device))

    # --- lines in the thread -----------------------------------------------------------------------------

    def record_unanswered(
        self, call_id: bytes, contact: str, reason: Reason, chain: Iterable[str] = (), *, outgoing: bool = False
    ) -> None:
        self.emit(do.RecordCall(call_id, contact, outgoing, False, reason, 0.0, tuple(chain)))

    def send_end(self, call: LiveCall, told: Told | None) -> None:
        if told is not None:
            self.emit(do.SendEnd(call.call_id, told, call.contact, call.device))
