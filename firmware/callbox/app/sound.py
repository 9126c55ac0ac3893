"""The audio thread: runs the engine's cycle, one frame after another, for as long as the process lives.

Idle (no sound device open) the thread sleeps until a command wakes it; every few seconds it looks whether a card was
plugged in or pulled, which costs next to nothing and tells a person before the next call does. During a call Python's
garbage collector is frozen and off, so that it cannot stop the voice; it collects when the call is over.
"""

import gc
import logging
import threading
import time
from collections.abc import Callable

from callbox.app import priority
from callbox.audio.devices.cards import plugged
from callbox.audio.engine import Engine
from callbox.audio.facts import Command, LookAgain
from callbox.base.time import Instant

logger = logging.getLogger(__name__)
WATCH_EVERY_S = 5.0


class SoundThread:
    """Runs `engine` on a thread of its own.

    `busy_since` is when the cycle now running began, None while the thread sleeps because there is nothing to do.
    """

    def __init__(self, engine: Engine, crashed: Callable[[str], None]) -> None:
        self.busy_since: Instant | None = None
        self._engine = engine
        self._crashed = crashed
        self._there = plugged()
        self._wake = threading.Event()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="audio", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def command(self, command: Command) -> None:
        """Hand over a command and wake the thread."""
        self._engine.command(command)
        self._wake.set()

    def stop(self) -> None:
        """End the thread; a sound library that hangs is left behind with the process."""
        self._ending = True
        self._wake.set()
        self._thread.join(timeout=2.0)

    def _run(self) -> None:
        priority.hurry(priority.AUDIO)
        while not self._ending:
            try:
                self._cycle()
            except Exception as error:  # the thread must outlive any single fault
                logger.exception("audio cycle failed")
                self._crashed(str(error))
                self._wake.wait(1.0)

    def _cycle(self) -> None:
        self.busy_since = now = time.monotonic()
        pause_s = self._engine.cycle(now)
        if pause_s <= 0:
            if gc.isenabled():
                gc.collect()
                gc.freeze()
                gc.disable()
            return
        if not gc.isenabled() and pause_s > 1:
            gc.enable()
            gc.unfreeze()
        self.busy_since = None
        self._wake.wait(min(pause_s, WATCH_EVERY_S))
        self._wake.clear()
        if pause_s > 1:
            before, self._there = self._there, plugged()
            if self._there != before:
                self._engine.command(LookAgain())
