"""Every row of "One call" and of the controls, told as a person would: what happened, what the box did."""

from typing import TypeVar

import pytest

from callbox.base.admission import Admission
from callbox.base.reasons import Reason
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.machine import Calls
from callbox.calls.state import State
from callbox.calls.table import row_for
from callbox.wire.told import Told

LOW, HIGH, THIRD = b"\x01" * 16, b"\xf0" * 16, b"\x77" * 16
RINGS = Admission("ring")
E = TypeVar("E")


class Box:
    """One machine under a hand-turned clock; checks each step against the table."""

    def __init__(self, *, link: bool = True) -> None:
        self.calls = Calls()
        self.now = 100.0
        self.done: list[do.Effect] = []
        if link:
            self.sees(on.LinkBack())

    def sees(self, event: on.Event) -> list[do.Effect]:
        before, link_up = self.calls.state, self.calls.link_up
        present = self.calls.current
        effects = self.calls.handle(event, self.now)
        row = row_for(before, type(event), link_up=link_up)
        about_other = isinstance(event, on.CallEvent) and (present is None or event.call_id != present.call_id)
        if not about_other:
            may_be = {before} if row is None else set(row.leads_to) if effects else {before, *row.leads_to}
            assert self.calls.state in may_be, (before, event, self.calls.state)
        self.done += effects
        return effects

    def waits(self, seconds: float) -> list[do.Effect]:
        end, effects = self.now + seconds, []
        while (deadline := self.calls.deadline) is not None and deadline <= end:
            assert deadline >= self.now
            self.now = deadline
            effects += self.calls.tick(self.now)
        self.now = end
        self.done += effects
        return effects

    def all(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.done if isinstance(effect, kind)]

    def recorded(self) -> do.RecordCall:
        (record,) = self.all(do.RecordCall)
        return record

    def stands(self, state: State) -> bool:
        return self.calls.state is state

    def is_ringing(self) -> bool:
        last = [effect for effect in self.done if isinstance(effect, do.Ring | do.StopRing)]
        return bool(last) and isinstance(last[-1], do.Ring)


def kinds(effects: list[do.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def dialing(call_id: bytes = LOW, contact: str = "workshop", *, knock: bool = False) -> Box:
    box = Box()
    box.sees(on.Dialed(contact, call_id, knock))
    box.sees(on.OfferAccepted(call_id, devices=1))
    return box


def ringing(call_id: bytes = LOW, admission: Admission = RINGS) -> Box:
    box = Box()
    box.sees(on.RingProven(call_id, "kitchen", "k1", admission))
    return box


def caller_talking(call_id: bytes = LOW) -> Box:
    box = dialing(call_id)
    box.sees(on.FarAlerting(call_id, "w1"))
    box.sees(on.FarAnswered(call_id, "w1"))
    box.sees(on.RouteReady(call_id))
    assert box.stands(State.TALKING)
    return box


def callee_talking(call_id: bytes = LOW) -> Box:
    box = ringing(call_id)
    box.sees(on.Answered())
    box.sees(on.FarAcked(call_id))
    box.sees(on.RouteReady(call_id))
    assert box.stands(State.TALKING)
    return box


# --- a plain call ---------------------------------------------------------------------------------------------


def test_a_call_from_dial_to_hang_up_on_the_callers_side() -> None:
    box = Box()
    assert kinds(box.sees(on.Dialed("workshop", LOW))) == ["OpenSound", "PlayTone", "SendOffer"]
    box.sees(on.OfferAccepted(LOW, 1))
    assert box.sees(on.FarAlerting(LOW, "w1")) == [do.StopTone(), do.PlayTone("ringback", repeat=True)]
    assert box.calls.current is not None
    assert box.calls.current.far_alerting
    assert box.sees(on.FarAnswered(LOW, "w1")) == [
        do.StopTone(),
        do.SendAck(LOW, "w1", "workshop"),
        do.SendTaken(LOW, "answered", "w1", "workshop"),
        do.WithdrawOffer(LOW),
        do.StartMedia(LOW, "w1", "workshop"),
    ]
    box.sees(on.RouteReady(LOW))
    box.waits(12.5)
    assert box.sees(on.HungUp()) == [
        do.SendEnd(LOW, Told.HUNG_UP, "workshop", "w1"),
        do.StopMedia(LOW),
        do.ForgetKeys(LOW),
        do.RecordCall(LOW, "workshop", True, True, Reason.HUNG_UP, 12.5, ()),
        do.ClearMute(),
        do.CloseSound(),
    ]
    assert box.stands(State.IDLE)
    assert box.calls.deadline is None


def test_a_call_from_ring_to_far_hang_up_on_the_callees_side() -> None:
    box = Box()
    assert kinds(box.sees(on.RingProven(LOW, "kitchen", "k1", RINGS))) == ["SendAlerting", "OpenSound", "Ring"]
    assert box.sees(on.Answered()) == [do.StopRing(), do.SendAnswer(LOW, "kitchen", "k1")]
    assert box.sees(on.FarAcked(LOW)) == [do.StartMedia(LOW, "k1", "kitchen")]
    box.sees(on.RouteReady(LOW))
    box.waits(3)
    box.sees(on.FarEnded(LOW, "k1", Told.HUNG_UP))
    assert box.stands(State.ENDING)
    assert box.all(do.PlayTone)[-1].tone == "ended"
    box.waits(5)
    assert box.stands(State.IDLE)
    assert (box.recorded().answered, box.recorded().reason, box.recorded().duration_s) == (True, Reason.HUNG_UP, 3)
    assert isinstance(box.done[-1], do.CloseSound)


def test_no_sample_passes_before_the_ack() -> None:
    box = ringing()
    box.sees(on.Answered())
    box.sees(on.RouteReady(LOW))
    assert box.stands(State.CONNECTING)
    assert not box.all(do.StartMedia)


def test_an_answer_without_media_fails_within_ten_seconds() -> None:
    for box in (dialing(), ringing()):
        box.sees(on.FarAnswered(LOW, "w1") if box.stands(State.DIALING) else on.Answered())
        box.waits(9.9)
        assert box.stands(State.CONNECTING)
        box.waits(0.2)
        assert box.stands(State.ENDING)
        assert box.recorded().reason is Reason.FAILED
        assert box.all(do.SendEnd)[-1].told is Told.FAILED


def test_hanging_up_while_dialing_stops_every_device_and_leaves_a_notice() -> None:
    box = dialing()
    box.sees(on.FarAlerting(LOW, "w1"))
    box.waits(4)
    effects = box.sees(on.HungUp())
    assert effects[:2] == [do.SendTaken(LOW, "cancelled", None, "workshop"), do.WithdrawOffer(LOW)]
    assert do.QueueMissedNotice(LOW, "workshop", 4000, knock=False) in effects
    assert box.recorded().reason is Reason.CANCELLED
    assert box.stands(State.IDLE)


# --- glare ----------------------------------------------------------------------------------------------------


def test_glare_the_lower_id_keeps_dialing() -> None:
    box = dialing(LOW)
    assert box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS)) == []
    box.sees(on.FarAnswered(LOW, "w1"))
    assert box.recorded().reason is Reason.TAKEN
    assert box.recorded().call_id == HIGH
    assert not box.all(do.Ring)


def test_glare_the_higher_id_answers_by_itself_and_its_other_devices_get_taken() -> None:
    box = dialing(HIGH)
    effects = box.sees(on.RingProven(LOW, "workshop", "w1", RINGS))
    assert do.SendTaken(HIGH, "replaced", "w1", "workshop") in effects
    assert do.WithdrawOffer(HIGH) in effects
    assert effects[-1] == do.SendAnswer(LOW, "workshop", "w1")
    assert not box.all(do.StartMedia), "not before the ack"
    box.sees(on.FarAcked(LOW))
    box.sees(on.RouteReady(LOW))
    assert box.stands(State.TALKING)
    assert not box.all(do.Ring)
    assert (box.recorded().call_id, box.recorded().reason) == (HIGH, Reason.TAKEN)


def test_glare_a_refused_offer_loses_whatever_its_id() -> None:
    box = dialing(LOW)
    box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    effects = box.sees(on.OfferDenied(LOW, "calls-disabled", Told.NOT_ACCEPTING))
    assert effects[-1] == do.SendAnswer(HIGH, "workshop", "w1")
    assert box.stands(State.CONNECTING)


def test_glare_an_offer_that_was_never_delivered_gives_way_after_a_moment() -> None:
    box = dialing(LOW)
    box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    box.waits(5)
    assert box.done[-1] == do.SendAnswer(HIGH, "workshop", "w1")


def test_glare_the_loser_follows_when_its_own_offer_is_answered_after_all() -> None:
    box = dialing(HIGH)
    box.sees(on.RingProven(LOW, "workshop", "w1", RINGS))
    effects = box.sees(on.FarAnswered(HIGH, "w1"))
    assert do.SendAck(HIGH, "w1", "workshop") in effects
    box.sees(on.RouteReady(HIGH))
    assert box.stands(State.TALKING)
    assert box.recorded().call_id == LOW


@pytest.mark.parametrize("reason", [Reason.QUIET, Reason.CALLS_DISABLED])
def test_glare_quiet_and_calls_off_do_not_apply_to_the_person_being_dialled(reason: Reason) -> None:
    box = dialing(HIGH)
    box.sees(on.CallsSet(False))
    box.sees(on.RingProven(LOW, "workshop", "w1", Admission("refuse", reason)))
    assert box.stands(State.CONNECTING)


def test_glare_with_somebody_who_may_not_ring_is_none() -> None:
    box = dialing(HIGH)
    box.sees(on.RingProven(LOW, "workshop", "w1", Admission("refuse", Reason.NOT_ALLOWED)))
    assert box.stands(State.DIALING)
    assert box.calls.current is not None
    assert box.calls.current.call_id == HIGH


def test_glare_giving_up_tells_the_held_call_too() -> None:
    box = dialing(LOW)
    box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    effects = box.sees(on.HungUp())
    assert do.SendEnd(HIGH, Told.DECLINED, "workshop", "w1") in effects
    assert {record.call_id for record in box.all(do.RecordCall)} == {LOW, HIGH}


# --- the same person again, and others ------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [False, True])
def test_the_same_peer_calling_again_replaces_the_stale_call_and_rings_with_the_microphone_shut(lost: bool) -> None:
    box = caller_talking()
    if lost:
        box.sees(on.MediaSilent())
    effects = box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    assert box.stands(State.RINGING)
    assert box.is_ringing()
    assert do.StopMedia(LOW) in effects
    assert not any(isinstance(effect, do.StartMedia | do.ClearMute) for effect in effects)
    assert (box.recorded().call_id, box.recorded().reason) == (LOW, Reason.REPLACED)


def test_a_second_caller_while_talking_gets_busy_and_one_soft_tick() -> None:
    box = caller_talking()
    effects = box.sees(on.RingProven(HIGH, "attic", "a1", RINGS))
    assert effects[:2] == [do.SendEnd(HIGH, Told.BUSY, "attic", "a1"), do.SoftTick("attic")]
    assert box.stands(State.TALKING)
    assert (box.recorded().contact, box.recorded().reason) == ("attic", Reason.BUSY)


def test_a_second_caller_while_it_rings_gets_busy_but_a_ring_displaces_a_knock() -> None:
    box = ringing()
    box.sees(on.RingProven(HIGH, "attic", "a1", RINGS))
    assert box.all(do.SendEnd) == [do.SendEnd(HIGH, Told.BUSY, "attic", "a1")]
    knocked = ringing(admission=Admission("light"))
    knocked.sees(on.RingProven(HIGH, "attic", "a1", RINGS))
    assert knocked.recorded().reason is Reason.KNOCKED
    assert knocked.calls.current is not None
    assert knocked.calls.current.contact == "attic"


def test_dialing_while_talking_is_one_error_tone_and_nothing_else() -> None:
    box = caller_talking()
    assert box.sees(on.Dialed("attic", HIGH)) == [do.PlayTone("error", repeat=False)]
    assert box.stands(State.TALKING)


def test_dialing_the_person_who_rings_is_answering() -> None:
    box = ringing()
    assert do.SendAnswer(LOW, "kitchen", "k1") in box.sees(on.Dialed("kitchen", HIGH))


# --- time to ring ---------------------------------------------------------------------------------------------


def test_a_ring_lasts_45_seconds_then_no_answer() -> None:
    box = ringing()
    box.waits(44.9)
    assert box.is_ringing()
    box.waits(0.2)
    assert box.stands(State.IDLE)
    assert not box.is_ringing()
    assert box.all(do.SendEnd) == [do.SendEnd(LOW, Told.NO_ANSWER, "kitchen", "k1")]
    assert box.recorded().reason is Reason.NO_ANSWER


def test_a_box_that_comes_late_rings_for_what_is_left_because_the_caller_ends_it() -> None:
    caller, late = dialing(), Box()
    caller.waits(30)
    late.sees(on.RingProven(LOW, "kitchen", "k1", RINGS))
    caller.sees(on.FarAlerting(LOW, "w1"))
    effects = caller.waits(17)
    assert do.WithdrawOffer(LOW) in effects
    late.waits(17)
    late.sees(on.RingWithdrawn(LOW))
    assert not late.is_ringing()


def test_the_callers_own_limit_and_the_difference_between_no_answer_and_unreachable() -> None:
    heard = []
    for alerting in (True, False):
        box = dialing()
        if alerting:
            box.sees(on.FarAlerting(LOW, "w1"))
        box.waits(46.9)
        assert box.stands(State.DIALING)
        box.waits(0.2)
        assert box.recorded().reason is (Reason.NO_ANSWER if alerting else Reason.UNREACHABLE)
        assert len(box.all(do.QueueMissedNotice)) == 1
        heard.append(box.all(do.PlayTone)[-1])
    assert heard[0] == heard[1]


# --- several devices of one person ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "reason"),
    [
        ("answered", Reason.ANSWERED_ELSEWHERE),
        ("declined", Reason.DECLINED_ELSEWHERE),
        ("cancelled", Reason.CANCELLED),
        ("replaced", Reason.REPLACED),
    ],
)
def test_taken_stops_the_ringing_at_once(by: on.Taker, reason: Reason) -> None:
    box = ringing()
    box.sees(on.FarTaken(LOW, by))
    assert not box.is_ringing()
    assert box.stands(State.IDLE)
    assert box.recorded().reason is reason


def test_two_devices_answer_at_once_the_first_wins_and_the_other_is_told() -> None:
    caller = dialing()
    caller.sees(on.FarAnswered(LOW, "w1"))
    assert caller.sees(on.FarAnswered(LOW, "w2")) == [do.SendTaken(LOW, "answered", "w1", "workshop", "w2")]
    second = ringing()
    second.sees(on.Answered())
    second.sees(on.FarTaken(LOW, "answered"))
    assert second.recorded().reason is Reason.ANSWERED_ELSEWHERE
    assert not second.all(do.StartMedia)


def test_an_answer_beats_a_decline() -> None:
    box = dialing()
    box.sees(on.FarAlerting(LOW, "w1"))
    box.sees(on.FarAlerting(LOW, "w2"))
    box.sees(on.FarEnded(LOW, "w1", Told.DECLINED))
    box.waits(0.1)
    box.sees(on.FarAnswered(LOW, "w2"))
    box.waits(1)
    assert box.stands(State.CONNECTING)


def test_a_decline_on_one_device_stops_the_others_within_300_ms() -> None:
    box = dialing()
    box.sees(on.FarAlerting(LOW, "w1"))
    box.sees(on.FarAlerting(LOW, "w2"))
    box.sees(on.FarEnded(LOW, "w1", Told.DECLINED))
    assert do.SendTaken(LOW, "declined", "w1", "workshop") in box.waits(0.25)
    assert box.recorded().reason is Reason.DECLINED
    assert not box.all(do.QueueMissedNotice)


def test_one_busy_device_does_not_end_the_call_while_another_rings() -> None:
    box = Box()
    box.sees(on.Dialed("workshop", LOW))
    box.sees(on.OfferAccepted(LOW, 2))
    box.sees(on.FarEnded(LOW, "w1", Told.BUSY))
    box.sees(on.FarAlerting(LOW, "w2"))
    box.waits(10)
    assert box.stands(State.DIALING)
    box.sees(on.FarEnded(LOW, "w2", Told.NO_ANSWER))
    assert box.recorded().reason is Reason.BUSY, "the graver word of the two"


def test_a_busy_device_whose_sibling_stays_silent_ends_the_call_after_a_moment() -> None:
    box = Box()
    box.sees(on.Dialed("workshop", LOW))
    box.sees(on.OfferAccepted(LOW, 2))
    box.sees(on.FarEnded(LOW, "w1", Told.BUSY))
    box.waits(1.6)
    assert box.stands(State.ENDING)
    assert box.all(do.PlayTone)[-1] == do.PlayTone("busy", repeat=True)


def test_a_device_that_rings_after_the_end_is_told_at_once() -> None:
    box = caller_talking()
    assert box.sees(on.FarAlerting(LOW, "w2")) == [do.SendTaken(LOW, "answered", "w1", "workshop", "w2")]
    box.sees(on.HungUp())
    assert box.sees(on.FarAlerting(LOW, "w2", "workshop")) == [do.SendTaken(LOW, "answered", "w1", "workshop", "w2")]
    gave_up = dialing()
    gave_up.sees(on.HungUp())
    assert gave_up.sees(on.FarAnswered(LOW, "w1")) == [do.SendEnd(LOW, Told.HUNG_UP, "workshop", "w1")]


def test_a_device_that_rings_for_a_call_from_before_our_restart_is_told() -> None:
    assert Box().sees(on.FarAlerting(LOW, "w1", "workshop")) == [do.SendEnd(LOW, Told.HUNG_UP, "workshop", "w1")]


def test_the_winner_does_not_take_the_withdrawn_offer_for_an_end() -> None:
    box = ringing()
    box.sees(on.Answered())
    box.sees(on.RingWithdrawn(LOW))
    assert box.stands(State.CONNECTING)


# --- losing the network ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [on.LinkLost(), on.MediaSilent(), on.RouteLost(LOW)], ids=lambda e: type(e).__name__)
def test_a_lost_network_is_borne_for_30_seconds_then_the_call_is_lost(loss: on.Event) -> None:
    box = caller_talking()
    box.waits(60)
    box.sees(loss)
    assert box.stands(State.RECONNECTING)
    assert box.all(do.PlayTone)[-1] == do.PlayTone("reconnecting", repeat=True)
    box.waits(29.9)
    assert box.stands(State.RECONNECTING)
    box.waits(0.2)
    assert box.recorded().reason is Reason.LOST
    assert box.recorded().answered
    assert box.stands(State.ENDING)


def test_the_link_comes_back_and_the_call_goes_on_without_a_press_keys_and_all() -> None:
    box = callee_talking()
    box.sees(on.LinkLost())
    box.waits(12)
    assert box.sees(on.LinkBack()) == [do.ReopenRoute(LOW, "k1", "kitchen")]
    assert do.ReopenRoute(LOW, "k1", "kitchen") in box.waits(3), "asked again until it is there"
    box.sees(on.RouteReady(LOW))
    assert box.stands(State.TALKING)
    assert isinstance(box.done[-1], do.StopTone)
    assert not box.all(do.ForgetKeys)
    assert not box.all(do.ClearMute), "mute is kept through a reconnect"
    box.waits(120)
    assert box.stands(State.TALKING)


def test_media_heard_again_is_enough_but_only_with_a_link() -> None:
    box = callee_talking()
    box.sees(on.LinkLost())
    box.sees(on.MediaBack())
    assert box.stands(State.RECONNECTING)
    box.sees(on.LinkBack())
    box.sees(on.MediaBack())
    assert box.stands(State.TALKING)


def test_a_flapping_route_does_not_stretch_the_grace_but_a_second_loss_has_its_own() -> None:
    box = caller_talking()
    box.sees(on.MediaSilent())
    for _ in range(14):
        box.waits(2)
        box.sees(on.RouteReady(LOW))
        box.sees(on.MediaSilent())
    box.waits(2.1)
    assert box.recorded().reason is Reason.LOST
    steady = caller_talking()
    steady.sees(on.MediaSilent())
    steady.sees(on.MediaBack())
    steady.waits(25)
    steady.sees(on.MediaSilent())
    steady.waits(20)
    assert steady.stands(State.RECONNECTING)


def test_a_server_restart_while_dialing_offers_again() -> None:
    box = dialing()
    box.sees(on.LinkLost())
    assert do.SendOffer(LOW, "workshop", knock=False, resume=False) in box.sees(on.LinkBack())


def test_an_offer_made_again_does_not_ring_twice_and_an_answer_is_given_again() -> None:
    box = ringing()
    assert box.sees(on.RingProven(LOW, "kitchen", "k1", RINGS)) == [do.SendAlerting(LOW, "kitchen", "k1")]
    box.sees(on.Answered())
    assert box.sees(on.RingProven(LOW, "kitchen", "k1", RINGS)) == [do.SendAnswer(LOW, "kitchen", "k1")]
    assert len(box.all(do.Ring)) == 1


def test_dialing_without_a_link_waits_ten_seconds_and_says_so() -> None:
    box = Box(link=False)
    box.sees(on.Dialed("workshop", LOW))
    assert not box.all(do.SendOffer)
    box.waits(9)
    assert do.SendOffer(LOW, "workshop", knock=False, resume=False) in box.sees(on.LinkBack())
    offline = Box(link=False)
    offline.sees(on.Dialed("workshop", LOW))
    offline.waits(10.1)
    assert offline.recorded().reason is Reason.FAILED
    assert offline.all(do.PlayTone)[-1].tone == "error"


def test_ringing_without_a_link_stops_soon_and_an_answer_pressed_meanwhile_is_sent_when_it_is_back() -> None:
    box = ringing()
    box.sees(on.LinkLost())
    box.waits(10.1)
    assert not box.is_ringing()
    assert box.recorded().reason is Reason.LOST
    pressed = ringing()
    pressed.sees(on.LinkLost())
    pressed.sees(on.Answered())
    assert not pressed.all(do.SendAnswer)
    assert pressed.sees(on.LinkBack()) == [do.SendAnswer(LOW, "kitchen", "k1")]


def test_ringing_says_so_again_after_a_reconnect_so_that_a_call_that_ended_meanwhile_stops() -> None:
    box = ringing()
    box.sees(on.LinkLost())
    assert box.sees(on.LinkBack()) == [do.SendAlerting(LOW, "kitchen", "k1")]


def test_a_hang_up_without_a_link_is_said_when_it_is_back() -> None:
    box = caller_talking()
    box.sees(on.LinkLost())
    box.sees(on.HungUp())
    box.waits(2)
    assert box.sees(on.LinkBack()) == [do.SendEnd(LOW, Told.HUNG_UP, "workshop", "w1")]
    box.sees(on.LinkLost())
    assert box.sees(on.LinkBack()) == [], "once"


# --- a box restarted ------------------------------------------------------------------------------------------


def test_a_restarted_box_is_let_back_in_without_ringing() -> None:
    restarted, other = Box(), callee_talking()
    offer = restarted.sees(on.Resumed(LOW, "workshop", "w1", outgoing=True))
    assert do.SendOffer(LOW, "workshop", knock=False, resume=True, device="w1") in offer
    assert restarted.calls.may_reveal(LOW)
    other.sees(on.MediaSilent())
    taken_back = other.sees(on.ResumeProven(LOW, "kitchen", "k1"))
    assert taken_back == [do.StopMedia(LOW), do.SendAnswer(LOW, "kitchen", "k1")]
    acks = restarted.sees(on.FarAnswered(LOW, "w1"))
    assert acks == [do.SendAck(LOW, "w1", "workshop"), do.StartMedia(LOW, "w1", "workshop")]
    assert other.sees(on.FarAcked(LOW)) == [do.StartMedia(LOW, "k1", "kitchen")]
    for box in (restarted, other):
        box.sees(on.RouteReady(LOW))
        assert box.stands(State.TALKING)
        assert len(box.all(do.Ring)) == (0 if box is restarted else 1)


def test_a_resume_is_asked_for_until_the_grace_is_over() -> None:
    box = Box()
    box.sees(on.Resumed(LOW, "workshop", "w1", outgoing=True))
    box.waits(29)
    assert len(box.all(do.SendOffer)) == 10
    box.waits(2)
    assert box.recorded().reason is Reason.LOST


@pytest.mark.parametrize(("contact", "device"), [("kitchen", "k2"), ("attic", "k1")])
def test_a_resume_by_another_device_or_person_is_refused(contact: str, device: str) -> None:
    box = callee_talking()
    assert box.sees(on.ResumeProven(LOW, contact, device)) == [do.SendEnd(LOW, Told.HUNG_UP, contact, device)]
    assert box.stands(State.TALKING)


def test_a_resume_of_a_call_that_is_over_is_refused_and_ends_as_lost() -> None:
    assert Box().sees(on.ResumeProven(LOW, "kitchen", "k1")) == [do.SendEnd(LOW, Told.HUNG_UP, "kitchen", "k1")]
    box = Box()
    box.sees(on.Resumed(LOW, "workshop", "w1", outgoing=False))
    box.sees(on.FarEnded(LOW, "w1", Told.HUNG_UP))
    assert box.recorded().reason is Reason.LOST


def test_when_both_restarted_the_one_who_called_asks_and_the_other_answers() -> None:
    caller, callee = Box(), Box()
    caller.sees(on.Resumed(LOW, "workshop", "w1", outgoing=True))
    callee.sees(on.Resumed(LOW, "kitchen", "k1", outgoing=False))
    assert caller.sees(on.ResumeProven(LOW, "workshop", "w1")) == []
    assert callee.sees(on.ResumeProven(LOW, "kitchen", "k1")) == [do.SendAnswer(LOW, "kitchen", "k1")]
    caller.sees(on.FarAnswered(LOW, "w1"))
    callee.sees(on.FarAcked(LOW))
    for box in (caller, callee):
        box.sees(on.RouteReady(LOW))
        assert box.stands(State.TALKING)


# --- out of order ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [on.RingWithdrawn(LOW), on.FarTaken(LOW, "cancelled", "kitchen"), on.FarEnded(LOW, "k1", Told.HUNG_UP, "kitchen")],
    ids=lambda e: type(e).__name__,
)
def test_a_hang_up_before_its_offer_is_remembered_for_60_seconds(end: on.Event) -> None:
    box = Box()
    box.sees(end)
    box.waits(59)
    for _ in range(2):
        box.sees(on.RingProven(LOW, "kitchen", "k1", RINGS))
    assert not box.all(do.Ring)
    assert box.recorded().reason is Reason.CANCELLED
    forgetful = Box()
    forgetful.sees(end)
    forgetful.waits(61)
    forgetful.sees(on.RingProven(LOW, "kitchen", "k1", RINGS))
    assert forgetful.is_ringing()


def test_an_offer_again_after_the_call_is_over_does_not_ring() -> None:
    box = ringing()
    box.sees(on.Declined(with_text=False))
    assert box.sees(on.RingProven(LOW, "kitchen", "k1", RINGS)) == []
    assert not box.is_ringing()


def test_the_memory_of_ended_calls_is_bounded() -> None:
    box = Box()
    for number in range(2000):
        box.sees(on.RingWithdrawn(number.to_bytes(16, "big")))
    assert len(box.calls._core.finished) == 256


def test_nobody_can_end_or_answer_the_call_of_somebody_else() -> None:
    box = callee_talking()
    assert box.sees(on.FarEnded(LOW, "k1", Told.HUNG_UP, "attic")) == []
    assert box.sees(on.FarEnded(LOW, "k2", Told.HUNG_UP, "kitchen")) == []
    assert box.stands(State.TALKING)
    caller = dialing()
    assert caller.sees(on.FarAnswered(LOW, "a1", "attic")) == []
    assert caller.stands(State.DIALING)


# --- mute -----------------------------------------------------------------------------------------------------


def test_a_mute_is_cleared_at_the_end_of_a_talked_call_and_kept_by_one_that_never_connected() -> None:
    talked = caller_talking()
    talked.sees(on.HungUp())
    assert len(talked.all(do.ClearMute)) == 1
    for box, event in (
        (dialing(), on.HungUp()),
        (ringing(), on.FarTaken(LOW, "cancelled")),
        (ringing(), on.Declined()),
    ):
        box.sees(event)
        assert not box.all(do.ClearMute)


# --- the controls ---------------------------------------------------------------------------------------------


def test_a_silenced_contact_hears_ringing_then_no_answer_and_nothing_moves_here() -> None:
    box = ringing(admission=Admission("silent", Reason.SILENCED, ("kitchen is silenced",)))
    assert box.done == [do.SendAlerting(LOW, "kitchen", "k1")]
    assert box.stands(State.IDLE)
    assert box.calls.current is None
    box.waits(44.9)
    assert len(box.done) == 1
    box.waits(0.2)
    assert box.done[1] == do.SendEnd(LOW, Told.NO_ANSWER, "kitchen", "k1")
    assert (box.recorded().reason, box.recorded().chain) == (Reason.SILENCED, ("kitchen is silenced",))


def test_a_silenced_caller_hears_the_same_while_this_box_talks_and_does_not_block_other_calls() -> None:
    box = callee_talking()
    box.sees(on.RingProven(HIGH, "attic", "a1", Admission("silent", Reason.SILENCED)))
    assert box.done[-1] == do.SendAlerting(HIGH, "attic", "a1")
    assert not box.all(do.SoftTick)
    free = ringing(admission=Admission("silent", Reason.SILENCED))
    free.sees(on.RingProven(HIGH, "attic", "a1", RINGS))
    assert free.is_ringing()


def test_a_silenced_caller_who_gives_up_leaves_one_line() -> None:
    box = ringing(admission=Admission("silent", Reason.SILENCED))
    box.sees(on.FarTaken(LOW, "cancelled", "kitchen"))
    box.waits(100)
    assert box.recorded().reason is Reason.SILENCED
    assert not box.all(do.SendEnd)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.QUIET, Told.UNAVAILABLE),
        (Reason.CALLS_DISABLED, Told.NOT_ACCEPTING),
        (Reason.NOT_ALLOWED, Told.NOT_ACCEPTING),
        (Reason.KEY_CHANGED, Told.UNAVAILABLE),
    ],
)
def test_a_refused_caller_is_told_at_once_and_the_thread_says_why(reason: Reason, told: Told) -> None:
    box = ringing(admission=Admission("refuse", reason, ("because",)))
    assert box.all(do.SendEnd) == [do.SendEnd(LOW, told, "kitchen", "k1")]
    assert (box.recorded().reason, box.recorded().chain) == (reason, ("because",))
    assert not box.all(do.Ring)
    assert not box.all(do.OpenSound)


def test_a_block_says_nothing_and_leaves_nothing() -> None:
    box = ringing(admission=Admission("refuse", Reason.BLOCKED))
    assert box.done == [do.ForgetKeys(LOW)]


def test_a_knock_is_light_alone_and_the_caller_sees_that_it_asks() -> None:
    box = ringing(admission=Admission("light", Reason.KNOCKED))
    assert box.done == [do.SendAlerting(LOW, "kitchen", "k1"), do.Ring("kitchen", loud=False, knock=True)]
    box.waits(45.1)
    assert box.recorded().reason is Reason.KNOCKED
    assert not box.all(do.OpenSound)
    caller = dialing(knock=True)
    caller.sees(on.FarAlerting(LOW, "w1"))
    assert caller.calls.current is not None
    assert (caller.calls.current.knock, caller.calls.current.far_alerting) == (True, True)


def test_calls_disabled_while_talking_lets_the_call_go_on_and_no_new_one_in() -> None:
    box = caller_talking()
    assert box.sees(on.CallsSet(False)) == []
    box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    assert box.stands(State.TALKING)
    assert box.all(do.SendEnd) == [do.SendEnd(HIGH, Told.NOT_ACCEPTING, "workshop", "w1")]


def test_calls_disabled_while_it_rings_refuses_that_call() -> None:
    box = ringing()
    box.sees(on.CallsSet(False))
    assert box.all(do.SendEnd)[0].told is Told.NOT_ACCEPTING
    assert not box.is_ringing()


def test_decline_with_the_ready_made_text() -> None:
    box = ringing()
    box.sees(on.Declined(with_text=True))
    assert box.all(do.SendEnd) == [do.SendEnd(LOW, Told.DECLINED, "kitchen", "k1")]
    assert box.all(do.SendReadyText) == [do.SendReadyText("kitchen")]
    assert box.recorded().reason is Reason.DECLINED


@pytest.mark.parametrize(
    ("told", "reason", "tone"),
    [
        (Told.DECLINED, Reason.DECLINED, "busy"),
        (Told.BUSY, Reason.BUSY, "busy"),
        (Told.NO_ANSWER, Reason.NO_ANSWER, "congestion"),
        (Told.UNAVAILABLE, Reason.UNREACHABLE, "congestion"),
        (Told.NOT_ACCEPTING, Reason.CALLS_DISABLED, "congestion"),
        (Told.FAILED, Reason.FAILED, "error"),
    ],
)
def test_what_the_caller_hears_of_each_refusal(told: Told, reason: Reason, tone: do.ToneName) -> None:
    box = dialing()
    box.sees(on.FarEnded(LOW, "w1", told))
    assert box.stands(State.ENDING)
    assert box.calls.current is not None
    assert box.calls.current.reason is reason
    assert box.all(do.PlayTone)[-1].tone == tone
    box.waits(5)
    assert box.stands(State.IDLE)


@pytest.mark.parametrize(
    ("why", "told", "reason", "notices"),
    [
        ("calls-disabled", Told.NOT_ACCEPTING, Reason.CALLS_DISABLED, 1),
        ("not-allowed", Told.NOT_ACCEPTING, Reason.NOT_ALLOWED, 1),
        ("not-allowed", None, Reason.NOT_ALLOWED, 0),
        ("too-often", Told.UNAVAILABLE, Reason.UNREACHABLE, 1),
        ("no-storage", None, Reason.FAILED, 1),
    ],
)
def test_an_offer_that_the_server_refuses(why: str, told: Told | None, reason: Reason, notices: int) -> None:
    box = dialing()
    box.sees(on.OfferDenied(LOW, why, told))
    assert box.recorded().reason is reason
    assert len(box.all(do.QueueMissedNotice)) == notices


def test_a_changed_key_ends_a_call_in_every_state() -> None:
    for box, contact in (
        (dialing(), "workshop"),
        (ringing(), "kitchen"),
        (caller_talking(), "workshop"),
        (ringing(admission=Admission("silent", Reason.SILENCED)), "kitchen"),
    ):
        box.sees(on.KeyChanged("attic"))
        assert not box.all(do.RecordCall)
        box.sees(on.KeyChanged(contact))
        assert box.recorded().reason is Reason.KEY_CHANGED
        assert not box.is_ringing()


def test_the_tone_of_an_ended_call_gives_way_to_a_press_and_to_a_ring() -> None:
    pressed = dialing()
    pressed.sees(on.Unreachable(LOW))
    assert pressed.sees(on.HungUp()) == [do.StopTone(), do.CloseSound()]
    rung = dialing()
    rung.sees(on.Unreachable(LOW))
    rung.sees(on.RingProven(HIGH, "attic", "a1", RINGS))
    assert rung.is_ringing()
    assert len(rung.all(do.OpenSound)) - len(rung.all(do.CloseSound)) == 1
