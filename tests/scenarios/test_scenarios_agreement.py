"""Two boxes of one account; settings change on both while networks, boxes and server come and go: they agree."""

from collections.abc import Callable

import pytest

from callbox.base.chance import SeededChance
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import mark_of

SPANS = (None, "22:00-07:00", "12:00-13:00")
ROWS = ("ring", "knock", "message", "blocked")


class Story:
    """Draws what happens next."""

    def __init__(self, world: World, seed: str) -> None:
        self.world = world
        self.chance = SeededChance(seed)
        self.kitchen, self.workshop, self.attic = world.friends("kitchen", "workshop", "attic")
        self.hall = world.second(self.kitchen, "hall")
        self.texts: list[str] = []

    def pick(self, count: int) -> int:
        return int(self.chance.between(0.0, count - 1e-9))

    def step(self) -> None:
        box = (self.kitchen, self.hall)[self.pick(2)]
        friend = ("workshop", "attic")[self.pick(2)]
        happens: list[Callable[[], object]] = [
            lambda: self.ask(box, "allow", contact=friend, row=ROWS[self.pick(4)]),
            lambda: self.ask(box, "silence", contact=friend, on=bool(self.pick(2))),
            lambda: self.ask(box, "allow", contact=friend, row="ring", dial=1 + self.pick(3)),
            lambda: self.ask(box, "quiet hours", span=SPANS[self.pick(3)]),
            lambda: self.ask(box, "calls", on=bool(self.pick(2))),
            lambda: self.ask(box, "quiet", on=bool(self.pick(2))),
            lambda: self.say(box),
            lambda: self.world.network.cut(box.name),
            lambda: self.world.network.restore(box.name),
            lambda: self.restart(box),
            self.restart_server,
        ]
        happens[self.pick(len(happens))]()
        self.world.run(self.chance.between(0.0, 2.0))

    def ask(self, box: SimulatedBox, what: str, **words: object) -> None:
        if box.on:
            box.ask_later(what, **words)

    def say(self, box: SimulatedBox) -> None:
        self.texts.append(f"text {len(self.texts)}")
        self.ask(box, "message", contact="workshop", text=self.texts[-1])

    def restart(self, box: SimulatedBox) -> None:
        self.world.run(0.2)  # what was answered is on disk
        box.kill()
        box.start()

    def restart_server(self) -> None:
        self.world.server.kill()
        self.world.run(0.3)
        self.world.server.start()


@pytest.mark.parametrize("seed", ["one", *(pytest.param(f"seed {seed}", marks=pytest.mark.soak) for seed in range(30))])
def test_they_agree_in_the_end_whatever_happened(world: World, seed: str) -> None:
    story = Story(world, seed)
    for _ in range(40):
        story.step()
    kitchen, hall = story.kitchen, story.hall
    for box in (kitchen, hall):
        world.network.restore(box.name)
        box.ask("allow", contact="workshop", row="ring")
    world.run(300.0)
    assert kitchen.box.own.agreeing.all() == hall.box.own.agreeing.all()
    assert kitchen.ask("contacts") == hall.ask("contacts")
    assert kitchen.box.people.controls == hall.box.people.controls
    assert world.server.core is not None
    rows = dict(world.server.core._desk.rows.all_of("kitchen"))
    assert rows == {contact.name: contact.permission for contact in kitchen.box.people.all()}
    account = world.server.core._desk.directory.account("kitchen")
    assert account is not None
    assert account.calls_enabled == kitchen.box.people.controls.calls_enabled

    def outgoing(box: SimulatedBox) -> list[str]:
        return sorted(item["text"] for item in box.thread("workshop") if item["kind"] == "text" and item["outgoing"])

    assert outgoing(kitchen) == outgoing(hall)
    heard = [item["text"] for item in story.workshop.thread("kitchen") if item["kind"] == "text"]
    assert sorted(heard) == sorted(set(heard)), "nothing twice"
    for item in kitchen.thread("workshop"):
        if item["kind"] == "text":
            assert mark_of(kitchen, item["id"]) == mark_of(hall, item["id"])
