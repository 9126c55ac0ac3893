"""What the tests of single cases share: one machine under a hand-turned clock, and how a call stands before a case."""

from typing import TypeVar

from callbox.base.admission import Admission
from callbox.calls import effects as do
from callbox.calls import events as on
from callbox.calls.machine import Calls
from callbox.calls.state import State
from callbox.calls.table import row_for

LOW, HIGH, THIRD = b"\x01" * 16, b"\xf0" * 16, b"\x77" * 16
RINGS = Admission("ring")
E = TypeVar("E")


class Box:
    """One machine under a hand-turned clock; checks each step against the table."""

    def __init__(self, *, link: bool = True) -> None:
        self.calls = Calls()
        self.now = 100.0
        self.done: list[do.Effect] = []
        if link:
            self.sees(on.LinkBack())

    def sees(self, event: on.Event) -> list[do.Effect]:
        before, link_up = self.calls.state, self.calls.link_up
        present = self.calls.current
        effects = self.calls.handle(event, self.now)
        row = row_for(before, type(event), link_up=link_up)
        about_other = isinstance(event, on.CallEvent) and (present is None or event.call_id != present.call_id)
        if not about_other:
            may_be = {before} if row is None else set(row.leads_to) if effects else {before, *row.leads_to}
            assert self.calls.state in may_be, (before, event, self.calls.state)
        self.done += effects
        return effects

    def waits(self, seconds: float) -> list[do.Effect]:
        end, effects = self.now + seconds, []
        while (deadline := self.calls.deadline) is not None and deadline <= end:
            assert deadline >= self.now
            self.now = deadline
            effects += self.calls.tick(self.now)
        self.now = end
        self.done += effects
        return effects

    def all(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.done if isinstance(effect, kind)]

    def recorded(self) -> do.RecordCall:
        (record,) = self.all(do.RecordCall)
        return record

    def stands(self, state: State) -> bool:
        return self.calls.state is state

    def is_ringing(self) -> bool:
        last = [effect for effect in self.done if isinstance(effect, do.Ring | do.StopRing)]
        return bool(last) and isinstance(last[-1], do.Ring)


def kinds(effects: list[do.Effect]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def dialing(call_id: bytes = LOW, contact: str = "workshop", *, knock: bool = False) -> Box:
    box = Box()
    box.sees(on.Dialed(contact, call_id, knock))
    box.sees(on.OfferAccepted(call_id, devices=1))
    return box


def ringing(call_id: bytes = LOW, admission: Admission = RINGS) -> Box:
    box = Box()
    box.sees(on.RingProven(call_id, "kitchen", "k1", admission))
    return box


def caller_talking(call_id: bytes = LOW) -> Box:
    box = dialing(call_id)
    box.sees(on.FarAlerting(call_id, "w1"))
    box.sees(on.FarAnswered(call_id, "w1"))
    box.sees(on.RouteReady(call_id))
    assert box.stands(State.TALKING)
    return box


def callee_talking(call_id: bytes = LOW) -> Box:
    box = ringing(call_id)
    box.sees(on.Answered())
    box.sees(on.FarAcked(call_id))
    box.sees(on.RouteReady(call_id))
    assert box.stands(State.TALKING)
    return box
