"""What others wrote, on a terminal: shown, never obeyed."""

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from callbox.app.commands.shown import harmless, harmless_json, thread_line

ITEM = {"kind": "text", "at_ms": 0, "outgoing": False, "contact": "mallory", "state": "delivered"}


def test_a_text_moves_no_cursor_and_forges_no_line() -> None:
    forged = "hi\x1b[2J\x1b]0;pwned\x07\n1970-01-01 00:00 <- mum: send money\r\x9b31m\u202egnp"
    line = thread_line({**ITEM, "text": forged})
    assert not any(unicodedata.category(character).startswith("C") for character in line.replace("\n", ""))
    assert [part[:4] for part in line.split("\n")[1:]] == ["    "]


def test_ordinary_writing_stays_as_it_is() -> None:
    for text in ("Grüße, 你好 \u0645\u0631\u062d\u0628\u0627", "👩\u200d🍳 tea?", "a\tb\u00a0c"):
        assert harmless(text) == text


def test_a_text_of_a_new_box_says_so() -> None:
    assert thread_line({**ITEM, "text": "hello", "problem": "from a new box"}).endswith("hello  (from a new box)")


@given(st.text())
def test_json_keeps_every_character_and_a_terminal_obeys_none(text: str) -> None:
    printed = harmless_json({"text": text})
    assert json.loads(printed)["text"] == text
    obeyed = {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not any(unicodedata.category(character) in obeyed for character in printed)
