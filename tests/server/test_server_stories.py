"""Random stories of well-formed messages from boxes that lie, repeat themselves, vanish and come back."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callbox.server.events import Received
from callbox.server.items import PutDevice
from callbox.wire.records import ROWS
from callbox.wire.signals import (
    Acknowledge,
    ClaimPrekeys,
    ClientMessage,
    CloseRoute,
    EndRing,
    FetchDevices,
    PublishPrekeys,
    RouteOpened,
    SetCalls,
    SetRow,
    Welcome,
)
from server.people import Box
from server.room import Peer, Room, call_id, media, ring_of, route_of, submit_of

BOXES = [Box("kitchen"), Box("kitchen", 2), Box("workshop"), Box("cellar"), Box("nobody")]
LIVE = BOXES[:4]
_live = st.sampled_from(LIVE)
_any = st.sampled_from(BOXES)
_few = st.integers(0, 2)
KINDS = (
    *("login", "leave", "ring", "end", "submit", "call", "ack", "row", "calls", "route", "close", "media"),
    *("claim", "fetch", "publish", "lane", "time", "restart", "full", "hold", "ring", "route", "media", "media"),
)
Step = tuple[str, Box, Box, int, int]
_steps = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        _live,
        _any,
        _few,
        _few,
    ),
    max_size=60,
)


def message_of(kind: str, box: Box, other: Box, number: int, variant: int) -> ClientMessage | None:
    """Return the message of a step, or None where the step is none."""
    lying = LIVE[variant] if number == 2 else box  # sometimes in another's name
    messages: dict[str, ClientMessage] = {
        "ring": ring_of(lying, [other], number, knock=variant == 1, resume=variant == 2)(7),
        "end": EndRing(call_id(number)),
        "submit": submit_of(lying, other, number, cls="receipt" if variant == 1 else "mail")(7),
        "call": submit_of(lying, other, number, cls="call")(7),
        "ack": Acknowledge(((other.device, other.to(box, number).message_id),)),
        "row": SetRow(7, other.name, ROWS[number + variant]),
        "calls": SetCalls(7, variant > 0),
        "route": route_of(other, number, token=variant)(7),
        "close": CloseRoute(number),
        "claim": ClaimPrekeys(7, other.name),
        "fetch": FetchDevices(7, other.name),
        "publish": PublishPrekeys(7, (box.prekey(number, variant == 0),)),
    }
    return messages.get(kind)


_TALK: list[Step] = [  # kitchen and workshop are in a call when the story begins
    ("row", LIVE[0], LIVE[2], 2, 2),
    ("ring", LIVE[2], LIVE[0], 0, 0),
    ("route", LIVE[2], LIVE[0], 0, 1),
    ("route", LIVE[0], LIVE[2], 0, 1),
    ("media", LIVE[2], LIVE[0], 0, 0),
]


class Story:
    """A room, its boxes' sessions, and who opened which route number."""

    def __init__(self) -> None:
        self.room = Room(LIVE[0], LIVE[2], LIVE[3])
        self.room.store.apply([PutDevice(LIVE[1].stored())])
        self.room.start()
        self.sessions: dict[Box, Peer] = {}

    def tell(self, step: Step) -> None:
        kind, box, other, number, variant = step
        room, session = self.room, self.sessions.get(box)
        if kind == "login":
            self.sessions[box] = room.login(box)
        elif kind == "time":
            room.pass_time((1.0, 45.0, 4000.0)[number])
        elif kind == "restart":
            room.held = None
            room.start()
        elif kind == "full":
            room.store.failing = variant == 0
        elif kind == "hold":
            room.release() if room.held is not None else setattr(room, "held", [])
        elif session is None or session.closed:
            return
        elif kind == "leave":
            session.leave()
        elif kind == "lane":
            room.lane(session, session.last(Welcome).tickets[number])
        elif kind == "media":
            self.send_media(session)
        elif (message := message_of(kind, box, other, number, variant)) is not None:
            session.say(message)

    def send_media(self, session: Peer) -> None:
        """Send on every route that any box ever heard of; it may only reach a box that holds that route too."""
        routes = {opened.route for peer in self.room.peers.values() for opened in peer.all(RouteOpened)}
        for route in routes:
            before = {number: len(peer.media) for number, peer in self.room.peers.items()}
            self.room.give(Received(session.number, media(route)))
            for box, peer in self.sessions.items():
                if len(peer.media) > before[peer.number]:
                    assert holds(session, route), f"media of a box without the route reached {box}"
                    assert holds(peer, route), f"{box} got media of a route that it does not hold"
                    assert peer is not session


def test_the_stories_begin_in_a_call() -> None:
    story = Story()
    for step in [*(("login", box, box, 0, 0) for box in LIVE), *_TALK]:
        story.tell(step)
    assert len(story.sessions[LIVE[0]].media) == 1


def holds(peer: Peer, route: int) -> bool:
    return RouteOpened(7, route, complete=True) in peer.all(RouteOpened)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(_steps)
def test_no_story_of_lies_breaks_the_server_or_its_promise_about_media(steps: list[Step]) -> None:
    story = Story()
    for box in LIVE:
        story.tell(("login", box, box, 0, 0))
    for step in [*_TALK, *steps]:
        story.tell(step)
    story.room.store.failing = False
    if story.room.held is not None:
        story.room.release()
    story.room.pass_time(4000)
    counters = story.room.server.counters
    assert (counters["now.offers"], counters["now.routes"]) == (0, sum_of_complete(story))


def sum_of_complete(story: Story) -> int:
    """Return how many routes may still stand after an hour: those with both sides still connected."""
    room = story.room
    routes = [room.server._desk.routes.of_device(box.device) for box in LIVE]
    return len({route.number for of_device in routes for route in of_device if route.complete})
