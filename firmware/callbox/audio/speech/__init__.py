"""Voices: what turns a sentence into sound. Each other file in this folder is one member of the family.

    text, language -> Voice.say -> spoken PCM (mono, 48 kHz) -> PlaySpeech -> mixer

`say` takes as long as it takes, so it is called on a thread that nothing else waits for. What it is given may have been
written by anybody: `harmless` leaves nothing in it that a synthesizer would obey instead of saying it. A member is a
module with `voice(**options) -> Voice`; `open_voice(name)` finds it by its file name.
"""

import unicodedata
from importlib import import_module
from typing import Protocol, cast

from callbox.base.errors import CallboxError
from callbox.base.frames import Samples

MOST_CHARACTERS = 1000  # of one piece; what is longer comes in several


class SpeechFault(CallboxError):
    """A voice could not say something. `lasting`: it will not be able to say anything else either."""

    def __init__(self, what: str, cure: str = "", lasting: bool = False) -> None:
        super().__init__(what, cure)
        self.lasting = lasting


class Voice(Protocol):
    """Called from one thread at a time."""

    def say(self, text: str, language: str) -> Samples:
        """Return `text` spoken in `language` ("en"), empty if there is nothing in it to say. Raises SpeechFault."""
        ...


def harmless(text: str) -> str:
    """Return `text` as plain words on one line: nothing invisible, no commands and no phonemes for a synthesizer.

    Control characters would be embedded commands (espeak's is U+0001); two square brackets would begin phonemes.
    """
    plain = "".join(_spoken(character) for character in text[:MOST_CHARACTERS])
    return " ".join(plain.replace("[", " ").replace("]", " ").split())


def _spoken(character: str) -> str:
    return " " if unicodedata.category(character)[0] in "CZ" else character


def open_voice(name: str, **options: object) -> Voice:
    """Return the voice of the file `name`. Raises CallboxError if there is none."""
    try:
        module = import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise CallboxError(f"there is no voice {name!r}", "there are: espeak, none, simulated") from None
    return cast(Voice, module.voice(**options))
