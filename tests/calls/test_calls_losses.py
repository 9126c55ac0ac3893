"""Calls that lose the network, a box or the order of their letters: what happened, what the box did."""

import pytest

from callbox.base.reasons import Reason
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.state import State
from callbox.wire.told import Told
from calls.cases import LOW, RINGS, Box, callee_talking, caller_talking, dialing, ringing

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
