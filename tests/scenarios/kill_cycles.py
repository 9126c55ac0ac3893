"""Cycles of messages and sudden deaths: two accounts, one of them with two boxes, and a server, in a simulated world.

In each cycle texts and voice messages are written, and one of the four ends dies at a chosen step: before or after a
commit, before or after something leaves, before or after something that came is handled. Whatever it had not stored is
gone. At the end of an episode everything runs again, and what was written is compared with what came.

    python -m scenarios.kill_cycles --cycles 10000      in tests/; `make soak-messages`
"""

import argparse
import base64
import hashlib
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from callbox.app import events as happened
from callbox.audio import ogg
from callbox.conversations.items import TextItem, VoiceItem
from callbox.link.events import LaneReceived, SendOnLane
from callbox.server.events import Received, Save, SendTo, ServerEffect, ServerEvent, Stored
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World

CYCLES = 25  # of one episode: a world of its own
MANY = (6, 10, 14, 24)  # messages of one cycle
FEW = (1, 2, 4)
VOICE_SHARE = 0.03
SETTLES_S = 60.0
ARRIVED = {"delivered", "heard"}
BOX_STEPS = ("stores", "stored", "sends", "receives")
SERVER_STEPS = ("receives", "stores", "stored", "sends")
Content: TypeAlias = tuple[str, str, str]


@dataclass
class Counts:
    """What came of so many cycles."""

    cycles: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    written: int = 0
    arrivals: int = 0
    lost: int = 0
    doubled: int = 0
    undecryptable: int = 0
    disordered: int = 0
    unmarked: int = 0

    @property
    def flawless(self) -> bool:
        return not (self.lost or self.doubled or self.undecryptable or self.disordered or self.unmarked)

    def add(self, other: "Counts") -> None:
        for name in ("cycles", "written", "arrivals", "lost", "doubled", "undecryptable", "disordered", "unmarked"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.deaths += other.deaths

    def __str__(self) -> str:
        deaths = ", ".join(f"{what} {count}" for what, count in sorted(self.deaths.items()))
        return (
            f"{self.cycles} cycles, {self.written} messages, {self.arrivals} arrivals: lost {self.lost}, "
            f"doubled {self.doubled}, undecryptable {self.undecryptable}, out of order {self.disordered}, "
            f"left unmarked {self.unmarked}; deaths: {deaths}"
        )


def step_of_box(step: Any) -> str:
    """Name a step of a box: stores, stored, sends, receives, or nothing of interest."""
    match step:
        case list() | tuple():
            return "stores"
        case happened.Committed():
            return "stored"
        case SendOnLane():
            return "sends"
        case LaneReceived():
            return "receives"
    return ""


class Episode:
    """One world. kitchen and hall are boxes of one account, workshop is another's."""

    def __init__(self, seed: int, written: tuple[int, ...] = MANY) -> None:
        self.seed = seed
        self._how_many = written
        self.chance = random.Random(f"kill cycles {seed}")
        self.world = world = World(seed)
        kitchen, workshop = world.friends("kitchen", "workshop")
        hall = world.second(kitchen, "hall")
        self.boxes = [kitchen, hall, workshop]
        self.counts = Counts()
        self.wrong: list[str] = []
        self._asked: list[tuple[SimulatedBox, int]] = []
        self._victim, self._step, self._steps_left = "", "", 0
        self._sounds: dict[bytes, str] = {}  # who sent it
        for box in self.boxes:
            box.before = lambda step, box=box: self._box_step(box, step)  # type: ignore[misc]
        world.server.listen_in = self._server_hears
        world.server.twist = self._server_says

    # --- deaths -------------------------------------------------------------------------------------------------

    def _due(self, victim: str, step: str) -> bool:
        """Count a step; say whether it is the one at which the victim dies."""
        if (self._victim, self._step) != (victim, step):
            return False
        self._steps_left -= 1
        if self._steps_left > 0:
            return False
        self._victim = ""
        self.counts.deaths[f"{'server' if victim == 'server' else 'box'} {step}"] += 1
        return True

    def _box_step(self, box: SimulatedBox, step: Any) -> None:
        if box.on and self._due(box.name, step_of_box(step)):
            box.kill()

    def _server_hears(self, event: ServerEvent) -> None:
        step = "receives" if isinstance(event, Received) else "stored" if isinstance(event, Stored) else ""
        if self.world.server.core is not None and self._due("server", step):
            self.world.server.kill()

    def _server_says(self, effect: ServerEffect) -> list[ServerEffect]:
        server = self.world.server
        step = "sends" if isinstance(effect, SendTo) else "stores" if isinstance(effect, Save) else ""
        if server.core is not None and self._due("server", step):
            server.kill()
        return [effect] if server.core is not None else []

    # --- cycles -------------------------------------------------------------------------------------------------

    def cycle(self) -> None:
        """Write some messages, let one end die among it, and bring it back."""
        chance, world = self.chance, self.world
        self.counts.cycles += 1
        self._victim = chance.choice(("server", *(box.name for box in self.boxes)))
        self._step = chance.choice(SERVER_STEPS if self._victim == "server" else BOX_STEPS)
        self._steps_left = chance.choice((1, 1, 2, 3, 5, 8, 13, 21))
        for _ in range(chance.choice(self._how_many)):
            box = chance.choice(self.boxes)
            if box.on:
                self._write(box)
            if chance.random() < 0.3:
                world.run(chance.choice((0.0, 0.002, 0.006, 0.02)))
        world.run(chance.choice((0.05, 0.2, 0.5)))
        self._victim = ""
        if chance.random() < 0.1:
            self._break_links()
        if chance.random() < 0.8:
            self._bring_back()
            world.run(chance.choice((0.0, 0.1, 0.5)))

    def _write(self, box: SimulatedBox) -> None:
        contact = "kitchen" if box.name == "workshop" else "workshop"
        if self.chance.random() < VOICE_SHARE:
            content = ogg.write([b"\xfb\x01" + self.chance.randbytes(120)] * 30)
            self._sounds[content] = box.name
            sound = base64.b64encode(content).decode()
            self._asked.append((box, box.ask_later("voice", contact=contact, sound=sound)))
        else:
            text = f"{box.name} {len(self._asked)} " + "x" * self.chance.choice((0, 0, 400, 3000))
            self._asked.append((box, box.ask_later("message", contact=contact, text=text)))

    def _break_links(self) -> None:
        box, network = self.chance.choice(self.boxes), self.world.network
        self.chance.choice((network.cut, network.blackhole))(box.name)
        self.world.run(self.chance.choice((0.01, 0.3)))
        network.restore(box.name)

    def _bring_back(self) -> None:
        if self.world.server.core is None:
            self.world.server.start()
        for box in self.boxes:
            if not box.on:
                box.start()

    # --- what came of it ------------------------------------------------------------------------------------------

    def play(self, cycles: int = CYCLES) -> Counts:
        """Play so many cycles, let all settle, compare."""
        for _ in range(cycles):
            self.cycle()
        self._bring_back()
        for _ in range(10):
            self.world.run(SETTLES_S)
            self._compare()
            if self.counts.flawless:
                break
        return self.counts

    def _compare(self) -> None:
        counts = self.counts
        counts.written = counts.arrivals = counts.lost = counts.doubled = counts.disordered = counts.unmarked = 0
        counts.undecryptable = len(self._unopened())
        self.wrong.clear()
        kitchen, hall, workshop = self.boxes
        for sender, others in ((kitchen, (workshop, hall)), (hall, (workshop, kitchen)), (workshop, (kitchen, hall))):
            written = [
                item for item in self._items(sender) if item.outgoing and self._content(sender, item)[0] == sender.name
            ]
            contents = [self._content(sender, item) for item in written]
            counts.written += len(written)
            counts.unmarked += self._note(
                [f"{sender.name} {item.state}: {item.id.hex()}" for item in written if item.state not in ARRIVED]
            )
            kept = {item.id.hex() for item in written}
            counts.lost += self._note([f"{sender.name} lost its own {one}" for one in self._promised(sender) - kept])
            for receiver in others:
                own = receiver is not workshop and sender is not workshop
                self._arrived(sender, receiver, contents, outgoing=own)

    def _arrived(self, sender: SimulatedBox, receiver: SimulatedBox, sent: list[Content], outgoing: bool) -> None:
        """Compare what a box wrote with what another one has of it."""
        counts, way = self.counts, f"{sender.name} to {receiver.name}"
        items = [item for item in self._items(receiver) if item.outgoing == outgoing]
        came = [content for content in (self._content(receiver, item) for item in items) if content[0] == sender.name]
        counts.arrivals += len(came)
        counts.lost += self._note([f"{way} lost {one}" for one in (Counter(sent) - Counter(came)).elements()])
        counts.doubled += self._note([f"{way} doubled {one}" for one in (Counter(came) - Counter(sent)).elements()])
        for kind in ("text", "voice"):
            orders = [[one for one in list_ if one[1] == kind] for list_ in (sent, came)]
            counts.disordered += self._note([f"{way}: {kind} out of order"] if orders[0] != orders[1] else [])

    def _note(self, wrong: list[str]) -> int:
        self.wrong += wrong
        return len(wrong)

    def _items(self, box: SimulatedBox) -> list[TextItem | VoiceItem]:
        """Return the messages that a box has stored, oldest first."""
        items = reversed(box.store.items(limit=1_000_000))
        return [item for item in items if isinstance(item, TextItem | VoiceItem)]

    def _content(self, box: SimulatedBox, item: TextItem | VoiceItem) -> Content:
        """Return who wrote it first, its kind, and all that it says: not its id, or nothing could be there twice."""
        if isinstance(item, TextItem):
            return item.text.split()[0], "text", item.text
        sound = box.store.sound(item.id)
        return self._sounds.get(sound, "nobody"), "voice", hashlib.sha256(sound).hexdigest()

    def _promised(self, box: SimulatedBox) -> set[str]:
        """Return the ids of what a box said it had taken."""
        replies = [box.replies[ask][-1] for asked, ask in self._asked if asked is box and box.replies[ask]]
        return {str(reply["id"]) for reply in replies if reply["ok"]}

    def _unopened(self) -> list[str]:
        return [
            f"{box.name}: {line}"
            for box in self.boxes
            for line in box.logged
            if "does not open" in line or "was refused" in line or "complaints" in line
        ]

    def story(self) -> str:
        """Return what is known of a world in which something went wrong."""
        return "\n".join(
            [f"seed {self.seed}: {self.counts}", *self._unopened()[:5], *(line[:120] for line in self.wrong[:12])]
        )


def play(
    cycles: int, written: tuple[int, ...] = MANY, first_seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> tuple[Counts, list[str]]:
    """Play so many cycles, 25 in each world; return the sums, and the story of every world that was not flawless."""
    total, stories, began = Counts(), list[str](), time.monotonic()
    for seed in range(first_seed, first_seed + math.ceil(cycles / CYCLES)):
        episode = Episode(seed, written)
        counts = episode.play(min(CYCLES, cycles - total.cycles))
        total.add(counts)
        if not counts.flawless:
            stories.append(episode.story())
            tell(stories[-1])
        if seed % 10 == 9:
            tell(f"{time.monotonic() - began:6.0f} s  {total}")
    return total, stories


def main() -> int:
    """Play as many cycles as asked for; the last line is the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cycles", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="the first world's; each has 25 cycles")
    chosen = parser.parse_args()
    total, stories = play(chosen.cycles, MANY, chosen.seed, lambda line: print(line, flush=True))
    print(total)
    return 1 if stories else 0


if __name__ == "__main__":
    sys.exit(main())
