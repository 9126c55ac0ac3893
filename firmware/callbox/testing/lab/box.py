"""A box as `callbox run` makes it, but for its sound card: numbered frames in place of sound, or a voice by the clock.

    python -m callbox.testing.lab.box FOLDER frames PACKET_MS BYTES    writes FOLDER/sent and FOLDER/arrived
    python -m callbox.testing.lab.box FOLDER voice WAV                 writes FOLDER/sound.npz and FOLDER/cycles.npy

Sealing, queues, lanes, transport, session and decisions are the real ones; with a voice, the whole sound engine is.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from callbox.app import main
from callbox.app.assembly import cleaning_of, open_box, transport_to
from callbox.app.boards import find_board
from callbox.app.control_socket import ControlSocket
from callbox.app.home import Home
from callbox.app.settings import BoxSettings
from callbox.app.world import World
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.devices.wav import read_wav
from callbox.audio.engine import Engine
from callbox.audio.facts import Command, Fact, FirstAudio, Open, OpenSound, Seal, SoundOpened, StartMedia, StopMedia
from callbox.audio.steps import STEPS
from callbox.base.queues import BoundedQueue
from callbox.base.time import Instant
from callbox.panel.pins import open_pins
from callbox.testing.lab.card import ClockCards
from callbox.testing.lab.frames import STAMP, write_times
from callbox.wire.media import FrameKind, PlainFrame, pack_plain, unpack_plain

_LONGEST_PAUSE_S = 0.05
_STEP_NUMBER = {step.name: number for number, step in enumerate(STEPS)}


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


class VoiceEngine(Engine):
    """The engine itself; after each cycle with media, what the jitter buffer did and which step is sent is noted."""

    def __init__(self, folder: Path, wav: Path, settings: BoxSettings, facts: Callable[[Fact], None]) -> None:
        super().__init__(ClockCards(read_wav(wav), folder), facts, cleaning_of(settings.sound))
        self._file = folder / "cycles.npy"
        self._noted: list[tuple[float, ...]] = []

    def cycle(self, now: Instant) -> float:
        pause_s = super().cycle(now)
        stats = self.stats()
        if stats.step_name:
            step = _STEP_NUMBER[stats.step_name]
            self._noted.append((now, stats.concealed, stats.delay_ms, stats.target_ms, stats.lost, step))
        elif self._noted:
            np.save(self._file, np.array(self._noted))
            self._noted.clear()
        return pause_s


def engine_for(folder: Path, settings: BoxSettings, kind: str, given: Sequence[str]) -> Callable[..., Engine]:
    """Return what makes the engine that the command line asks for."""
    if kind == "voice":
        return lambda facts: VoiceEngine(folder, Path(given[0]), settings, facts)
    return lambda facts: FrameEngine(folder, int(given[0]), int(given[1]), facts)


async def live(folder: Path, kind: str, given: Sequence[str]) -> None:
    """Be a box until the process is asked to end."""
    home = Home(folder)
    settings = home.settings()
    box, saved = open_box(home, settings)
    pins = open_pins(settings.panel.backend, find_board(settings.panel.board))
    make = engine_for(folder, settings, kind, given)
    world = World(saved.store, pins, make, transport_to(saved), ControlSocket(home.control_socket))
    await world.start()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, world.stopping)
    with contextlib.suppress(asyncio.CancelledError):
        await main.run(box, world)
    await world.stop()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
