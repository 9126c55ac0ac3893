"""The default vault: the key from systemd's credentials, or else from a file beside the box's own data.

`$CREDENTIALS_DIRECTORY/callbox-key` is there when the unit has LoadCredentialEncrypted=callbox-key. Without it, `key`
in the home folder holds the key, made at first use, readable by its owner only. Either protects what is stored from
other users of the machine; neither protects it from whoever holds the card.
"""

import os
import stat
from pathlib import Path

from callbox.base.chance import Chance, SystemChance
from callbox.base.errors import CallboxError
from callbox.crypto.vaults import KEY_BYTES

_CREDENTIAL = "callbox-key"
_ELSEWHERE = (
    "If the service keeps it as a systemd credential, ask the running box (start it first: systemctl start callbox). "
    "If it was lost, put it back from a backup: without it nothing that is stored can be opened."
)
_LOST = "Put the right key back from a backup. Without it nothing that is stored can be opened."


class FileVault:
    """Reads the key once, makes it where there is none yet."""

    def __init__(
        self, home: Path, credentials: Path | None, chance: Chance, may_make: bool, made_of: bytes | None
    ) -> None:
        self._file = home / "key"
        self._credential = credentials / _CREDENTIAL if credentials else None
        self._chance = chance
        self._may_make = may_make
        self._made_of = made_of
        self._key: bytes | None = None

    def key(self) -> bytes:
        """Return the 32-byte key. Raises CallboxError when it is damaged, open to others, or cannot be read."""
        if self._key is None:
            try:
                self._key = self._found()
            except OSError as error:
                raise CallboxError(
                    f"The key of this box cannot be read or made: {error}.",
                    "Run as the user that owns the box's folder, and see that there is room.",
                ) from None
        return self._key

    def _found(self) -> bytes:
        if self._credential is not None and self._credential.exists():
            return _checked(self._credential, self._credential.read_bytes())
        try:
            with self._file.open("rb") as file:
                if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise CallboxError(
                        f"Other users of this machine can read the key {self._file}.", f"Run: chmod 600 {self._file}"
                    )
                return _checked(self._file, file.read())
        except FileNotFoundError:
            if not self._may_make:
                raise CallboxError(f"The key of this box is not there: {self._file}.", _ELSEWHERE) from None
            return self._made()

    def _made(self) -> bytes:
        """Write a new key so that a power cut leaves the whole of it or nothing, and never replace one."""
        key = self._made_of or self._chance.token(KEY_BYTES)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._file.with_name(f".key-{os.getpid()}")
        draft.unlink(missing_ok=True)
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(key)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, self._file)
        except FileExistsError:  # another process was faster: its key counts
            return _checked(self._file, self._file.read_bytes())
        finally:
            draft.unlink(missing_ok=True)
        folder = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return key


def make(
    home: Path | str,
    credentials: Path | str | None = None,
    chance: Chance | None = None,
    may_make: bool = True,
    key: bytes | None = None,
) -> FileVault:
    """Return the vault of the box in `home`; `credentials` is systemd's folder, by default from the environment.

    `may_make`: make a key where there is none; False where something was sealed under one already. `key`: the one to
    put there then, instead of a fresh one.
    """
    folder = credentials if credentials is not None else os.environ.get("CREDENTIALS_DIRECTORY")
    return FileVault(Path(home), Path(folder) if folder else None, chance or SystemChance(), may_make, key)


def _checked(path: Path, key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise CallboxError(f"The key {path} has {len(key)} bytes and not {KEY_BYTES}: it is damaged.", _LOST)
    return key
