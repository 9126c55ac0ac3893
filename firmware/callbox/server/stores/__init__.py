"""Where the server keeps accounts, rows and letters: one Protocol, several members, one contract suite.

A member is synchronous. The shell runs it in one thread of its own and commits in groups; tests and simulations run it
in line, by `carry_out`.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Protocol

from callbox.base.errors import CallboxError
from callbox.server.events import (
    BlobPartFetched,
    FetchBlobPart,
    Fetched,
    FetchMail,
    FindInvite,
    InviteFound,
    Save,
    ServerEvent,
    Stored,
    StoreEffect,
    StoreFailed,
)
from callbox.server.items import Invite, Letter, StoreSnapshot, Write


class StoreFault(CallboxError):
    """The store cannot be used, or could not do what was asked; nothing of it was done."""


class ServerStore(Protocol):
    """What every member does. All raise StoreFault."""

    def open(self) -> StoreSnapshot:
        """Make what is missing, and return everything that the core holds in memory."""
        ...

    def apply(self, writes: Sequence[Write]) -> None:
        """Do all writes, in order, or none; return when they are safe."""
        ...

    def mail(self, device: str, after: int, limit: int) -> tuple[Letter, ...]:
        """Return letters for `device` whose number is above `after`, in order, void ones left out."""
        ...

    def invite(self, token_hash: bytes) -> Invite | None:
        """Return an invite as it is now, whichever process wrote it."""
        ...

    def invites(self) -> tuple[Invite, ...]:
        """Return all invites, oldest first."""
        ...

    def blob_part(self, blob: bytes, part: int) -> bytes | None:
        """Return one part of a blob, None if it is not here."""
        ...

    def close(self) -> None: ...


def carry_out(store: ServerStore, effect: StoreEffect) -> ServerEvent:
    """Perform an effect of the core on the store and return its outcome."""
    try:
        match effect:
            case Save(ticket, writes):
                if writes:
                    store.apply(writes)
                return Stored(ticket)
            case FetchMail(ticket, device, after, limit):
                return Fetched(ticket, store.mail(device, after, limit))
            case FindInvite(ticket, token_hash):
                return InviteFound(ticket, store.invite(token_hash))
            case FetchBlobPart(ticket, blob, part):
                return BlobPartFetched(ticket, store.blob_part(blob, part))
    except StoreFault as fault:
        return StoreFailed(effect.ticket, str(fault))


def carry_out_all(store: ServerStore, effects: Sequence[StoreEffect]) -> list[ServerEvent]:
    """Perform several effects in order. Saves that follow each other share one commit: one sync for all of them.

    If that commit fails, each is tried by itself, so that one bad save does not take the others down.
    """
    outcomes: list[ServerEvent] = []
    for saves, group in groupby(effects, key=lambda effect: isinstance(effect, Save)):
        members = list(group)
        if saves and len(members) > 1:
            together = tuple(write for member in members if isinstance(member, Save) for write in member.writes)
            if isinstance(carry_out(store, Save(members[0].ticket, together)), Stored):
                outcomes += [Stored(member.ticket) for member in members]
                continue
        outcomes += [carry_out(store, member) for member in members]
    return outcomes
