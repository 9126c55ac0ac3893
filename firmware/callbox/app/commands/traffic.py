"""`callbox usage`: bytes of calls per month. `callbox trace`: when which packet of the present call comes."""

import json
from collections.abc import Mapping
from typing import Any

from callbox.app import client
from callbox.app.commands.asking import ask_or_open
from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts


def add(adder: Adder) -> None:
    """Add these commands."""
    usage = adder.add("usage", "say how many bytes calls took, per month", _usage, "callbox usage")
    usage.description = "Say how many bytes calls took, per month; headers of the network are counted, about."
    add_json(usage)
    trace = adder.add(
        "trace",
        "print when which packet of the present call comes, as JSON lines",
        _trace,
        "callbox trace > bad-call.jsonl",
    )
    trace.description = (
        "Print when which packet of the present call comes, until it ends: times, numbers and sizes, no sound. "
        "To hear what the network did: python -m callbox.testing.replay FILE --out heard.wav"
    )


def _usage(options: Options) -> int:
    facts = ask_or_open(options, "usage")
    print_facts(options, facts, table(facts))
    return 0


def table(facts: Mapping[str, Any]) -> str:
    """Return one line for each month, and one for the present or latest call."""
    lines = [
        f"{name}  {month['calls']:>5} calls  {_mb(month['sent'])} sent  {_mb(month['received'])} received"
        for name, month in facts["months"].items()
    ]
    call = facts["call"]
    if call["sent"]:
        lines.append(f"last call            {_mb(call['sent'])} sent  {_mb(call['received'])} received")
    return "\n".join(lines) or "No call so far."


def _mb(count: int) -> str:
    return f"{count / 1e6:9.1f} MB"


def _trace(options: Options) -> int:
    try:
        for reply in client.ask(home_of(options), "trace"):
            for arrival in client.checked(reply).get("arrivals", ()):
                print(json.dumps(arrival), flush=True)
    except KeyboardInterrupt:
        pass
    return 0
