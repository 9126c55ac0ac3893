"""Letters that come: what is opened once, twice, or not at all."""

from app.desk import Desk
from callbox.testing.world import World


def test_an_offer_that_the_server_hands_out_again_after_a_reconnect_is_taken_once(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.ask("call", contact="workshop")
    world.network.cut("workshop")
    world.run(1.0)
    world.network.restore("workshop")
    world.until(lambda: workshop.box.core.link.up, 10.0, "workshop is back")
    world.run(1.0)
    assert workshop.state == "ringing"
    assert not [line for line in workshop.logged if "does not open" in line]
    workshop.press("talk")
    world.until(lambda: kitchen.state == workshop.state == "talking", 2.0, "both talk")


def test_a_flood_of_complaints_fills_no_log_and_hides_no_warning() -> None:
    desk = Desk()
    desk.core.now = 100.0
    for _ in range(1000):
        desk.core.complain("a letter does not open")
    desk.core.warn("workshop has a new box")
    desk.settle()
    assert len(desk.log) == 21
    assert desk.log[-1] == "workshop has a new box"
    desk.core.now = 161.0
    desk.core.complain("again")
    desk.settle()
    assert desk.log[-2:] == ["980 more complaints of that kind were left out", "again"]
