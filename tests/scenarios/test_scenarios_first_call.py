"""The first call, as a person at the box sees, hears and presses it."""

from callbox.testing.world import World


def test_a_call_from_button_to_button(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    start = world.now
    kitchen.hold("dial1")
    world.run(0.1)
    kitchen.release("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "workshop rings")
    assert world.now - start < 0.3
    rhythm = workshop.rhythm("call", 2.0)
    assert sum(lit for lit, _ in rhythm) >= 3, rhythm  # double blinks at 1 Hz
    assert not workshop.light("live")
    assert not kitchen.light("live")
    assert workshop.hears_sound()
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen) and kitchen.hears(workshop), 0.15, "both hear")
    assert kitchen.light("live")
    assert workshop.light("live")
    assert kitchen.light("call")
    kitchen.press("mute")
    assert kitchen.light("mute")
    assert not kitchen.light("live")
    world.run(0.5)
    assert not workshop.hears(kitchen)
    assert kitchen.hears(workshop)
    kitchen.press("mute")
    world.run(0.5)
    assert workshop.hears(kitchen)
    kitchen.press("talk")
    world.until(lambda: workshop.state == "idle", 5.0, "the call ends at both ends")
    world.run(1.0)
    assert kitchen.state == "idle"
    assert not any(box.light("live") for box in (kitchen, workshop))
    line = workshop.ask("messages", contact="kitchen", last=5, read=False)["items"][-1]
    assert line["reason"] == "hung_up"
    assert line["answered"]
