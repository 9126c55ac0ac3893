"""What the box says, sentence by sentence, in one language: a table per language in `languages/`.

    phrases.say("called_at", name="kitchen", when=...) -> "kitchen called at 14:05."

A sentence is chosen by its key; what is filled in (names, times) is only ever filled in, whatever characters it has.
"""

import string
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from callbox.base.errors import CallboxError, WrongUse
from callbox.base.settings import did_you_mean

_FOLDER = Path(__file__).parent / "languages"
DAY_MS = 24 * 3600 * 1000


class Phrases:
    """The sentences of one language. `sentences` and `links` come from its file."""

    def __init__(self, language: str, sentences: Mapping[str, str], links: Mapping[str, str]) -> None:
        self.language = language
        self._sentences = sentences
        self._links = links

    def __contains__(self, key: str) -> bool:
        return key in self._sentences

    def say(self, key: str, **words: object) -> str:
        """Return a sentence with its words filled in. Raises KeyError for one that is not there."""
        return self._sentences[key].format(**words)

    def chain(self, links: Iterable[str]) -> str:
        """Return the chain of reasons why a call did not ring; a link that has no translation stays as it is."""
        return ", ".join(self._links.get(link, link) for link in map(spoken_link, links))

    def time(self, local_ms: int) -> str:
        """Return the time of the day. `local_ms`: Unix milliseconds of local time."""
        minutes = local_ms // 60_000 % (24 * 60)
        key = "time" if minutes % 60 else "full_hour"
        return self.say(key, hour=minutes // 60, minute=f"{minutes % 60:02}")

    def when(self, local_ms: int, local_now_ms: int) -> str:
        """Return how a person would say when something was; both in Unix milliseconds of local time."""
        minutes = max(0, local_now_ms - local_ms) // 60_000
        days = local_now_ms // DAY_MS - local_ms // DAY_MS
        if minutes < 60:
            return self.say(("just_now", "minute_ago")[minutes] if minutes < 2 else "minutes_ago", count=minutes)
        if days > 1:
            return self.say("days_ago", count=days)
        return self.say("yesterday_at" if days else "at", time=self.time(local_ms))


def spoken_link(link: str) -> str:
    """Return a link of the chain without what is for the eye alone: `quiet hours (22:00-07:00)`."""
    return link.partition(" (")[0]


def languages() -> list[str]:
    """Return the languages that the box can speak."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_phrases(language: str) -> Phrases:
    """Return the sentences of a language. Raises WrongUse when there are none."""
    if language not in languages():
        hint = did_you_mean(language, languages())
        raise WrongUse(f"The box has no sentences in the language {language!r}.", f"[speech] language: {hint}")
    table = read_table(language)
    return Phrases(language, table["say"], table["why"])


def read_table(language: str) -> dict[str, dict[str, str]]:
    """Return a language's file: sentences under "say", links of the chain of reasons under "why"."""
    try:
        table = tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CallboxError(f"The sentences in the language {language!r} cannot be read: {error}.") from None
    return {part: {str(key): str(text) for key, text in table.get(part, {}).items()} for part in ("say", "why")}


def placeholders(sentence: str) -> set[str]:
    """Return the names of what is filled into a sentence."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}
