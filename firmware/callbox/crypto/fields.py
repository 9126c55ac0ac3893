"""Sealing what is stored: AES-256-GCM for single fields, bound to the place where they lie.

    sealed = 0x01 | nonce 12 | ciphertext | tag 16         AAD = lp(table) | lp(row) | lp(column), lengths u32

A field that is moved to another row does not open. Each conversation has a key of its own (`under`), itself stored
as a sealed field: destroying that one field destroys the conversation.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from callbox.base.chance import Chance, SystemChance
from callbox.crypto.errors import FieldDamaged

KEY_BYTES = 32
_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class FieldCipher:
    """Seals and opens fields under one 32-byte key."""

    def __init__(self, database_key: bytes, chance: Chance | None = None) -> None:
        """`chance` gives nonces; the system's own unless a simulation passes one. Raises ValueError on a bad key."""
        if len(database_key) != KEY_BYTES:
            raise ValueError("a field key has 32 bytes")
        self._cipher = AESGCM(database_key)
        self._chance = chance or SystemChance()

    def seal(self, table: str, row: str, column: str, data: bytes) -> bytes:
        """Return `data` sealed for exactly this place."""
        nonce = self._chance.token(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, data, _place(table, row, column))

    def open(self, table: str, row: str, column: str, sealed: bytes) -> bytes:
        """Return what was sealed for this place. Raises FieldDamaged: damaged, moved, or of another key."""
        try:
            if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
                raise InvalidTag
            nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
            return self._cipher.decrypt(nonce, ciphertext, _place(table, row, column))
        except InvalidTag:
            raise FieldDamaged(f"{table} {row!r} {column} is damaged, moved, or of another key") from None

    def under(self, key: bytes) -> "FieldCipher":
        """Return a cipher under another 32-byte key: a conversation's own."""
        return FieldCipher(key, self._chance)


def _place(table: str, row: str, column: str) -> bytes:
    parts = (part.encode() for part in (table, row, column))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
