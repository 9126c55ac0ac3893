"""One-use invites: the token goes to the box, only its hash stays here."""

import base64
import hashlib

from callbox.base.chance import Chance
from callbox.server.items import Invite

TOKEN_BYTES = 20
_DAY_MS = 86_400_000


def new_invite(
    name: str, chance: Chance, wall_ms: int, valid_days: float, replaces: bool = False
) -> tuple[str, Invite]:
    """Return the token for the box and what the store keeps of it. `name` is a valid account name."""
    token = base64.b32encode(chance.token(TOKEN_BYTES)).decode().lower()
    return token, Invite(hash_token(token), name, wall_ms, wall_ms + int(valid_days * _DAY_MS), replaces=replaces)


def hash_token(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
