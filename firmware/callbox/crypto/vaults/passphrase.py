"""The vault that a person opens after each start: the key lies in `key.sealed`, sealed under a passphrase.

Argon2id makes every guess dear (see `crypto.sealed_file`); with a good passphrase a stolen card is ciphertext. Nobody
can open it for a person who forgot it. The database key itself stays the same when the passphrase changes.
"""

import contextlib
import os
from pathlib import Path

from callbox.base.chance import Chance, SystemChance
from callbox.base.errors import CallboxError
from callbox.crypto.errors import Untrusted
from callbox.crypto.sealed_file import Costs, derive, open_file, seal_file
from callbox.crypto.vaults import KEY_BYTES

FILE = "key.sealed"
WRONG = CallboxError("This is not the passphrase, or the key's file is damaged.", "Try again.")


class PassphraseVault:
    """Opens the key once; makes one where there is none yet."""

    def __init__(self, home: Path, passphrase: str, costs: Costs, chance: Chance) -> None:
        self._file = home / FILE
        self._passphrase = passphrase
        self._costs = costs
        self._chance = chance
        self._key: bytes | None = None

    def key(self) -> bytes:
        """Return the 32-byte key; takes a second or so. Raises CallboxError: another passphrase, or no such file."""
        if self._key is None:
            if not self._file.exists():
                self.keep(self._chance.token(KEY_BYTES))
            try:
                self._key = open_file(self._file.read_bytes(), self._passphrase)
            except Untrusted:
                raise WRONG from None
            except OSError as error:
                raise CallboxError(
                    f"The key of this box cannot be read: {error}.", "Run as the user that owns the box's folder."
                ) from None
        return self._key

    def keep(self, key: bytes) -> None:
        """Seal a key in place of what is there, whole or not at all, and read back first. Raises CallboxError."""
        salt, nonce = self._chance.token(16), self._chance.token(12)
        sealed = seal_file(key, derive(self._passphrase, salt, self._costs), salt, self._costs, nonce)
        draft = self._file.with_name(f"{FILE}.new")
        try:
            draft.unlink(missing_ok=True)
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            if open_file(draft.read_bytes(), self._passphrase) != key:
                raise Untrusted("it reads back as another")
            draft.replace(self._file)
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except (OSError, Untrusted) as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise CallboxError(f"The key could not be sealed: {error}.", "Nothing was changed.") from None


def make(
    home: Path | str, passphrase: str, costs: Costs | None = None, chance: Chance | None = None
) -> PassphraseVault:
    """Return the vault of the box in `home`, opened by `passphrase`."""
    return PassphraseVault(Path(home), passphrase, costs or Costs(), chance or SystemChance())
