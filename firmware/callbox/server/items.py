"""What the server keeps: the things in its store, and the writes that change them.

A write is idempotent: applying the same batch twice leaves the store as applying it once.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from callbox.wire.records import Row, SignedKey, SignedRecord
from callbox.wire.signals import Envelope

STRANGER: Row = "request"
"""What somebody may do for whom there is no row."""

# --- things ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Account:
    name: str
    key: bytes
    created_ms: int
    calls_enabled: bool = True


@dataclass(frozen=True, slots=True)
class Device:
    account: str
    device: str
    record: SignedRecord
    connection_epoch: int = 0


@dataclass(frozen=True, slots=True)
class Prekey:
    """One prekey of a device. Used ones are remembered for a while, so that a repeated publish revives none."""

    device: str
    key: SignedKey
    order: int
    used: bool = False


@dataclass(frozen=True, slots=True)
class Letter:
    """A stored envelope. `number` orders all letters of the server; `void`: never to be delivered (see mailbox)."""

    number: int
    envelope: Envelope
    stored_ms: int
    expires_ms: int
    void: bool = False


@dataclass(frozen=True, slots=True)
class LetterMark:
    """What the core keeps of a letter in memory."""

    number: int
    to_device: str
    from_device: str
    message_id: bytes
    from_account: str
    size: int
    expires_ms: int
    void: bool


def mark_of(letter: Letter) -> LetterMark:
    """Return what memory keeps of a letter."""
    envelope = letter.envelope
    return LetterMark(
        number=letter.number,
        to_device=envelope.to_device,
        from_device=envelope.from_device,
        message_id=envelope.message_id,
        from_account=envelope.from_account,
        size=len(envelope.ciphertext),
        expires_ms=letter.expires_ms,
        void=letter.void,
    )


@dataclass(frozen=True, slots=True)
class Request:
    """The one letter that a stranger has used up towards a device."""

    owner: str
    sender: str
    device: str
    message_id: bytes


@dataclass(frozen=True, slots=True)
class Invite:
    token_hash: bytes
    name: str
    created_ms: int
    expires_ms: int
    first_contact_ms: int = 0  # 0: nobody came with it yet
    used_by: str = ""  # device id
    replaces: bool = False  # for an account that is here, whose box and key are lost


@dataclass(frozen=True, slots=True)
class Blob:
    """A sealed blob, announced or whole; `waiting`: devices that have not said yet that they have it."""

    blob: bytes
    from_account: str
    from_device: str
    to_account: str
    parts: int
    waiting: tuple[str, ...]
    expires_ms: int
    void: bool = False  # never to be handed out (see shelf)
    next_part: int = 0  # how many parts are here; not written by PutBlob

    @property
    def whole(self) -> bool:
        return self.next_part >= self.parts


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """Everything that the core holds in memory, as it is at the start."""

    accounts: tuple[Account, ...] = ()
    devices: tuple[Device, ...] = ()
    prekeys: tuple[Prekey, ...] = ()
    rows: tuple[tuple[str, str, Row], ...] = ()  # owner, other, what the other may do
    letters: tuple[LetterMark, ...] = ()
    requests: tuple[Request, ...] = ()
    last_number: int = field(default=0)
    store_id: bytes = b""  # drawn when the store was made, and anew when it was restored from a backup
    blobs: tuple[Blob, ...] = ()


# --- writes ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutAccount:
    account: Account


@dataclass(frozen=True, slots=True)
class PutDevice:
    device: Device


@dataclass(frozen=True, slots=True)
class SetEpoch:
    device: str
    connection_epoch: int


@dataclass(frozen=True, slots=True)
class PutPrekey:
    prekey: Prekey


@dataclass(frozen=True, slots=True)
class DropPrekey:
    device: str
    key: bytes


@dataclass(frozen=True, slots=True)
class PutRow:
    owner: str
    other: str
    row: Row


@dataclass(frozen=True, slots=True)
class PutCalls:
    account: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class PutLetter:
    letter: Letter


@dataclass(frozen=True, slots=True)
class DropLetter:
    to_device: str
    from_device: str
    message_id: bytes


@dataclass(frozen=True, slots=True)
class PutRequest:
    request: Request


@dataclass(frozen=True, slots=True)
class DropRequests:
    """The owner has decided about the sender: its request is history."""

    owner: str
    sender: str


@dataclass(frozen=True, slots=True)
class PutInvite:
    """Make an invite, or note that it was touched or used."""

    invite: Invite


@dataclass(frozen=True, slots=True)
class PutBlob:
    """Announce a blob, or change who still waits for it and how long it is kept."""

    blob: Blob


@dataclass(frozen=True, slots=True)
class PutBlobPart:
    blob: bytes
    part: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ForgetBlob:
    """Delete a blob with all its parts."""

    blob: bytes


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete everything of an account, or with `account` empty only what is of these devices of it."""

    account: str
    devices: tuple[str, ...]


Write: TypeAlias = (
    PutAccount
    | PutDevice
    | SetEpoch
    | PutPrekey
    | DropPrekey
    | PutRow
    | PutCalls
    | PutLetter
    | DropLetter
    | PutRequest
    | DropRequests
    | PutInvite
    | PutBlob
    | PutBlobPart
    | ForgetBlob
    | Forget
)
