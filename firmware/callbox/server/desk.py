"""What every handler of the core works with: the server's state, the time, and the effects that pile up.

A handler is a function `handler(desk, session, message)`; it changes the state and calls the verbs below. An effect
on the store takes a continuation, called when its outcome comes back.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from callbox.base.chance import Chance
from callbox.base.time import Instant
from callbox.server.directory import Directory
from callbox.server.events import (
    Audit,
    BlobPartFetched,
    CloseConnection,
    FetchBlobPart,
    Fetched,
    FetchMail,
    FindInvite,
    InviteFound,
    Save,
    SendTo,
    ServerEffect,
    Stored,
    StoreFailed,
)
from callbox.server.items import Invite, Letter, StoreSnapshot, Write
from callbox.server.limits import Both, Bucket, PerKey, Window
from callbox.server.mailbox import Mailboxes
from callbox.server.open_links import Links
from callbox.server.rings import Rings
from callbox.server.routes import Routes
from callbox.server.rows import Rows
from callbox.server.sessions import Session, Sessions
from callbox.server.settings import ServerSettings
from callbox.server.shelf import Shelf
from callbox.wire.codec import encode_message
from callbox.wire.signals import Accepted, Denied, DeniedWhy, Moved, Refused, RefusedWhy, ServerMessage
from callbox.wire.told import Told

DENIALS_AUDITED_PER_MINUTE = 60
PARTS_AT_ONCE = 64
Outcome = Stored | StoreFailed | Fetched | InviteFound | BlobPartFetched


@dataclass(slots=True)
class Desk:
    settings: ServerSettings
    chance: Chance
    authority: bytes
    directory: Directory
    rows: Rows
    mailboxes: Mailboxes
    shelf: Shelf
    rings: Rings
    routes: Routes
    sessions: Sessions
    ring_limits: PerKey[tuple[str, str]]
    claim_limits: PerKey[tuple[str, str]]
    fetch_limits: PerKey[str]
    blob_limits: PerKey[str]
    part_limits: PerKey[str]
    started: Instant
    now: Instant
    wall_ms: int = 0
    links: Links = field(default_factory=Links)
    store_id: bytes = b""
    moved: Moved | None = None  # where this server goes on
    enrolling: set[str] = field(default_factory=set)  # names on their way to the disk
    counters: Counter[str] = field(default_factory=Counter)
    out: list[ServerEffect] = field(default_factory=list)
    sign: Callable[[bytes], bytes] = lambda data: b""
    _pending: dict[int, Callable[[Outcome], None]] = field(default_factory=dict)
    _last_ticket: int = 0
    _denials: Window = field(default_factory=lambda: Window(DENIALS_AUDITED_PER_MINUTE, 60.0))

    @property
    def server_id(self) -> bytes:
        return hashlib.sha256(self.authority).digest()

    @property
    def just_started(self) -> bool:
        """Return whether routes and call letters of calls from before the start may still come."""
        return self.now < self.started + self.settings.calls.route_within_s

    # --- to the boxes ---

    def send(self, connection: int, message: ServerMessage) -> None:
        self.out.append(SendTo(connection, encode_message(message)))

    def accept(self, connection: int, request: int) -> None:
        self.send(connection, Accepted(request))

    def deny(
        self, session: Session, request: int, why: DeniedWhy, told: Told | None = None, retry_after_s: float = 0.0
    ) -> None:
        self.counters[f"denied.{why}"] += 1
        self.audit_denial("denied", why=why, account=session.account, device=session.device)
        self.send(session.connection, Denied(request, why, told, min(int(retry_after_s) + bool(retry_after_s), 86400)))

    def refuse(self, connection: int, why: RefusedWhy, detail: str = "", connection_epoch: int = 0) -> None:
        """Say why, and end the connection."""
        self.counters[f"refused.{why}"] += 1
        self.send(connection, Refused(why, detail, connection_epoch))
        self.close(connection, why)

    def close(self, connection: int, why: str) -> None:
        self.out.append(CloseConnection(connection, why))
        self.forget(connection)

    def forget(self, connection: int) -> None:
        """Clean up after a connection that is gone, its lanes and its routes' sides included."""
        session = self.sessions.leave(connection)
        if session is None:
            return
        for lane in session.lanes.values():
            self.out.append(CloseConnection(lane, "its session ended"))
        self.routes.lost(session.device, self.now)
        self.rings.caller_left(session.device, self.now)

    # --- to the store ---

    def save(self, writes: Sequence[Write], then: Callable[[bool], None] | None = None) -> None:
        """Commit `writes`; `then(True)` when they are safe, `then(False)` when they are not."""

        def done(outcome: Outcome) -> None:
            if then is not None:
                then(isinstance(outcome, Stored))

        self.out.append(Save(self._ticket(done), tuple(writes)))

    def fetch_mail(
        self, device: str, after: int, limit: int, then: Callable[[tuple[Letter, ...] | None], None]
    ) -> None:
        def done(outcome: Outcome) -> None:
            then(outcome.letters if isinstance(outcome, Fetched) else None)

        self.out.append(FetchMail(self._ticket(done), device, after, limit))

    def find_invite(self, token_hash: bytes, then: Callable[[Invite | None, bool], None]) -> None:
        """`then`: the invite, if there is such a one, and whether the store could be read at all."""

        def done(outcome: Outcome) -> None:
            if isinstance(outcome, InviteFound):
                then(outcome.invite, True)
            else:
                then(None, False)

        self.out.append(FindInvite(self._ticket(done), token_hash))

    def fetch_blob_part(self, blob: bytes, part: int, then: Callable[[bytes | None], None]) -> None:
        def done(outcome: Outcome) -> None:
            then(outcome.data if isinstance(outcome, BlobPartFetched) else None)

        self.out.append(FetchBlobPart(self._ticket(done), blob, part))

    def resume(self, outcome: Outcome) -> None:
        """Go on where an effect on the store left off."""
        if isinstance(outcome, StoreFailed):
            self.counters["store.failed"] += 1
        then = self._pending.pop(outcome.ticket, None)
        if then is not None:
            then(outcome)

    def _ticket(self, then: Callable[[Outcome], None]) -> int:
        self._last_ticket += 1
        self._pending[self._last_ticket] = then
        return self._last_ticket

    # --- to the operator ---

    def audit(self, what: str, **facts: str) -> None:
        self.out.append(Audit(json.dumps({"at_ms": self.wall_ms, "what": what, **facts}, ensure_ascii=False)))

    def audit_denial(self, what: str, **facts: str) -> None:
        """Audit a denial, unless so many come that the log would only tell of one flood."""
        if self._denials.wait_s(self.now) <= 0.0:
            self._denials.take(self.now)
            self.audit(what, **facts)


def open_desk(
    settings: ServerSettings, chance: Chance, snapshot: StoreSnapshot, authority: bytes, now: Instant
) -> Desk:
    """Set the state up from what the store held at the start."""
    calls, prekeys, blobs = settings.calls, settings.prekeys, settings.blobs

    def ring_limit() -> Both:
        return Both(Bucket(calls.burst, calls.refill_s), Window(calls.per_hour, 3600.0))

    return Desk(
        settings=settings,
        chance=chance,
        authority=authority,
        directory=Directory(snapshot),
        rows=Rows(snapshot.rows, snapshot.requests),
        mailboxes=Mailboxes(snapshot.letters, snapshot.last_number),
        shelf=Shelf(snapshot.blobs),
        rings=Rings(calls),
        routes=Routes(calls, chance),
        sessions=Sessions(chance, settings.connections.lanes),
        ring_limits=PerKey(ring_limit),
        claim_limits=PerKey(lambda: Window(prekeys.claims, prekeys.window_s)),
        fetch_limits=PerKey(lambda: Window(prekeys.fetches, prekeys.window_s)),
        blob_limits=PerKey(lambda: Bucket(blobs.burst, blobs.refill_s)),
        part_limits=PerKey(lambda: Bucket(PARTS_AT_ONCE, 1 / blobs.parts_per_s)),
        started=now,
        store_id=snapshot.store_id,
        now=now,
    )
