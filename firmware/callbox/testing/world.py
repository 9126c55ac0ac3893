"""A simulated world: a signaling server, boxes, a network and a clock that only moves when it is told to.

    world = World(seed=1)
    kitchen, workshop = world.friends("kitchen", "workshop")
    kitchen.press("dial1")
    world.until(lambda: workshop.state == "ringing", within_s=1)

Everything that decides is the product's own code. Time jumps from deadline to deadline; the same seed gives the same
world, except for ciphertext bytes, on which nothing depends.
"""

import hashlib
from collections import deque
from collections.abc import Callable

from callbox.base.chance import SeededChance
from callbox.base.time import Instant, earliest
from callbox.server.settings import ServerSettings
from callbox.testing.authority import AUTHORITY
from callbox.testing.box import Moment, SimulatedBox
from callbox.testing.network import Conditions, Network
from callbox.testing.server import SimulatedServer

WALL_START_MS = 1_780_300_800_000  # 2026-06-01 08:00 UTC
START: Instant = 1000.0
FIRST_TONE_HZ = 500.0
NEXT_TONE_HZ = 170.0
TIMELINE_LENGTH = 400
HOME_NETWORK = Conditions(delay_ms=2.0)


class World:
    """See the module's docstring."""

    def __init__(self, seed: int = 1, conditions: Conditions = HOME_NETWORK) -> None:
        self.seed = seed
        self.chance = SeededChance(seed)
        self.network = Network(SeededChance(f"network {seed}"), conditions, now=START)
        self.timeline: deque[Moment] = deque(maxlen=TIMELINE_LENGTH)
        self.boxes: dict[str, SimulatedBox] = {}
        server_id = hashlib.sha256(AUTHORITY).digest()
        self.server = SimulatedServer(
            self.network, SeededChance(f"server {seed}"), lambda: self.wall_ms, ServerSettings(), server_id
        )
        self._watchers: list[Callable[[], None]] = []
        self._blinks: dict[str, deque[str]] = {}

    @property
    def now(self) -> Instant:
        """Simulated monotonic seconds."""
        return self.network.now

    @property
    def wall_ms(self) -> int:
        """Simulated Unix time."""
        return WALL_START_MS + round((self.now - START) * 1000)

    # --- people -----------------------------------------------------------------------------------------------

    def box(self, name: str, board: str = "breadboard") -> SimulatedBox:
        """Make a box, enrol it with the server and switch it on."""
        box = SimulatedBox(self, name, board, FIRST_TONE_HZ + NEXT_TONE_HZ * len(self.boxes))
        box.join(self.server.invite(name))
        self.boxes[name] = box
        box.start()
        self.until(lambda: box.box.core.link.up, 5.0, f"{name} connects")
        return box

    def second(self, box: SimulatedBox, name: str, board: str = "breadboard") -> SimulatedBox:
        """Link a further box to the account of one that is there, and switch it on. `name` is its place here."""
        further = SimulatedBox(self, name, board, FIRST_TONE_HZ + NEXT_TONE_HZ * len(self.boxes))
        further.link(box)
        self.boxes[name] = further
        further.start()
        self.until(lambda: further.box.core.link.up, 5.0, f"{name} connects")
        self.run(2.0)  # what the others know comes to it
        return further

    def friends(self, *names: str) -> list[SimulatedBox]:
        """Make boxes that may all ring each other; dial button 1 of each calls the first of the others, and so on."""
        boxes = [self.box(name) for name in names]
        for box in boxes:
            others = [other for other in boxes if other is not box]
            for slot, other in enumerate(others, start=1):
                box.ask("allow", contact=other.name, row="ring", dial=slot)
            box.ask("synced")
        return boxes

    def call(self, caller: SimulatedBox, callee: SimulatedBox) -> None:
        """Let `caller` call `callee` and wait until both talk."""
        caller.ask("call", contact=callee.name)
        self.run(0.6)
        callee.press("talk")
        self.until(lambda: caller.state == callee.state == "talking", 2.0, "both talk")

    # --- time -------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let `seconds` pass."""
        end = self.now + seconds
        while (due := self._next_due()) is not None and due <= end:
            self._step(due)
        self.network.advance(end)

    def until(self, happened: Callable[[], bool], within_s: float, what: str = "what was waited for") -> float:
        """Let time pass until `happened()`; return the seconds it took. Fails with the timeline when it does not."""
        start = self.now
        while not happened():
            due = self._next_due()
            if due is None or due > start + within_s:
                raise AssertionError(f"{what} did not happen within {within_s} s\n{self.story()}")
            self._step(due)
        return self.now - start

    def at_every_step(self, check: Callable[[], None]) -> None:
        """Call `check` after every instant at which anything happened: for what must always hold."""
        self._watchers.append(check)

    def _next_due(self) -> Instant | None:
        return earliest(self.network.deadline, self.server.deadline, *(box.deadline for box in self.boxes.values()))

    def _step(self, due: Instant) -> None:
        self.network.advance(max(due, self.now))
        self.server.tick()
        for box in list(self.boxes.values()):
            box.tick()
        for check in self._watchers:
            check()

    # --- what happened ------------------------------------------------------------------------------------------

    def note(self, box: str, what: str) -> None:
        """Put a moment into the timeline."""
        self.timeline.append(Moment(self.now, box, what))

    def note_lights(self, box: str, lit: str) -> None:
        """Note what a panel shows, but not every blink: what the last two changes showed already is left out."""
        blinks = self._blinks.setdefault(box, deque(maxlen=2))
        if lit not in blinks:
            self.note(box, f"lights {lit}")
            blinks.append(lit)

    def story(self, last: int = 60) -> str:
        """Return the last moments of all boxes, one line each."""
        moments = list(self.timeline)[-last:]
        lines = [f"{moment.at - START:9.3f} s  {moment.box:<10} {moment.what}" for moment in moments]
        states = ", ".join(f"{box.name} {box.state}" for box in self.boxes.values())
        return "\n".join([f"seed {self.seed}; now {self.now - START:.3f} s: {states}", *lines])
