"""Handlers from the answer to the end: connecting, talking, losing each other and coming back."""

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.core import Core
from callbox.calls.endings import end_and_say, finish, settle_rival
from callbox.calls.incoming import TAKEN_BY, send_answer
from callbox.calls.outgoing import go_idle_quietly, the_call
from callbox.calls.reasons import reason_of
from callbox.calls.state import LiveCall, State
from callbox.wire.told import Told

# --- connecting -----------------------------------------------------------------------------------------------


def far_acks(core: Core, _event: object, now: Instant) -> None:
    """The caller chose us: now, and not before, a sample of the microphone may pass."""
    call = the_call(core)
    if not call.outgoing and not call.acked:
        settle_rival(core, now)
        core.start_media(call)


def route_ready(core: Core, _event: object, now: Instant) -> None:
    """Both ends are on the route: talk."""
    if the_call(core).acked:
        talk(core, now)


def answered_again(core: Core, event: on.FarAnswered, _now: Instant) -> None:
    """Our ack was lost, or a second device answered too late."""
    call = the_call(core)
    if call.asks and event.device == call.device:
        core.emit(do.SendAck(call.call_id, event.device, call.contact))
    elif call.outgoing and event.device != call.device:
        core.emit(do.SendTaken(call.call_id, "answered", call.device, call.contact, event.device))


def late_alerting(core: Core, event: on.FarAlerting, _now: Instant) -> None:
    """A device that began to ring too late is told that the call is answered."""
    call = the_call(core)
    if call.outgoing and event.device != call.device:
        core.emit(do.SendTaken(call.call_id, "answered", call.device, call.contact, event.device))


def link_back_connecting(core: Core, _event: object, _now: Instant) -> None:
    """Say again what may have been lost with the link."""
    call = the_call(core)
    if call.outgoing:
        core.emit(do.SendAck(call.call_id, call.device or "", call.contact))
    if call.acked:
        core.emit(do.ReopenRoute(call.call_id, call.device or "", call.contact))
    else:
        send_answer(core)


def taken_after_answer(core: Core, event: on.FarTaken, now: Instant) -> None:
    """We answered, but another device was first, or the caller had given up. The caller alone chooses."""
    call = the_call(core)
    if not call.outgoing:
        finish(core, TAKEN_BY[event.by], now, taken=event.by)


def never_connected(core: Core, _event: object, now: Instant) -> None:
    """Answered, but no media within the time to connect."""
    end_and_say(core, Reason.FAILED, now, by_us=False, why=("no media after the answer",))


# --- talking --------------------------------------------------------------------------------------------------


def talk(core: Core, now: Instant) -> None:
    call = the_call(core)
    if call.talking_since is None:
        call.talking_since = now
    core.stop_timers(on.ConnectTimeOver, on.RetryDue)
    if core.timers.get(on.GraceOver) is not None:
        call.back_since = now
    core.hush()
    core.state = State.TALKING


def hang_up(core: Core, _event: object, now: Instant) -> None:
    """Tell them; microphone shut, keys forgotten."""
    end_and_say(core, Reason.HUNG_UP, now)


def far_hangs_up(core: Core, event: on.FarEnded, now: Instant) -> None:
    """Heeded from the device in the call alone."""
    call = the_call(core)
    if event.device != call.device:
        return
    refused_resume = call.resuming
    before_media = core.state is State.CONNECTING and event.told is Told.HUNG_UP and not call.outgoing
    reason = Reason.LOST if refused_resume else Reason.CANCELLED if before_media else reason_of(event.told)
    finish(core, reason, now, why=("told", event.told.value))


def cannot_dial_now(core: Core, _event: object, _now: Instant) -> None:
    """One call at a time: an error tone, nothing else."""
    core.emit(do.PlayTone("error", repeat=False))


# --- losing each other ----------------------------------------------------------------------------------------


def lose(core: Core, _event: object, now: Instant) -> None:
    """Keep the call for its grace. A loss right after coming back is the same loss, with the same grace."""
    call = the_call(core)
    unstable = call.back_since is not None and now - call.back_since < core.timing.unstable_s
    if not (unstable and on.GraceOver in core.timers):
        core.start_timer(on.GraceOver, now + core.timing.grace_s)
    call.back_since = None
    core.start_timer(on.RetryDue, now + core.timing.retry_s)
    core.play("reconnecting", repeat=True)
    core.state = State.RECONNECTING


def come_back(core: Core, event: object, now: Instant) -> None:
    """Heard again, or both on the route again: talk on, no press needed."""
    call = the_call(core)
    if call.acked and not call.resuming:
        talk(core, now)
        if isinstance(event, on.MediaBack):  # heard, not only hoped for
            core.stop_timers(on.GraceOver)
            call.back_since = None


def proven_back(core: Core, _event: object, _now: Instant) -> None:
    """The last loss is mended: heard, or long enough ago."""
    core.stop_timers(on.GraceOver)
    the_call(core).back_since = None


def try_again(core: Core, _event: object, now: Instant) -> None:
    """Ask once more, now and every few seconds, for what is missing: being let back in, or the route."""
    call = the_call(core)
    if not core.link_up:
        return
    core.start_timer(on.RetryDue, now + core.timing.retry_s)
    if call.resuming:
        core.emit(do.SendOffer(call.call_id, call.contact, False, resume=True, device=call.device))
    elif call.acked:
        if call.asks:
            core.emit(do.SendAck(call.call_id, call.device or "", call.contact))  # it may have been lost with the link
        core.emit(do.ReopenRoute(call.call_id, call.device or "", call.contact))


def stop_trying(core: Core, _event: object, _now: Instant) -> None:
    """Nothing can be asked without a link."""
    core.stop_timers(on.RetryDue)


def grace_over(core: Core, _event: object, now: Instant) -> None:
    """Kept for as long as promised: lost."""
    end_and_say(core, Reason.LOST, now, by_us=False)


# --- a box that restarted -------------------------------------------------------------------------------------


def take_up_again(core: Core, event: on.Resumed, now: Instant) -> None:
    """This box restarted in a call: ask to be let back in, within the other side's grace. (The shell starts muted
    unless it knows better.)"""
    go_idle_quietly(core)
    call = LiveCall(event.call_id, event.contact, event.outgoing, now, event.device, resuming=True)
    call.asks, call.talking_since, call.chain = True, now - event.talked_s, ("resumed after a restart",)
    core.call = call
    core.open_sound()
    lose(core, event, now)
    try_again(core, event, now)


def let_back_in(core: Core, event: on.ResumeProven, now: Instant) -> None:
    """The other box restarted: same call, same person, same device, or not at all. No ringing."""
    call = the_call(core)
    same = (event.call_id, event.contact, event.device) == (call.call_id, call.contact, call.device)
    if not same or call.talking_since is None:
        refuse_resume(core, event, now)
    elif not (call.resuming and call.outgoing):  # both restarted: the one who called asks, the other answers
        core.stop_media()  # its keys died with the other box
        call.acked, call.resuming, call.asks = False, False, False
        send_answer(core)
        if core.state is not State.RECONNECTING:
            lose(core, event, now)


def refuse_resume(core: Core, event: on.ResumeProven, _now: Instant) -> None:
    """Not our call, or not the device that was in it: it is over for that box."""
    core.emit(do.SendEnd(event.call_id, Told.HUNG_UP, event.contact, event.device))


def resumed_far_answers(core: Core, event: on.FarAnswered, now: Instant) -> None:
    """Let back in: fresh keys, as at the start of a call."""
    call = the_call(core)
    if call.resuming and event.device == call.device:
        core.emit(do.SendAck(call.call_id, event.device, call.contact))
        call.resuming = False
        core.start_media(call)
    elif not call.resuming:
        answered_again(core, event, now)


def resumed_far_acks(core: Core, _event: object, _now: Instant) -> None:
    """The restarted box has our answer: media under the fresh keys."""
    call = the_call(core)
    if not call.asks and not call.acked:
        core.start_media(call)


def key_changed(core: Core, event: on.KeyChanged, now: Instant) -> None:
    """Calls with this contact stay blocked until its new key is confirmed."""
    if the_call(core).contact == event.contact:
        end_and_say(core, Reason.KEY_CHANGED, now, by_us=False)
