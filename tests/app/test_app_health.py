"""Which part hangs: decided from facts, and the facts that a real world gathers."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.boards import find_board
from callbox.app.health import LOOP_S, SOUND_S, STORE_S, Vitals, ailment
from callbox.app.sound import SoundThread
from callbox.app.world import Events, World
from callbox.audio.devices.simulated import SimulatedCard, SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import CloseSound, Fact, OpenSound
from callbox.conversations.stores import Put, StoreFault, Write
from callbox.conversations.stores.memory import MemoryStore
from callbox.link.transports import Transport
from callbox.notify import feed_watchdog
from callbox.panel.pins.simulated import SimulatedPins
from callbox.testing.network_transport import SimulatedTransport
from callbox.testing.world import World as SimulatedWorld

WELL = Vitals(None, None, None)
PATIENCE_S = 10.0


def test_a_box_that_owes_nothing_is_well() -> None:
    assert ailment(WELL, 1e9) == ""


@pytest.mark.parametrize(
    ("vitals", "most_s", "part"),
    [
        (Vitals(100.0, None, None), LOOP_S, "main loop"),
        (Vitals(None, 100.0, None), SOUND_S, "audio thread"),
        (Vitals(None, None, 100.0), STORE_S, "store"),
    ],
    ids=["loop", "sound", "store"],
)
def test_a_part_that_owes_something_too_long_is_named(vitals: Vitals, most_s: float, part: str) -> None:
    assert ailment(vitals, 100.0 + most_s) == ""
    sentence = ailment(vitals, 100.5 + most_s)
    assert part in sentence
    assert f"{100.5 + most_s - 100:.0f} s" in sentence


class SlowStore(MemoryStore):
    """Writes nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def commit(self, writes: Sequence[Write]) -> None:
        assert self.let_go.wait(PATIENCE_S)
        super().commit(writes)


class NoAsks:
    """Stands where the control socket is, and asks nothing."""

    async def start(self, events: Events) -> None:
        pass

    async def stop(self) -> None:
        pass

    def answer(self, ask: int, reply: Mapping[str, Any], done: bool) -> None:
        pass


class HangingEngine(Engine):
    """Its second cycle hangs until it is let go, as a driver can."""

    def __init__(self) -> None:
        super().__init__(SimulatedDevices([]), lambda fact: None)
        self.let_go, self.hangs = threading.Event(), threading.Event()
        self.cycles = 0

    def cycle(self, now: float) -> float:
        self.cycles += 1
        if self.cycles == 2:
            self.hangs.set()
            assert self.let_go.wait(PATIENCE_S)
        return super().cycle(now)


@pytest.fixture
def store() -> SlowStore:
    return SlowStore()


@pytest.fixture
async def living(store: SlowStore) -> World:
    def transport(events: Callable[[Any], None]) -> Transport:
        return SimulatedTransport(SimulatedWorld().network, "kitchen", events)

    def engine(facts: Callable[[Fact], None]) -> Engine:
        return Engine(SimulatedDevices([SimulatedCard("usb")]), facts)

    return World(store, SimulatedPins(find_board("breadboard")), engine, transport, NoAsks())


async def test_the_loop_owes_a_probe_until_it_asks_for_the_next_event(living: World) -> None:
    assert isinstance(await living.next_event(None), happened.ClockSet)
    assert living.vitals == WELL
    living.probe()
    since = living.vitals.loop_owes_since
    assert since is not None
    living.probe()
    assert living.vitals.loop_owes_since == since, "a second probe must not make the first one younger"
    assert await living.next_event(None) == happened.Ticked()
    assert living.vitals.loop_owes_since is None


async def test_the_store_owes_what_it_was_given_until_it_has_written_it(living: World, store: SlowStore) -> None:
    await living.next_event(None)
    living.perform(do.Commit(1, [Put("table", "key", b"1")]))
    given = living.vitals.store_owes_since
    assert given is not None
    living.perform(do.Commit(2, [Put("table", "key", b"2")]))
    assert living.vitals.store_owes_since == given
    store.let_go.set()
    assert await living.next_event(None) == happened.Committed(1)
    assert await living.next_event(None) == happened.Committed(2)
    assert living.vitals.store_owes_since is None


async def test_a_store_that_refuses_is_not_stuck(living: World, store: SlowStore) -> None:
    store.let_go.set()
    store.fail_with = StoreFault("device", "No card.", "Put it in.")
    await living.next_event(None)
    living.perform(do.Commit(1, [Put("table", "key", b"1")]))
    assert isinstance(await living.next_event(None), happened.CommitFailed)
    assert living.vitals.store_owes_since is None


async def until(true: Callable[[], bool]) -> None:
    """Let the other threads run until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.001)


async def test_an_audio_thread_without_work_owes_nothing() -> None:
    engine = HangingEngine()
    sound = SoundThread(engine, lambda why: None)
    sound.start()
    try:
        await until(lambda: engine.cycles == 1 and sound.busy_since is None)
        sound.command(CloseSound())
        await until(engine.hangs.is_set)
        assert sound.busy_since is not None, "a cycle that does not end must show"
        engine.let_go.set()
        await until(lambda: sound.busy_since is None)
    finally:
        engine.let_go.set()
        sound.stop()


async def test_while_sound_is_open_each_cycle_renews_the_vitals(living: World, store: SlowStore) -> None:
    store.let_go.set()
    await living.start()
    try:
        living.perform(OpenSound("usb", "usb"))
        await until(lambda: living.vitals.sound_owes_since is not None)
        first = living.vitals.sound_owes_since
        assert first is not None
        await until(lambda: (living.vitals.sound_owes_since or 0.0) > first)
        living.perform(CloseSound())
        await until(lambda: living.vitals.sound_owes_since is None)
    finally:
        await living.stop()


class ScriptedWorld:
    """Has the vitals of a list, one after the other; then it is asked no more."""

    def __init__(self, *vitals: Vitals) -> None:
        self.left = list(vitals)
        self.probes = 0

    @property
    def vitals(self) -> Vitals:
        return self.left.pop(0)

    def ailment(self) -> str:
        return ailment(self.vitals, 1000.0)

    def probe(self) -> None:
        self.probes += 1
        if not self.left:
            raise asyncio.CancelledError


async def test_systemd_hears_that_the_box_is_well_only_while_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[str] = []
    monkeypatch.setattr("callbox.notify.notify", said.append)
    monkeypatch.setattr("callbox.notify.watchdog_interval_s", lambda: 0.0)
    stuck = Vitals(None, None, 900.0)
    scripted = ScriptedWorld(WELL, WELL, stuck, stuck, WELL)
    with pytest.raises(asyncio.CancelledError):
        await feed_watchdog(scripted)
    hangs = "The store has written nothing for 100 s."
    assert said == ["WATCHDOG=1", "WATCHDOG=1", f"STATUS={hangs}", "STATUS=", "WATCHDOG=1"]
    assert caplog.messages.count(hangs) == 1
    assert scripted.probes == 5


async def test_without_a_watchdog_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    await feed_watchdog(ScriptedWorld())
