"""How long the server takes to answer a blocked caller, and one whose callee is switched off: the same."""

import statistics
import time
from collections.abc import Callable

import pytest

from callbox.server.settings import CallBounds, MailBounds, PrekeyBounds, ServerSettings
from callbox.wire.signals import ClaimPrekeys, ClientMessage, FetchDevices
from server.people import Box
from server.room import Peer, Room, ring_of, submit_of

KITCHEN, WORKSHOP = Box("kitchen"), Box("workshop")
ROUNDS = 400
MOST_APART = 0.25  # of the median; a blocked caller has to find it through a network
PATIENT = ServerSettings(
    calls=CallBounds(burst=10**6, per_hour=10**6),
    mail=MailBounds(items=10**6, bytes=10**9),
    prekeys=PrekeyBounds(claims=10**6, fetches=10**6),
)
ASKS: dict[str, Callable[[int], Callable[[int], ClientMessage]]] = {
    "a letter": lambda number: submit_of(KITCHEN, WORKSHOP, number),
    "prekeys": lambda number: lambda request: ClaimPrekeys(request, "workshop"),
    "devices": lambda number: lambda request: FetchDevices(request, "workshop"),
    "a ring": lambda number: ring_of(KITCHEN, [WORKSHOP], number),
}


def room(how: str) -> tuple[Room, Peer]:
    room = Room(KITCHEN, WORKSHOP, settings=PATIENT)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    room.allow(workshop, KITCHEN, "blocked" if how == "blocked" else "ring")
    workshop.leave()
    return room, kitchen


@pytest.mark.soak
@pytest.mark.parametrize("what", ASKS)
def test_the_server_takes_as_long_for_a_blocked_caller(what: str) -> None:
    rooms = {how: room(how) for how in ("blocked", "switched off")}
    took: dict[str, list[float]] = {how: [] for how in rooms}
    for number in range(ROUNDS):
        for how, (_, kitchen) in rooms.items():
            kitchen.heard.clear()
            begun = time.perf_counter()
            if what == "a ring":
                kitchen.say(ASKS[what](number)(number))
            else:
                kitchen.ask(ASKS[what](number))
            took[how].append(time.perf_counter() - begun)
            assert not kitchen.closed
        for place, _ in rooms.values():
            place.pass_time(61.0 if what == "a ring" else 0.0)
    blocked, off = (statistics.median(took[how]) for how in ("blocked", "switched off"))
    assert abs(blocked - off) <= MOST_APART * off, f"{blocked * 1e6:.0f} us and {off * 1e6:.0f} us"
