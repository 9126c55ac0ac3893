"""What `callbox doctor` says: findings, and the few words that all its judgements share."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from callbox.app.doctor_known import Held, NotLooked

Level = Literal["ok", "unknown", "warning", "fault"]
"""warning: works, but something will go wrong or goes badly; fault: something does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report, and the cure under it."""

    area: str
    level: Level
    what: str
    cure: str = ""


def is_well(findings: Iterable[Finding]) -> bool:
    """Say whether nothing is wrong; what could not be looked at counts for nothing."""
    return all(finding.level in ("ok", "unknown") for finding in findings)


def sentence(text: str) -> str:
    """Return words of any source as a sentence: a capital first, a full stop last."""
    text = text.strip()
    return text and text[0].upper() + text[1:] + ("" if text[-1] in ".!?)" else ".")


def not_looked(area: str, facts: NotLooked) -> list[Finding]:
    """Return the finding for an area that could not be looked at."""
    return [Finding(area, "unknown", f"Not looked at: {facts.why}.", facts.cure)]


def held(area: str, facts: Held, well: str) -> list[Finding]:
    """Return the finding for what a running box holds: it would say so if something were wrong."""
    if facts.faulty:
        return not_looked(area, NotLooked("the running box holds it, and reports the fault above"))
    return [Finding(area, "ok", well)]
