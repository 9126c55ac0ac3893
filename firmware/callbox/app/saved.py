"""What a box finds in its store when it starts: who it is, whom it knows, what it was doing."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from callbox.base.errors import CallboxError
from callbox.conversations.contacts import CONSENTS, Contacts
from callbox.conversations.contacts import TABLE as CONTACTS
from callbox.conversations.controls import TABLE as CONTROLS
from callbox.conversations.controls import Controls, load_controls
from callbox.conversations.stores import Delete, Put, Store, Write, read_row
from callbox.crypto.identity import Identity
from callbox.crypto.sessions import Sessions

# Tables of the store that the app keeps; those of the rooms are named there.
IDENTITY = "identity"
SESSIONS = "sessions"
PEERS = "peers"
FORGOTTEN = "forgotten"  # names that were erased here, until the server has dropped them too
STATE = "state"

# Rows of the table `state`.
CONNECTION_EPOCH = "connection_epoch"
CURRENT_CALL = "current_call"
FALLBACK_MADE = "fallback_made"  # wall time at which the server took the present fallback key
SERVER_STORE = "server_store"  # which store the server had then
WELCOMED_EPOCH = "welcomed_epoch"  # of the last login that the server took
VOLUME = "volume"


class Membership(msgspec.Struct, frozen=True):
    """The server that this box joined."""

    address: str  # HOST:PORT
    authority: bytes  # DER certificate of its own CA
    server_id: bytes  # SHA-256 of that certificate
    moved_ms: int = 0  # when it was last decided that the server goes on elsewhere
    next_address: str = ""  # where that is, until it was reached


class UnfinishedCall(msgspec.Struct, frozen=True):
    """The call that was on when the process ended. Never its keys."""

    call_id: bytes
    contact: str
    device: str  # "": a call of ours that nobody had answered
    outgoing: bool
    muted: bool
    began_ms: int = 0  # wall time since when both could talk; 0: not yet


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything loaded, decoded."""

    identity: Identity
    membership: Membership
    sessions: Sessions
    contacts: Contacts
    controls: Controls
    peers: Mapping[str, bytes]
    store: Store
    connection_epoch: int = 0
    welcomed_epoch: int = 0
    server_store: bytes = b""
    fallback_made_ms: int = 0  # 0: not known
    current_call: UnfinishedCall | None = None
    volume: tuple[float, float] | None = None  # in box.toml when the buttons changed it, and as they left it


def load(store: Store) -> Saved:
    """Read a box's store. Raises CallboxError when no box was made here yet."""
    own = store.load(IDENTITY)
    if "identity" not in own or "membership" not in own:
        raise CallboxError("This folder holds no box yet.", 'Make one: callbox join "INVITE"')
    identity = Identity.restore(own["identity"])
    state = store.load(STATE)
    return Saved(
        identity=identity,
        membership=msgspec.msgpack.decode(own["membership"], type=Membership),
        sessions=Sessions(identity, store.load(SESSIONS)),
        contacts=Contacts(store.load(CONTACTS), store.load(CONSENTS)),
        controls=load_controls(store.load(CONTROLS)),
        peers=store.load(PEERS),
        store=store,
        connection_epoch=int(state.get(CONNECTION_EPOCH, b"0")),
        server_store=state.get(SERVER_STORE, b""),
        welcomed_epoch=int(state.get(WELCOMED_EPOCH, b"0")),
        fallback_made_ms=int(state.get(FALLBACK_MADE, b"0")),
        current_call=read_row(UnfinishedCall, STATE, state[CURRENT_CALL]) if CURRENT_CALL in state else None,
        volume=read_row(tuple[float, float], STATE, state[VOLUME]) if VOLUME in state else None,
    )


def first_writes(identity: Identity, membership: Membership, epoch: int) -> list[Put]:
    """Return what makes an empty store a box."""
    return [
        keep_identity(identity.export()),
        keep_membership(membership),
        keep_epoch(epoch),
    ]


def keep_identity(exported: bytes) -> Put:
    """Return the write that keeps this box's own keys, Olm account included."""
    return Put(IDENTITY, "identity", exported)


def keep_epoch(epoch: int) -> Put:
    """Return the write that reserves a connection epoch."""
    return Put(STATE, CONNECTION_EPOCH, str(epoch).encode())


def keep_volume(set_volume: float, volume: float) -> Put:
    """Return the write that keeps the volume over a restart, until box.toml says another than `set_volume`."""
    return Put(STATE, VOLUME, msgspec.msgpack.encode((set_volume, volume)))


def keep_welcomed(epoch: int) -> Put:
    """Return the write that remembers the last login that the server took."""
    return Put(STATE, WELCOMED_EPOCH, str(epoch).encode())


def keep_fallback_made(wall_ms: int) -> Put:
    """Return the write that remembers since when the server has the present fallback key."""
    return Put(STATE, FALLBACK_MADE, str(wall_ms).encode())


def keep_server_store(store_id: bytes) -> Put:
    """Return the write that remembers which store the server has."""
    return Put(STATE, SERVER_STORE, store_id)


def keep_membership(membership: Membership) -> Put:
    """Return the write that keeps where this box's server is."""
    return Put(IDENTITY, "membership", msgspec.msgpack.encode(membership))


def keep_call(call: UnfinishedCall | None) -> Write:
    """Return the write that remembers which call is on; None: no call."""
    return Delete(STATE, CURRENT_CALL) if call is None else Put(STATE, CURRENT_CALL, msgspec.msgpack.encode(call))
