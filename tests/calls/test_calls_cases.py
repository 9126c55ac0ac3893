"""Calls that go as people mean them to: every such row of "One call", told as a person would."""

import pytest

from callbox.base.admission import Admission
from callbox.base.reasons import Reason
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.incoming import CROSSED_S
from callbox.calls.state import State
from callbox.wire.told import Told
from calls.cases import HIGH, LOW, RINGS, Box, caller_talking, dialing, kinds, ringing

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
    box.waits(CROSSED_S)
    if lost:
        box.sees(on.MediaSilent())
    effects = box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    assert box.stands(State.RINGING)
    assert box.is_ringing()
    assert do.StopMedia(LOW) in effects
    assert not any(isinstance(effect, do.StartMedia | do.ClearMute) for effect in effects)
    assert (box.recorded().call_id, box.recorded().reason) == (LOW, Reason.REPLACED)


def test_the_losing_half_of_a_glare_that_comes_after_the_first_words_changes_nothing() -> None:
    box = caller_talking()
    box.sees(on.RingProven(HIGH, "workshop", "w1", RINGS))
    assert box.stands(State.TALKING)
    assert (box.recorded().call_id, box.recorded().reason) == (HIGH, Reason.TAKEN)


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
