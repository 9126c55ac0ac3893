"""A house of four people's boxes: workshop may ring kitchen, and both have two devices."""

from callbox.server.events import Received
from callbox.server.items import PutDevice
from callbox.wire.records import Row
from callbox.wire.signals import Deliver
from server.people import Box
from server.room import Peer, Room, media, opened, ring_of, route_of

KITCHEN, KITCHEN2, WORKSHOP, CELLAR = Box("kitchen"), Box("kitchen", 2), Box("workshop"), Box("cellar")
WORKSHOP2 = Box("workshop", 2)
BOTH = [KITCHEN, KITCHEN2]


def open_room(row: Row = "ring") -> Room:
    """Return a room where workshop may ring kitchen, which has two devices, as workshop has."""
    room = Room(KITCHEN, WORKSHOP, CELLAR)
    room.store.apply([PutDevice(KITCHEN2.stored()), PutDevice(WORKSHOP2.stored())])
    room.start()
    kitchen = room.login(KITCHEN)
    room.allow(kitchen, WORKSHOP, row)
    kitchen.leave()
    return room


def letters(peer: Peer) -> int:
    return len(peer.all(Deliver))


def talking() -> tuple[Room, Peer, Peer, int]:
    """Return a room where kitchen and workshop have a complete route."""
    room = open_room()
    room.pass_time(100)
    kitchen, workshop = room.login(KITCHEN), room.login(WORKSHOP)
    workshop.ask(ring_of(WORKSHOP, BOTH, 1))
    waiting = opened(workshop.ask(route_of(KITCHEN, 1)))
    complete = opened(kitchen.ask(route_of(WORKSHOP, 1)))
    assert (waiting.complete, complete.complete) == (False, True)
    return room, kitchen, workshop, complete.route


def send(room: Room, sender: Peer, receiver: Peer, route: int) -> list[bytes]:
    """Send one media message and return what the receiver got of it."""
    seen = len(receiver.media)
    room.give(Received(sender.number, media(route)))
    return receiver.media[seen:]
