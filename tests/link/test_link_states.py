"""The state table and the table of refusals are complete and say what they mean."""

from typing import get_args

from callbox.link.refusals import REFUSALS
from callbox.link.states import CONNECTED, TABLE, Cause, State, as_markdown
from callbox.wire.signals import RefusedWhy


def test_every_state_has_a_row_and_can_be_stopped() -> None:
    assert set(TABLE) == set(State)
    for state in set(State) - {State.STOPPED}:
        assert TABLE[state][Cause.STOPPED] is State.STOPPED


def test_every_state_can_be_reached_from_stopped() -> None:
    seen, open_ = {State.STOPPED}, [State.STOPPED]
    while open_:
        for state in TABLE[open_.pop()].values():
            if state not in seen:
                seen.add(state)
                open_.append(state)
    assert seen == set(State)


def test_failure_always_leads_to_waiting_and_waiting_never_ends_by_itself() -> None:
    """Endless: there is no state from which the link gives up."""
    for state in CONNECTED | {State.OPENING}:
        assert TABLE[state][Cause.FAILED] is State.WAITING
    assert TABLE[State.WAITING] == {Cause.RETRY_DUE: State.OPENING, Cause.STOPPED: State.STOPPED}


def test_markdown_names_every_state_with_its_link() -> None:
    text = as_markdown()
    assert "| up | connected |" in text
    assert "| waiting | unconnected |" in text
    assert len(text.splitlines()) == len(State) + 2


def test_every_refusal_of_the_server_has_a_sentence_and_lasting_ones_a_cure() -> None:
    assert set(REFUSALS) == set(get_args(RefusedWhy))
    for refusal in REFUSALS.values():
        assert refusal.sentence.endswith(".")
        assert bool(refusal.cure) == refusal.lasting
