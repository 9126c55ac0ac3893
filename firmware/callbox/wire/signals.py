"""Everything that a box and the signaling server say to each other: two tagged unions.

Clear to the server: who, to whom, which class, how large (to a padding step), when. Never: what.
Every request carries a `request` number chosen by the box; exactly one answer carries it back.
"""

from typing import Annotated, Literal

import msgspec

from callbox.wire.records import AccountName, DeviceId, Number, RouteNumber, Row, SignedKey, SignedRecord, Words
from callbox.wire.told import Told

Statement = Annotated[str, msgspec.Meta(max_length=1000)]
Class = Literal["mail", "call", "receipt"]
"""mail and receipt are stored until acknowledged; call is never stored."""


class Envelope(msgspec.Struct, frozen=True):
    """One sealed letter, as the server sees it."""

    cls: Class
    message_id: bytes  # 16 bytes
    from_account: AccountName
    from_device: DeviceId
    to_account: AccountName
    to_device: DeviceId
    ttl_s: Number
    olm_type: Literal[0, 1]  # 0 pre-key message, 1 message
    ciphertext: bytes  # at most 64 KiB
    version: Number = 1


class DevicePrekey(msgspec.Struct, frozen=True):
    """One device of a claimed account with one prekey; `key` is None when it has published none."""

    record: SignedRecord
    key: SignedKey | None


# --- box to server, before authentication ---------------------------------------------------------------------


class AskAuthority(msgspec.Struct, frozen=True, tag="ask-authority"):
    """Ask for the server's CA certificate; the invite's pin proves it, so this may go over unproven TLS."""


class Enrol(msgspec.Struct, frozen=True, tag="enrol"):
    """Take up an invite: the first device of a new account. The record's `account` must be the invited name."""

    token: Words
    record: SignedRecord


class Login(msgspec.Struct, frozen=True, tag="login"):
    """Prove to be a device: signature of its auth key over `codec.login_transcript`.

    `record`: its own record, for a server that was restored from a backup and knows an older one, or none.
    """

    account: AccountName
    device: DeviceId
    nonce: bytes  # 32 bytes of the box
    connection_epoch: Number
    signature: bytes
    software: Words = ""
    record: SignedRecord | None = None


class AskLink(msgspec.Struct, frozen=True, tag="ask-link"):
    """A new device of an account, unproven, asks the one that made this link invite to sign its record."""

    token: Words
    record: bytes
    by_device: bytes


class JoinLane(msgspec.Struct, frozen=True, tag="join-lane"):
    """Add this connection to a session as a media lane, by a one-use ticket of its welcome or of an earlier lane."""

    ticket: bytes


# --- box to server, in a session ----------------------------------------------------------------------------


class PublishPrekeys(msgspec.Struct, frozen=True, tag="publish-prekeys"):
    """Offer prekeys. `replace`: those that the server holds may be used up already, so these take their place."""

    request: Number
    keys: tuple[SignedKey, ...]
    replace: bool = False


class PutRecord(msgspec.Struct, frozen=True, tag="put-record"):
    """A device of our account, signed by the account's key: linked, changed or revoked."""

    request: Number
    record: SignedRecord


class OpenLink(msgspec.Struct, frozen=True, tag="open-link"):
    """An invite for a further device of ours was made; whoever comes with its token may ask us for the signature."""

    request: Number
    token: Words


class AnswerLink(msgspec.Struct, frozen=True, tag="answer-link"):
    """To the device that asked: the nonce that the token commits to, or `agreed` False: not this one. Not answered."""

    token: Words
    nonce: bytes
    agreed: bool = True


class ClaimPrekeys(msgspec.Struct, frozen=True, tag="claim-prekeys"):
    """Ask for the devices of an account and, for those listed in `devices` (empty: all), one prekey each."""

    request: Number
    account: AccountName
    devices: tuple[DeviceId, ...] = ()


class FetchDevices(msgspec.Struct, frozen=True, tag="fetch-devices"):
    """Ask for the device records of an account; claims no prekey. Answer: `Devices` with every key None."""

    request: Number
    account: AccountName


class Submit(msgspec.Struct, frozen=True, tag="submit"):
    """Hand over a mail, receipt or call envelope. Accepted means: committed (mail, receipt) or passed on (call)."""

    request: Number
    envelope: Envelope


class Ring(msgspec.Struct, frozen=True, tag="ring"):
    """Offer a call to every listed device of one account. Kept in memory for 60 s, handed to devices that come.

    `resume`: not a ring: passed on at once or dropped, needs a route of this call that is still open.
    """

    request: Number
    call_id: bytes
    to_account: AccountName
    envelopes: tuple[Envelope, ...]
    knock: bool = False
    resume: bool = False


class EndRing(msgspec.Struct, frozen=True, tag="end-ring"):
    """Withdraw a live offer, by its caller. Not answered."""

    call_id: bytes


class Acknowledge(msgspec.Struct, frozen=True, tag="acknowledge"):
    """These delivered letters are safe here: (from_device, message_id). Not answered."""

    letters: tuple[tuple[DeviceId, bytes], ...]


class SetRow(msgspec.Struct, frozen=True, tag="set-row"):
    """What `account` may do towards us."""

    request: Number
    account: AccountName
    row: Row


class SetCalls(msgspec.Struct, frozen=True, tag="set-calls"):
    """Calls on or disabled, for the whole account."""

    request: Number
    enabled: bool


class Erase(msgspec.Struct, frozen=True, tag="erase"):
    """Delete what the server has of us: all of the account with its key's signature over `codec.erasure_transcript`,
    without one this device alone. Answer: `Erased`, and the session ends; or `Denied`."""

    request: Number
    signature: bytes | None = None


class OpenRoute(msgspec.Struct, frozen=True, tag="open-route"):
    """Media between us and the device that opens a route with the same token. Answer: RouteOpened or Denied."""

    request: Number
    token: bytes  # 16 bytes, from the call keys
    call_id: bytes
    peer_account: AccountName
    peer_device: DeviceId


class CloseRoute(msgspec.Struct, frozen=True, tag="close-route"):
    route: RouteNumber


class BeginBlob(msgspec.Struct, frozen=True, tag="begin-blob"):
    """Announce a sealed blob (a voice message) for an account, or ask how far it got. Answer: BlobPlace or Denied."""

    request: Number
    blob: bytes  # 16 bytes, chosen by the box
    to_account: AccountName
    parts: Number  # one of codec.BLOB_STEPS; each has codec.PART_BYTES


class PutPart(msgspec.Struct, frozen=True, tag="put-part"):
    """The next part of an announced blob; accepted once it is committed."""

    request: Number
    blob: bytes
    part: Number  # counted from 0, in order
    data: bytes  # codec.PART_BYTES


class GetPart(msgspec.Struct, frozen=True, tag="get-part"):
    """Ask for one part of a whole blob that is for our account. Answer: BlobPart, or Denied `no-blob`."""

    request: Number
    blob: bytes
    part: Number


class DropBlob(msgspec.Struct, frozen=True, tag="drop-blob"):
    """From a device it is for: it is safe here. From the device that sent it: withdrawn. Accepted in any case."""

    request: Number
    blob: bytes


# --- server to box ------------------------------------------------------------------------------------------


class Challenge(msgspec.Struct, frozen=True, tag="challenge"):
    """The first message on every connection."""

    server_id: bytes  # SHA-256 of the CA certificate
    nonce: bytes  # 32 bytes
    versions: tuple[int, ...] = (1,)


class Authority(msgspec.Struct, frozen=True, tag="authority"):
    certificate: bytes  # DER


class Enrolled(msgspec.Struct, frozen=True, tag="enrolled"):
    account: AccountName


RefusedWhy = Literal[
    "bad-invite",
    "invite-expired",
    "name-taken",
    "bad-record",
    "unknown-device",
    "bad-signature",
    "revoked",
    "epoch",
    "bad-ticket",
    "too-slow",
    "too-many",
    "malformed",
    "replaced",
    "stopping",
]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The connection ends here, and this is why. `connection_epoch` is the server's, where that is the reason."""

    why: RefusedWhy
    detail: Words = ""
    connection_epoch: Number = 0


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    session: bytes
    tickets: tuple[bytes, ...]
    server_time_ms: Number
    prekeys_left: Number
    calls_enabled: bool
    rows: tuple[tuple[AccountName, Row], ...] = ()
    blob_parts: Number = 0  # parts that a blob may have here; 0: this server takes none
    store_id: bytes = b""  # another one than before: the server was restored from a backup
    known_epoch: Number | None = None  # of this device's login before this one, as far as the server knows


class LaneJoined(msgspec.Struct, frozen=True, tag="lane-joined"):
    """The lane is part of the session. `ticket` is for the next lane, so that lanes may come and go for months."""

    lane: Number
    ticket: bytes = b""


class Accepted(msgspec.Struct, frozen=True, tag="accepted"):
    request: Number


DeniedWhy = Literal[
    "not-allowed", "calls-disabled", "busy", "too-often", "mailbox-full", "no-such-account", "no-storage", "no-ring",
    "not-yours", "too-large", "no-blob",
]  # fmt: skip


class Denied(msgspec.Struct, frozen=True, tag="denied"):
    """A request was not done. `told` is set where the request was a ring, and not a stranger's."""

    request: Number
    why: DeniedWhy
    told: Told | None = None
    retry_after_s: Number = 0


class Devices(msgspec.Struct, frozen=True, tag="devices"):
    """Answer to ClaimPrekeys and FetchDevices. A blocked asker gets the same answer as any other."""

    request: Number
    account: AccountName
    devices: tuple[DevicePrekey, ...]


class Deliver(msgspec.Struct, frozen=True, tag="deliver"):
    """A letter for us. Mail and receipts come again until acknowledged, in order per sending device."""

    envelope: Envelope


class RingEnded(msgspec.Struct, frozen=True, tag="ring-ended"):
    """The caller withdrew the offer, or its 60 s passed."""

    call_id: bytes


class PrekeysLow(msgspec.Struct, frozen=True, tag="prekeys-low"):
    left: Number


class RouteOpened(msgspec.Struct, frozen=True, tag="route-opened"):
    """Media messages with this route number are ours; `complete` once the peer is there too (sent again then)."""

    request: Number
    route: RouteNumber
    complete: bool


class RouteClosed(msgspec.Struct, frozen=True, tag="route-closed"):
    route: RouteNumber


class Erased(msgspec.Struct, frozen=True, tag="erased"):
    """What was deleted, in words, signed by the server's authority (ECDSA P-256, SHA-256, DER)."""

    request: Number
    statement: Statement
    proof: bytes


class BlobPlace(msgspec.Struct, frozen=True, tag="blob-place"):
    """Answer to BeginBlob: the parts before `next_part` are safe there; when that is all of them, the blob is whole."""

    request: Number
    blob: bytes
    next_part: Number


class BlobPart(msgspec.Struct, frozen=True, tag="blob-part"):
    """Answer to GetPart."""

    request: Number
    blob: bytes
    part: Number
    data: bytes


class DevicesChanged(msgspec.Struct, frozen=True, tag="devices-changed"):
    """An account that we may know has a new or revoked device: fetch again."""

    account: AccountName


class LinkAsked(msgspec.Struct, frozen=True, tag="link-asked"):
    """A new device came with the token of our link invite: its record, which only it has signed so far."""

    token: Words
    record: bytes
    by_device: bytes


class LinkAnswered(msgspec.Struct, frozen=True, tag="link-answered"):
    """What the account's device said to our `ask-link`: both now show the same numbers."""

    nonce: bytes
    agreed: bool = True


class Linked(msgspec.Struct, frozen=True, tag="linked"):
    """The account has signed our record: log in."""

    record: SignedRecord


class Moved(msgspec.Struct, frozen=True, tag="moved"):
    """The server goes on at another address, with the same authority, whose signature this carries."""

    address: Words
    decided_ms: Number
    proof: bytes


ClientMessage = (
    AskAuthority
    | Enrol
    | Login
    | JoinLane
    | AskLink
    | PublishPrekeys
    | PutRecord
    | OpenLink
    | AnswerLink
    | ClaimPrekeys
    | FetchDevices
    | Submit
    | Ring
    | EndRing
    | Acknowledge
    | SetRow
    | SetCalls
    | Erase
    | OpenRoute
    | CloseRoute
    | BeginBlob
    | PutPart
    | GetPart
    | DropBlob
)

ServerMessage = (
    Challenge
    | Authority
    | Enrolled
    | Refused
    | Welcome
    | LaneJoined
    | Accepted
    | Denied
    | Devices
    | Deliver
    | RingEnded
    | PrekeysLow
    | RouteOpened
    | RouteClosed
    | Erased
    | BlobPlace
    | BlobPart
    | DevicesChanged
    | LinkAsked
    | LinkAnswered
    | Linked
    | Moved
)
