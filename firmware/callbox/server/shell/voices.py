"""The voice's way through the server: from the connection that brought it to those of its peer, past the core.

    connection --> core.relay: whose? --> Spread of that peer --> its connections, as they move

What a frame costs here is what a call costs the server.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from callbox.base.time import Instant
from callbox.server.relay import Onward, Outlet
from callbox.server.shell.connection import Connection

_EARLIER_S = 0.002


@dataclass(slots=True)
class _Wake:
    due: Instant
    handle: asyncio.TimerHandle


class Voices:
    """Passes frames on, and looks again when an acknowledgement is overdue."""

    def __init__(self, connections: Mapping[int, Connection]) -> None:
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._wakes: dict[int, _Wake] = {}

    def pass_on(self, onward: Onward, source: Connection) -> None:
        """Send these frames to their peer."""
        if onward.hurry:
            source.acknowledge()
        if onward.frames:
            self._pump(onward.outlet, onward.frames)

    def _pump(self, outlet: Outlet, frames: list[bytes]) -> None:
        now, spread, connections = self._loop.time(), outlet.spread, self._connections
        for lane in spread.look_at(now):
            known = connections.get(lane)
            spread.note(lane, known.facts() if known is not None else None, now)
        for lane, message in spread.send([(now, frame) for frame in frames], self._free, now):
            connections[lane].send_voice(message)
        for lane in spread.worn_out(now):
            if (known := connections.get(lane)) is not None:
                known.abort()
        self._wake_at(outlet, spread.deadline)

    def _free(self, lane: int) -> bool:
        known = self._connections.get(lane)
        return known is not None and known.takes_voice

    def _wake_at(self, outlet: Outlet, due: Instant | None) -> None:
        """Look again at `due`. One timer per outlet is left to run out: most often nothing is overdue by then."""
        known = self._wakes.get(id(outlet))
        if due is None or (known is not None and known.due <= due + _EARLIER_S):
            return
        if known is not None:
            known.handle.cancel()
        self._wakes[id(outlet)] = _Wake(due, self._loop.call_at(due, self._woken, outlet))

    def _woken(self, outlet: Outlet) -> None:
        del self._wakes[id(outlet)]
        self._pump(outlet, [])
