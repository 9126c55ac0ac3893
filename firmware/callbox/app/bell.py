"""A bell between two threads: rung on one, heard on the loop's, as often as every 10 ms.

`call_soon_threadsafe` makes a handle and a context for every call, and reads its pipe until that raises; this reads one
number of the kernel's (eventfd). Rings that come before the bell was heard are heard as one.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable


class Bell:
    """Make it, and `close` it, on the loop's thread; `ring` from any."""

    def __init__(self, heard: Callable[[], None]) -> None:
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._rings = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._loop.add_reader(self._rings, self._hear)

    def ring(self) -> None:
        """Have `heard` called soon; a closed bell is silent."""
        if self._rings >= 0:
            with contextlib.suppress(OSError):
                os.eventfd_write(self._rings, 1)

    def close(self) -> None:
        rings, self._rings = self._rings, -1
        if rings >= 0:
            self._loop.remove_reader(rings)
            os.close(rings)

    def _hear(self) -> None:
        os.eventfd_read(self._rings)
        self._heard()
