"""Handlers of the called side: what a proven ring does here, and the person's answer to it."""

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.core import MOST_SHADOWS, Core
from callbox.calls.endings import end_and_say, finish
from callbox.calls.outgoing import cross, dial, go_idle_quietly, the_call
from callbox.calls.reasons import TOLD
from callbox.calls.state import LiveCall, Shadow, State
from callbox.wire.told import Told

NEVER = frozenset({Reason.BLOCKED, Reason.NOT_ALLOWED, Reason.KEY_CHANGED})
"""Refusals that hold even towards the person whom we are dialling. Quiet, silence and calls-off do not."""

CROSSED_S = 2.0
"""So late after the first words the losing half of a glare may still come; nobody restarts and dials again as soon."""

TAKEN_BY = {
    "answered": Reason.ANSWERED_ELSEWHERE,
    "declined": Reason.DECLINED_ELSEWHERE,
    "cancelled": Reason.CANCELLED,
    "replaced": Reason.REPLACED,
}

# --- a ring, in each state ------------------------------------------------------------------------------------


def ring_when_free(core: Core, event: on.RingProven, now: Instant) -> None:
    """Ring, show a knock, seem to ring, or refuse, as admission says."""
    if not turned_away(core, event, now):
        go_idle_quietly(core)
        start_ringing(core, event, now)


def ring_when_dialing(core: Core, event: on.RingProven, now: Instant) -> None:
    """From the person we are dialling: glare, the lower id wins. From others: busy."""
    call = the_call(core)
    if event.call_id == call.call_id or over_already(core, event, now):
        return
    if event.contact == call.contact and not refused_for_good(event):
        cross(core, event, now)
    elif not turned_away(core, event, now):
        say_busy(core, event, now)


def ring_when_ringing(core: Core, event: on.RingProven, now: Instant) -> None:
    """Offered again: say that we ring. Same person anew: replace. A ring displaces a knock. Others: busy."""
    call = the_call(core)
    if event.call_id == call.call_id:
        if (event.contact, event.device) == (call.contact, call.device):
            say_alerting(core)  # offered again after a restart of the server: we ring already
    elif not turned_away(core, event, now):
        if event.contact == call.contact:
            replace(core, event, now)
        elif call.knock and event.admission.act == "ring":  # a knock gives way to a ring
            end_and_say(core, Reason.KNOCKED, now, why=("gave way to a ring",))
            start_ringing(core, event, now)
        else:
            say_busy(core, event, now)


def ring_when_connecting(core: Core, event: on.RingProven, now: Instant) -> None:
    """Offered again: answer again. Same person anew: replace. Others: busy."""
    call = the_call(core)
    if event.call_id == call.call_id:
        if not call.outgoing and not call.acked and event.contact == call.contact and event.device == call.device:
            send_answer(core)  # offered again with fresh keys before our answer arrived
    elif not turned_away(core, event, now):
        if crossed(call, event):
            let_cross(core, event, now)
        elif event.contact == call.contact:
            replace(core, event, now)
        else:
            say_busy(core, event, now)


def ring_when_talking(core: Core, event: on.RingProven, now: Instant) -> None:
    """The same person anew: replace the stale call and ring, microphone shut. Others: busy and a soft tick."""
    call = the_call(core)
    if event.call_id == call.call_id or turned_away(core, event, now):
        return
    just_begun = call.talking_since is not None and now - call.talking_since < CROSSED_S
    if just_begun and crossed(call, event):
        let_cross(core, event, now)
    elif event.contact == call.contact:
        replace(core, event, now)
    else:
        say_busy(core, event, now)


def crossed(call: LiveCall, event: on.RingProven) -> bool:
    """Say whether this is the losing half of a glare, overtaken by the answer to ours."""
    return call.outgoing and event.contact == call.contact and call.call_id < event.call_id


def let_cross(core: Core, event: on.RingProven, now: Instant) -> None:
    core.done_with(event.call_id, event.contact, now, "replaced", event.device)
    core.record_unanswered(event.call_id, event.contact, Reason.TAKEN, ("crossed calls",))


# --- may it ring? ---------------------------------------------------------------------------------------------


def turned_away(core: Core, event: on.RingProven, now: Instant) -> bool:
    """Act on a ring that may not make itself known here; say whether it was one."""
    if over_already(core, event, now):
        return True
    admission, call_id, contact = event.admission, event.call_id, event.contact
    if call_id in core.shadows:
        core.emit(do.SendAlerting(call_id, contact, event.device))
        return True
    if admission.act == "refuse" or not core.calls_enabled:
        reason = (admission.reason or Reason.NOT_ALLOWED) if admission.act == "refuse" else Reason.CALLS_DISABLED
        told = TOLD[reason]
        if told is not None:
            core.emit(do.SendEnd(call_id, told, contact, event.device))
        core.done_with(call_id, contact, now, device=event.device)
        if reason is not Reason.BLOCKED:  # a block leaves nothing in the thread
            core.record_unanswered(call_id, contact, reason, admission.chain)
        return True
    if admission.act == "silent":
        cast_shadow(core, event, now)
        return True
    return False


def refused_for_good(event: on.RingProven) -> bool:
    return event.admission.act == "refuse" and event.admission.reason in NEVER


def over_already(core: Core, event: on.RingProven, now: Instant) -> bool:
    """Whether this id has ended: its hang-up overtook its offer, or it is a straggler. Neither may ring.

    The offer of somebody whom we call ourselves is taken back in favour of ours: nobody missed it.
    """
    finished = core.finished.get(event.call_id)
    if finished is None or finished.contact not in ("", event.contact):
        return False
    if finished.early:
        core.done_with(event.call_id, event.contact, now, finished.by, event.device)
        call = core.call
        if call is not None and call.outgoing and call.contact == event.contact and finished.by == "cancelled":
            core.record_unanswered(event.call_id, event.contact, Reason.TAKEN, ("crossed calls",))
        else:
            core.record_unanswered(event.call_id, event.contact, TAKEN_BY[finished.by], ("ended before it rang",))
    return True


def cast_shadow(core: Core, event: on.RingProven, now: Instant) -> None:
    """The caller hears ringing, then no answer; here nothing moves."""
    for shadow in list(core.shadows.values()):
        if shadow.contact == event.contact or len(core.shadows) >= MOST_SHADOWS:
            end_shadow(core, shadow, Reason.SILENCED, now)
    until = now + core.timing.ring_s
    core.shadows[event.call_id] = Shadow(event.call_id, event.contact, event.device, until, event.admission.chain)
    core.emit(do.SendAlerting(event.call_id, event.contact, event.device))


def end_shadow(core: Core, shadow: Shadow, reason: Reason, now: Instant, *, say: bool = True) -> None:
    del core.shadows[shadow.call_id]
    told = TOLD[reason]
    if say and told is not None:
        core.emit(do.SendEnd(shadow.call_id, told, shadow.contact, shadow.device))
    core.done_with(shadow.call_id, shadow.contact, now, device=shadow.device)
    core.record_unanswered(shadow.call_id, shadow.contact, reason, shadow.chain)


# --- what a ring does -----------------------------------------------------------------------------------------


def start_ringing(core: Core, event: on.RingProven, now: Instant) -> None:
    """Make the call known: sound and light, or light alone for a knock."""
    knock = event.admission.act == "light"
    core.call = LiveCall(
        event.call_id, event.contact, False, now, event.device, knock, event.admission.chain, ringing_since=now
    )
    core.state = State.RINGING
    say_alerting(core)
    core.ring(event.contact, knock=knock)
    if knock:
        core.close_sound()
    core.start_timer(on.RingTimeOver, now + core.timing.ring_s)
    if not core.link_up:
        core.start_timer(on.LinkTimeOver, now + core.timing.link_s)


def replace(core: Core, event: on.RingProven, now: Instant) -> None:
    """The same person calls anew: the present call is stale. The new one rings, microphone shut."""
    call = the_call(core)
    core.send_end(call, TOLD[Reason.REPLACED])
    finish(core, Reason.REPLACED, now, next_follows=True)
    start_ringing(core, event, now)


def say_busy(core: Core, event: on.RingProven, now: Instant) -> None:
    core.emit(do.SendEnd(event.call_id, Told.BUSY, event.contact, event.device), do.SoftTick(event.contact))
    core.done_with(event.call_id, event.contact, now, device=event.device)
    core.record_unanswered(event.call_id, event.contact, Reason.BUSY, event.admission.chain)


def say_alerting(core: Core) -> None:
    call = the_call(core)
    core.emit(do.SendAlerting(call.call_id, call.contact, call.device or ""))


def say_alerting_again(core: Core, _event: object, _now: Instant) -> None:
    """Back on the link: if the call ended meanwhile, the caller says so on this."""
    core.stop_timers(on.LinkTimeOver)
    say_alerting(core)


# --- the person's part ----------------------------------------------------------------------------------------


def answer(core: Core, event: object, now: Instant) -> None:
    """Stop ringing, answer, and wait for the caller's ack with the microphone shut."""
    answer_when_back(core, event, now)
    send_answer(core)


def answer_when_back(core: Core, _event: object, now: Instant) -> None:
    """Pressed while the link is lost: the answer goes out when it is back, within the time to connect."""
    core.stop_ring()
    core.timers.clear()
    core.open_sound()
    core.start_timer(on.ConnectTimeOver, now + core.timing.connect_s)
    core.state = State.CONNECTING


def send_answer(core: Core) -> None:
    call = the_call(core)
    core.emit(do.SendAnswer(call.call_id, call.contact, call.device or ""))


def decline(core: Core, event: on.Declined | on.HungUp, now: Instant) -> None:
    """Tell them, and send the ready-made text if asked for."""
    contact = the_call(core).contact
    end_and_say(core, Reason.DECLINED, now)
    if isinstance(event, on.Declined) and event.with_text:
        core.emit(do.SendReadyText(contact))


def dial_while_ringing(core: Core, event: on.Dialed, now: Instant) -> None:
    """Dialling the person who rings is answering; a knock gives way; a ring does not."""
    call = the_call(core)
    if event.contact == call.contact:
        (answer if core.link_up else answer_when_back)(core, event, now)
    elif call.knock:
        end_and_say(core, Reason.KNOCKED, now, why=("gave way to a call of ours",))
        dial(core, event, now)


def calls_switched(core: Core, event: on.CallsSet, now: Instant) -> None:
    """Calls disabled while it rings: refuse this one, too."""
    if not event.enabled:
        end_and_say(core, Reason.CALLS_DISABLED, now)


# --- the call goes away ---------------------------------------------------------------------------------------


def taken(core: Core, event: on.FarTaken, now: Instant) -> None:
    """Another device took it, or the caller gave up: silence at once."""
    finish(core, TAKEN_BY[event.by], now, taken=event.by)


def caller_ended(core: Core, event: on.FarEnded, now: Instant) -> None:
    """The caller gave up."""
    if event.device == the_call(core).device:
        finish(core, Reason.CANCELLED, now)


def withdrawn(core: Core, _event: object, now: Instant) -> None:
    """The server no longer holds the offer: the caller gave up."""
    finish(core, Reason.CANCELLED, now)


def ring_time_over(core: Core, _event: object, now: Instant) -> None:
    """Nobody came."""
    end_and_say(core, Reason.KNOCKED if the_call(core).knock else Reason.NO_ANSWER, now)


def link_gone_while_ringing(core: Core, _event: object, now: Instant) -> None:
    """A cancel could not reach us any more: do not ring on for nobody."""
    finish(core, Reason.LOST, now)
