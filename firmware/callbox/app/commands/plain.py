"""What a terminal shows that lacks a letter, as in an old locale: signs that still tell lit from dark, else `?`."""

import codecs

PLAIN = "callbox-plain"
_SIGNS = {"●": "*", "○": "-", "▮": "#", "▯": ".", "Ω": "ohm"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SIGNS.get(letter, "?") for letter in error.object[error.start : error.end]), error.end


codecs.register_error(PLAIN, _plain)
