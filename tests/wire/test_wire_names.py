"""Account names: one form each, nothing invisible, any script."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.base.errors import WrongUse
from callbox.wire.names import MAX_NAME_CHARACTERS, valid_name


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("kitchen", "kitchen"),
        ("Kitchen", "kitchen"),
        ("work-shop_2.b", "work-shop_2.b"),
        ("7th", "7th"),
        ("Cafe\u0301", "caf\u00e9"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("Κουζίνα", "κουζίνα"),
        ("台所", "台所"),
        ("रसोई", "रसोई"),
        ("مطبخ", "مطبخ"),
        ("x" * MAX_NAME_CHARACTERS, "x" * MAX_NAME_CHARACTERS),
    ],
)
def test_a_name_has_one_form(typed: str, name: str) -> None:
    assert valid_name(typed) == name


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "empty"),
        ("x" * (MAX_NAME_CHARACTERS + 1), "33 characters"),
        ("x" * 1_000_000, "too long"),
        ("two words", "U+0020 SPACE"),
        ("a\tb", "U+0009"),
        ("a\nb", "U+000A"),
        ("a\x00b", "U+0000"),
        ("a\u202eb", "RIGHT-TO-LEFT OVERRIDE"),
        ("a\u2066b", "LEFT-TO-RIGHT ISOLATE"),
        ("a\u200bb", "ZERO WIDTH SPACE"),
        ("a\u200db", "ZERO WIDTH JOINER"),
        ("a\ufeffb", "U+FEFF"),
        ("a\u3164b", "HANGUL FILLER"),
        ("a\ufe0fb", "VARIATION SELECTOR"),
        ("a\U000e0101b", "VARIATION SELECTOR"),
        ("a\ud800b", "U+D800"),
        ("name@server", "'@'"),
        ("name#print", "'#'"),
        ("a:b", "':'"),
        ("a/b", "'/'"),
        ("-rf", "cannot start"),
        (".", "cannot start"),
        ("\u0301a", "cannot start"),
        ("📞", "TELEPHONE"),
    ],
)
def test_what_is_not_a_name_is_refused_in_words(typed: str, says: str) -> None:
    with pytest.raises(WrongUse) as refused:
        valid_name(typed)
    assert says in refused.value.what
    assert refused.value.what.isprintable()
    assert refused.value.exit_code == 2


@given(st.text(max_size=40))
def test_any_text_is_a_name_in_its_one_form_or_wrong_use(text: str) -> None:
    try:
        name = valid_name(text)
    except WrongUse:
        return
    assert valid_name(name) == name == name.casefold() == unicodedata.normalize("NFC", name)
    assert valid_name(unicodedata.normalize("NFD", text)) == name
    assert 1 <= len(name) <= MAX_NAME_CHARACTERS


@given(st.text(alphabet="ǅſİKÅßŉΐΆ̈́ͅᾳxé\u0301\u0345", min_size=1, max_size=10))
def test_letters_with_odd_case_have_one_form_too(text: str) -> None:
    try:
        name = valid_name(text)
    except WrongUse:
        return
    assert valid_name(name) == name
