"""The table of demands names files and tests that exist, and the honest pages say what they must say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / "seeds/README.md").read_text().splitlines() if line.startswith("| ")][1:]
NAMED = sorted({name for row in ROWS for name in re.findall(r"`([^`]+)`", row)})


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_there_are_demands() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize("row", ROWS, ids=lambda row: cells(row)[0][:40])
def test_a_demand_that_counts_as_met_has_a_place_and_a_test(row: str) -> None:
    _, place, shown_by, status = cells(row)
    assert status.split(":")[0] in ("met", "partly", "open")
    assert ":" in status or not status.startswith("partly"), "say what is missing"
    if not status.startswith("open"):
        assert place
        assert "tests/" in shown_by


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).exists()
    if test:
        assert re.search(rf"def {test}\(", (ROOT / path).read_text()), f"{path} has no {test}"


@pytest.mark.parametrize("page", ["PRIVACY.md", "SECURITY.md"])
def test_the_honest_pages_say_that_there_are_no_emergency_calls(page: str) -> None:
    assert "no emergency calls" in (ROOT / page).read_text()


def test_security_says_that_nobody_outside_has_reviewed_it() -> None:
    assert "not been reviewed" in (ROOT / "SECURITY.md").read_text()
