"""Live offers of calls, in memory only, and what they leave behind: the right to open a route for a while.

An offer goes to the devices that are connected and to those that come before it ends: withdrawn by its caller,
replaced by the caller's next, left alone by a caller who is gone, or `offer_s` old. A *grant* remembers that a ring
of this call passed between two accounts; routes ask for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from callbox.base.time import Instant, earliest
from callbox.server.settings import CallBounds
from callbox.wire.signals import Envelope

MAX_OFFERS_PER_ACCOUNT = 8
MAX_REPEATS = 8


@dataclass(slots=True)
class Offer:
    """One call that waits to be taken. `void`: its caller is blocked; it waits like any other, and reaches nobody."""

    call_id: bytes
    caller: str
    caller_device: str
    callee: str
    envelopes: dict[str, Envelope]
    ends: Instant
    void: bool
    given: dict[str, int] = field(default_factory=dict)  # device -> connection that got it
    repeats: int = 0
    caller_back_by: Instant | None = None  # set while the caller has no session: nobody could take an answer

    @property
    def due(self) -> Instant:
        """When it is over."""
        return self.ends if self.caller_back_by is None else min(self.ends, self.caller_back_by)


@dataclass(slots=True)
class Rings:
    bounds: CallBounds
    _offers: dict[tuple[str, bytes], Offer] = field(default_factory=dict)  # (caller's device, call id)
    _grants: dict[tuple[frozenset[str], bytes], Instant] = field(default_factory=dict)  # -> until

    def __len__(self) -> int:
        return len(self._offers)

    @property
    def deadline(self) -> Instant | None:
        offer_end = min((offer.due for offer in self._offers.values()), default=None)
        grant_end = next(iter(self._grants.values())) if self._grants else None
        return earliest(offer_end, grant_end)

    def get(self, caller_device: str, call_id: bytes) -> Offer | None:
        return self._offers.get((caller_device, call_id))

    def between(self, caller: str, callee: str) -> Offer | None:
        """Return the one live offer of this pair, if there is one."""
        pairs = (offer for offer in self._offers.values() if offer.caller == caller and offer.callee == callee)
        return next(pairs, None)

    def count_of(self, caller: str) -> int:
        return sum(offer.caller == caller for offer in self._offers.values())

    def add(self, offer: Offer, now: Instant) -> None:
        self._offers[offer.caller_device, offer.call_id] = offer
        self.grant(offer.caller, offer.callee, offer.call_id, now)

    def repeat(self, offer: Offer, envelopes: Mapping[str, Envelope]) -> bool:
        """Take a caller's repeated offer of the same call; what changed goes out again. False when repeated too often.

        The offer's end stays where it was.
        """
        offer.repeats += 1
        if offer.repeats > MAX_REPEATS:
            return False
        for device, envelope in envelopes.items():
            before = offer.envelopes.get(device)
            if before is None or before.message_id != envelope.message_id:
                offer.envelopes[device] = envelope
                offer.given.pop(device, None)
        return True

    def remove(self, offer: Offer) -> None:
        self._offers.pop((offer.caller_device, offer.call_id), None)

    def waiting_for(self, device: str) -> Iterator[Offer]:
        """Yield the offers that a device may be given."""
        return (offer for offer in self._offers.values() if not offer.void and device in offer.envelopes)

    def of_pair(self, caller: str, callee: str) -> list[Offer]:
        return [offer for offer in self._offers.values() if offer.caller == caller and offer.callee == callee]

    def overdue(self, now: Instant) -> list[Offer]:
        """Return the offers whose time is over; forget grants that are."""
        for key in [key for key, until in self._grants.items() if until <= now]:
            del self._grants[key]
        return [offer for offer in self._offers.values() if offer.due <= now]

    def caller_left(self, device: str, now: Instant) -> None:
        """The caller's session ended: its offers wait for it a little, then they are over."""
        for offer in self._of_caller(device):
            offer.caller_back_by = now + self.bounds.caller_away_s

    def caller_came(self, device: str) -> None:
        for offer in self._of_caller(device):
            offer.caller_back_by = None

    def _of_caller(self, device: str) -> list[Offer]:
        return [offer for offer in self._offers.values() if offer.caller_device == device]

    def grant(self, one: str, other: str, call_id: bytes, now: Instant) -> None:
        key = (frozenset((one, other)), call_id)
        self._grants.pop(key, None)  # to the end: the first entry is always the earliest to pass
        self._grants[key] = now + self.bounds.route_within_s

    def granted(self, one: str, other: str, call_id: bytes, now: Instant) -> bool:
        """Return whether a ring of this call passed between the two lately."""
        return self._grants.get((frozenset((one, other)), call_id), now) > now

    def rang(self, one: str, other: str, now: Instant) -> bool:
        """Return whether any ring passed between the two lately."""
        pair = frozenset((one, other))
        return any(names == pair and until > now for (names, _), until in self._grants.items())
