"""Account names: the one form in which a name is stored, compared and sent, in any script.

A name is typed by people, spoken by the box, printed on cards (`name@server#fingerprint`) and used on the command
line. So it has no spaces, nothing invisible, nothing that turns the direction of text, and none of the characters
that have a meaning around it.
"""

import re
import unicodedata

from callbox.base.errors import WrongUse

MAX_NAME_CHARACTERS = 32
_PUNCTUATION = "-_."
# Letters or marks by category, but drawn as nothing: two names that look alike would differ.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_VARIATION_SELECTORS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_CURE = f"A name has 1 to {MAX_NAME_CHARACTERS} letters, digits or - _ . and starts with a letter or digit."


def valid_name(text: str) -> str:
    """Return `text` as an account name: composed (NFC) and case-folded. Raises WrongUse, saying what is wrong.

    Applying it again changes nothing, so a receiver may check a name by `valid_name(name) == name`.
    """
    name = _folded(text)
    if not name:
        raise WrongUse("A name cannot be empty.", _CURE)
    if len(name) > MAX_NAME_CHARACTERS:
        raise WrongUse(f"A name of {len(name)} characters is too long.", _CURE)
    for character in name:
        if not _allowed(character):
            raise WrongUse(f"{_spoken(character)} cannot be part of a name.", _CURE)
    if unicodedata.category(name[0])[0] not in "LN":
        raise WrongUse(f"A name cannot start with {_spoken(name[0])}.", _CURE)
    return name


def is_valid_name(text: str) -> bool:
    """Return whether `text` is an account name as `valid_name` leaves it. Quick for plain ASCII, which most are."""
    if text.isascii():
        return _PLAIN.fullmatch(text) is not None
    try:
        return valid_name(text) == text
    except WrongUse:
        return False


def _folded(text: str) -> str:
    """Case-fold and compose until nothing changes: composing may make a letter that folds again.

    A text far over the limit is cut first: it will be refused anyway, and must not cost time.
    """
    name = unicodedata.normalize("NFC", text[: 8 * MAX_NAME_CHARACTERS])
    while (again := unicodedata.normalize("NFC", name.casefold())) != name:
        name = again
    return name


def _allowed(character: str) -> bool:
    if character in _PUNCTUATION:
        return True
    if character in _INVISIBLE or any(ord(character) in selectors for selectors in _VARIATION_SELECTORS):
        return False
    category = unicodedata.category(character)
    return category[0] == "L" or category in ("Nd", "Mn", "Mc")


def _spoken(character: str) -> str:
    """Name a character safely: it may be invisible, or break the line that it is printed on."""
    visible = f"'{character}'" if character.isprintable() and not character.isspace() else "The character"
    return f"{visible} (U+{ord(character):04X} {unicodedata.name(character, 'unnamed')})"
