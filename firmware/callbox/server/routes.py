"""Media routes: two devices that proved to share a call's secret token, and nobody else.

    absent --OpenRoute--> waiting for the peer --the peer's OpenRoute--> complete
    complete --a side's connection is lost--> waiting (the other side too) --OpenRoute again--> complete
    waiting, too long --> closed, and whoever is there is told

Both sides use the same route number. `between_sides` is the one check that media passes: it names the peer only to a
device of this route, and only while the route is complete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.lanes.spread import Spread
from callbox.server.relay import Outlet
from callbox.server.settings import CallBounds

MAX_ROUTES_PER_DEVICE = 4


@dataclass(slots=True)
class Side:
    """One device of a route. `connection` is its session's, None while it is away; then `away_until` counts."""

    device: str
    account: str
    connection: int | None = None
    request: int = 0
    away_until: Instant = 0.0
    outlet: Outlet | None = None


@dataclass(frozen=True, slots=True)
class RouteKey:
    """What both sides must say alike."""

    call_id: bytes
    token: bytes
    devices: frozenset[str]


@dataclass(slots=True)
class Route:
    number: int
    key: RouteKey
    sides: dict[str, Side]
    pairs: dict[str, tuple[Side, Side]]  # of each device: its own side, and its peer's
    complete: bool = False

    @property
    def deadline(self) -> Instant | None:
        return min((side.away_until for side in self.sides.values() if side.connection is None), default=None)


@dataclass(slots=True)
class Routes:
    bounds: CallBounds
    chance: Chance
    _by_key: dict[RouteKey, Route] = field(default_factory=dict)
    _by_number: dict[int, Route] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_number)

    @property
    def deadline(self) -> Instant | None:
        return earliest(*(route.deadline for route in self._by_number.values()))

    def find(self, key: RouteKey) -> Route | None:
        return self._by_key.get(key)

    def of_device(self, device: str) -> list[Route]:
        return [route for route in self._by_number.values() if device in route.sides]

    def between(self, one: str, other: str, call_id: bytes | None = None) -> Route | None:
        """Return a route of these two devices, of this call if one is named."""
        for route in self.of_device(one):
            if other in route.sides and call_id in (None, route.key.call_id):
                return route
        return None

    def begin(self, key: RouteKey, sides: tuple[Side, Side], now: Instant) -> Route:
        """Make a route whose sides have yet to come."""
        for side in sides:
            side.away_until = now + self.bounds.route_within_s
        number = self._free_number()
        for side in sides:
            side.outlet = Outlet(Spread(number, masked=False, extra=self.bounds.copies))
        one, other = sides
        route = Route(
            number,
            key,
            {side.device: side for side in sides},
            {one.device: (one, other), other.device: (other, one)},
        )
        self._by_key[key] = self._by_number[route.number] = route
        return route

    def enter(self, route: Route, device: str, connection: int, request: int) -> None:
        side = route.sides[device]
        side.connection, side.request = connection, request
        route.complete = all(side.connection is not None for side in route.sides.values())

    def between_sides(self, number: int, device: str) -> tuple[Side, Side] | None:
        """Return `device`'s side and its peer's of a complete route of its own; None means: nobody gets this."""
        route = self._by_number.get(number)
        return route.pairs.get(device) if route is not None and route.complete else None

    def lost(self, device: str, now: Instant) -> None:
        """A device's session ended: its routes wait for it."""
        for route in self.of_device(device):
            side = route.sides[device]
            if side.connection is not None:
                side.connection, route.complete = None, False
                side.away_until = now + self.bounds.route_kept_s

    def close(self, number: int, device: str) -> Route | None:
        """Close a route on behalf of one of its devices; None for anybody else."""
        route = self._by_number.get(number)
        if route is None or device not in route.sides:
            return None
        self._remove(route)
        return route

    def overdue(self, now: Instant) -> Iterator[Route]:
        """Close and yield the routes that waited too long."""
        for route in list(self._by_number.values()):
            if route.deadline is not None and route.deadline <= now:
                self._remove(route)
                yield route

    def _remove(self, route: Route) -> None:
        del self._by_key[route.key], self._by_number[route.number]

    def _free_number(self) -> int:
        """Return an unused number that nobody can foresee: a second fence behind the check of the device."""
        while True:
            number = int.from_bytes(self.chance.token(4), "big")
            if number and number not in self._by_number:
                return number
