"""Networks, servers and boxes that fail in a call: what the people at both ends notice, and what they need not do."""

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.network import Conditions
from callbox.testing.world import World
from scenarios.acts import all_idle, both_hear, rings, talk


def code_of(box: SimulatedBox) -> str:
    return str(box.box.status()["call"]["code"])


def test_network_lost_for_five_seconds(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    code = code_of(kitchen)
    world.network.cut("kitchen")
    world.until(lambda: kitchen.state == "reconnecting", 0.2, "kitchen notices")
    assert kitchen.light("live"), "the microphone is still open, and says so"
    rhythm = kitchen.rhythm("call", 3.2)
    assert sum(lit for lit, _ in rhythm) >= 4, "an uneven flicker"
    assert kitchen.tones[-1] == "reconnecting"
    assert workshop.state == "reconnecting", "the other side knows, too"
    world.run(1.8)
    world.network.restore("kitchen")
    both_hear(world, kitchen, workshop, 1.5)
    assert kitchen.light("call")
    assert code_of(kitchen) == code_of(workshop) == code, "same keys"
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    for box, peer in ((kitchen, "workshop"), (workshop, "kitchen")):
        assert box.call_lines(peer) == [("hung_up", True)]


def test_network_lost_for_forty_seconds(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    lost_at = world.now
    world.network.cut("kitchen")
    world.until(lambda: workshop.state == "reconnecting", 2.0, "workshop notices")
    world.until(lambda: kitchen.state in ("ending", "idle"), 32.0, "kitchen gives up")
    assert world.now - lost_at == pytest.approx(30.0, abs=0.5)
    world.until(lambda: workshop.state in ("ending", "idle"), 3.0, "workshop gives up")
    all_idle(world, kitchen, workshop)
    world.network.restore("kitchen")
    world.run(15.0)
    all_idle(world, kitchen, workshop)
    for box, peer in ((kitchen, "workshop"), (workshop, "kitchen")):
        assert box.call_lines(peer) == [("lost", True)]
    talk(world, kitchen, workshop)


def test_a_half_open_link_is_noticed_in_a_second_and_a_half(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    world.network.blackhole("kitchen")
    noticed_s = world.until(lambda: kitchen.state == workshop.state == "reconnecting", 1.6, "both notice")
    assert noticed_s <= 1.6
    world.run(5.0)
    world.network.restore("kitchen")
    both_hear(world, kitchen, workshop, 1.5)


def test_the_network_changes_to_another_one(world: World) -> None:
    """Wi-Fi roams: a gap too short for the person, and all connections broken."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    world.network.cut("workshop")
    world.run(0.3)
    world.network.restore("workshop")
    both_hear(world, kitchen, workshop, 1.5)


def test_server_restarted_while_talking(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    code = code_of(kitchen)
    world.server.kill()
    world.until(lambda: kitchen.state == workshop.state == "reconnecting", 0.5, "both notice")
    world.run(1.0)
    world.server.start()
    both_hear(world, kitchen, workshop, 4.0)
    assert code_of(kitchen) == code_of(workshop) == code, "same keys"
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


def test_server_killed_again_and_again_while_talking(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    for number in range(8):
        world.server.kill()
        world.run(0.1 + 0.37 * number)
        world.server.start()
        world.run(0.013 * number)
        if number % 2:
            both_hear(world, kitchen, workshop, 4.0)
    both_hear(world, kitchen, workshop, 4.0)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


@pytest.mark.parametrize(("seed", "after_ms"), [(1, 190), (5, 260), (17, 320), (18, 400), (23, 260), (37, 400)])
def test_both_links_lost_and_back_at_once_while_a_call_is_set_up(seed: int, after_ms: int) -> None:
    """The key that was said for the first offer comes late, and must not spoil the fresh one."""
    world = World(seed, Conditions(delay_ms=60.0))
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("message", contact="workshop", text="so that there are sessions")
    world.run(2.0)
    kitchen.ask_later("call", contact="workshop")
    world.run(after_ms / 1000)
    for change in (world.network.cut, world.network.restore):
        for box in (kitchen, workshop):
            change(box.name)
        world.run(1.0 if change == world.network.cut else 0.0)
    world.until(lambda: workshop.box.calling.alerting is not None, 12.0, "it rings")
    world.run(1.0)
    workshop.press("talk")
    both_hear(world, kitchen, workshop, 2.0)


@pytest.mark.parametrize("who", ["kitchen", "workshop"])
def test_a_killed_box_takes_the_call_up_again(world: World, who: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    world.run(5.0)
    killed, other = (kitchen, workshop) if who == "kitchen" else (workshop, kitchen)
    rang_before = other.tones.count("ring") + killed.tones.count("ring")
    killed.kill()
    world.until(lambda: other.state == "reconnecting", 2.0, f"{other.name} notices")
    world.run(1.0)
    killed.start()
    both_hear(world, kitchen, workshop, 4.0)
    assert other.tones.count("ring") + killed.tones.count("ring") == rang_before, "nobody's box rings"
    assert not killed.light("mute")
    assert killed.light("live")
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)
    durations = []
    for box, peer in ((kitchen, "workshop"), (workshop, "kitchen")):
        assert box.call_lines(peer) == [("hung_up", True)]
        durations += [item["duration_s"] for item in box.thread(peer)]
    assert durations[0] == pytest.approx(durations[1], abs=0.2), "both ends tell the same"
    assert durations[0] > 6.0


def test_a_killed_box_that_was_muted_comes_back_muted(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.press("mute")
    kitchen.kill()
    world.run(1.0)
    kitchen.start()
    world.until(lambda: kitchen.state == workshop.state == "talking", 4.0, "both talk")
    world.run(1.0)
    assert kitchen.light("mute")
    assert not kitchen.light("live")
    assert not workshop.hears(kitchen)
    assert kitchen.hears(workshop)
    kitchen.press("mute")
    both_hear(world, kitchen, workshop)


def test_a_box_killed_again_while_it_asks_to_be_let_back_in(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    workshop.kill()
    world.run(1.0)
    workshop.start()
    world.until(lambda: workshop.state == "reconnecting", 2.0, "it asks to be let back in")
    world.run(0.008)
    workshop.kill()
    world.run(1.0)
    workshop.start()
    both_hear(world, kitchen, workshop, 8.0)


def test_both_boxes_killed_in_a_call_come_back_to_it(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    for box in (kitchen, workshop):
        box.kill()
    world.run(1.0)
    for box in (workshop, kitchen):
        box.start()
        world.run(0.2)
    both_hear(world, kitchen, workshop, 8.0)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


def test_server_and_a_box_killed_in_a_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    world.server.kill()
    workshop.kill()
    world.run(1.0)
    world.server.start()
    workshop.start()
    both_hear(world, kitchen, workshop, 8.0)


def test_a_box_that_comes_back_after_the_grace_finds_the_call_lost(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    workshop.kill()
    world.run(40.0)
    all_idle(world, kitchen)
    assert kitchen.call_lines("workshop") == [("lost", True)]
    workshop.start()
    world.run(2.0)
    all_idle(world, kitchen, workshop)
    assert workshop.call_lines("kitchen") == [("lost", True)]
    assert kitchen.tones.count("ring") == 0
    talk(world, workshop, kitchen)


def test_a_box_killed_while_ringing_rings_again(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.kill()
    world.run(2.0)
    workshop.start()
    world.until(lambda: workshop.state == "ringing", 2.0, "it rings again")
    world.run(0.6)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_a_caller_killed_while_it_rings_leaves_no_phantom(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    kitchen.kill()
    world.run(1.0)
    kitchen.start()
    world.run(2.0)
    assert kitchen.state == "idle"
    workshop.press("talk")  # the person does not know
    world.run(2.0)
    all_idle(world, kitchen, workshop, within_s=12.0)
    assert [answered for _, answered in workshop.call_lines("kitchen")] == [False]


def test_server_and_caller_killed_while_it_rings_leave_no_phantom(world: World) -> None:
    """The server has forgotten the offer, and the caller's box its keys: the callee is told all the same."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    world.server.kill()
    kitchen.kill()
    world.run(0.3)
    world.server.start()
    world.until(lambda: workshop.box.core.link.up, 10.0, "workshop is connected again")
    world.run(1.0)
    kitchen.start()
    all_idle(world, kitchen, workshop, within_s=5.0)


def test_server_restarted_while_it_rings(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    world.server.kill()
    world.run(0.5)
    world.server.start()
    world.run(2.0)
    assert workshop.state == "ringing"
    assert kitchen.state == "dialing"
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


@pytest.mark.parametrize("after_ms", [0, 1, 3, 5, 7, 9, 11, 14, 20])
def test_server_killed_at_every_moment_around_the_answer(world: World, after_ms: int) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    rings(world, kitchen, workshop)
    workshop.hold("talk")
    world.run(0.015 + after_ms / 1000)
    world.server.kill()
    world.run(1.0)
    workshop.release("talk")
    world.server.start()
    both_hear(world, kitchen, workshop, 6.0)


@pytest.mark.parametrize("after_ms", [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20])
def test_server_killed_at_every_moment_of_the_dialling(world: World, after_ms: int) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.hold("dial1")
    world.run(0.1)
    kitchen.release("dial1")
    world.run(0.015 + after_ms / 1000)
    world.server.kill()
    world.run(1.0)
    world.server.start()
    world.until(lambda: workshop.state == "ringing", 4.0, "it rings")
    world.run(0.6)
    workshop.press("talk")
    both_hear(world, kitchen, workshop)


def test_hanging_up_without_a_network_reaches_the_other_side_later(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    world.network.cut("kitchen")
    world.run(1.0)
    kitchen.press("talk")
    assert kitchen.state == "idle"
    assert not kitchen.light("live")
    world.run(3.0)
    assert workshop.state == "reconnecting"
    world.network.restore("kitchen")
    all_idle(world, kitchen, workshop, within_s=8.0)
    for box, peer in ((kitchen, "workshop"), (workshop, "kitchen")):
        assert box.call_lines(peer) == [("hung_up", True)]


def test_dialling_without_a_network_says_so(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    world.network.cut("kitchen")
    world.run(1.0)
    assert any(not lit for lit, _ in kitchen.rhythm("status", 2.5)), "connecting"
    kitchen.press("dial1")
    world.until(lambda: kitchen.tones[-1] == "error", 11.0, "kitchen hears an error")
    all_idle(world, kitchen)
    assert kitchen.call_lines("workshop") == [("failed", False)]


def test_a_stopped_box_hangs_up_first(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    talk(world, kitchen, workshop)
    kitchen.stop()
    world.until(lambda: workshop.state in ("ending", "idle"), 0.5, "workshop hears of it")
    all_idle(world, workshop)
    kitchen.start()
    world.run(2.0)
    all_idle(world, kitchen, workshop)
