"""The real world of a box: one asyncio loop with network, panel and control socket; an audio thread; a store thread.

`perform` never blocks: what takes time runs elsewhere and its outcome comes back as an event. The simulated world of
`callbox.testing` performs the same effects.

    control socket, transport, pins, audio thread, store thread --events--> queue --> Box.handle --> perform
    audio thread --sealed frames--> Voice --> transport          transport --> Voice --> audio thread's inbound queue
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.bell import Bell
from callbox.app.health import Vitals, ailment
from callbox.app.sound import SoundThread
from callbox.app.speech import SpeechThread
from callbox.app.voice import Voice
from callbox.audio import facts as audio
from callbox.audio.engine import Engine
from callbox.audio.speech import Voice as SpeechVoice
from callbox.audio.speech.none import NoVoice
from callbox.base.errors import CallboxError
from callbox.base.time import TRUSTED_AFTER_MS, Instant
from callbox.conversations.stores import Store, StoreFault
from callbox.link.events import (
    CloseLane,
    LaneDown,
    LaneEffect,
    LaneUp,
    MediaReceived,
    OpenLane,
    PingLane,
    SendOnLane,
    TransportEvent,
)
from callbox.link.transports import Events as TransportEvents
from callbox.link.transports import Transport, perform
from callbox.panel.pins import Pins
from callbox.panel.pins.simulated import SimulatedPins

logger = logging.getLogger("callbox")
WALL_JUMP_MS = 500
BEST_LINK_QUALITY = 70  # in /proc/net/wireless, as the Pi's driver counts it
Events = Callable[[happened.Event], None]


def wall_clock_ms() -> int:
    """Return Unix time in ms, as the system's clock has it."""
    return time.time_ns() // 1_000_000


def wifi_percent(wireless: Path = Path("/proc/net/wireless")) -> int | None:
    """Return the best link quality that the kernel tells of any Wi-Fi, in percent; None without one."""
    try:
        lines = wireless.read_text().splitlines()[2:]
        found = [float(line.split()[2].rstrip(".")) for line in lines if line.strip()]
    except (OSError, ValueError, IndexError):
        return None
    return min(100, round(100 * max(found) / BEST_LINK_QUALITY)) if found else None


def clock_trusted() -> bool:
    """Say whether somebody has set the clock since the start: a Pi without a battery begins in 1970."""
    return wall_clock_ms() >= TRUSTED_AFTER_MS


class Asking(Protocol):
    """Where asks come from: the control socket, or one command."""

    async def start(self, events: Events) -> None:
        """Begin to tell of asks."""
        ...

    async def stop(self) -> None:
        """Tell of no more asks."""
        ...

    def answer(self, ask: int, reply: Mapping[str, Any], done: bool) -> None:
        """Hand on one reply; with `done` it is the last one of this ask."""
        ...


class World:
    """Performs a box's effects and brings it what happens."""

    def __init__(
        self,
        store: Store,
        pins: Pins,
        make_engine: Callable[[Callable[[audio.Fact], None]], Engine],
        make_transport: Callable[[TransportEvents], Transport],
        socket: Asking,
        speech_voice: SpeechVoice | None = None,
        open_vault: Callable[[str], bytes] | None = None,
    ) -> None:
        self._open_vault = open_vault
        self._store, self._pins, self._socket = store, pins, socket
        self._loop = asyncio.get_running_loop()
        self._engine = make_engine(self._from_thread)
        self._queue: asyncio.Queue[happened.Event] = asyncio.Queue()
        self._transport = make_transport(self._from_transport)
        self._voice = Voice(self._engine, self._transport, self.now, self._wake)
        self._bell = Bell(self._voice.pump)
        self._sound = SoundThread(self._engine, self._sound_crashed)
        self._speech = SpeechThread(speech_voice or NoVoice(), self._from_thread)
        self._store_thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._wall_offsets: tuple[int, int] | None = None
        self._probed_at: Instant | None = None
        self._unstored, self._store_moved_at = 0, -math.inf
        self._performers: dict[type, Callable[[Any], None]] = {
            OpenLane: self._to_lane,
            SendOnLane: self._to_lane,
            PingLane: self._to_lane,
            CloseLane: self._to_lane,
            LaneUp: lambda effect: self._voice.lane_up(effect.lane),
            LaneDown: lambda effect: self._voice.lane_down(effect.lane),
            MediaReceived: lambda effect: None,  # the voice took its messages before they came to the link
            do.Commit: self._commit,
            do.ReadSound: self._read_sound,
            do.OpenVault: self._try_passphrase,
            do.SettleStore: lambda effect: self._settle_store(),
            do.LookAtSignal: lambda effect: self._happened(happened.SignalSeen(wifi_percent())),
            do.Readdress: lambda effect: self._transport.readdress(effect.address),
            do.ShowLights: lambda effect: self._pins.show(effect.levels),
            do.AttachRoute: lambda effect: self._voice.attach(effect.route, effect.copies),
            do.DetachRoute: lambda effect: self._voice.detach(),
            do.Speak: self._speech.speak,
            do.Answer: lambda effect: self._socket.answer(effect.ask, effect.reply, effect.done),
            do.MoveButton: self._move_button,
            do.Log: lambda effect: logger.log(getattr(logging, effect.level.upper()), effect.text),
        }

    # --- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open everything that brings events."""
        self._engine.on_outbound = self._bell.ring
        self._pins.start(lambda button, pressed: self._from_thread(happened.ButtonMoved(button, pressed, self.now())))
        self._sound.start()
        self._speech.start()
        await self._socket.start(self._happened)
        self._happened(happened.Started())

    async def stop(self) -> None:
        """Close everything, the store last and only when it has written all it was given."""
        await self._socket.stop()
        self._transport.shutdown()
        self._sound.stop()
        self._bell.close()
        self._speech.stop()
        self._pins.close()
        self._store_thread.shutdown(wait=True)
        self._store.close()

    def now(self) -> Instant:
        """Return the time that deadlines are compared with."""
        return time.monotonic()

    async def next_event(self, until: Instant | None) -> happened.Event:
        """Return what happened next, or Ticked at `until`."""
        self._probed_at = None  # who asks for the next event has handled the one before
        jump = self._wall_jump()
        if jump is not None:
            return jump
        if until is None:
            return await self._queue.get()
        timeout_s = until - self.now()
        if timeout_s <= 0 and self._queue.empty():
            return happened.Ticked()
        try:
            return await asyncio.wait_for(self._queue.get(), max(0.0, timeout_s))
        except TimeoutError:
            return happened.Ticked()

    def perform(self, effect: do.Effect) -> None:
        """Do what the box wants. Audio commands go to the audio thread, all else has its performer."""
        if isinstance(effect, audio.Command):
            self._sound.command(effect)
        else:
            self._performers[type(effect)](effect)

    def stopping(self) -> None:
        """Tell the box that the process was asked to end."""
        self._happened(happened.Stopping())

    @property
    def vitals(self) -> Vitals:
        """Since when each part of this world owes something."""
        return Vitals(
            loop_owes_since=self._probed_at,
            sound_owes_since=self._sound.busy_since,
            store_owes_since=self._store_moved_at if self._unstored else None,
        )

    def ailment(self) -> str:
        """Return which part hangs, as a sentence; "" while all of them work."""
        return ailment(self.vitals, self.now())

    def probe(self) -> None:
        """Give the box something to handle; until it has, its loop owes it."""
        if self._probed_at is None:
            self._probed_at = self.now()
            self._happened(happened.Ticked())

    def _happened(self, event: happened.Event) -> None:
        self._queue.put_nowait(event)

    def _from_transport(self, event: TransportEvent) -> None:
        """Voice goes straight to the audio thread; everything else is decided by the box."""
        if not self._voice.took(event):
            self._happened(event)

    def _from_thread(self, event: happened.Event) -> None:
        self._call_loop(self._happened, event)

    def _sound_crashed(self, why: str) -> None:
        self._from_thread(audio.SoundLost(f"The audio thread failed and goes on: {why}"))

    def _wake(self, due: Instant, act: Callable[[], None]) -> Callable[[], None]:
        return self._loop.call_at(due, act).cancel

    def _call_loop(self, callback: Callable[..., None], *arguments: Any) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _wall_jump(self) -> happened.ClockSet | None:
        """Return the wall time if it moved against the monotonic clock, or summer time began or ended."""
        wall_ms = wall_clock_ms()
        offset_ms, utc_offset_s = wall_ms - round(self.now() * 1000), time.localtime().tm_gmtoff
        known = self._wall_offsets
        if known is not None and abs(offset_ms - known[0]) < WALL_JUMP_MS and utc_offset_s == known[1]:
            return None
        self._wall_offsets = (offset_ms, utc_offset_s)
        return happened.ClockSet(wall_ms, clock_trusted(), utc_offset_s)

    # --- performers -----------------------------------------------------------------------------------------------

    def _to_lane(self, effect: LaneEffect) -> None:
        perform(self._transport, effect)

    def _commit(self, effect: do.Commit) -> None:
        def done(future: "Future[None]") -> None:
            error = future.exception()
            if error is None:
                self._call_loop(self._stored, happened.Committed(effect.ticket))
            else:
                sentence = str(error) if isinstance(error, CallboxError) else f"The store failed: {error!r}"
                kind = error.kind if isinstance(error, StoreFault) else "device"
                self._call_loop(self._stored, happened.CommitFailed(effect.ticket, sentence, kind))

        if not self._unstored:
            self._store_moved_at = self.now()
        self._unstored += 1
        self._store_thread.submit(self._store.commit, list(effect.writes)).add_done_callback(done)

    def _read_sound(self, effect: do.ReadSound) -> None:
        def done(future: "Future[bytes]") -> None:
            error = future.exception()
            sound, sentence = (future.result(), "") if error is None else (None, str(error))
            self._call_loop(self._happened, happened.SoundRead(effect.ticket, sound, sentence))

        self._store_thread.submit(self._store.sound, effect.item_id).add_done_callback(done)

    def _try_passphrase(self, effect: do.OpenVault) -> None:
        """Try it on the store's thread, which a locked box does not need."""

        def attempt() -> None:
            assert self._open_vault is not None
            try:
                outcome = happened.VaultOpened(effect.ask, self._open_vault(effect.passphrase))
            except CallboxError as error:
                outcome = happened.VaultOpened(effect.ask, None, error.what)
            self._from_thread(outcome)

        self._store_thread.submit(attempt)

    def _settle_store(self) -> None:
        self._store_thread.submit(self._store.settle)

    def _stored(self, event: happened.Event) -> None:
        self._unstored -= 1
        self._store_moved_at = self.now()
        self._happened(event)

    def _move_button(self, effect: do.MoveButton) -> None:
        if isinstance(self._pins, SimulatedPins):
            (self._pins.press if effect.pressed else self._pins.release)(effect.button)
