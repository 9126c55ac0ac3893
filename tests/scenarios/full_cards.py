"""A story told again and again, each time with another write of another card failing.

Two accounts, one of them with two boxes, and the server: a stranger asks and is taken in, texts, voice messages, a call
that nobody takes, marks, wishes, settings, a box that is linked, a line deleted and a contact erased. Told once without
trouble, it counts what each card writes; then any of these writes can be the first that fails:

    once     this one alone; the next try works
    spell    everything for up to twenty seconds, then there is room again
    cut      as a spell, and the power of that box, or of the server, is cut in it

`full_cards_judged` says what must not have come of it.
"""

import base64
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from callbox.audio import ogg
from callbox.base.errors import CallboxError
from callbox.conversations.items import TextItem
from callbox.conversations.stores import FaultKind, StoreFault
from callbox.server.stores import StoreFault as ServerFault
from callbox.testing.box import SimulatedBox
from callbox.testing.world import World

How = Literal["once", "spell", "cut"]
ENDS = ("kitchen", "hall", "workshop", "attic", "server")
SPELL_S = 20.0
CUT_AFTER_S = 12.0  # whoever asked was answered by then
OFF_S = 2.0
ANSWER_WITHIN_S = 40.0
SETTLES_S, SETTLES = 90.0, 10  # prekeys are claimed a few times in ten minutes only
SAYS = {"full": "There is no room left", "read-only": "The card cannot be written"}


EARLY = "may I?"  # of before the hall was linked: it is not copied there


@dataclass(frozen=True)
class Trouble:
    """Whose card fails from which of its writes on, and how."""

    end: str
    at: int
    how: How = "spell"
    kind: FaultKind = "full"

    @property
    def lasts_s(self) -> float:
        """Spells of several lengths, so that they end at other acts than they begin before."""
        return 0.0 if self.how == "once" else SPELL_S if self.how == "cut" else SPELL_S * (1 + self.at % 3) / 3

    def __str__(self) -> str:
        return f"{self.end}-{self.at}-{self.how}-{self.kind}"


class Card:
    """Stands before the store of one end, counts its writes, and lets them fail when their time has come."""

    def __init__(
        self, world: World, store: Any, method: str, trouble: Trouble | None, began: Callable[[], None]
    ) -> None:
        self.writes = 0
        self.failed = 0
        self._world, self._trouble, self._began = world, trouble, began
        self._room_at = float("inf")
        self._write = getattr(store, method)
        setattr(store, method, self._take)

    @property
    def fails(self) -> bool:
        """Whether a write would fail at this moment."""
        return bool(self.failed) and self._world.now < self._room_at

    def _take(self, writes: Sequence[Any]) -> None:
        self.writes += 1
        trouble = self._trouble
        if trouble is not None and self.writes == trouble.at:
            self._room_at = self._world.now + trouble.lasts_s
            self._began()
        if trouble is not None and (self.writes == trouble.at or self._world.now < self._room_at < float("inf")):
            self.failed += 1
            says = SAYS[trouble.kind]
            raise ServerFault(says) if trouble.end == "server" else StoreFault(trouble.kind, says)
        self._write(writes)


@dataclass
class Told:
    """What a box was asked, and what it answered: None if its power was cut first."""

    box: str
    what: str
    words: dict[str, Any]
    reply: dict[str, Any] | None

    @property
    def promised(self) -> bool:
        return self.reply is not None and bool(self.reply["ok"])


class Story:
    """Tells it once, with at most one trouble."""

    def __init__(self, trouble: Trouble | None = None, seed: int = 1) -> None:
        self.trouble = trouble
        self.world = world = World(seed)
        self.told: list[Told] = []
        self.deleted: set[str] = set()
        self.seen_failing = self.fault_shown = False
        self._chance = random.Random(f"full cards {seed}")
        self.kitchen, self.workshop = world.box("kitchen"), world.box("workshop")
        self.hall = SimulatedBox(world, "hall", "breadboard", 900.0)
        self.attic, self._attics_invite = (
            SimulatedBox(world, "attic", "breadboard", 1100.0),
            world.server.invite("attic"),
        )
        self.boxes = [self.kitchen, self.workshop]
        world.run(1.0)
        self.cards = {
            box.name: self._card(box.name, box.store, "commit")
            for box in (self.kitchen, self.workshop, self.hall, self.attic)
        }
        self.cards["server"] = self._card("server", world.server.store, "apply")
        world.at_every_step(self._look)

    def _card(self, end: str, store: Any, method: str) -> Card:
        mine = self.trouble if self.trouble is not None and self.trouble.end == end else None
        return Card(self.world, store, method, mine, self._trouble_begins)

    @property
    def lossy(self) -> bool:
        """Whether somebody's power was cut: what it had not acknowledged may be gone."""
        return self.trouble is not None and self.trouble.how == "cut"

    # --- trouble ----------------------------------------------------------------------------------------------------

    def _trouble_begins(self) -> None:
        trouble, network = self.trouble, self.world.network
        if trouble is not None and trouble.how == "cut":
            end: Any = self.world.server if trouble.end == "server" else getattr(self, trouble.end)
            network.at(network.now + CUT_AFTER_S, lambda: self._cut(end))

    def _cut(self, end: Any) -> None:
        on = end.on if isinstance(end, SimulatedBox) else end.core is not None
        if on:
            end.kill()
            # With room again: a box that starts on a full card is another story (`test_scenarios_full_disk`).
            self.world.network.at(self.world.now + SPELL_S - CUT_AFTER_S + OFF_S, end.start)

    def _look(self) -> None:
        """While its card takes nothing, a box that has tried says so."""
        trouble = self.trouble
        if trouble is None or trouble.end == "server" or not self.cards[trouble.end].fails:
            return
        box: SimulatedBox = getattr(self, trouble.end)
        if box.on:
            self.seen_failing = True
            self.fault_shown = self.fault_shown or box.box.front.fault == SAYS[trouble.kind]

    # --- the story --------------------------------------------------------------------------------------------------

    def tell(self) -> None:
        """Everything, act by act. A person whose box is off waits until it is on again."""
        world, kitchen, workshop, hall = self.world, self.kitchen, self.workshop, self.hall
        self.insist(workshop, "allow", contact="kitchen", row="ring", dial=1)
        self.ask(workshop, "message", contact="kitchen", text=EARLY)
        world.run(1.0)
        self._join_attic()
        self.insist(kitchen, "allow", contact="workshop", row="ring", dial=1)
        self.ask(kitchen, "allow", contact="attic", row="message")
        world.run(0.5)
        self._link()  # what came before is not copied to it
        self.ask(kitchen, "message", contact="workshop", text="of course")
        self.ask(workshop, "message", contact="kitchen", text="good")
        self.ask(hall, "message", contact="workshop", text="from the hall")
        self.speak(workshop, "kitchen")
        self.speak(kitchen, "workshop")
        world.run(0.5)
        self._missed_call()
        self.ask(hall, "quiet hours", span="23:00-06:00")
        self.ask(kitchen, "silence", contact="workshop", on=True)
        self.ask(hall, "allow", contact="cellar", row="blocked")
        self.ask(workshop, "calls", on=False)
        world.run(1.0)
        self.ask(hall, "messages", contact="workshop", last=100, read=True)
        self.ask(workshop, "messages", contact="kitchen", last=100, read=True)
        world.run(1.0)
        self._delete(kitchen)
        self.ask(kitchen, "erase contact", contact="attic")
        self.ask(kitchen, "export")
        self.ask(workshop, "calls", on=True)
        for _ in range(SETTLES):
            world.run(SETTLES_S)
            if not any(box.box.post.waiting for box in self.boxes if box.on):
                break

    def ask(self, box: SimulatedBox, what: str, **words: Any) -> dict[str, Any] | None:
        """Ask as the command line does, and note what was answered."""
        if not box.on:
            self.world.until(lambda: box.on, SPELL_S + ANSWER_WITHIN_S, f"{box.name} is on")
        number, asked = box.ask_later(what, **words), box.box
        self.world.until(
            lambda: bool(box.replies[number]) or not box.on or box.box is not asked,
            ANSWER_WITHIN_S,
            f"{box.name} answers {what}",
        )
        reply = dict(box.replies[number][-1]) if box.replies[number] else None
        self.told.append(Told(box.name, what, words, reply))
        return reply

    def insist(self, box: SimulatedBox, what: str, **words: Any) -> None:
        """Say it again until it is done."""
        for _ in range(12):
            if (self.ask(box, what, **words) or {}).get("ok"):
                return
            self.world.run(2.0)

    def _delete(self, box: SimulatedBox) -> None:
        """Delete the first text, if it has come already."""
        texts = [item for item in box.store.items(limit=1000) if isinstance(item, TextItem) and item.text == EARLY]
        if texts:
            self.deleted.add(f"text {EARLY!r}")
            self.ask(box, "delete", id=texts[0].id.hex())

    def speak(self, box: SimulatedBox, to: str) -> None:
        """Send a voice message of two parts."""
        packets = [b"\xfb\x01" + self._chance.randbytes(120) for _ in range(300)]
        self.ask(box, "voice", contact=to, sound=base64.b64encode(ogg.write(packets)).decode())

    def _missed_call(self) -> None:
        """Nobody takes it."""
        if not self.workshop.on:
            self.world.until(lambda: self.workshop.on, SPELL_S + ANSWER_WITHIN_S, "workshop is on")
        self.workshop.press("dial1")
        for _ in range(10):
            if self.kitchen.state != "ringing":  # the permission may have been refused, or forgotten with the power
                self.world.run(0.5)
        self.world.run(1.0)
        if self.workshop.on:
            self.workshop.press("talk")
        self.world.run(2.0)

    def _join_attic(self) -> None:
        """A further account: `callbox join` with one invite, and again when that fails."""
        for _ in range(12):
            try:
                self.attic.join(self._attics_invite)
            except CallboxError:
                self.world.run(5.0)
            else:
                return
        raise AssertionError(f"the attic never joins\n{self.world.story()}")

    def _link(self) -> None:
        """Link the hall, as people at two command lines would: what fails is tried again."""
        for _ in range(12):
            reply = self.ask(self.kitchen, "link") or {}
            if reply.get("ok") and self._join_hall(str(reply["invite"])):
                break
            self.world.run(5.0)
        else:
            raise AssertionError(f"the hall is never linked\n{self.world.story()}")
        self.world.boxes["hall"] = self.hall
        self.hall.start()
        self.boxes.append(self.hall)
        self.world.run(3.0)

    def _join_hall(self, invite: str) -> bool:
        """Say `callbox join` with this invite, and again when that fails. False: it takes another invite."""
        for _ in range(6):
            try:
                linking = self.hall.ask_to_link(invite)
                self.world.run(1.0)
                if linking.outcome is None and self.hall.link_numbers:
                    self.ask(self.kitchen, "link confirm", numbers=self.hall.link_numbers[-1])
                for _ in range(int(ANSWER_WITHIN_S)):
                    if linking.outcome is None:
                        self.world.run(1.0)
                if linking.outcome is None:
                    return False  # the other box was switched off and has forgotten the invite
                self.hall.finish_link()
            except CallboxError:
                self.world.run(5.0)
            else:
                return True
        return False
