"""CALLS.md from the transition table: a Mermaid drawing of the states, then every row in words.

python -m callbox.calls.diagram > firmware/callbox/calls/CALLS.md
"""

import inspect
from collections.abc import Iterator
from itertools import groupby

from callbox.base.reasons import Reason
from callbox.calls.reasons import TOLD
from callbox.calls.state import State, Timing
from callbox.calls.table import EITHER, ROWS, Row

HEAD = """\
# One call

Generated from `table.py` by `python -m callbox.calls.diagram`; a test fails when it is stale.

`Calls.handle(event, now)` takes one event and returns effects. An event about another call than the present one
(silenced, crossed, over, unknown) goes to `strays.py` and never rings. An event that is not in a state's table means
nothing there (`WITHOUT_MEANING`). "connected" and "lost" are the link's state when the event came; no word: both.
"""


def drawing() -> str:
    """Return the state diagram in Mermaid: one arrow per pair of states, labelled with what causes it."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in ROWS:
        for target in row.leads_to:
            if target is not row.state:
                arrows.setdefault((row.state, target), []).append(_label(row))
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> idle"]
    lines += [f"    {start} --> {end}: {'<br/>'.join(labels)}" for (start, end), labels in arrows.items()]
    return "\n".join([*lines, "```"])


def rows() -> Iterator[str]:
    """Yield the table of each state in Markdown."""
    for state, group in groupby(ROWS, key=lambda row: row.state):
        yield f"\n### {state.capitalize()}\n"
        yield "| event | link | what happens | leads to |\n|---|---|---|---|"
        for row in group:
            link = "" if row.link is EITHER else row.link
            yield f"| {row.event.__name__} | {link} | {words(row)} | {', '.join(row.leads_to)} |"


def words(row: Row) -> str:
    """Return the first paragraph of the handler's docstring on one line."""
    return " ".join((inspect.getdoc(row.handler) or "").split("\n\n")[0].split())


def reasons() -> Iterator[str]:
    """Yield the table of reasons and of what the other side is told."""
    yield "| reason (here) | told (there) |\n|---|---|"
    for reason in Reason:
        told = TOLD[reason]
        yield f"| {reason} | {'nothing' if told is None else told} |"


def limits() -> Iterator[str]:
    """Yield the time limits."""
    yield "| limit | seconds |\n|---|---|"
    timing = Timing()
    for name in Timing.__slots__:
        yield f"| {name.removesuffix('_s').replace('_', ' ')} | {getattr(timing, name):g} |"


def document() -> str:
    """Return CALLS.md."""
    parts = [HEAD, drawing(), "\n## Every row", *rows(), "\n## What the other side is told\n", *reasons()]
    return "\n".join([*parts, "\n## Time limits\n", *limits()]) + "\n"


def _label(row: Row) -> str:
    return row.event.__name__ if row.link is EITHER else f"{row.event.__name__} ({row.link})"


if __name__ == "__main__":
    print(document(), end="")
