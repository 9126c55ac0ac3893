"""A box for the length of one command: `allow`, `message`, `messages` ... while no box runs in the folder.

It is the very same `Box`, without panel and sound, and deaf to calls. If the command changed something that the server
should know, it stays until the server knows, ten seconds at most.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from callbox.app.assembly import open_box, transport_to
from callbox.app.box import Box
from callbox.app.events import Asked
from callbox.app.home import Home
from callbox.app.main import run
from callbox.app.world import Events, World
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import Fact
from callbox.panel.pins import open_pins

ASK, THEN = 1, 2


class _Replies:
    """Stands where the control socket is: asks from within, replies kept."""

    def __init__(self) -> None:
        self.replies: dict[int, Mapping[str, Any]] = {}
        self.answered = asyncio.Event()

    async def start(self, events: Events) -> None:
        """Take where asks are to be told."""
        self._happened = events

    async def stop(self) -> None:
        """Nothing is open."""

    def answer(self, ask: int, reply: Mapping[str, Any], done: bool) -> None:
        """Keep the last reply."""
        if done:
            self.replies[ask] = reply
            self.answered.set()

    async def ask(self, number: int, what: str, words: Mapping[str, Any]) -> Mapping[str, Any]:
        """Ask, and wait for the last reply."""
        self.answered.clear()
        self._happened(Asked(number, what, words))
        while number not in self.replies:
            await self.answered.wait()
            self.answered.clear()
        return self.replies[number]


def ask_folder(home: Home, what: str, words: Mapping[str, Any], then: str = "") -> dict[str, Any]:
    """Open the box of a folder that is locked for this process, ask one thing, and close it again.

    `then`: an ask that is answered once the server knows (`synced`, `sent`); its outcome becomes `told`.
    """
    logging.getLogger("callbox").setLevel(logging.CRITICAL)  # the reply says what matters
    try:
        return asyncio.run(_ask(home, what, words, then))
    finally:
        home.unlock()


async def _ask(home: Home, what: str, words: Mapping[str, Any], then: str) -> dict[str, Any]:
    box, saved = open_box(home, home.settings())
    box.calling.deaf = True
    replies = _Replies()
    world = World(saved.store, open_pins("simulated", box.board), _silent_engine, transport_to(saved), replies)
    await world.start()
    living = asyncio.create_task(run(box, world))
    try:
        reply = dict(await replies.ask(ASK, what, words))
        if then and reply.get("ok"):
            later = await replies.ask(THEN, then, reply)
            reply |= {"told": bool(later.get("ok"))} | {name: later[name] for name in ("state",) if name in later}
        await _stored(box)
        if not (reply.get("ok") or box.core.ledger.idle):  # what waits for the card ends with this box
            why = (box.core.ledger.fault or "").partition("\n")[0]
            reply |= {"error": f"This could not be stored. {why}", "cure": "Nothing was changed. Say it again then."}
        return reply
    finally:
        world.stopping()
        await living
        await world.stop()


def _silent_engine(facts: Callable[[Fact], None]) -> Engine:
    return Engine(SimulatedDevices([]), facts)


async def _stored(box: Box) -> None:
    """Wait until everything is on disk, as long as the disk takes it."""
    while not box.core.ledger.idle and box.core.ledger.fault is None:
        await asyncio.sleep(0.005)
