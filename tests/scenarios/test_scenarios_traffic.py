"""What calls carry: bytes per call and month, and the trace of a call for who looks into it."""

import json

from callbox.audio.steps import STEPS
from callbox.testing.box import SimulatedBox
from callbox.testing.replay import read_trace
from callbox.testing.world import World


def talk(world: World, kitchen: SimulatedBox, workshop: SimulatedBox) -> None:
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it rings")
    world.run(0.6)
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 1.0, "they talk")


def test_bytes_are_counted_per_call_and_month_and_outlive_a_restart(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert kitchen.ask("usage")["months"] == {}
    talk(world, kitchen, workshop)
    world.run(4.0)
    kitchen.press("talk")
    world.until(lambda: kitchen.state == "idle", 2.0, "it is over")
    told = kitchen.ask("usage")
    ((_, month),) = told["months"].items()
    assert month["calls"] == 1
    assert 0.9 <= month["sent"] * 8 / STEPS[0].wire_bits_per_s / 4.0 <= 1.5
    assert 0.8 <= month["received"] / month["sent"] <= 1.2
    assert told["call"] == {"sent": month["sent"], "received": month["received"]}
    kitchen.stop()
    kitchen.start()
    world.run(1.0)
    assert kitchen.ask("usage")["months"] == told["months"]


def test_a_trace_tells_when_packets_came_until_the_call_ends(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert "no call" in kitchen.ask("trace")["error"]
    talk(world, kitchen, workshop)
    number = kitchen.ask_later("trace")
    world.run(2.0)
    arrivals = [arrival for reply in kitchen.replies[number] for arrival in reply.get("arrivals", ())]
    assert len(arrivals) >= 150
    assert {(arrival["bytes"], arrival["packet_ms"]) for arrival in arrivals} == {(60, 10)}
    times = [arrival["at_ms"] for arrival in arrivals]
    assert times == sorted(times)
    assert "somebody" in kitchen.ask("trace")["error"].lower()
    kitchen.press("talk")
    world.until(lambda: {"ok": True} in kitchen.replies[number], 2.0, "it ends with the call")


def test_what_a_trace_prints_can_be_replayed(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    number = kitchen.ask_later("trace")
    world.run(1.0)
    kitchen.leave(number)
    lines = [json.dumps(arrival) for reply in kitchen.replies[number] for arrival in reply.get("arrivals", ())]
    assert read_trace(lines)[0].step is STEPS[0]
    count = len(kitchen.replies[number])
    world.run(1.0)
    assert len(kitchen.replies[number]) == count, "nobody asks any more"
