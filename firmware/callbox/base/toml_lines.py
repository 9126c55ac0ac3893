"""Where in a TOML text a section or a key stands, so that an error can name its line.

`tomllib` gives values without places. This scanner knows just enough of the grammar to find headers and
keys; it never judges the text, so whatever it cannot follow costs a less exact line and nothing else.
"""

import re
from collections.abc import Iterator, Sequence

_PART = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_PATH = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"^\s*\[\[?\s*({_PATH})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"^\s*({_PATH})\s*=")
_ONE_PART = re.compile(_PART)
_LONG_QUOTES = ('"""', "'''")


def split_path(dotted: str) -> tuple[str, ...]:
    """Split `a."b c".d` into its parts, without their quotes."""
    return tuple(part.strip("\"'") for part in _ONE_PART.findall(dotted))


def _places(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (line, full path) of every header and key; lines inside long strings are passed over."""
    section: tuple[str, ...] = ()
    inside = ""
    for line, content in enumerate(text.splitlines(), 1):
        if inside:
            inside = "" if content.count(inside) % 2 else inside
            continue
        if header := _HEADER.match(content):
            section = split_path(header[1])
            yield line, section
        elif key := _KEY.match(content):
            yield line, section + split_path(key[1])
        inside = next((quotes for quotes in _LONG_QUOTES if content.count(quotes) % 2), "")


def locate(text: str, section: str | Sequence[str] = "", key: str | None = None) -> int:
    """Return the line of `key` in `section` ("button.talk", or its parts), counted from 1.

    Where the key has no line of its own (it is missing, or stands in an inline table), the nearest place
    that holds it is given: the line of the inline table, of the section, or line 1.
    """
    wanted = split_path(section) if isinstance(section, str) else tuple(section)
    wanted += () if key is None else (key,)
    best_line, best_length = 1, 0
    for line, path in _places(text):
        shared = _shared_length(path, wanted)
        # A deeper neighbour ([button.mute] when [button] is asked for) also holds the section.
        if shared > best_length and shared == min(len(path), len(wanted)):
            best_line, best_length = line, shared
    return best_line


def _shared_length(left: tuple[str, ...], right: tuple[str, ...]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
