"""`Calls`: the machine as the box sees it. Events and the time in, effects out.

calls = Calls()
effects = calls.handle(LinkBack(), now)      # it starts without a link
effects = calls.handle(Dialed("workshop", call_id), now)
effects = calls.tick(now)                    # when calls.deadline has come
"""

from typing import get_args

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls import events as on
from callbox.calls.core import Core
from callbox.calls.effects import Effect
from callbox.calls.events import Event
from callbox.calls.incoming import end_shadow
from callbox.calls.state import CallView, State, Timing
from callbox.calls.strays import from_contact, stray
from callbox.calls.table import row_for

_ABOUT_A_CALL = get_args(on.CallEvent)


class Calls:
    """At most one call at a time has lights, sound and media."""

    def __init__(self, timing: Timing | None = None) -> None:
        self._core = Core(timing or Timing())

    @property
    def state(self) -> State:
        return self._core.state

    @property
    def link_up(self) -> bool:
        return self._core.link_up

    @property
    def current(self) -> CallView | None:
        """The live call; in Ending the one that just ended."""
        call = self._core.call
        return self._core.ended if call is None else call.view()

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is due, at the latest."""
        return self._core.deadline

    def may_reveal(self, call_id: bytes) -> bool:
        """Whether an offer of ours under this id still stands, so that its handshake may go on."""
        call = self._core.call
        return call is not None and call.call_id == call_id and (self.state is State.DIALING or call.resuming)

    def concerns(self, call_id: bytes, contact: str, device: str) -> bool:
        """Whether a call under this id with this very device rings, talks, or waits in the background here."""
        core = self._core
        calls = (core.call, core.rival, core.shadows.get(call_id))
        return any(
            call is not None and (call.call_id, call.contact, call.device) == (call_id, contact, device)
            for call in calls
        )

    def handle(self, event: Event, now: Instant) -> list[Effect]:
        """Take one event. Timers that are due fire first."""
        self._fire_due(now)
        self._dispatch(event, now)
        return self._core.drain()

    def tick(self, now: Instant) -> list[Effect]:
        """Fire the timers that are due."""
        self._fire_due(now)
        return self._core.drain()

    def _dispatch(self, event: Event, now: Instant) -> None:
        core = self._core
        if isinstance(event, _ABOUT_A_CALL):
            if core.call is None or event.call_id != core.call.call_id:
                stray(core, event, now)
                return
            if not from_contact(event, core.call.contact):
                return
        row = row_for(core.state, type(event), link_up=core.link_up)
        self._note(event, now)
        if row is not None:
            row.handler(core, event, now)

    def _note(self, event: Event, now: Instant) -> None:
        """What holds in every state."""
        core = self._core
        match event:
            case on.LinkLost():
                core.link_up = False
            case on.LinkBack():
                core.link_up = True
                core.say_partings()
            case on.CallsSet(enabled):
                core.calls_enabled = enabled
            case on.KeyChanged(contact):
                for shadow in [s for s in core.shadows.values() if s.contact == contact]:
                    end_shadow(core, shadow, Reason.KEY_CHANGED, now)
            case _:
                pass

    def _fire_due(self, now: Instant) -> None:
        core = self._core
        core.forget_old(now)
        while (deadline := core.deadline) is not None and deadline <= now:
            for shadow in [s for s in core.shadows.values() if s.until == deadline]:
                end_shadow(core, shadow, Reason.SILENCED, now)
            for timer in [timer for timer, at in core.timers.items() if at == deadline]:
                if core.timers.get(timer) == deadline:  # an earlier one may have ended the call
                    del core.timers[timer]
                    self._dispatch(timer(), now)
