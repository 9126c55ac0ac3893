"""What a blocked caller can measure: whatever comes to its box, and when, is as if the other box were switched off.

Compared are all messages and pongs that reach the caller's box while it asks everything that it may ask: on a steady
link, and on a bad one with the same luck for both, to the tenth of a millisecond; on bad ones with luck of their own by
how the moments are spread.
"""

import math
from bisect import bisect_right
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from callbox.base.chance import SeededChance
from callbox.link import events as link
from callbox.testing.network import Conditions
from callbox.testing.world import START, World
from callbox.wire.codec import decode_server_message
from callbox.wire.signals import BeginBlob, ClaimPrekeys, FetchDevices

STEADY = Conditions(delay_ms=7.0)
BAD = Conditions(delay_ms=20.0, jitter_ms=30.0, loss=0.01)
BEGIN = START + 60.0
OWN_LUCK_SEEDS = 24
CHANCE_OF_A_FALSE_ALARM = 0.001

Heard = list[tuple[int, str, int]]


def own_luck(world: World, seed: str) -> None:
    """Let each direction of each link have luck of its own: what a box does changes nothing on another's link."""
    arrival, shared = world.network.arrival, world.network.chance
    luck = defaultdict[tuple[str, str], SeededChance | None](lambda: None)

    def arrived(place: str, direction: Any, size: int) -> float:
        chance = luck[place, direction] or SeededChance(f"{seed} {place} {direction}")
        luck[place, direction] = world.network.chance = chance
        try:
            return arrival(place, direction, size)
        finally:
            world.network.chance = shared

    setattr(world.network, "arrival", arrived)  # noqa: B010 - the network's own method, for this test alone


def listen(world: World, box: Any, heard: Heard) -> None:
    """Note whatever the network brings to a box, and when."""
    handle = box.box.handle

    def noted(event: Any, now: float) -> Any:
        at = round((world.now - BEGIN) * 10_000)
        if isinstance(event, link.LaneReceived):
            heard.append((at, type(decode_server_message(event.data)).__name__, len(event.data)))
        elif isinstance(event, link.LanePonged | link.LaneClosed):
            heard.append((at, type(event).__name__, 0))
        return handle(event, now)

    box.box.handle = noted


def answers(seed: int, how: str, conditions: Conditions, luck: str) -> Heard:
    """Return when (in 0.1 ms after the beginning), what and how much comes to a caller that tries everything."""
    world = World(seed, conditions)
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("message", contact="workshop", text="before")
    for box in (kitchen, workshop):
        box.kill()
        world.chance = SeededChance(f"{box.name} {seed}")  # what one of them draws is nothing to the other
        box.start()
    world.run(START + 40.0 - world.now)
    if how == "blocked":
        workshop.ask("block", contact="kitchen")
        workshop.ask("synced")
    else:
        workshop.stop()
    world.run(BEGIN - world.now)
    own_luck(world, luck)
    heard: Heard = []
    listen(world, kitchen, heard)
    core = kitchen.box.core
    core.now = world.now
    asked: list[Any] = [
        lambda number: FetchDevices(number, "workshop"),
        lambda number: ClaimPrekeys(number, "workshop"),
        lambda number: BeginBlob(number, bytes(16), "workshop", 4),
    ]
    for build in asked:
        core.request(build, lambda answer: None)
    kitchen.ask("message", contact="workshop", text="are you there?")
    kitchen.press("dial1")
    world.run(62.0)
    kitchen.ask("message", contact="workshop", text="are you there now?")
    world.run(40.0)
    assert {"Devices", "Accepted", "BlobPlace", "LanePonged"} <= {what for _, what, _ in heard}
    return heard


@pytest.mark.parametrize(("seed", "conditions"), [(0, STEADY), (1, BAD), (2, BAD)], ids=["steady", "bad 1", "bad 2"])
def test_a_blocked_caller_hears_the_same_to_the_tenth_of_a_millisecond(seed: int, conditions: Conditions) -> None:
    both = [answers(seed, how, conditions, f"luck {seed}") for how in ("blocked", "switched off")]
    assert both[0] == both[1]


def apart(one: list[int], other: list[int]) -> float:
    """Return how likely it is that moments of one kind lie this far apart by chance (Kolmogorov and Smirnov)."""
    first, second = sorted(one), sorted(other)
    shares = ((bisect_right(first, at) / len(first), bisect_right(second, at) / len(second)) for at in {*one, *other})
    farthest = max(abs(share - its) for share, its in shares)
    return min(1.0, 2 * math.exp(-2 * farthest**2 * len(one) * len(other) / (len(one) + len(other))))


@pytest.mark.soak  # fifty worlds
def test_with_luck_of_their_own_the_moments_are_spread_alike() -> None:
    moments: dict[str, dict[tuple[int, str], list[int]]] = {}
    for how in ("blocked", "switched off"):
        spread = moments[how] = defaultdict(list)
        for seed in range(OWN_LUCK_SEEDS):
            counts: dict[str, int] = defaultdict(int)
            heard = answers(seed, how, BAD, f"luck of {how} {seed}")
            for at, what, _ in heard:
                counts[what] += 1
                spread[counts[what], what].append(at)
            spread[0, "gaps"] += [later - at for (at, *_), (later, *_) in pairwise(heard)]
    assert moments["blocked"].keys() == moments["switched off"].keys()
    level = CHANCE_OF_A_FALSE_ALARM / len(moments["blocked"])
    found = {kind: apart(one, moments["switched off"][kind]) for kind, one in moments["blocked"].items()}
    assert min(found.values()) > level, found
