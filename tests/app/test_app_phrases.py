"""The sentences of the box: every language is complete, and nothing that is filled in can spoil a sentence."""

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.app import announcing, interrupted
from callbox.app.phrases import languages, load_phrases, placeholders, read_table, spoken_link
from callbox.base.errors import WrongUse
from callbox.base.reasons import Reason
from callbox.conversations.admission import admit
from callbox.conversations.contacts import Contact
from callbox.conversations.controls import Controls
from callbox.conversations.threads import Threads
from callbox.panel.menu import ENTRIES
from callbox.wire.records import ROWS

APP = Path(announcing.__file__).parent
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
NOON_MS = 20_000 * DAY_MS + 12 * HOUR_MS


def test_english_and_german_are_there() -> None:
    assert {"en", "de"} <= set(languages())


@pytest.mark.parametrize("language", [one for one in languages() if one != "en"])
@pytest.mark.parametrize("part", ["say", "why"])
def test_each_language_has_each_sentence_with_the_same_words_filled_in(language: str, part: str) -> None:
    english, other = read_table("en")[part], read_table(language)[part]
    assert set(other) == set(english)
    for key, sentence in english.items():
        assert placeholders(other[key]) == placeholders(sentence), key
        assert other[key].strip(), key


def test_what_the_desks_say_is_there() -> None:
    sources = "\n".join(path.read_text() for path in APP.glob("*.py"))
    said = set(re.findall(r'(?:(?<![\w.])say|speaking\.say|\.piece|changed)\(\s*"([a-z_]+)"', sources))
    known = set(read_table("en")["say"])
    assert len(said) > 30
    assert said <= known
    assert {f"reason_{reason.value}" for reason in Reason} <= known
    assert {f"menu_{name}" for name in ENTRIES} <= known
    assert {f"choice_{choice}" for entry in ENTRIES.values() for choice in entry.choices} <= known
    assert set(announcing.ENDS.values()) <= known


def every_chain() -> Iterable[tuple[str, ...]]:
    """Return the reasons of every call that can come: whoever calls, whatever is set, whenever it is."""
    cases: Iterable[Any] = product(ROWS, *[(False, True)] * 6, (None, 5, 700), ((), (90.0,)), *[(False, True)] * 2)
    for row, silenced, breakthrough, key, calls, dnd, quiet, minute, rang, knock, dialling in cases:
        contact = Contact("a", row, silenced=silenced, breakthrough=breakthrough, changed_key=b"k" if key else None)
        controls = Controls(calls, dnd, ((0, 60),) if quiet else ())
        yield admit(contact, controls, 100.0, minute, rang, knock=knock, dialling=dialling).chain
        _, line = Threads().missed_noticed(b"i" * 16, contact, controls, 0, knock=knock)
        for write in line:
            yield getattr(getattr(write, "item", None), "chain", ())
    yield admit(None, Controls(), 100.0, None).chain


def test_every_reason_why_a_call_did_not_ring_has_its_words() -> None:
    links = {spoken_link(link) for chain in every_chain() for link in chain}
    calls = "\n".join(path.read_text() for path in (APP.parent / "calls").glob("*.py"))
    links |= set(re.findall(r'\("([a-z ]+)",\)', calls)) | {interrupted.RESTARTED, interrupted.RESTARTED_TALKING}
    assert len(links) > 25
    assert links <= set(read_table("en")["why"])


@pytest.mark.parametrize(
    ("ago_ms", "english", "german"),
    [
        (0, "just now", "gerade eben"),
        (-HOUR_MS, "just now", "gerade eben"),
        (MINUTE_MS, "one minute ago", "vor einer Minute"),
        (59 * MINUTE_MS, "59 minutes ago", "vor 59 Minuten"),
        (HOUR_MS, "at 11 o'clock", "um 11 Uhr"),
        (HOUR_MS + 55 * MINUTE_MS, "at 10:05", "um 10 Uhr 05"),
        (13 * HOUR_MS, "yesterday at 23 o'clock", "gestern um 23 Uhr"),
        (40 * HOUR_MS, "2 days ago", "vor 2 Tagen"),
        (365 * DAY_MS, "365 days ago", "vor 365 Tagen"),
    ],
)
def test_when_something_was(ago_ms: int, english: str, german: str) -> None:
    assert load_phrases("en").when(NOON_MS - ago_ms, NOON_MS) == english
    assert load_phrases("de").when(NOON_MS - ago_ms, NOON_MS) == german


@given(st.text())
def test_a_name_is_filled_in_as_it_is(name: str) -> None:
    assert load_phrases("en").say("calls_you", name=name) == f"{name} calls."


def test_a_language_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(WrongUse, match="'tlh'") as told:
        load_phrases("tlh")
    assert "de, en" in str(told.value)


def test_a_link_without_words_in_this_language_is_said_as_it_is() -> None:
    assert load_phrases("de").chain(["quiet hours (22:00-07:00)", "something new"]) == "Ruhezeit, something new"
