"""A box as `callbox run` makes it, but for its sound: frames with their number and time, noted where they arrive.

    python -m callbox.testing.lab.box FOLDER PACKET_MS BYTES      writes FOLDER/sent and FOLDER/arrived

Sealing, queues, lanes, transport, session and decisions are the real ones.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from callbox.app import main
from callbox.app.assembly import open_box, transport_to
from callbox.app.boards import find_board
from callbox.app.control_socket import ControlSocket
from callbox.app.home import Home
from callbox.app.world import World
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import Command, Fact, FirstAudio, Open, OpenSound, Seal, SoundOpened, StartMedia, StopMedia
from callbox.base.queues import BoundedQueue
from callbox.base.time import Instant
from callbox.panel.pins import open_pins
from callbox.testing.lab.frames import STAMP, write_times
from callbox.wire.media import FrameKind, PlainFrame, pack_plain, unpack_plain

_LONGEST_PAUSE_S = 0.05


class StampingQueue(BoundedQueue[bytes]):
    """Notes when each sealed frame came."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.stamped: list[tuple[Instant, bytes]] = []

    def put(self, item: bytes) -> bool:
        self.stamped.append((time.monotonic(), item))
        return True


class FrameEngine(Engine):
    """Makes a sealed frame every `packet_ms` while there is media."""

    def __init__(self, folder: Path, packet_ms: int, payload_bytes: int, facts: Callable[[Fact], None]) -> None:
        super().__init__(SimulatedDevices([]), facts)
        self._stamps = StampingQueue(1)
        self.inbound = self._stamps
        self._folder = folder
        self._packet_s = packet_ms / 1000
        self._payload_bytes = payload_bytes
        self._keys: tuple[Seal, Open] | None = None
        self._next_at: Instant = 0.0
        self._number = 0
        self._tell = facts
        self.sent: dict[int, Instant] = {}
        self.arrived: dict[int, Instant] = {}

    def cycle(self, now: Instant) -> float:
        for command in self._commands.drain():
            self._obey(command, now)
        if self._keys is None:
            return 3600.0
        seal, open_ = self._keys
        while self._next_at <= now:
            self._send(seal, now)
            self._next_at += self._packet_s
        taken, self._stamps.stamped = self._stamps.stamped, []
        for came_at, sealed in taken:
            self._take(open_, came_at, sealed)
        return max(1e-4, min(_LONGEST_PAUSE_S, self._next_at - time.monotonic()))

    def save(self) -> None:
        """Write down what is known."""
        write_times(self._folder / "sent", self.sent)
        write_times(self._folder / "arrived", self.arrived)

    def _obey(self, command: Command, now: Instant) -> None:
        match command:
            case OpenSound():
                self._tell(SoundOpened(0.0))
            case StartMedia(seal=seal, open=open_):
                self._keys, self._next_at = (seal, open_), now
                self.sent, self.arrived = {}, {}
            case StopMedia() if self._keys is not None:
                self._keys = None
                self.save()

    def _send(self, seal: Seal, now: Instant) -> None:
        self._number += 1
        payload = STAMP.pack(self._number, now).ljust(self._payload_bytes, b"\1")
        frame = PlainFrame(FrameKind.VOICE, self._number, payload)
        self.sent[self._number] = now
        self.outbound.put((now, seal(pack_plain(frame, len(payload) + 8))))
        self.on_outbound()

    def _take(self, open_: Open, came_at: Instant, sealed: bytes) -> None:
        plain = open_(sealed)
        if plain is None:
            return
        number, _ = STAMP.unpack_from(unpack_plain(plain).payload)
        if not self.arrived:
            self._tell(FirstAudio())
        self.arrived.setdefault(number, came_at)


async def live(folder: Path, packet_ms: int, payload_bytes: int) -> None:
    """Be a box until the process is asked to end."""
    home = Home(folder)
    settings = home.settings()
    box, saved = open_box(home, settings)
    pins = open_pins(settings.panel.backend, find_board(settings.panel.board))
    engines: list[FrameEngine] = []

    def make(facts: Callable[[Fact], None]) -> Engine:
        engines.append(FrameEngine(folder, packet_ms, payload_bytes, facts))
        return engines[-1]

    world = World(saved.store, pins, make, transport_to(saved), ControlSocket(home.control_socket))
    await world.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, world.stopping)
    with contextlib.suppress(asyncio.CancelledError):
        await main.run(box, world)
    await world.stop()
    for engine in engines:
        engine.save()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
