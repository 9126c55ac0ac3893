"""Settings files: read into a struct, with every problem at once, each with its file and line.

A settings file is described by a frozen `msgspec.Struct`: nested structs are sections, `dict[str, Struct]`
are families of sections (`[button.talk]`, `[button.mute]`), `Meta(description=..., ge=..., examples=...)`
says what a person may write. From that come the reader, its error sentences and the sample file.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from callbox.base.errors import WrongUse
from callbox.base.settings_sample import sample
from callbox.base.settings_types import allowed, struct_family, struct_within
from callbox.base.toml_lines import locate, split_path

__all__ = ["BadSettings", "Problem", "Problems", "did_you_mean", "load_settings", "locate", "sample"]

Settings = TypeVar("Settings", bound=msgspec.Struct)
Path = tuple[str, ...]
_AT_LINE = re.compile(r"\s*\(at (?:line (\d+), column \d+|end of document)\)")
_AT_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file: `file:line [section] key = value: sentence`."""

    file: str
    line: int
    place: str
    sentence: str

    def __str__(self) -> str:
        place = f" {self.place}" if self.place else ""
        return f"{self.file}:{self.line}{place}: {self.sentence}"


class BadSettings(WrongUse):
    """A settings file that cannot be used; `problems` holds everything that is wrong with it."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class Problems:
    """Collects what is wrong with one file and finds the lines."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.found: list[Problem] = []

    def add(self, section: str | Path, key: str | None, sentence: str, value: object = None) -> None:
        """Note a problem with `key` (None: with the whole section); `value` is what the file says."""
        path = split_path(section) if isinstance(section, str) else section
        place = f"[{'.'.join(path)}]" if path else ""
        if key is not None:
            written = key if value is None else f"{key} = {as_toml(value)}"
            place = f"{place} {written}".strip()
        self.found.append(Problem(self.file, locate(self.text, path, key), place, sentence))

    def parse(self) -> dict[str, Any]:
        """Return the file as nested dicts; what is not TOML becomes a problem and an empty dict."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            match = _AT_LINE.search(str(error))
            line = int(match[1]) if match and match[1] else max(1, len(self.text.splitlines()))
            sentence = f"This line cannot be read as TOML: {_AT_LINE.sub('', str(error))}."
            self.found.append(Problem(self.file, line, "", sentence))
            return {}

    def check(self, table: Mapping[str, Any], into: type[msgspec.Struct], path: Path = ()) -> None:
        """Compare `table`, found at `path`, with what the struct `into` allows."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(into)}
        for key, value in table.items():
            if key in fields:
                self._check_value(value, fields[key].type, path, key)
            elif isinstance(value, dict):
                self.add((*path, key), None, f"There is no such section. {did_you_mean(key, fields)}")
            else:
                self.add(path, key, f"There is no such setting. {did_you_mean(key, fields)}", value)
        for key, field in fields.items():
            if field.required and key not in table:
                self.add(path, None, f"`{key}` is missing. Give {allowed(field.type)}.")

    def _check_value(self, value: Any, kind: Any, path: Path, key: str) -> None:
        family = struct_family(kind)
        struct = family or struct_within(kind)
        if struct is not None and not isinstance(value, dict):
            name = ".".join((*path, key, *(("NAME",) if family else ())))
            self.add(path, key, f"This is a section: write [{name}] and its settings below.", value)
        elif struct is not None and family is None:
            self.check(value, struct, (*path, key))
        elif family is not None:
            for name, entry in value.items():
                self._check_value(entry, family, (*path, key), name)
        else:
            try:
                msgspec.convert(value, kind)
            except msgspec.ValidationError:
                self.add(path, key, f"This must be {allowed(kind)}.", value)

    def raise_any(self, error: type[BadSettings] = BadSettings) -> None:
        """Raise `error` with all problems, if there are any."""
        if self.found:
            raise error(self.found)


def load_settings(text: str, file: str, into: type[Settings]) -> Settings:
    """Read the TOML `text` of `file` into the struct `into`. Raises BadSettings with every problem."""
    problems = Problems(text, file)
    table = problems.parse()
    problems.raise_any()
    problems.check(table, into)
    problems.raise_any()
    try:
        return msgspec.convert(table, into)
    except msgspec.ValidationError as error:  # a rule in a struct's __post_init__
        match = _AT_PATH.search(str(error))
        section = split_path(match[1]) if match else ()
        problems.add(section, None, f"{_AT_PATH.sub('', str(error))}.")
        raise BadSettings(problems.found) from None


def did_you_mean(word: str, allowed_words: Iterable[str]) -> str:
    """Return the sentence that helps after a wrong word: the likely one, else all that are allowed."""
    words = list(allowed_words)
    if near := difflib.get_close_matches(word, words, n=1, cutoff=0.6):
        return f"Did you mean `{near[0]}`?"
    return f"Allowed here: {', '.join(sorted(words))}." if words else "Nothing is allowed here."


def as_toml(value: object) -> str:
    """Write a value as TOML would, cut to what fits an error line."""
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
