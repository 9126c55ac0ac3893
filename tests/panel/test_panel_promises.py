"""What the panel promises: each promise in this folder's guide names tests that exist and run with `make test`."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TITLE = "## What the panel promises, and which story shows it"
NOT_WITH_MAKE_TEST = re.compile(r"^@pytest\.mark\.(soak|bench|skip|package|machine)\b", re.MULTILINE)
TEST = re.compile(r"^((?:@.*\n(?:[ )\]].*\n)*)*)def (test_\w+)", re.MULTILINE)  # its decorators, and its name


def promises() -> list[str]:
    """Return the rows of the tables of promises, without their heads."""
    section = (TESTS / "README.md").read_text().partition(TITLE)[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [row for table in tables for row in table.splitlines()[2:]]


def names_that_run() -> set[str]:
    """Return the names of all tests but those that are marked, as a whole, for another make target."""
    found = (test for file in TESTS.rglob("test_*.py") for test in TEST.findall(file.read_text()))
    return {name for decorators, name in found if not NOT_WITH_MAKE_TEST.search(decorators)}


def test_each_promise_is_kept_by_tests_that_run() -> None:
    rows, run = promises(), names_that_run()
    assert len(rows) > 60
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert bool(named) != row.endswith("| not built yet |"), f"nothing shows this: {row}"
        assert set(named) <= run, f"no such test runs with make test: {set(named) - run}"
