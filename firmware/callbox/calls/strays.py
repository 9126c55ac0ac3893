"""Events about a call that does not have the machine: silenced, crossed, over, or never heard of. None may ring."""

from callbox.base.reasons import Reason
from callbox.base.time import Instant
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.core import Core
from callbox.calls.endings import settle_rival
from callbox.calls.incoming import TAKEN_BY, end_shadow
from callbox.calls.outgoing import follow_our_offer
from callbox.calls.state import Finished, Rival, Shadow
from callbox.wire.told import Told

Parting = on.FarEnded | on.FarTaken | on.RingWithdrawn


def stray(core: Core, event: on.CallEvent, now: Instant) -> None:
    """Find out which other call this is about."""
    rival, shadow = core.rival, core.shadows.get(event.call_id)
    if rival is not None and rival.call_id == event.call_id:
        if from_contact(event, rival.contact):
            about_rival(core, rival, event, now)
    elif shadow is not None:
        if from_contact(event, shadow.contact):
            about_shadow(core, shadow, event, now)
    elif event.call_id in core.finished:
        about_finished(core, core.finished[event.call_id], event)
    else:
        about_unknown(core, event, now)


def from_contact(event: on.CallEvent, contact: str) -> bool:
    """Whether the letter may speak about a call with `contact`."""
    return getattr(event, "contact", "") in ("", contact)


def about_rival(core: Core, rival: Rival, event: on.CallEvent, now: Instant) -> None:
    if not rival.ours and isinstance(event, Parting):
        settle_rival(core, now)
    elif rival.ours and isinstance(event, on.FarAlerting):
        core.emit(do.SendTaken(rival.call_id, "replaced", rival.device, rival.contact, event.device))
    elif rival.ours and isinstance(event, on.FarAnswered) and core.call is not None and not core.call.acked:
        follow_our_offer(core, event, now)


def about_shadow(core: Core, shadow: Shadow, event: on.CallEvent, now: Instant) -> None:
    if isinstance(event, on.FarTaken) and event.by in ("answered", "declined"):
        end_shadow(core, shadow, TAKEN_BY[event.by], now, say=False)
    elif isinstance(event, Parting):
        end_shadow(core, shadow, Reason.SILENCED, now, say=False)


def about_finished(core: Core, finished: Finished, event: on.CallEvent) -> None:
    """A device that has not heard of the end rings or answers: it must not wait for its own timer."""
    if not isinstance(event, on.FarAlerting | on.FarAnswered) or not from_contact(event, finished.contact):
        return
    contact = finished.contact or event.contact
    if finished.device is not None and finished.device != event.device:
        core.emit(do.SendTaken(event.call_id, finished.by, finished.device, contact, event.device))
    else:
        core.emit(do.SendEnd(event.call_id, Told.HUNG_UP, contact, event.device))


def about_unknown(core: Core, event: on.CallEvent, now: Instant) -> None:
    """A hang-up that overtook its offer is remembered.

    A device that rings for a call from before our restart is told that it is over.
    """
    if isinstance(event, Parting):
        by = event.by if isinstance(event, on.FarTaken) else "cancelled"
        contact = getattr(event, "contact", "")
        core.remember(event.call_id, Finished(now + core.timing.remember_s, contact, by, early=True))
    elif isinstance(event, on.FarAlerting | on.FarAnswered) and event.contact:
        core.emit(do.SendEnd(event.call_id, Told.HUNG_UP, event.contact, event.device))
