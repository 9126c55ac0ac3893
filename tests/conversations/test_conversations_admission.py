"""Who may ring: every row of the controls, their order, and the words that `callbox why` prints."""

from itertools import product
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.admission import Admission
from callbox.base.errors import WrongUse
from callbox.base.reasons import Reason
from callbox.conversations.admission import RecentRings, TextWelcome, admit, welcome_text
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import EVERY_DAY, Controls, format_quiet, keep_controls, load_controls, parse_quiet
from callbox.conversations.stores import Put, StoreFault
from callbox.conversations.stores.memory import MemoryStore
from callbox.wire.records import ROWS

Act = Literal["ring", "light", "silent", "refuse"]
FRIEND = Contact("kitchen", "ring", account_key=b"k" * 32)
KNOCKER = Contact("kitchen", "knock")
SILENCED = Contact("kitchen", "ring", silenced=True)
CLOSE = Contact("kitchen", "ring", breakthrough=True)
NIGHT = Controls(quiet=((22 * 60, 7 * 60),))
DND = Controls(do_not_disturb=True)
OFF = Controls(calls_enabled=False)
NOON, MIDNIGHT = 12 * 60, 0


@pytest.mark.parametrize(
    ("contact", "controls", "minutes", "act", "reason", "last_word"),
    [
        (FRIEND, Controls(), NOON, "ring", None, "may ring"),
        (None, Controls(), NOON, "refuse", Reason.NOT_ALLOWED, "not among your contacts"),
        (Contact("x", "blocked"), Controls(), NOON, "refuse", Reason.BLOCKED, "blocked"),
        (Contact("x", "request"), Controls(), NOON, "refuse", Reason.NOT_ALLOWED, "may send one request, not ring"),
        (Contact("x", "message"), Controls(), NOON, "refuse", Reason.NOT_ALLOWED, "may send messages, not ring"),
        (KNOCKER, Controls(), NOON, "light", Reason.KNOCKED, "may knock, not ring"),
        (KNOCKER, NIGHT, MIDNIGHT, "refuse", Reason.QUIET, "may not break through"),
        (SILENCED, Controls(), NOON, "silent", Reason.SILENCED, "silenced"),
        (SILENCED, DND, NOON, "silent", Reason.SILENCED, "silenced"),
        (SILENCED, OFF, NOON, "refuse", Reason.CALLS_DISABLED, "calls are disabled"),
        (FRIEND, OFF, NOON, "refuse", Reason.CALLS_DISABLED, "calls are disabled"),
        (FRIEND, DND, NOON, "refuse", Reason.QUIET, "may not break through"),
        (FRIEND, NIGHT, MIDNIGHT, "refuse", Reason.QUIET, "may not break through"),
        (FRIEND, NIGHT, NOON, "ring", None, "may ring"),
        (FRIEND, NIGHT, None, "ring", None, "may ring"),
        (Contact("x", "ring", changed_key=b"n"), Controls(), NOON, "refuse", Reason.KEY_CHANGED, "has a new box"),
        (Contact("x", "blocked", changed_key=b"n"), OFF, NOON, "refuse", Reason.BLOCKED, "blocked"),
    ],
)
def test_one_answer_per_control(
    contact: Contact | None, controls: Controls, minutes: int | None, act: Act, reason: Reason | None, last_word: str
) -> None:
    answer = admit(contact, controls, now=1000.0, week_minute=minutes)
    assert (answer.act, answer.reason) == (act, reason)
    assert answer.chain[-1].startswith(last_word)


def test_a_knock_from_someone_who_may_ring_is_a_light() -> None:
    answer = admit(FRIEND, Controls(), 0.0, NOON, knock=True)
    assert (answer.act, answer.reason, answer.chain[-1]) == ("light", Reason.KNOCKED, "only knocked")


@pytest.mark.parametrize(
    ("rang", "act"),
    [((), "refuse"), ((1000.0 - 180.0,), "ring"), ((1000.0 - 180.1,), "refuse"), ((100.0, 999.0), "ring")],
)
@pytest.mark.parametrize(("controls", "minutes"), [(DND, NOON), (NIGHT, MIDNIGHT)])
def test_the_second_call_within_three_minutes_breaks_through(
    controls: Controls, minutes: int, rang: tuple[float, ...], act: Act
) -> None:
    assert admit(CLOSE, controls, 1000.0, minutes, rang).act == act
    assert admit(FRIEND, controls, 1000.0, minutes, rang).act == "refuse"


def test_an_untrusted_clock_is_said_in_the_chain() -> None:
    assert "quiet hours do not apply while the clock is not set" in admit(FRIEND, NIGHT, 0.0, None).chain


def test_whom_we_dial_is_not_kept_out_by_our_controls() -> None:
    for contact, controls in product((FRIEND, SILENCED, KNOCKER), (DND, OFF, NIGHT)):
        assert admit(contact, controls, 0.0, MIDNIGHT, dialling=True).act == "ring"
    for permission in ("blocked", "request", "message"):
        assert admit(Contact("x", permission), Controls(), 0.0, NOON, dialling=True).act == "refuse"
    assert admit(Contact("x", "ring", changed_key=b"n"), Controls(), 0.0, NOON, dialling=True).act == "refuse"


def test_recent_rings_are_per_contact_and_bounded() -> None:
    rings = RecentRings(kept_per_contact=2)
    for now in (1.0, 2.0, 3.0):
        rings.note("a", now)
    rings.note("b", 4.0)
    assert (rings.of("a"), rings.of("b"), rings.of("c")) == ((2.0, 3.0), (4.0,), ())
    rings.note("b", 184.0)
    assert (rings.of("a"), rings.of("b")) == ((), (4.0, 184.0))


CONTACTS = st.none() | st.builds(
    Contact,
    name=st.just("x"),
    permission=st.sampled_from(ROWS),
    silenced=st.booleans(),
    breakthrough=st.booleans(),
    changed_key=st.sampled_from([None, b"n" * 32]),
)
MINUTES = st.integers(0, 1439)
CONTROLS = st.builds(
    Controls,
    calls_enabled=st.booleans(),
    do_not_disturb=st.booleans(),
    quiet=st.lists(st.tuples(MINUTES, MINUTES), max_size=2).map(tuple),
)


@given(CONTACTS, CONTROLS, st.none() | MINUTES, st.lists(st.floats(0, 1000)), st.booleans(), st.booleans())
def test_sound_needs_every_permission(
    contact: Contact | None, controls: Controls, minutes: int | None, rang: list[float], knock: bool, dialling: bool
) -> None:
    answer: Admission = admit(contact, controls, 1000.0, minutes, rang, knock=knock, dialling=dialling)
    assert answer.chain
    assert (answer.reason is None) == (answer.act == "ring")
    if answer.act != "refuse":
        assert contact is not None
        assert contact.permission in ("ring", "knock")
        assert contact.changed_key is None
    if answer.act == "ring" and not dialling:
        assert contact is not None
        assert contact.permission == "ring"
        assert controls.calls_enabled
        assert not contact.silenced
        assert not knock
        assert contact.breakthrough or not controls.do_not_disturb


@pytest.mark.parametrize(
    ("contact", "controls", "minutes", "size", "welcome"),
    [
        (FRIEND, Controls(), NOON, 10, "read"),
        (FRIEND, OFF, NOON, 10, "read"),
        (FRIEND, DND, NOON, 10, "quietly"),
        (FRIEND, NIGHT, MIDNIGHT, 10, "quietly"),
        (FRIEND, NIGHT, None, 10, "read"),
        (SILENCED, Controls(), NOON, 10, "quietly"),
        (Contact("x", "ring", notify=False), Controls(), NOON, 10, "quietly"),
        (Contact("x", "message"), Controls(), NOON, 50_000, "read"),
        (Contact("x", "ring", changed_key=b"n"), Controls(), NOON, 10, "read"),
        (None, Controls(), NOON, 1024, "request"),
        (None, Controls(), NOON, 1025, "drop"),
        (Contact("x", "request"), Controls(), NOON, 10, "drop"),
        (Contact("x", "blocked"), Controls(), NOON, 10, "drop"),
    ],
)
def test_what_becomes_of_a_text(
    contact: Contact | None, controls: Controls, minutes: int | None, size: int, welcome: TextWelcome
) -> None:
    assert welcome_text(contact, controls, minutes, size) == welcome


@pytest.mark.parametrize(
    ("window", "quiet_at", "loud_at"),
    [
        ("22:00-07:00", [1320, 1439, 0, 419], [420, 720, 1319]),
        ("13:00 - 14:30", [780, 869], [779, 870, 0]),
        ("0:00–6:05", [0, 364], [365, 1439]),
        ("20:00-24:00", [1200, 1439], [0, 1199]),
    ],
)
def test_quiet_hours_start_in_and_end_out(window: str, quiet_at: list[int], loud_at: list[int]) -> None:
    controls = Controls(quiet=parse_quiet(window))
    assert all(controls.is_quiet_hour(minute) for minute in quiet_at)
    assert not any(controls.is_quiet_hour(minute) for minute in loud_at)


WEEK = 7 * 1440
SPANS = st.tuples(MINUTES, MINUTES, st.integers(1, EVERY_DAY))


@given(st.lists(SPANS, min_size=1, max_size=8))
def test_quiet_hours_are_read_as_they_are_written(spans: list[tuple[int, int, int]]) -> None:
    text = format_quiet(spans)
    if any(start == end for start, end, _ in spans):
        with pytest.raises(WrongUse, match="do not disturb"):
            parse_quiet(text)
    else:
        read = parse_quiet(text)
        assert parse_quiet(format_quiet(read)) == read
        quiet = [any(Controls(quiet=(span,)).is_quiet_hour(minute) for span in spans) for minute in range(0, WEEK, 7)]
        assert quiet == [Controls(quiet=read).is_quiet_hour(minute) for minute in range(0, WEEK, 7)]


def test_quiet_hours_of_some_days_begin_on_those_days() -> None:
    controls = Controls(quiet=parse_quiet("sun-thu 22:00-07:00, Fri SAT 23:30 - 09:00, wed 13:00-14:00"))
    assert format_quiet(controls.quiet) == "Mon-Thu Sun 22:00-07:00, Fri Sat 23:30-09:00, Wed 13:00-14:00"

    def quiet(day: int, clock: str) -> bool:
        hours, minutes = map(int, clock.split(":"))
        return controls.is_quiet_hour(day * 1440 + hours * 60 + minutes)

    monday, wednesday, friday, saturday, sunday = 0, 2, 4, 5, 6
    assert quiet(monday, "06:59"), "it began on Sunday"
    assert not quiet(monday, "07:00")
    assert [quiet(wednesday, clock) for clock in ("12:59", "13:00", "13:59", "14:00")] == [False, True, True, False]
    assert quiet(friday, "06:59"), "it began on Thursday"
    assert [quiet(friday, clock) for clock in ("22:00", "23:29", "23:30")] == [False, False, True]
    assert [quiet(saturday, clock) for clock in ("08:59", "09:00", "22:30")] == [True, False, False]
    assert [quiet(sunday, clock) for clock in ("08:59", "09:00", "22:00")] == [True, False, True]


def test_why_it_was_quiet_names_the_span() -> None:
    controls = Controls(quiet=parse_quiet("13:00-14:00, mon-fri 22:00-07:00"))
    assert "quiet hours (Mon-Fri 22:00-07:00)" in admit(FRIEND, controls, 0.0, 23 * 60).chain
    assert "quiet hours (13:00-14:00)" in admit(FRIEND, controls, 0.0, 13 * 60).chain


@pytest.mark.parametrize(
    "text",
    [
        *("", "22:00", "22:00-", "25:00-07:00", "24:01-07:00", "22:60-07:00", "22-7", "a:b-c:d"),
        *("mon", "mon-fri", "22:00-07:00 mon", "mo-fr 22:00-07:00", "mon-wed-fri 22:00-07:00", "mon 22:00", "-"),
    ],
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(WrongUse, match="22:00-07:00"):
        parse_quiet(text)


def test_spans_of_an_earlier_version_are_read_and_nonsense_is_not() -> None:
    store = MemoryStore()
    store.commit([Put("controls", "controls", msgspec.msgpack.encode({"quiet": [[1320, 420]]}))])
    assert format_quiet(load_controls(store.load("controls")).quiet) == "22:00-07:00"
    store.commit([Put("controls", "controls", msgspec.msgpack.encode({"quiet": [[1320]]}))])
    with pytest.raises(StoreFault):
        load_controls(store.load("controls"))


def test_controls_are_kept() -> None:
    store = MemoryStore()
    assert load_controls(store.load("controls")) == Controls()
    controls = Controls(calls_enabled=False, do_not_disturb=True, quiet=((1320, 420), (780, 840)))
    store.commit(keep_controls(controls))
    assert load_controls(store.load("controls")) == controls
