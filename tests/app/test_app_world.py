"""The real world of a box, with its parts replaced: every effect has somebody who performs it."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.boards import find_board
from callbox.app.world import Events, World, wifi_percent
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import Command, Fact
from callbox.conversations.stores import Put
from callbox.conversations.stores.memory import MemoryStore
from callbox.link import events as link
from callbox.link.transports import Transport
from callbox.panel.pins.simulated import SimulatedPins
from callbox.testing.network import Network
from callbox.testing.network_transport import SimulatedTransport
from callbox.testing.world import World as SimulatedWorld

TOLD_TO_THE_BOX = (
    link.SessionUp,
    link.SessionLost,
    link.Retrying,
    link.Replied,
    link.Incoming,
    link.LinkFault,
    link.EpochRolledBack,
)


class Answers:
    """Stands where the control socket is."""

    def __init__(self) -> None:
        self.given: list[tuple[int, bool]] = []

    async def start(self, events: Events) -> None:
        self.events = events

    async def stop(self) -> None:
        pass

    def answer(self, ask: int, reply: Mapping[str, Any], done: bool) -> None:
        self.given.append((ask, done))


class Parts:
    """A world, and what it is made of."""

    def __init__(self, network: Network) -> None:
        self.store, self.answers = MemoryStore(), Answers()
        self.pins = SimulatedPins(find_board("breadboard"))

        def transport(events: Callable[[link.TransportEvent], None]) -> Transport:
            return SimulatedTransport(network, "kitchen", events)

        def engine(facts: Callable[[Fact], None]) -> Engine:
            return Engine(SimulatedDevices([]), facts)

        self.world = World(self.store, self.pins, engine, transport, self.answers)


@pytest.fixture
async def parts() -> Parts:
    return Parts(SimulatedWorld().network)


async def test_every_effect_is_somebodys(parts: Parts) -> None:
    to_perform = set(get_args(do.OwnEffect)) | set(get_args(link.LinkEffect)) - set(TOLD_TO_THE_BOX)
    assert set(parts.world._performers) == to_perform
    assert not to_perform & set(get_args(Command))


def test_what_the_link_tells_the_box_is_handled_there(world: SimulatedWorld) -> None:
    (kitchen, _) = world.friends("kitchen", "workshop")
    assert set(TOLD_TO_THE_BOX) <= set(kitchen.box._handlers)
    assert set(get_args(Fact)) | set(get_args(link.TransportEvent)) <= set(kitchen.box._handlers)
    locked = {happened.Ticked, happened.VaultOpened}  # nothing to handle; for a locked box alone
    assert set(get_args(happened.OwnEvent)) - locked <= set(kitchen.box._handlers)


async def test_a_commit_is_answered_when_it_is_stored(parts: Parts) -> None:
    parts.world.perform(do.Commit(3, [Put("table", "key", b"value")]))
    assert isinstance(await parts.world.next_event(None), happened.ClockSet)
    assert await parts.world.next_event(None) == happened.Committed(3)
    assert parts.store.load("table") == {"key": b"value"}


async def test_lights_buttons_and_answers_reach_their_parts(parts: Parts) -> None:
    await parts.world.start()
    try:
        parts.world.perform(do.ShowLights({"call": 1.0}))
        parts.world.perform(do.Answer(7, {}, done=False))
        parts.world.perform(do.MoveButton("talk", True))
        events = [await parts.world.next_event(None) for _ in range(3)]
        assert parts.pins.lights["call"] == 1.0
    finally:
        await parts.world.stop()
    assert parts.answers.given == [(7, False)]
    assert events[1] == happened.Started()
    assert isinstance(events[2], happened.ButtonMoved)


async def test_the_deadline_comes_as_a_tick(parts: Parts) -> None:
    await parts.world.next_event(None)
    assert await parts.world.next_event(parts.world.now() - 1) == happened.Ticked()
    assert await asyncio.wait_for(parts.world.next_event(parts.world.now() + 0.01), 5) == happened.Ticked()


HEAD = "Inter-| sta-|   Quality   |\n face | tus | link level noise |\n"


@pytest.mark.parametrize(
    ("lines", "percent"),
    [
        (" wlan0: 0000   35.  -75.  -256        0      0      0      0      0        0\n", 50),
        (" wlan0: 0000   70   -40   -256\n wlan1: 0000   7.  -90.  -256\n", 100),
        ("", None),
        (" wlan0: what is this\n", None),
    ],
)
def test_how_well_the_wifi_is_received(tmp_path: Path, lines: str, percent: int | None) -> None:
    (tmp_path / "wireless").write_text(HEAD + lines)
    assert wifi_percent(tmp_path / "wireless") == percent
    assert wifi_percent(tmp_path / "none") is None
