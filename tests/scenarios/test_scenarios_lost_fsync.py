"""Cards that lie: what they said was safe is gone after a power cut, the last commits of a box or of the server.

Nobody can keep what was acknowledged and then lost. What must hold all the same: everything starts and goes on, nothing
is there twice, and whatever is written after the last cut arrives once. What else may be missing is named here.
"""

import copy
import random
from collections import Counter, deque
from typing import Any

import pytest

from callbox.testing.box import SimulatedBox
from callbox.testing.world import World
from scenarios.acts import all_idle, mark_of, talk
from scenarios.test_scenarios_voice_messages import FORTY_S

MOST_LOST = 8  # commits
HEALED_S = 3700.0  # a session is made anew once an hour at most
CUTS = 12
# 14: a box lost the prekeys that it had published, and nobody could make a session with it for days.
SEEDS = [14, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(14))]  # five seconds each


class LyingCard:
    """Stands before the store of a box or the server, and can take back its last commits."""

    def __init__(self, world: World, box: SimulatedBox | None) -> None:
        self._world = world
        self._box = box
        self._kept: deque[dict[str, Any]] = deque(maxlen=MOST_LOST)
        store: Any = box.store if box is not None else world.server.store
        self._store = store
        name = "commit" if box is not None else "apply"
        write = getattr(store, name)

        def noted(writes: Any) -> Any:
            self._kept.append(self._state())
            return write(writes)

        setattr(store, name, noted)

    def cut_power(self, lost: int) -> None:
        """Take the power, lose so many commits, come back."""
        holder = self._box or self._world.server
        holder.kill()
        for _ in range(min(lost, len(self._kept))):
            state = self._kept.pop()
            for field, value in state.items():
                setattr(self._store, field, value)
        self._world.run(0.5)
        holder.start()

    def _state(self) -> dict[str, Any]:
        fields = vars(self._store).items()
        return {name: _copied(value) for name, value in fields if isinstance(value, dict)}


def _copied(table: dict[Any, Any]) -> dict[Any, Any]:
    return {key: dict(value) if isinstance(value, dict) else copy.copy(value) for key, value in table.items()}


def written(box: SimulatedBox, to: str, text: str) -> str:
    return str(box.ask("message", contact=to, text=text)["id"])


def texts(box: SimulatedBox, contact: str, outgoing: bool) -> list[str]:
    return [item["text"] for item in box.thread(contact) if item["kind"] == "text" and item["outgoing"] == outgoing]


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_loses_its_last_commits_everything_goes_on_and_nothing_is_there_twice(seed: int) -> None:
    chance, world = random.Random(f"lost fsync {seed}"), World(seed)
    kitchen, workshop = world.friends("kitchen", "workshop")
    boxes = {"kitchen": workshop, "workshop": kitchen}  # by whom they write to
    cards = [LyingCard(world, box) for box in (kitchen, workshop, None)]
    number = 0
    for _ in range(CUTS):
        for _ in range(chance.choice((1, 2, 5))):
            to = chance.choice(list(boxes))
            if boxes[to].on:
                number += 1
                boxes[to].ask_later("message", contact=to, text=f"{number}")
            world.run(chance.choice((0.0, 0.004, 0.02, 0.3)))
        chance.choice(cards).cut_power(chance.randrange(1, MOST_LOST + 1))
        world.run(chance.choice((0.2, 2.0)))
    world.run(HEALED_S)
    after = {to: [written(box, to, f"after {count}") for count in range(3)] for to, box in boxes.items()}
    world.run(60.0)
    for to, box in boxes.items():
        receiver = workshop if to == "workshop" else kitchen
        came = texts(receiver, box.name, outgoing=False)
        assert came[-3:] == ["after 0", "after 1", "after 2"]
        assert max(Counter(came).values()) == 1, "nothing is there twice"
        assert {mark_of(box, one) for one in after[to]} == {"delivered"}
        assert set(texts(box, to, outgoing=True)) - set(came) <= set(map(str, range(1, number + 1)))
    talk(world, kitchen, workshop)
    kitchen.press("talk")
    all_idle(world, kitchen, workshop)


def test_a_server_that_forgot_a_letter_is_given_it_again(world: World) -> None:
    """The sender keeps what its contact did not confirm, and hands it over again once a day."""
    kitchen, workshop = world.friends("kitchen", "workshop")
    card = LyingCard(world, None)
    workshop.stop()
    world.run(2.0)
    text = written(kitchen, "workshop", "taken, and forgotten")
    voice = kitchen.ask("voice", contact="workshop", sound=FORTY_S)["id"]
    world.run(2.0)
    assert mark_of(kitchen, text) == mark_of(kitchen, voice) == "sent"
    card.cut_power(MOST_LOST)
    workshop.start()
    world.until(lambda: mark_of(kitchen, text) == mark_of(kitchen, voice) == "delivered", 25 * 3600.0, "both arrive")
    assert texts(workshop, "kitchen", outgoing=False) == ["taken, and forgotten"]
    assert workshop.ask("sound", id=voice)["sound"] == FORTY_S
