"""A person looks after microphone and speaker of a running box: levels and the self-test, over the command line."""

from callbox.testing.world import World


def test_levels_of_an_idle_box_light_the_live_light(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    number = kitchen.ask_later("listen", seconds=1.0)
    world.until(lambda: kitchen.light("live"), 0.5, "it listens")
    world.until(lambda: {"ok": True} in kitchen.replies[number], 2.0, "it ends")
    levels = [reply["level"]["mean_db"] for reply in kitchen.replies[number][:-1]]
    assert len(levels) == 10
    assert max(levels) > -60
    world.run(0.5)
    assert not kitchen.light("live")
    assert kitchen.card.opened == 0


def test_nobody_looking_any_more_ends_it(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    number = kitchen.ask_later("listen", seconds=60.0)
    world.until(lambda: kitchen.light("live"), 0.5, "it listens")
    kitchen.leave(number)
    world.until(lambda: not kitchen.light("live"), 0.2, "it ends")


def test_a_muted_box_does_not_listen_and_a_test_waits_for_the_end_of_a_call(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.press("mute")
    assert "muted" in kitchen.ask("listen", seconds=1.0)["error"]
    kitchen.press("mute")
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it rings")
    assert "in a call" in kitchen.ask("listen", seconds=1.0, test=True)["error"]


def test_a_call_goes_first(world: World) -> None:
    kitchen, workshop = world.friends("kitchen", "workshop")
    number = workshop.ask_later("listen", seconds=1.0, test=True)
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", 1.0, "it rings")
    world.run(0.6)
    workshop.press("talk")
    world.until(lambda: workshop.hears(kitchen), 1.0, "they talk")
    assert "A call came in between" in workshop.replies[number][-1]["error"]


def test_a_pulled_card_is_told(world: World) -> None:
    kitchen, _ = world.friends("kitchen", "workshop")
    kitchen.card.unplug()
    assert "There is no sound" in kitchen.ask("listen", seconds=1.0, test=True)["error"]
