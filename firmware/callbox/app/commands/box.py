"""Commands that make a box and run it: join, run."""

import asyncio
import logging
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from callbox.app import priority
from callbox.app.client import NotRunning
from callbox.app.commands.words import Adder, Options, home_of, progress
from callbox.app.home import Home
from callbox.base.errors import CallboxError

if TYPE_CHECKING:
    from callbox.app.box import Box
    from callbox.app.locked import LockedBox
    from callbox.app.world import World

LOCK_PATIENCE_S = 10.0
RETRY_S = 0.1


def add(adder: Adder) -> None:
    """Add these commands."""
    run = adder.add("run", "run the box (what the systemd unit starts)", _run, "callbox run --home ~/kitchen")
    run.add_argument("--config", metavar="F", type=Path, help="settings file (default: box.toml in the box's folder)")
    run.add_argument("--verbose", action="store_true", help="log more")
    join = adder.add(
        "join",
        "make this box's identity, and enrol it with a server or link it to a box",
        _join,
        'callbox join "callbox-invite:..."',
    )
    join.add_argument("invite", help="the line that `callbox server invite` or `callbox link` printed")


def _run(options: Options) -> int:
    from callbox.app.assembly import open_locked_world, open_world
    from callbox.app.main import run
    from callbox.notify import feed_watchdog, notify

    home = home_of(options)
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(levelname)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)

    async def live(box: "Box | LockedBox", world: "World") -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, world.stopping)
        await world.start()
        notify("READY=1")
        watchdog = loop.create_task(feed_watchdog(world))
        try:
            await run(box, world)
        finally:
            watchdog.cancel()
            if getattr(box, "key", None) is None:  # one that was just unlocked goes on
                notify("STOPPING=1")
            await world.stop()

    async def life() -> None:
        key = None
        if home.sealed_key.exists():
            locked, waiting = open_locked_world(home, options.config)
            notify("STATUS=Locked: waiting for `callbox unlock`")
            await live(locked, waiting)
            key = locked.key
            if key is None:
                return
            notify("STATUS=")
        await live(*open_world(home, options.config, key))

    _lock(home)
    priority.hurry(priority.LOOP)
    asyncio.run(life())
    return 0


def _lock(home: Home) -> None:
    """Take the folder of a box; one that is being made, or in use by another command, is awaited."""
    give_up_at = time.monotonic() + LOCK_PATIENCE_S
    while not (home.holds_box and home.lock()):
        if time.monotonic() >= give_up_at:
            if not home.holds_box:
                raise NotRunning(home)
            raise CallboxError(f"A box already runs in {home.folder}.", "Stop it first, or name another folder: --home")
        time.sleep(RETRY_S)


def _join(options: Options) -> int:
    from callbox.app.joining import join
    from callbox.app.numbers_aloud import NumbersAloud
    from callbox.wire.cards import parse_invite

    invite = parse_invite(options.invite)
    home = home_of(options)
    home.prepare()
    if not home.lock():
        raise CallboxError(f"A box runs in {home.folder}.", "Name another folder for this one: --home")
    progress(f"joining {invite.server} as {invite.name} ...")
    aloud = NumbersAloud(home.settings(), progress)

    def show(numbers: str) -> None:
        print(f"The other box shows the same numbers, or something is wrong:  {numbers}\nSay so there, and wait.")
        sys.stdout.flush()
        aloud.say(numbers)

    try:
        account = asyncio.run(join(home, invite, show))
    finally:
        aloud.stop()
    home.unlock()
    print(f"This box is {account} now. Its folder is {home.folder}; its settings are in {home.settings_file}.")
    return 0
