"""What sentences and pages tell a person to type must exist."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from callbox.app.commands import parser

ROOT = Path(__file__).parents[2]
OTHER_WORDS = {"server"}  # has a parser of its own
NOT_TOLD = {"timeline", "store"}  # the name of a report's section, the mark in the store's file


def commands() -> set[str]:
    choices = [action.choices for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {str(name) for names in choices for name in names or ()} | OTHER_WORDS


def told() -> Iterator[tuple[str, str]]:
    """Every `callbox WORD` in a code span or a string, with its file."""
    for path in [*ROOT.glob("*.md"), *ROOT.glob("firmware/**/*.md"), *ROOT.glob("hw/*.md"), *ROOT.glob("systemd/*.md")]:
        for span in re.findall(r"`([^`\n]+)`", path.read_text("utf-8")):
            yield from ((path.name, word) for word in re.findall(r"^callbox ([a-z]+)", span))
    for path in ROOT.glob("firmware/callbox/**/*.py"):
        words = re.findall(r"(?:`|: |\")callbox ([a-z]+)(?=[ `\".])", path.read_text("utf-8"))
        yield from ((path.name, word) for word in words if word not in NOT_TOLD)


def test_every_command_that_is_told_exists() -> None:
    found = list(told())
    assert len(found) > 30
    missing = {(file, word) for file, word in found if word not in commands()}
    assert not missing


@pytest.mark.parametrize("word", ["dance", "unplug"])
def test_the_search_would_notice(word: str) -> None:
    assert word not in commands()
