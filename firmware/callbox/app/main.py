"""Callbox from the outside: `run` is the whole life of a box, `main` the command line around it.

callbox run        wait for one thing to happen, decide once, do what was decided
callbox ...        see app.commands: what the buttons do, and what they cannot
"""

import io
import sys
from typing import TYPE_CHECKING

from callbox.base.errors import CallboxError

if TYPE_CHECKING:
    from callbox.app.box import Box
    from callbox.app.locked import LockedBox
    from callbox.app.world import World


async def run(box: "Box | LockedBox", world: "World") -> None:
    """Wait for one thing to happen, decide once, do what was decided."""
    while not box.finished:
        event = await world.next_event(until=box.deadline)  # a press, a message, an audio fact, or the clock
        for effect in box.handle(event, now=world.now()):
            world.perform(effect)  # never blocks; its outcome returns as an event


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 failed, 2 wrong use."""
    from callbox.app.commands import perform  # import time counts on a Pi
    from callbox.app.commands.plain import PLAIN

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)
    try:
        return perform(sys.argv[1:] if arguments is None else arguments)
    except CallboxError as error:
        said = f"{error.what}\n{error.cure}".strip()
        print("callbox: " + said.replace("\n", "\n         "), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
