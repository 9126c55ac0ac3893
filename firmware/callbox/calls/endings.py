"""How a call ends: one way out for every end, so that nothing is left ringing, open or unrecorded."""

from collections.abc import Mapping

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls import effects as do
from callbox.calls.core import Core
from callbox.calls.effects import ToneName
from callbox.calls.events import Taker, ToneOver
from callbox.calls.reasons import TOLD, WORTH_A_NOTICE
from callbox.calls.state import LiveCall, State
from callbox.wire.told import Told

# Tone and how long it plays, for the person who was calling or talking. No answer and unreachable sound alike, so
# that a block cannot be told from a box that is switched off.
LAST_TONE: Mapping[Reason, tuple[ToneName, float]] = {
    Reason.BUSY: ("busy", 4.0),
    Reason.DECLINED: ("busy", 4.0),
    Reason.NO_ANSWER: ("congestion", 3.0),
    Reason.UNREACHABLE: ("congestion", 3.0),
    Reason.CALLS_DISABLED: ("congestion", 3.0),
    Reason.NOT_ALLOWED: ("congestion", 3.0),
    Reason.HUNG_UP: ("ended", 1.0),
    Reason.CANCELLED: ("ended", 1.0),
    Reason.ANSWERED_ELSEWHERE: ("ended", 1.0),
    Reason.FAILED: ("error", 1.0),
    Reason.LOST: ("error", 1.0),
    Reason.KEY_CHANGED: ("error", 1.0),
}


def finish(
    core: Core,
    reason: Reason,
    now: Instant,
    *,
    by_us: bool = False,
    why: tuple[str, ...] = (),
    notice: bool = True,
    taken: Taker = "cancelled",
    next_follows: bool = False,
) -> None:
    """End the live call. `by_us`: the person knows, no tone. `next_follows`: another call takes the machine at once."""
    call = core.call
    assert call is not None
    core.hush()
    core.stop_ring()
    core.stop_media()
    settle_rival(core, now)
    if call.outgoing and call.device is not None:
        taken = "answered"  # what a device that rings too late is told
    core.done_with(call.call_id, call.contact, now, taken, call.device)
    talked = call.talking_since is not None
    duration_s = now - call.talking_since if call.talking_since is not None else 0.0
    chain = (*call.chain, *why)
    core.emit(do.RecordCall(call.call_id, call.contact, call.outgoing, talked, reason, duration_s, chain, call.knock))
    if call.outgoing and call.device is None and notice and reason in WORTH_A_NOTICE:
        core.emit(do.QueueMissedNotice(call.call_id, call.contact, rang_ms(call, now), call.knock))
    if (talked or call.acked) and not next_follows:
        core.emit(do.ClearMute())
    core.timers.clear()
    core.call = None
    at_the_phone = call.outgoing or talked or core.state is State.CONNECTING
    if next_follows:
        core.state = State.IDLE
    elif by_us or not at_the_phone or reason not in LAST_TONE:
        go_idle(core)
    else:
        tone, tone_s = LAST_TONE[reason]
        core.open_sound()
        core.play(tone, repeat=tone in ("busy", "congestion"))
        core.start_timer(ToneOver, now + tone_s)
        core.ended = call.view(reason)
        core.state = State.ENDING


def go_idle(core: Core) -> None:
    core.timers.clear()
    core.ended = None
    core.close_sound()
    core.state = State.IDLE


def rang_ms(call: LiveCall, now: Instant) -> int:
    return 0 if call.alerting_since is None else round((now - call.alerting_since) * 1000)


def end_and_say(core: Core, reason: Reason, now: Instant, *, by_us: bool = True, why: tuple[str, ...] = ()) -> None:
    """End the live call for a reason of ours and tell the other side what it may know."""
    call = core.call
    assert call is not None
    if call.outgoing and call.device is None:
        withdraw(core, call)
    else:
        core.send_end(call, TOLD[reason])
    refuse_rival(core)
    finish(core, reason, now, by_us=by_us, why=why)


def withdraw(core: Core, call: LiveCall, by: Taker = "cancelled", except_device: str | None = None) -> None:
    """Stop every device that rings for our offer, and the server from handing it to more. In this order, so that a
    device hears why before it hears that."""
    core.emit(do.SendTaken(call.call_id, by, except_device, call.contact), do.WithdrawOffer(call.call_id))


def settle_rival(core: Core, now: Instant) -> None:
    """One of two crossed calls is decided: the other gets its line and is done with."""
    rival, core.rival = core.rival, None
    if rival is not None:
        core.done_with(rival.call_id, rival.contact, now, "replaced", rival.device)
        core.record_unanswered(rival.call_id, rival.contact, Reason.TAKEN, ("crossed calls",), outgoing=rival.ours)


def refuse_rival(core: Core) -> None:
    """The person gave up while their call was held behind ours: tell them."""
    rival = core.rival
    if rival is not None and not rival.ours:
        core.emit(do.SendEnd(rival.call_id, Told.DECLINED, rival.contact, rival.device))
