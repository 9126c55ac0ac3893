"""The whole machine: what each event does in each state, with the link and without. Read it as documentation.

A row says: in this state, when this happens, with the link so, this handler acts, and it leads to one of these
states. What is not here is listed in `WITHOUT_MEANING`, so that nothing is forgotten by accident; a test checks that
the two together name every event in every state once. Events about another call than the present one go to
`strays`; the ring of a caller who may not make itself known here goes no further than `incoming.turned_away`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from callbox.calls import events as on
from callbox.calls import incoming, outgoing, talking
from callbox.calls.events import Event
from callbox.calls.state import State

IDLE, DIALING, RINGING, CONNECTING, TALKING, RECONNECTING, ENDING = State


class Link(StrEnum):
    """The link as it was when the event came."""

    CONNECTED = "connected"
    LOST = "lost"
    EITHER = "either"


UP, DOWN, EITHER = Link.CONNECTED, Link.LOST, Link.EITHER
Handler = Callable[[Any, Any, float], None]  # (core, event, now); each handler names the event that it takes


@dataclass(frozen=True, slots=True)
class Row:
    state: State
    event: type[Event]
    link: Link
    handler: Handler
    leads_to: tuple[State, ...]


ROWS: tuple[Row, ...] = (
    # Nothing going on.
    Row(IDLE, on.Dialed, EITHER, outgoing.dial, (DIALING,)),
    Row(IDLE, on.RingProven, EITHER, incoming.ring_when_free, (IDLE, RINGING)),
    Row(IDLE, on.ResumeProven, EITHER, talking.refuse_resume, (IDLE,)),
    Row(IDLE, on.Resumed, EITHER, talking.take_up_again, (RECONNECTING,)),
    # We call; nobody has answered yet.
    Row(DIALING, on.OfferAccepted, EITHER, outgoing.note_devices, (DIALING,)),
    Row(DIALING, on.OfferDenied, EITHER, outgoing.offer_denied, (DIALING, ENDING, CONNECTING)),
    Row(DIALING, on.Unreachable, EITHER, outgoing.unreachable, (ENDING, CONNECTING)),
    Row(DIALING, on.FarAlerting, EITHER, outgoing.far_alerts, (DIALING,)),
    Row(DIALING, on.FarAnswered, EITHER, outgoing.far_answers, (CONNECTING,)),
    Row(DIALING, on.FarEnded, EITHER, outgoing.far_refuses, (DIALING, ENDING, CONNECTING)),
    Row(DIALING, on.SettleTimeOver, EITHER, outgoing.settle, (DIALING, ENDING, CONNECTING)),
    Row(DIALING, on.DialTimeOver, EITHER, outgoing.nobody_answered, (ENDING, CONNECTING)),
    Row(DIALING, on.HungUp, EITHER, outgoing.cancel, (IDLE,)),
    Row(DIALING, on.RingProven, EITHER, incoming.ring_when_dialing, (DIALING, CONNECTING)),
    Row(DIALING, on.GlareTimeOver, EITHER, outgoing.take_rival, (DIALING, CONNECTING)),
    Row(DIALING, on.ResumeProven, EITHER, talking.refuse_resume, (DIALING,)),
    Row(DIALING, on.KeyChanged, EITHER, talking.key_changed, (DIALING, ENDING)),
    Row(DIALING, on.LinkLost, UP, outgoing.wait_for_link, (DIALING,)),
    Row(DIALING, on.LinkBack, DOWN, outgoing.offer_again, (DIALING,)),
    Row(DIALING, on.LinkTimeOver, DOWN, outgoing.link_stayed_away, (ENDING,)),
    # They call.
    Row(RINGING, on.Answered, UP, incoming.answer, (CONNECTING,)),
    Row(RINGING, on.Answered, DOWN, incoming.answer_when_back, (CONNECTING,)),
    Row(RINGING, on.Declined, EITHER, incoming.decline, (IDLE,)),
    Row(RINGING, on.HungUp, EITHER, incoming.decline, (IDLE,)),
    Row(RINGING, on.Dialed, EITHER, incoming.dial_while_ringing, (RINGING, CONNECTING, DIALING)),
    Row(RINGING, on.CallsSet, EITHER, incoming.calls_switched, (RINGING, IDLE)),
    Row(RINGING, on.FarTaken, EITHER, incoming.taken, (IDLE,)),
    Row(RINGING, on.FarEnded, EITHER, incoming.caller_ended, (RINGING, IDLE)),
    Row(RINGING, on.RingWithdrawn, EITHER, incoming.withdrawn, (IDLE,)),
    Row(RINGING, on.RingTimeOver, EITHER, incoming.ring_time_over, (IDLE,)),
    Row(RINGING, on.RingProven, EITHER, incoming.ring_when_ringing, (RINGING,)),
    Row(RINGING, on.ResumeProven, EITHER, talking.refuse_resume, (RINGING,)),
    Row(RINGING, on.KeyChanged, EITHER, talking.key_changed, (RINGING, IDLE)),
    Row(RINGING, on.LinkLost, UP, outgoing.wait_for_link, (RINGING,)),
    Row(RINGING, on.LinkBack, DOWN, incoming.say_alerting_again, (RINGING,)),
    Row(RINGING, on.LinkTimeOver, DOWN, incoming.link_gone_while_ringing, (IDLE,)),
    # Answered; ack and media are on their way.
    Row(CONNECTING, on.FarAcked, EITHER, talking.far_acks, (CONNECTING,)),
    Row(CONNECTING, on.RouteReady, EITHER, talking.route_ready, (CONNECTING, TALKING)),
    Row(CONNECTING, on.FarAnswered, EITHER, talking.answered_again, (CONNECTING,)),
    Row(CONNECTING, on.FarAlerting, EITHER, talking.late_alerting, (CONNECTING,)),
    Row(CONNECTING, on.FarTaken, EITHER, talking.taken_after_answer, (CONNECTING, IDLE, ENDING)),
    Row(CONNECTING, on.FarEnded, EITHER, talking.far_hangs_up, (CONNECTING, ENDING)),
    Row(CONNECTING, on.HungUp, EITHER, talking.hang_up, (IDLE,)),
    Row(CONNECTING, on.ConnectTimeOver, EITHER, talking.never_connected, (ENDING,)),
    Row(CONNECTING, on.RingProven, EITHER, incoming.ring_when_connecting, (CONNECTING, RINGING)),
    Row(CONNECTING, on.ResumeProven, EITHER, talking.refuse_resume, (CONNECTING,)),
    Row(CONNECTING, on.KeyChanged, EITHER, talking.key_changed, (CONNECTING, ENDING)),
    Row(CONNECTING, on.LinkBack, DOWN, talking.link_back_connecting, (CONNECTING,)),
    # In the call.
    Row(TALKING, on.HungUp, EITHER, talking.hang_up, (IDLE,)),
    Row(TALKING, on.FarEnded, EITHER, talking.far_hangs_up, (TALKING, ENDING)),
    Row(TALKING, on.LinkLost, UP, talking.lose, (RECONNECTING,)),
    Row(TALKING, on.MediaSilent, EITHER, talking.lose, (RECONNECTING,)),
    Row(TALKING, on.RouteLost, EITHER, talking.lose, (RECONNECTING,)),
    Row(TALKING, on.MediaBack, EITHER, talking.proven_back, (TALKING,)),
    Row(TALKING, on.GraceOver, EITHER, talking.proven_back, (TALKING,)),
    Row(TALKING, on.FarAnswered, EITHER, talking.answered_again, (TALKING,)),
    Row(TALKING, on.FarAlerting, EITHER, talking.late_alerting, (TALKING,)),
    Row(TALKING, on.RingProven, EITHER, incoming.ring_when_talking, (TALKING, RINGING)),
    Row(TALKING, on.ResumeProven, EITHER, talking.let_back_in, (TALKING, RECONNECTING)),
    Row(TALKING, on.KeyChanged, EITHER, talking.key_changed, (TALKING, ENDING)),
    Row(TALKING, on.Dialed, EITHER, talking.cannot_dial_now, (TALKING,)),
    # In the call, and without each other.
    Row(RECONNECTING, on.LinkLost, UP, talking.stop_trying, (RECONNECTING,)),
    Row(RECONNECTING, on.LinkBack, DOWN, talking.try_again, (RECONNECTING,)),
    Row(RECONNECTING, on.RetryDue, EITHER, talking.try_again, (RECONNECTING,)),
    Row(RECONNECTING, on.RouteReady, UP, talking.come_back, (RECONNECTING, TALKING)),
    Row(RECONNECTING, on.MediaBack, UP, talking.come_back, (RECONNECTING, TALKING)),
    Row(RECONNECTING, on.GraceOver, EITHER, talking.grace_over, (ENDING,)),
    Row(RECONNECTING, on.HungUp, EITHER, talking.hang_up, (IDLE,)),
    Row(RECONNECTING, on.FarEnded, EITHER, talking.far_hangs_up, (RECONNECTING, ENDING)),
    Row(RECONNECTING, on.FarAnswered, EITHER, talking.resumed_far_answers, (RECONNECTING,)),
    Row(RECONNECTING, on.FarAcked, EITHER, talking.resumed_far_acks, (RECONNECTING,)),
    Row(RECONNECTING, on.FarAlerting, EITHER, talking.late_alerting, (RECONNECTING,)),
    Row(RECONNECTING, on.RingProven, EITHER, incoming.ring_when_talking, (RECONNECTING, RINGING)),
    Row(RECONNECTING, on.ResumeProven, EITHER, talking.let_back_in, (RECONNECTING,)),
    Row(RECONNECTING, on.KeyChanged, EITHER, talking.key_changed, (RECONNECTING, ENDING)),
    Row(RECONNECTING, on.Dialed, EITHER, talking.cannot_dial_now, (RECONNECTING,)),
    # Over; the last tone plays. As free as Idle.
    Row(ENDING, on.ToneOver, EITHER, outgoing.end_tone, (IDLE,)),
    Row(ENDING, on.HungUp, EITHER, outgoing.end_tone, (IDLE,)),
    Row(ENDING, on.Dialed, EITHER, outgoing.dial, (DIALING,)),
    Row(ENDING, on.RingProven, EITHER, incoming.ring_when_free, (ENDING, RINGING)),
    Row(ENDING, on.ResumeProven, EITHER, talking.refuse_resume, (ENDING,)),
)

_SETUP = {on.OfferAccepted, on.OfferDenied, on.Unreachable, on.RingWithdrawn}
_FAR = {on.FarAlerting, on.FarAnswered, on.FarAcked, on.FarEnded, on.FarTaken}
_MEDIA = {on.RouteReady, on.RouteLost, on.MediaSilent, on.MediaBack}
_TIMERS = set(on.TimerEvent.__args__)

WITHOUT_MEANING: Mapping[State, frozenset[type[Event]]] = {
    IDLE: frozenset(
        {on.Answered, on.Declined, on.HungUp, on.CallsSet, on.KeyChanged, on.LinkLost, on.LinkBack}
        | _SETUP | _FAR | _MEDIA | _TIMERS
    ),
    DIALING: frozenset(
        {on.Answered, on.Declined, on.Dialed, on.CallsSet, on.RingWithdrawn, on.FarAcked, on.FarTaken, on.Resumed}
        | _MEDIA
        | (_TIMERS - {on.SettleTimeOver, on.DialTimeOver, on.GlareTimeOver, on.LinkTimeOver})
    ),
    RINGING: frozenset(
        {on.OfferAccepted, on.OfferDenied, on.Unreachable, on.FarAlerting, on.FarAnswered, on.FarAcked, on.Resumed}
        | _MEDIA
        | (_TIMERS - {on.RingTimeOver, on.LinkTimeOver})
    ),
    # The server's RingEnded reaches the device that answered, too: the caller withdrew its offer because of it.
    # A lost link needs no row: the time to connect runs on, and only LinkBack has something to say again.
    CONNECTING: frozenset(
        {on.Answered, on.Declined, on.Dialed, on.CallsSet, on.LinkLost, on.Resumed}
        | {on.RouteLost, on.MediaSilent, on.MediaBack}
        | _SETUP
        | (_TIMERS - {on.ConnectTimeOver})
    ),
    TALKING: frozenset(
        {on.Answered, on.Declined, on.CallsSet, on.FarAcked, on.FarTaken, on.RouteReady, on.LinkBack, on.Resumed}
        | _SETUP
        | (_TIMERS - {on.GraceOver})
    ),
    RECONNECTING: frozenset(
        {on.Answered, on.Declined, on.CallsSet, on.FarTaken, on.RouteLost, on.MediaSilent, on.Resumed}
        | _SETUP
        | (_TIMERS - {on.GraceOver, on.RetryDue})
    ),
    ENDING: frozenset(
        {on.Answered, on.Declined, on.CallsSet, on.KeyChanged, on.LinkLost, on.LinkBack, on.Resumed}
        | _SETUP | _FAR | _MEDIA
        | (_TIMERS - {on.ToneOver})
    ),
}  # fmt: skip


def _by_key() -> Iterator[tuple[tuple[State, type[Event], Link], Row]]:
    for row in ROWS:
        for link in (UP, DOWN) if row.link is EITHER else (row.link,):
            yield (row.state, row.event, link), row


_BY_KEY = dict(_by_key())


def row_for(state: State, event: type[Event], *, link_up: bool) -> Row | None:
    """Return the row that applies; None: the event means nothing there."""
    return _BY_KEY.get((state, event, UP if link_up else DOWN))
