"""`callbox join`: become a box. A new account, a further device of one, or a known box at a server that lost it.

    invite of the server                 a new account: identity, enrolment
    the same, in the folder of a box     a server that was set up anew, or restored: the same identity once more
    invite of `callbox link`             a further device of an account: both show numbers, the other box says yes

Nothing counts before the server took the box. What was cut off, or found no room on the card, goes on with the same
keys when the same invite comes again: they are on the card before the server hears of them.
"""

from collections.abc import Callable

import msgspec

from callbox import __version__
from callbox.app.assembly import open_store
from callbox.app.home import Home
from callbox.app.keys import PREKEYS
from callbox.app.saved import (
    CONNECTION_EPOCH,
    IDENTITY,
    STATE,
    Membership,
    first_writes,
    keep_epoch,
    keep_identity,
)
from callbox.app.world import wall_clock_ms
from callbox.base.chance import Chance, SystemChance
from callbox.base.errors import CallboxError
from callbox.conversations.stores import Delete, Put, Store, Write
from callbox.crypto.identity import Candidate, Identity
from callbox.crypto.linking import check_nonce, link_numbers
from callbox.crypto.records import card_fingerprint
from callbox.link.joining import Joined, Joining
from callbox.link.linking import Asking, Linking
from callbox.link.session import Credentials
from callbox.link.transports.dialling import parse_address
from callbox.link.transports.websocket import join as run_joining
from callbox.wire.cards import Invite
from callbox.wire.records import SignedKey, SignedRecord

LINKING = "linking"  # row of IDENTITY: a candidate that asks to be linked
ENROLLING = "enrolling"  # row of IDENTITY: a new account that the server may know already
EPOCHS_APART = 1000  # a server that was restored may remember a login that this box has lost count of
Show = Callable[[str], None]


class _Asked(msgspec.Struct, frozen=True):
    token: str
    candidate: bytes
    tries: int = 1


class _Enrolling(msgspec.Struct, frozen=True):
    token: str
    identity: bytes
    tries: int = 1


class Epochs:
    """Connection epochs of a joining that may have to log in more than once. The last one is kept with the box."""

    def __init__(self, last: int = 0) -> None:
        self.last = last

    def next(self) -> int:
        """Return an epoch above all before."""
        self.last += 1
        return self.last


async def join(home: Home, invite: Invite, show: Show) -> str:
    """Join; returns the account's name. `show` gets the numbers to compare, for a further device."""
    store = open_store(home)
    try:
        known = store.load(IDENTITY)
        if "membership" in known:
            return await _join_again(home, store, Identity.restore(known["identity"]), invite)
        if invite.account_key:
            return await _link(store, invite, known.get(LINKING), show)
        enrolling = new_account(invite, known.get(ENROLLING), SystemChance(), wall_clock_ms())
        return await _enrol(store, enrolling)
    finally:
        store.close()


async def _enrol(store: Store, enrolling: "Enrolling") -> str:
    store.commit(enrolling.keep())
    joined = await _run(enrolling.joining(SystemChance()), enrolling.invite)
    store.commit(enrolling.writes(joined))
    return enrolling.invite.name


async def _join_again(home: Home, store: Store, identity: Identity, invite: Invite) -> str:
    """Enrol the same identity once more: contacts keep their trust in it."""
    if invite.account_key or invite.name != identity.account:
        raise CallboxError(
            f"The folder {home.folder} holds a box already: {identity.account}.",
            "Use another folder (--home), or remove this one.",
        )
    epoch = int(store.load(STATE).get(CONNECTION_EPOCH, b"0")) + EPOCHS_APART

    def keep(exported: bytes) -> list[Put]:
        return [keep_epoch(epoch), keep_identity(exported)]  # whatever becomes of it, no epoch is used twice

    return await _enrol(store, Enrolling(invite, identity, Epochs(epoch - EPOCHS_APART // 2), keep))


async def _link(store: Store, invite: Invite, asked: bytes | None, show: Show) -> str:
    """Ask the box that made the invite to sign this one."""
    linking = DeviceLinking(invite, asked, SystemChance(), wall_clock_ms())
    store.commit([linking.keep()])
    joined = await _run(Linking(invite, linking.asking, show, SystemChance()), invite)
    store.commit(linking.writes(joined))
    return invite.name


async def _run(joining: Joining, invite: Invite) -> Joined:
    return await run_joining(joining, parse_address(invite.server))


def _credentials(identity: Identity, epochs: Epochs) -> Credentials:
    return Credentials(identity.account, identity.device, identity.sign_login, epochs.next, __version__)


# --- a new account, without sockets and files ---------------------------------------------------------------------


class Enrolling:
    """An identity that is to be enrolled, with the prekeys to be published. Commit `keep` before, `writes` after."""

    def __init__(self, invite: Invite, identity: Identity, epochs: Epochs, keep: Callable[[bytes], list[Put]]) -> None:
        self.invite = invite
        self._identity = identity
        self._epochs = epochs
        self._prekeys = identity.new_prekeys(PREKEYS, fallback=True)
        self._keep = keep

    def keep(self) -> list[Put]:
        """Return the writes that remember these keys, should the server take them and the rest be cut off."""
        return self._keep(self._identity.export())

    def joining(self, chance: Chance) -> Joining:
        """Return what talks to the server."""
        credentials = _credentials(self._identity, self._epochs)
        return Joining(self.invite, self._identity.record, credentials, self._prekeys, chance)

    def writes(self, joined: Joined) -> list[Write]:
        """Return what makes the store this box."""
        self._identity.mark_published()
        membership = Membership(self.invite.server, joined.authority, joined.server_id)
        return [Delete(IDENTITY, ENROLLING), *first_writes(self._identity, membership, self._epochs.last)]


def new_account(invite: Invite, before: bytes | None, chance: Chance, wall_ms: int) -> Enrolling:
    """Return a new account. `before`: what was kept of an earlier attempt; with the same invite it goes on."""
    known = msgspec.msgpack.decode(before, type=_Enrolling) if before is not None else None
    if known is not None and known.token == invite.token:
        identity, tries = Identity.restore(known.identity), known.tries + 1
    else:
        identity, tries = Identity.create(invite.name, chance, wall_ms), 1

    def keep(exported: bytes) -> list[Put]:
        return [Put(IDENTITY, ENROLLING, msgspec.msgpack.encode(_Enrolling(invite.token, exported, tries)))]

    return Enrolling(invite, identity, Epochs((tries - 1) * EPOCHS_APART), keep)


# --- a further device, without sockets and files ------------------------------------------------------------------


class DeviceLinking:
    """The keys' side of a link: checks what the old box says, becomes an identity once it signed.

    `asked`: what `keep` stored of an earlier attempt, if any: with the same invite it goes on with the same keys.
    """

    def __init__(self, invite: Invite, asked: bytes | None, chance: Chance, wall_ms: int) -> None:
        """Raises CallboxError for an invite that contradicts itself."""
        if card_fingerprint(invite.account_key) != invite.fingerprint:
            raise CallboxError("This link invite contradicts itself.", "Make a new one: callbox link")
        self._invite = invite
        self._identity: Identity | None = None
        self._tries = 1
        before = msgspec.msgpack.decode(asked, type=_Asked) if asked is not None else None
        if before is not None and before.token == invite.token:
            self._candidate, self._tries = Candidate.restore(before.candidate), before.tries + 1
        else:
            self._candidate = Candidate.create(invite.name, invite.account_key, chance, wall_ms)
        self._epochs = Epochs(self._tries * EPOCHS_APART)
        self.asking = Asking(self._candidate.record, self._candidate.by_device, self._numbers, self._joined)

    def keep(self) -> Put:
        """Return the write that remembers who asks, so that a link that is cut off makes no second device."""
        asked = _Asked(self._invite.token, self._candidate.export(), self._tries)
        return Put(IDENTITY, LINKING, msgspec.msgpack.encode(asked))

    def _numbers(self, nonce: bytes) -> str:
        check_nonce(self._invite.token, nonce)
        return link_numbers(self._invite.account_key, self._candidate.record, nonce)

    def _joined(self, signed: SignedRecord) -> tuple[Credentials, tuple[SignedKey, ...]]:
        if signed.record != self._candidate.record:
            raise ValueError("the server brought another device's record")
        identity = self._candidate.joined(signed.by_account)
        if self._identity is None:
            self._identity = identity
        return _credentials(self._identity, self._epochs), self._identity.new_prekeys(PREKEYS, fallback=True)

    def writes(self, joined: Joined) -> list[Write]:
        """Return what makes an empty store this device."""
        assert self._identity is not None
        self._identity.mark_published()
        membership = Membership(self._invite.server, joined.authority, joined.server_id)
        return [Delete(IDENTITY, LINKING), *first_writes(self._identity, membership, self._epochs.last)]
