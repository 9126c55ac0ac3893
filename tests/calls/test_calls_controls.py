"""Mute and the controls: what they do to a call, and what the caller hears of it."""

import pytest

from callbox.base.admission import Admission
from callbox.base.reasons import Reason
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.state import State
from callbox.wire.told import Told
from calls.cases import HIGH, LOW, RINGS, callee_talking, caller_talking, dialing, ringing

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
    if reason is Reason.NOT_ALLOWED and told is not None:
        box.sees(on.OfferDenied(LOW, why, told))
        assert box.done[-1] == do.SendOffer(LOW, "workshop", True, resume=False), "may it knock?"
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
