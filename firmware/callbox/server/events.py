"""What reaches the server's core, and what the core wants done.

Connections are numbers that the shell gives and never gives twice. `ticket` joins an effect on the store to the
event that reports its outcome.
"""

from dataclasses import dataclass
from typing import TypeAlias

from callbox.server.items import Invite, Letter, Write
from callbox.wire.signals import Moved

# --- events ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection was accepted; `address` is the peer's host, without a port."""

    connection: int
    address: str


@dataclass(frozen=True, slots=True)
class Received:
    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    connection: int


@dataclass(frozen=True, slots=True)
class Stored:
    """The writes under this ticket are safe on the disk."""

    ticket: int


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The effect under this ticket was not done, and nothing of it remains."""

    ticket: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Fetched:
    ticket: int
    letters: tuple[Letter, ...]


@dataclass(frozen=True, slots=True)
class InviteFound:
    ticket: int
    invite: Invite | None


@dataclass(frozen=True, slots=True)
class BlobPartFetched:
    ticket: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class MoveDecided:
    """The operator said where this server goes on (`moved`), or that it stays (None)."""

    moved: Moved | None


@dataclass(frozen=True, slots=True)
class Stopping:
    """The server is being stopped: say so to everybody."""


ServerEvent: TypeAlias = (
    Opened | Received | Closed | Stored | StoreFailed | Fetched | InviteFound | BlobPartFetched | MoveDecided | Stopping
)

# --- effects --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendTo:
    """A control message: never dropped while the connection lives."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SendMedia:
    """A media message: dropped rather than late."""

    connection: int
    data: bytes


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close after what was sent before; `why` is for the operator's log."""

    connection: int
    why: str


@dataclass(frozen=True, slots=True)
class Save:
    """Commit these writes together, after all earlier ones. Outcome: Stored or StoreFailed."""

    ticket: int
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class FetchMail:
    """Read letters of a device behind the number `after`, in order. Outcome: Fetched or StoreFailed."""

    ticket: int
    device: str
    after: int
    limit: int


@dataclass(frozen=True, slots=True)
class FindInvite:
    """Look an invite up afresh: another process may have made it a moment ago. Outcome: InviteFound or StoreFailed."""

    ticket: int
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class FetchBlobPart:
    """Read one part of a blob. Outcome: BlobPartFetched or StoreFailed."""

    ticket: int
    blob: bytes
    part: int


@dataclass(frozen=True, slots=True)
class Audit:
    """Append one line to the audit log."""

    line: str


StoreEffect: TypeAlias = Save | FetchMail | FindInvite | FetchBlobPart
ServerEffect: TypeAlias = SendTo | SendMedia | CloseConnection | Save | FetchMail | FindInvite | FetchBlobPart | Audit
