"""Clocks that are wrong, unset, or jump: letters and calls go on, and nothing is deleted or given up for it."""

import pytest

from callbox.app import events as happened
from callbox.conversations.retention import DAY_MS
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, mark_of, talk

YEAR_MS = 365 * DAY_MS
CLOCKS = {"1970": None, "ten years late": -10 * YEAR_MS, "ten years early": 10 * YEAR_MS, "an hour early": 3_600_000}


def set_clock(world: World, box: SimulatedBox, ahead_ms: int | None) -> None:
    """Let somebody set a box's clock; None: nobody has since it was switched on, in 1970."""
    wall_ms = 5000 if ahead_ms is None else world.wall_ms + ahead_ms
    trusted = ahead_ms is not None and wall_ms > 1_767_225_600_000
    box._event(happened.ClockSet(wall_ms, trusted=trusted, utc_offset_s=0))


def write(box: SimulatedBox, to: str, text: str) -> str:
    return str(box.ask("message", contact=to, text=text)["id"])


def look_for_what_is_old(box: SimulatedBox) -> None:
    """Let a box do now what it does every hour."""
    box.box.records._retention_at = None
    box.ask("status")


def texts(box: SimulatedBox, contact: str) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text"]


@pytest.mark.parametrize("clock", CLOCKS)
def test_with_a_wrong_clock_all_goes_on_and_nothing_goes_away(world: World, clock: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "before")
    world.run(1.0)
    set_clock(world, kitchen, CLOCKS[clock])
    workshop.stop()
    late = write(kitchen, "workshop", "while it was off")
    look_for_what_is_old(kitchen)
    workshop.start()
    set_clock(world, workshop, CLOCKS[clock])
    back = write(workshop, "kitchen", "back")
    world.run(2.0)
    look_for_what_is_old(workshop)
    assert mark_of(kitchen, late) == mark_of(workshop, back) == "delivered"
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        box.kill()
        box.start()
        set_clock(world, box, CLOCKS[clock])
        world.run(1.0)
        look_for_what_is_old(box)
        assert sorted(texts(box, other.name)) == ["back", "before", "while it was off"]
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


def test_a_clock_that_jumps_to_and_fro_deletes_nothing_and_is_told_of(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    for number in range(12):
        for box in (kitchen, workshop):
            set_clock(world, box, list(CLOCKS.values())[number % 4])
        write(kitchen, "workshop", f"text {number}")
        write(workshop, "kitchen", f"text {number} too")
        world.run(1.0)
        for box in (kitchen, workshop):
            look_for_what_is_old(box)
    for box, other in ((kitchen, workshop), (workshop, kitchen)):
        set_clock(world, box, 0)
        assert len(texts(box, other.name)) == 24
        assert {item["state"] for item in box.thread(other.name)} <= {"delivered"}
        assert [told["text"] for told in box.ask("status")["told"] if "days apart" in told["text"]]
    assert not any("does not open" in line for box in (kitchen, workshop) for line in box.logged)
    talk(world, kitchen, workshop)


def test_a_server_whose_clock_is_wrong_loses_no_letter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.stop()
    write(kitchen, "workshop", "waits at the server")
    world.run(1.0)
    start_ms = world.wall_ms
    for ahead_ms in (10 * YEAR_MS, -10 * YEAR_MS, -start_ms, 0):
        monkeypatch.setattr("callbox.testing.world.WALL_START_MS", start_ms + ahead_ms)
        world.server._wall_ms = lambda: world.wall_ms
        world.run(7200.0)
    workshop.start()
    world.run(2.0)
    assert texts(workshop, "kitchen") == ["waits at the server"]


def test_without_a_server_a_clock_has_to_hold_for_a_day_before_anything_goes(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    write(kitchen, "workshop", "old")
    world.run(1.0)
    world.server.kill()
    workshop.kill()
    workshop.start()
    set_clock(world, workshop, 91 * DAY_MS)
    look_for_what_is_old(workshop)
    assert texts(workshop, "kitchen") == ["old"]
    workshop.box.core.wall_moved_at = world.now - 24 * 3600.0
    look_for_what_is_old(workshop)
    assert texts(workshop, "kitchen") == []


def test_quiet_hours_hold_by_a_clock_that_is_set_and_by_no_other(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("quiet hours", span="00:00-06:00")
    set_clock(world, workshop, None)
    assert not workshop.box.people.quiet_now(), "five seconds past midnight, 1970: nobody has set it"
    set_clock(world, workshop, -world.wall_ms % DAY_MS)
    assert workshop.box.people.quiet_now()
    set_clock(world, workshop, 0)
    assert not workshop.box.people.quiet_now()
    talk(world, kitchen, workshop)
