"""The life of one lane, as one table: the documentation and what the code runs on.

The session's own lane proves itself with Login and is up with Welcome; a media lane with JoinLane and LaneJoined.
Everything else is the same for both. `as_markdown` prints the table.
"""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    STOPPED = "stopped"  # not wanted
    WAITING = "waiting"  # the back-off runs
    OPENING = "opening"  # TCP, TLS and WebSocket handshakes
    GREETING = "greeting"  # open; the server's challenge is awaited
    PROVING = "proving"  # login or ticket sent; the answer is awaited
    UP = "up"


class Cause(StrEnum):
    STARTED = "started"
    STOPPED = "stopped"
    RETRY_DUE = "retry due"  # the back-off passed, or something said hurry
    OPENED = "opened"
    CHALLENGED = "challenged"
    ADMITTED = "admitted"
    FAILED = "failed"  # closed, timed out, refused, dead or talking nonsense


CONNECTED = frozenset({State.GREETING, State.PROVING, State.UP})
"""The states in which there is somebody at the other end. In all others, what a lane still reports is stale."""

TABLE: Mapping[State, Mapping[Cause, State]] = {
    State.STOPPED: {Cause.STARTED: State.OPENING},
    State.WAITING: {Cause.RETRY_DUE: State.OPENING, Cause.STOPPED: State.STOPPED},
    State.OPENING: {Cause.OPENED: State.GREETING, Cause.FAILED: State.WAITING, Cause.STOPPED: State.STOPPED},
    State.GREETING: {Cause.CHALLENGED: State.PROVING, Cause.FAILED: State.WAITING, Cause.STOPPED: State.STOPPED},
    State.PROVING: {Cause.ADMITTED: State.UP, Cause.FAILED: State.WAITING, Cause.STOPPED: State.STOPPED},
    State.UP: {Cause.FAILED: State.WAITING, Cause.STOPPED: State.STOPPED},
}
"""Where each cause leads. A cause that a row does not name cannot happen in it, or is stale and ignored."""


def as_markdown() -> str:
    """Return the table for a reader: one row per state, with its link."""
    lines = ["| state | link | " + " | ".join(Cause) + " |", "|---" * (len(Cause) + 2) + "|"]
    for state, ways in TABLE.items():
        link = "connected" if state in CONNECTED else "unconnected"
        cells = " | ".join(ways.get(cause, "") for cause in Cause)
        lines.append(f"| {state} | {link} | {cells} |")
    return "\n".join(lines)
