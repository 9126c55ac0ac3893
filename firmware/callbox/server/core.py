"""The server's decisions: an event and the time in, effects out. No clock, socket, thread or file in here.

bytes --> unproven? --> doors        (challenge, enrol, log in, join)
      --> a lane, or 0x02 --> relay  (media: to the other side of a complete route, or to nobody)
      --> a session --> letters | blobs | calling | accounts
outcomes of the store --> where its effect was asked for
"""

from collections.abc import Callable
from typing import Any

from callbox.base.chance import Chance
from callbox.base.time import Instant, earliest
from callbox.server import accounts, blobs, calling, doors, erasing, letters, links, members
from callbox.server.desk import Desk, open_desk
from callbox.server.events import (
    BlobPartFetched,
    Closed,
    Fetched,
    InviteFound,
    MoveDecided,
    Opened,
    Received,
    SendMedia,
    ServerEffect,
    ServerEvent,
    Stopping,
    Stored,
    StoreFailed,
)
from callbox.server.items import StoreSnapshot
from callbox.server.relay import Onward
from callbox.server.sessions import Session
from callbox.server.settings import ServerSettings
from callbox.wire.codec import decode_client_message
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import MEDIA_TYPE, unpack_media
from callbox.wire.signals import (
    Acknowledge,
    AnswerLink,
    BeginBlob,
    ClaimPrekeys,
    CloseRoute,
    DropBlob,
    EndRing,
    Erase,
    FetchDevices,
    GetPart,
    Moved,
    OpenLink,
    OpenRoute,
    PublishPrekeys,
    PutPart,
    PutRecord,
    Ring,
    SetCalls,
    SetRow,
    Submit,
)

CLOCK_JUMP_MS = 3_600_000
STEADY_S = 12 * 3600.0


def submit(desk: Desk, session: Session, message: Submit) -> None:
    """Take one letter: to be stored, or to be passed on now."""
    fault = letters.misaddressed(desk, session, message.envelope)
    if fault is not None:
        desk.deny(session, message.request, fault)
    elif message.envelope.cls == "call":
        calling.submit_call(desk, session, message)
    else:
        letters.submit_mail(desk, session, message)


HANDLERS: dict[type, Callable[[Desk, Session, Any], None]] = {
    Submit: submit,
    Acknowledge: letters.acknowledge,
    Ring: calling.ring,
    EndRing: calling.end_ring,
    OpenRoute: calling.open_route,
    CloseRoute: calling.close_route,
    PutRecord: members.put_record,
    OpenLink: links.open_link,
    AnswerLink: links.answer_link,
    PublishPrekeys: accounts.publish,
    ClaimPrekeys: accounts.claim,
    FetchDevices: accounts.fetch_devices,
    SetRow: accounts.set_row,
    SetCalls: accounts.set_calls,
    Erase: erasing.erase,
    BeginBlob: blobs.begin,
    PutPart: blobs.put_part,
    GetPart: blobs.get_part,
    DropBlob: blobs.drop,
}
"""Every message of a session; the others are for unproven connections and end a session as malformed."""


class Server:
    """One signaling server. `authority`: its CA certificate, DER; its SHA-256 is the server's id."""

    def __init__(
        self,
        settings: ServerSettings,
        chance: Chance,
        loaded: StoreSnapshot,
        authority: bytes,
        now: Instant = 0.0,
        moved: Moved | None = None,
        sign: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._desk = open_desk(settings, chance, loaded, authority, now)
        self._desk.sign = sign or self._desk.sign
        self._desk.moved = moved
        self._next_sweep = now + letters.SWEEP_S
        self._steady_since = now
        self._wall_at_start: tuple[Instant, int] | None = None

    @property
    def counters(self) -> dict[str, int]:
        """Return how often what happened. No names, no ids; `now.*` is what there is at present."""
        desk = self._desk
        present = {
            "now.sessions": len(desk.sessions),
            "now.unproven": len(desk.sessions.unproven),
            "now.offers": len(desk.rings),
            "now.routes": len(desk.routes),
            "now.blobs": len(desk.shelf),
        }
        return {**desk.counters, **present}

    @property
    def deadline(self) -> Instant | None:
        desk = self._desk
        proofs = (unproven.deadline for unproven in desk.sessions.unproven.values())
        return earliest(self._next_sweep, desk.rings.deadline, desk.routes.deadline, *proofs)

    def handle(self, event: ServerEvent, now: Instant, wall_ms: int) -> list[ServerEffect]:
        """Take one event; return what is to be done, in order."""
        desk = self._begin(now, wall_ms)
        match event:
            case Opened(connection, address):
                doors.opened(desk, connection, address)
            case Received(connection, data):
                self._received(connection, data)
            case Closed(connection):
                desk.forget(connection)
            case Stored() | StoreFailed() | Fetched() | InviteFound() | BlobPartFetched():
                desk.resume(event)
            case MoveDecided(moved):
                doors.move(desk, moved)
            case Stopping():
                desk.audit("stopping")
                for connection in desk.sessions.connections():
                    if connection in desk.sessions.unproven or desk.sessions.at(connection) is not None:
                        desk.refuse(connection, "stopping")
        return self._end()

    def tick(self, now: Instant, wall_ms: int) -> list[ServerEffect]:
        """Do what is due by now."""
        desk = self._begin(now, wall_ms)
        doors.close_overdue(desk)
        calling.end_overdue(desk)
        if now >= self._next_sweep:
            self._next_sweep = now + letters.SWEEP_S
            if self._clock_is_steady():
                letters.sweep(desk)
                blobs.sweep(desk)
        return self._end()

    def relay(self, connection: int, data: bytes) -> Onward | None:
        """Return what of this media message goes on, and by which way; None: it is dropped.

        Raises MalformedMessage; `handle(Received(...))` then refuses the connection as for any malformed message.
        """
        desk = self._desk
        found = desk.sessions.at(connection)
        if found is None:
            raise MalformedMessage("media on a connection that is nobody's")
        session, _ = found
        bounds = desk.settings.calls
        if len(data) > bounds.media_bytes:
            raise MalformedMessage("media message is too large")
        number, frames = unpack_media(data)
        if len(frames) > bounds.media_frames:
            raise MalformedMessage("media message has too many frames")
        sides = desk.routes.between_sides(number, session.device)
        receiver = desk.sessions.of_device(sides[1].device) if sides is not None else None
        if sides is None or receiver is None or sides[0].outlet is None or sides[1].outlet is None:
            desk.counters["media.dropped"] += 1
            return None
        desk.counters["media.relayed"] += 1
        back, outlet = sides[0].outlet.spread, sides[1].outlet
        if back.current != connection:
            back.prefer(connection)
        outlet.reach(receiver.media_connections)
        return Onward(outlet, outlet.firsts.of(frames), hurry=back.current != connection)

    def _received(self, connection: int, data: bytes) -> None:
        desk = self._desk
        unproven = desk.sessions.unproven.get(connection)
        if unproven is not None:
            doors.received(desk, unproven, data)
            return
        found = desk.sessions.at(connection)
        if found is None:
            return  # closed a moment ago
        try:
            if data[:1] == bytes([MEDIA_TYPE]):
                self._pass_on(self.relay(connection, data))
                return
            session, lane = found
            message = decode_client_message(data)
            handler = HANDLERS.get(type(message))
            if lane or handler is None:
                raise MalformedMessage("this message has no place here")
        except MalformedMessage as error:
            desk.refuse(connection, "malformed", str(error))
            return
        handler(desk, session, message)

    def _pass_on(self, onward: Onward | None) -> None:
        """Send media where nobody can tell how the lanes stand; a shell that can calls `relay` itself."""
        if onward is None:
            return
        spread, now = onward.outlet.spread, self._desk.now
        for lane in spread.look_at(now):
            spread.note(lane, None, now)
        for lane, message in spread.send([(now, frame) for frame in onward.frames], lambda lane: True, now):
            self._desk.out.append(SendMedia(lane, message))

    def _begin(self, now: Instant, wall_ms: int) -> Desk:
        self._desk.now, self._desk.wall_ms = now, wall_ms
        if self._wall_at_start is None:
            self._wall_at_start = (now, wall_ms)
        return self._desk

    def _end(self) -> list[ServerEffect]:
        effects, self._desk.out = self._desk.out, []
        return effects

    def _clock_is_steady(self) -> bool:
        """Return whether the wall clock went as the monotonic one for long enough to let mail die by it.

        A clock that was wrong at the start, or jumped, is set right within hours; until then nothing is too old.
        """
        desk = self._desk
        start, wall_at_start = self._wall_at_start or (desk.now, desk.wall_ms)
        expected_ms = wall_at_start + int((desk.now - start) * 1000)
        self._wall_at_start = (desk.now, desk.wall_ms)
        if abs(desk.wall_ms - expected_ms) > CLOCK_JUMP_MS:
            desk.audit("clock-jumped", by_s=str((desk.wall_ms - expected_ms) // 1000))
            self._steady_since = desk.now
        return desk.now - self._steady_since >= STEADY_S
