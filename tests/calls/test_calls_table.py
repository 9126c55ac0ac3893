"""The transition table is whole, documented and drawn fresh; the enums are joined without a gap."""

import inspect
from pathlib import Path
from typing import get_args

import pytest

import callbox.calls
from callbox.base.reasons import Reason
from callbox.calls.diagram import document
from callbox.calls.events import Event
from callbox.calls.reasons import DENIED, REASON, TOLD, WORTH_A_NOTICE, reason_of, reason_of_denial
from callbox.calls.state import State
from callbox.calls.table import ROWS, WITHOUT_MEANING, Row
from callbox.wire.signals import DeniedWhy
from callbox.wire.told import Told

EVENTS: tuple[type[Event], ...] = get_args(Event)


@pytest.mark.parametrize("state", State)
def test_every_event_has_a_row_or_is_named_as_without_meaning(state: State) -> None:
    with_row = {row.event for row in ROWS if row.state is state}
    assert with_row | WITHOUT_MEANING[state] == set(EVENTS)
    assert not with_row & WITHOUT_MEANING[state]


def test_no_two_rows_apply_at_once() -> None:
    keys = [
        (row.state, row.event, link)
        for row in ROWS
        for link in (("connected", "lost") if row.link == "either" else (str(row.link),))
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.state}-{row.event.__name__}-{row.link}")
def test_each_handler_says_what_it_does(row: Row) -> None:
    assert inspect.getdoc(row.handler), "a row is documentation"


def test_every_state_can_be_reached_and_left() -> None:
    reached = {target for row in ROWS for target in row.leads_to if target is not row.state}
    left = {row.state for row in ROWS if set(row.leads_to) - {row.state}}
    assert reached == left == set(State)


def test_the_drawing_is_fresh() -> None:
    committed = (Path(callbox.calls.__file__).parent / "CALLS.md").read_text()
    assert committed == document(), "run: python -m callbox.calls.diagram > firmware/callbox/calls/CALLS.md"


TOLD_OF_EACH = {
    Reason.HUNG_UP: Told.HUNG_UP,
    Reason.DECLINED: Told.DECLINED,
    Reason.BUSY: Told.BUSY,
    Reason.NO_ANSWER: Told.NO_ANSWER,
    Reason.CANCELLED: Told.HUNG_UP,
    Reason.ANSWERED_ELSEWHERE: None,
    Reason.DECLINED_ELSEWHERE: None,
    Reason.CALLS_DISABLED: Told.NOT_ACCEPTING,
    Reason.QUIET: Told.UNAVAILABLE,
    Reason.SILENCED: Told.NO_ANSWER,
    Reason.KNOCKED: Told.NO_ANSWER,
    Reason.BLOCKED: None,
    Reason.NOT_ALLOWED: Told.NOT_ACCEPTING,
    Reason.UNREACHABLE: None,
    Reason.REPLACED: Told.HUNG_UP,
    Reason.TAKEN: None,
    Reason.LOST: Told.FAILED,
    Reason.KEY_CHANGED: Told.UNAVAILABLE,
    Reason.FAILED: Told.FAILED,
}


@pytest.mark.parametrize("reason", Reason)
def test_each_reason_tells_exactly_this(reason: Reason) -> None:
    assert TOLD[reason] == TOLD_OF_EACH[reason]
    assert set(TOLD) == set(Reason)


@pytest.mark.parametrize("told", Told)
def test_each_word_told_is_understood_and_means_the_same_on_both_sides(told: Told) -> None:
    assert set(REASON) == set(Told)
    if told is not Told.UNAVAILABLE:  # coarser on purpose: quiet hours and a changed key sound alike
        assert TOLD[reason_of(told)] == told


def test_every_word_of_the_server_is_understood() -> None:
    assert set(DENIED) <= set(get_args(DeniedWhy))
    for why in get_args(DeniedWhy):
        assert isinstance(reason_of_denial(why, None), Reason)
    assert reason_of_denial("too-often", None) is Reason.FAILED
    assert reason_of_denial("too-often", Told.UNAVAILABLE) is Reason.UNREACHABLE


def test_a_decline_is_not_followed_by_a_missed_call_notice() -> None:
    assert not WORTH_A_NOTICE & {Reason.DECLINED, Reason.HUNG_UP, Reason.TAKEN, Reason.BLOCKED, Reason.KEY_CHANGED}
