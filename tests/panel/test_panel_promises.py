"""What the panel promises: each promise in this folder's guide names tests that exist and run with `make test`."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
TITLE = "## What the panel promises, and which story shows it"
NOT_WITH_MAKE_TEST = {"soak", "bench", "skip", "package", "machine"}


def promises() -> list[str]:
    """Return the rows of the tables of promises, without their heads."""
    section = (TESTS / "README.md").read_text().partition(TITLE)[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [row for table in tables for row in table.splitlines()[2:]]


def names_that_run() -> set[str]:
    """Return the names of all tests but those that are marked, as a whole, for another make target."""
    found: set[str] = set()
    for file in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                marks = {ast.unparse(mark).partition("(")[0].rpartition(".")[2] for mark in node.decorator_list}
                found |= set() if marks & NOT_WITH_MAKE_TEST else {node.name}
    return found


def test_each_promise_is_kept_by_tests_that_run() -> None:
    rows, run = promises(), names_that_run()
    assert len(rows) > 60
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert bool(named) != row.endswith("| not built yet |"), f"nothing shows this: {row}"
        assert set(named) <= run, f"no such test runs with make test: {set(named) - run}"
