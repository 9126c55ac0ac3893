"""Handlers of the calling side: from the press of a dial button to the answer, and the way out of a glare."""

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.core import Core
from callbox.calls.endings import end_and_say, finish, go_idle, settle_rival, withdraw
from callbox.calls.reasons import reason_of, reason_of_denial
from callbox.calls.state import LiveCall, Rival, State
from callbox.wire.told import Told

GRAVEST = (Told.DECLINED, Told.HUNG_UP, Told.BUSY, Told.NOT_ACCEPTING, Told.UNAVAILABLE, Told.NO_ANSWER, Told.FAILED)
"""Several devices refused, each in its own words: the first of these is what the person hears."""


def dial(core: Core, event: on.Dialed, now: Instant) -> None:
    """Offer the call; the tone of a box that is trying plays until somebody's device rings."""
    go_idle_quietly(core)
    core.call = LiveCall(event.call_id, event.contact, True, now, knock=event.knock)
    core.state = State.DIALING
    core.open_sound()
    core.play("reconnecting", repeat=True)
    core.start_timer(on.DialTimeOver, now + core.timing.dial_s)
    if core.link_up:
        send_offer(core)
    else:
        core.start_timer(on.LinkTimeOver, now + core.timing.link_s)


def go_idle_quietly(core: Core) -> None:
    """Leave Ending for a new call without closing the sound."""
    core.hush()
    core.timers.clear()
    core.ended = None
    core.state = State.IDLE


def end_tone(core: Core, _event: object, _now: Instant) -> None:
    """The last tone has played, or the person had enough of it."""
    go_idle(core)


def send_offer(core: Core) -> None:
    call = the_call(core)
    core.emit(do.SendOffer(call.call_id, call.contact, call.knock, resume=False))


def offer_again(core: Core, _event: object, _now: Instant) -> None:
    """The server may have restarted and forgotten the offer."""
    core.stop_timers(on.LinkTimeOver)
    send_offer(core)


def wait_for_link(core: Core, _event: object, now: Instant) -> None:
    """Keep the call for a while; what the far end says meanwhile is lost."""
    core.start_timer(on.LinkTimeOver, now + core.timing.link_s)


def note_devices(core: Core, event: on.OfferAccepted, _now: Instant) -> None:
    """The server holds the offer; from the number of devices follows when all have refused."""
    the_call(core).offered_to = event.devices


def far_alerts(core: Core, event: on.FarAlerting, now: Instant) -> None:
    """Somebody's device rings (or shows a knock): ringback."""
    call = the_call(core)
    call.alerting.add(event.device)
    call.refused.pop(event.device, None)
    if call.alerting_since is None:
        call.alerting_since = now
        core.play("ringback", repeat=True)


def far_answers(core: Core, event: on.FarAnswered, now: Instant) -> None:
    """The first valid answer wins; the caller alone chooses."""
    call = the_call(core)
    call.device = event.device
    core.timers.clear()
    core.hush()
    settle_rival(core, now)
    core.emit(do.SendAck(call.call_id, event.device, call.contact))
    withdraw(core, call, "answered", event.device)
    core.start_media(call)
    core.start_timer(on.ConnectTimeOver, now + core.timing.connect_s)
    core.state = State.CONNECTING


def far_refuses(core: Core, event: on.FarEnded, now: Instant) -> None:
    """A decline ends the call for every device; anything else only takes this device out of the ringing."""
    call = the_call(core)
    call.alerting.discard(event.device)
    call.refused[event.device] = event.told
    if event.told in (Told.DECLINED, Told.HUNG_UP):
        if call.alerting:
            core.start_timer(on.SettleTimeOver, now + core.timing.decline_settle_s)
        else:
            refused(core, event, now)
    elif not call.alerting:
        if 0 < call.offered_to <= len(call.refused):
            refused(core, event, now)
        elif on.SettleTimeOver not in core.timers:
            core.start_timer(on.SettleTimeOver, now + core.timing.refusal_settle_s)


def settle(core: Core, event: on.SettleTimeOver, now: Instant) -> None:
    """The moment after a refusal is over: nobody else took it."""
    call = the_call(core)
    told = set(call.refused.values())
    if not call.alerting or told & {Told.DECLINED, Told.HUNG_UP}:
        refused(core, event, now)


def refused(core: Core, _event: object, now: Instant) -> None:
    call = the_call(core)
    device, told = min(call.refused.items(), key=lambda item: GRAVEST.index(item[1]))
    declined = told in (Told.DECLINED, Told.HUNG_UP)
    if took_rival(core, now):
        return
    withdraw(core, call, "declined" if declined else "cancelled", device if declined else None)
    reason = Reason.DECLINED if declined else reason_of(told)
    finish(core, reason, now, why=("told", told.value), taken="declined" if declined else "cancelled")


def offer_denied(core: Core, event: on.OfferDenied, now: Instant) -> None:
    """The server refused. Not the end if it had accepted this offer before: it still holds that one.

    Who may not ring may perhaps knock.
    """
    call = the_call(core)
    if call.alerting or took_rival(core, now):
        return
    told_nothing = event.why == "not-allowed" and event.told is None
    if event.why == "not-allowed" and not told_nothing and not call.knock:
        call.knock = call.lowered = True
        send_offer(core)
        return
    call.knock = call.knock and not call.lowered
    reason = reason_of_denial(event.why, event.told)
    finish(core, reason, now, why=("server", event.why), notice=not told_nothing)


def unreachable(core: Core, _event: object, now: Instant) -> None:
    """No device to call: told to the person like no answer."""
    if not took_rival(core, now):
        finish(core, Reason.UNREACHABLE, now, why=("no device",))


def nobody_answered(core: Core, _event: object, now: Instant) -> None:
    """Our own limit, should their word be lost. Never rung at all is unreachable, told like no answer."""
    call = the_call(core)
    if not took_rival(core, now):
        reason = Reason.UNREACHABLE if call.alerting_since is None else Reason.NO_ANSWER
        withdraw(core, call)
        finish(core, reason, now)


def link_stayed_away(core: Core, _event: object, now: Instant) -> None:
    """We are offline: say so rather than let the person wait."""
    end_and_say(core, Reason.FAILED, now, by_us=False, why=("no link",))


def cancel(core: Core, _event: object, now: Instant) -> None:
    """The person gave up before an answer."""
    end_and_say(core, Reason.CANCELLED, now)


# --- glare: both call each other at once -----------------------------------------------------------------------


def cross(core: Core, event: on.RingProven, now: Instant) -> None:
    """Both offers were delivered: the lower id wins, on both sides alike."""
    call = the_call(core)
    if call.call_id < event.call_id:
        if core.rival is not None and core.rival.call_id != event.call_id:
            settle_rival(core, now)
        core.rival = Rival(event.call_id, event.contact, event.device, ours=False)
        core.timers.setdefault(on.GlareTimeOver, now + core.timing.glare_s)
    else:
        settle_rival(core, now)
        withdraw(core, call, "replaced", event.device)
        answer_instead(core, event.call_id, event.device, now)
        core.rival = Rival(call.call_id, call.contact, event.device, ours=True)


def take_rival(core: Core, _event: object, now: Instant) -> None:
    """We won a glare but they do not answer by themselves: they have not got our offer. Answer theirs."""
    took_rival(core, now)


def took_rival(core: Core, now: Instant) -> bool:
    """Our offer, though of the lower id, came to nothing: it was never delivered. Answer theirs instead."""
    rival, call = core.rival, the_call(core)
    if rival is None or rival.ours:
        return False
    core.rival = None
    withdraw(core, call, "replaced", rival.device)
    core.done_with(call.call_id, call.contact, now, "replaced")
    core.record_unanswered(call.call_id, call.contact, Reason.TAKEN, ("crossed calls",), outgoing=True)
    answer_instead(core, rival.call_id, rival.device, now)
    return True


def answer_instead(core: Core, call_id: bytes, device: str, now: Instant) -> None:
    contact = the_call(core).contact
    core.timers.clear()
    core.hush()
    core.call = LiveCall(call_id, contact, False, now, device, chain=("crossed calls",))
    core.emit(do.SendAnswer(call_id, contact, device))
    core.start_timer(on.ConnectTimeOver, now + core.timing.connect_s)
    core.state = State.CONNECTING


def follow_our_offer(core: Core, event: on.FarAnswered, now: Instant) -> None:
    """We lost a glare and answered theirs, but they answered ours: ours had not reached them in time. Follow them."""
    call, rival = the_call(core), core.rival
    assert rival is not None
    core.done_with(call.call_id, call.contact, now, "replaced", call.device)
    core.record_unanswered(call.call_id, call.contact, Reason.TAKEN, call.chain)
    core.rival = None
    core.call = LiveCall(rival.call_id, rival.contact, True, call.since, chain=call.chain)
    far_answers(core, event, now)


def the_call(core: Core) -> LiveCall:
    assert core.call is not None
    return core.call
