"""Who may what, and when: quiet hours through the changes of the clock, breaking through, ways to ring, family mode."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from callbox.app import events as happened
from callbox.app.settings import FamilySettings, SpeechSettings
from callbox.app.world import World as RealWorld
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, rings

HOUR_MS = 3_600_000


def tell_time(world: World, utc: str, offset_h: int, *boxes: SimulatedBox) -> None:
    """Set the clocks of these boxes, as their system does when it was told, or when summer time begins or ends."""
    wall_ms = round(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp() * 1000)
    for box in boxes:
        box._event(happened.ClockSet(wall_ms, trusted=True, utc_offset_s=offset_h * 3600))


def calls(world: World, caller: SimulatedBox, callee: SimulatedBox) -> str:
    """Let the caller dial and hang up; return what became of it at the callee: `rings`, or why not."""
    before = len(callee.call_lines(caller.name))
    caller.ask_later("call", contact=callee.name)
    world.run(2.0)
    if "ring" in callee.tones or "ring_rising" in callee.tones:
        callee.tones.clear()
        outcome = "rings"
    else:
        lines = callee.call_lines(caller.name)[before:]
        outcome = lines[-1][0] if lines else "nothing"
    if caller.state != "idle":
        caller.ask("hangup")
    all_idle(world, caller, callee, within_s=10.0)
    world.run(121.0)  # the server lets one ring in two minutes
    return outcome


# --- quiet hours --------------------------------------------------------------------------------------------------

NIGHTS = {
    "an ordinary night": [
        ("2026-06-01 19:59", 2, "rings"),
        ("2026-06-01 20:00", 2, "quiet"),
        ("2026-06-02 04:59", 2, "quiet"),
        ("2026-06-02 05:00", 2, "rings"),
    ],
    "summer time begins": [
        ("2026-03-28 21:30", 1, "quiet"),  # 22:30
        ("2026-03-29 00:59", 1, "quiet"),  # 01:59, and a minute later it is 03:00
        ("2026-03-29 01:00", 2, "quiet"),
        ("2026-03-29 04:59", 2, "quiet"),  # 06:59
        ("2026-03-29 05:00", 2, "rings"),  # 07:00; by the old offset it would still be 06:00
    ],
    "summer time ends": [
        ("2026-10-24 20:30", 2, "quiet"),  # 22:30
        ("2026-10-25 00:59", 2, "quiet"),  # 02:59, and a minute later it is 02:00 again
        ("2026-10-25 05:00", 1, "quiet"),  # 06:00; by the old offset it would be 07:00 already
        ("2026-10-25 06:00", 1, "rings"),  # 07:00
    ],
}


@pytest.mark.parametrize("night", NIGHTS)
def test_quiet_hours_follow_the_clock_on_the_wall(world: World, night: str) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert workshop.ask("quiet hours", span="22:00-07:00")["ok"]
    for utc, offset_h, expected in NIGHTS[night]:
        tell_time(world, utc, offset_h, workshop)
        assert calls(world, kitchen, workshop) == expected, f"at {utc} UTC"


WEEKENDS = [  # Fri Sat 23:30-09:00; summer time ends on Sunday, 25 October, at 03:00
    ("2026-10-23 05:30", 2, "rings"),  # Friday 07:30: it begins on Fridays, and has not yet
    ("2026-10-23 21:30", 2, "quiet"),  # Friday 23:30
    ("2026-10-24 06:59", 2, "quiet"),  # Saturday 08:59
    ("2026-10-24 07:00", 2, "rings"),
    ("2026-10-25 00:30", 2, "quiet"),  # Sunday 02:30, and an hour later it is 02:30 again
    ("2026-10-25 01:30", 1, "quiet"),
    ("2026-10-25 07:59", 1, "quiet"),  # 08:59; by the old offset it would be 09:59
    ("2026-10-25 08:00", 1, "rings"),
    ("2026-10-25 22:30", 1, "rings"),  # Sunday 23:30
]


def test_quiet_hours_of_the_weekend_follow_the_clock_on_the_wall(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert workshop.ask("quiet hours", span="fri,sat,23:30-09:00")["quiet"] == "Fri Sat 23:30-09:00"
    for utc, offset_h, expected in WEEKENDS:
        tell_time(world, utc, offset_h, workshop)
        assert calls(world, kitchen, workshop) == expected, f"at {utc} UTC"
    chain = next(item["chain"] for item in workshop.ask("why")["items"] if item["reason"] == "quiet")
    assert chain == ["calls are enabled", "quiet hours (Fri Sat 23:30-09:00)", "may not break through"]


def test_the_real_world_notices_when_summer_time_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two looks at the clock nothing jumps but the zone's offset."""
    offset_s = 3600
    monkeypatch.setattr(time, "localtime", lambda: SimpleNamespace(tm_gmtoff=offset_s))
    monkeypatch.setattr("callbox.app.world.wall_clock_ms", lambda: round(time.monotonic() * 1000) + 10**12)
    world: Any = RealWorld.__new__(RealWorld)
    world._wall_offsets = None
    assert world._wall_jump().utc_offset_s == 3600
    assert world._wall_jump() is None
    offset_s = 7200
    assert world._wall_jump().utc_offset_s == 7200


def test_several_spans_of_the_day_are_quiet(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    reply = workshop.ask("quiet hours", span="22:00-07:00, 13:00-14:30")
    assert reply["quiet"] == "22:00-07:00, 13:00-14:30"
    assert workshop.ask("quiet hours", span=reply["quiet"])["quiet"] == reply["quiet"]
    workshop.kill()
    workshop.start()
    for utc, expected in (("2026-06-01 13:15", "quiet"), ("2026-06-01 14:30", "rings"), ("2026-06-01 23:00", "quiet")):
        tell_time(world, utc, 0, workshop)
        world.run(1.0)
        assert calls(world, kitchen, workshop) == expected
    assert workshop.ask("quiet hours", span=None)["quiet"] == ""
    assert calls(world, kitchen, workshop) == "rings"


@pytest.mark.parametrize(
    "span", ["25:00-07:00", "22:00", "22:00-22:00", "mon", ",".join(f"{n}:00-2:30" for n in range(3, 12))]
)
def test_a_span_that_is_none_changes_nothing(world: World, span: str) -> None:
    workshop = world.box("workshop")
    workshop.ask("quiet hours", span="22:00-07:00")
    reply = workshop.ask("quiet hours", span=span)
    assert not reply["ok"]
    assert reply["cure"]
    assert workshop.ask("status")["quiet_hours"] == "22:00-07:00"


def test_while_the_clock_is_not_set_quiet_hours_do_not_apply(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("quiet hours", span="00:00-23:59")
    workshop._event(happened.ClockSet(5000, trusted=False))
    assert calls(world, kitchen, workshop) == "rings"


def test_the_second_call_within_three_minutes_breaks_through(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    assert workshop.ask("prefer", contact="kitchen", breakthrough=True)["breakthrough"]
    workshop.press("calls", hold_s=1.2)
    assert calls(world, kitchen, workshop) == "quiet"
    assert "first call" in workshop.ask("why")["items"][0]["chain"][-1]
    assert calls(world, kitchen, workshop) == "rings"
    world.run(60.0)
    assert calls(world, kitchen, workshop) == "quiet", "that was too long ago"
    workshop.ask("prefer", contact="kitchen", breakthrough=False)
    assert calls(world, kitchen, workshop) == "quiet"
    assert "may not break through" in workshop.ask("why")["items"][0]["chain"][-1]
    allowed = [line["what"] for line in workshop.ask("privacy")["consents"]]
    assert allowed[-2:] == ["may break through quiet hours", "may not break through quiet hours"]


# --- ways to ring -------------------------------------------------------------------------------------------------


def test_a_contact_that_rings_by_light_alone(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("prefer", contact="kitchen", style="light")
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it rings")
    double_blinks = workshop.rhythm("call", 3.0)
    assert sum(lit for lit, _ in double_blinks) >= 5, "as a ring, not as a knock"
    assert workshop.tones == []
    assert kitchen.tones[-1] == "ringback", "the caller hears nothing of that"
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 2.0, "it was answered")


def test_a_ring_that_rises_begins_softly_and_ends_as_loud_as_any(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("prefer", contact="kitchen", style="rising")
    workshop.kill()  # its voice, which says who calls, would be louder than the first rounds
    workshop.settings = msgspec.structs.replace(workshop.settings, speech=SpeechSettings(announce=False))
    workshop.start()
    world.until(lambda: workshop.box.core.link.up, 5.0)
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it rings")
    assert workshop.tones == ["ring_rising"]
    loudest: list[int] = []
    for _ in range(6):
        heard = [0]
        for _ in range(39):  # a round of the ring has 3.9 s
            world.run(0.1)
            heard.append(int(abs(workshop.recently_heard().astype(int)).max(initial=0)))
        loudest.append(max(heard))
    assert loudest == sorted(loudest)
    assert loudest[0] < loudest[-1] / 5
    assert loudest[-1] == loudest[-2]
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 2.0, "it was answered")


def test_messages_by_light_alone(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    workshop.ask("prefer", contact="kitchen", notify=False)
    kitchen.ask("message", contact="workshop", text="hush")
    world.run(1.0)
    assert workshop.box.post.unread == 1
    assert workshop.tones == []


def test_preferences_outlive_a_restart_and_wrong_ones_are_told(world: World) -> None:
    _, workshop = world.friends("kitchen", "workshop")
    workshop.ask("prefer", contact="kitchen", style="rising", notify=False, breakthrough=True)
    assert not workshop.ask("prefer", contact="kitchen", style="loud")["ok"]
    assert not workshop.ask("prefer", contact="nobody", style="full")["ok"]
    workshop.kill()
    workshop.start()
    (contact,) = workshop.ask("contacts")["contacts"]
    assert (contact["ring_style"], contact["notify"], contact["breakthrough"]) == ("rising", False, True)


# --- family mode --------------------------------------------------------------------------------------------------


def family(box: SimulatedBox, **settings: bool) -> None:
    """Set `[family]` in box.toml, and start anew."""
    box.kill()
    box.settings = msgspec.structs.replace(box.settings, family=FamilySettings(**settings))
    box.start()


def test_in_family_mode_nobody_else_may_even_ask(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    stranger = world.box("stranger")
    family(workshop, only_contacts=True)
    stranger.ask("allow", contact="workshop", row="ring", dial=1)
    stranger.ask("message", contact="workshop", text="let me in")
    world.run(3.0)
    stranger.press("dial1")
    world.run(3.0)
    assert workshop.thread("stranger") == []
    assert [contact["name"] for contact in workshop.ask("contacts")["contacts"]] == ["kitchen"]
    assert workshop.tones == []
    assert not workshop.box.post.unread
    assert [item["state"] for item in stranger.thread("workshop") if item["kind"] == "text"] == ["sent"], (
        "not delivered"
    )
    rings(world, kitchen, workshop)


def test_a_locked_panel_makes_and_takes_calls_and_changes_nothing(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    family(workshop, panel_lock=True)
    world.until(lambda: workshop.box.core.link.up, 5.0)
    workshop.press("calls")
    workshop.press("calls", hold_s=1.2)
    workshop.hold("talk")
    workshop.press("mute", hold_s=1.3)
    workshop.release("talk")
    status = workshop.ask("status")
    assert (status["calls_enabled"], status["do_not_disturb"]) == (True, False)
    assert workshop.tones.count("error") >= 2
    workshop.says("The buttons cannot change that. It is set by the command line.")
    workshop.tones.clear()
    rings(world, kitchen, workshop)
    workshop.press("calls")  # declines
    all_idle(world, kitchen, workshop)
    assert workshop.call_lines("kitchen")[-1] == ("declined", False)
    rings(world, workshop, kitchen)
    kitchen.press("talk")
    world.until(lambda: workshop.hears(kitchen), 2.0, "they talk")
    workshop.press("mute")
    assert workshop.light("mute")
    workshop.press("talk")
    all_idle(world, kitchen, workshop)
    assert workshop.ask("calls", on=False)["ok"], "the command line still can"
