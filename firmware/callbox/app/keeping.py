"""Who keeps the key of a box's store, and changing that: a file, a systemd credential, or a passphrase.

`key.sealed` decides: where it is, the box is locked at each start, whatever else lies there. So a change is one rename,
and a power cut leaves the old way or the new one; a `key` that was left over goes at the next unlocking.
"""

from typing import Literal

from callbox.app.home import Home
from callbox.app.wiping import destroy
from callbox.base.errors import CallboxError
from callbox.crypto.sealed_file import Costs
from callbox.crypto.vaults import open_vault
from callbox.crypto.vaults.passphrase import PassphraseVault
from callbox.crypto.vaults.passphrase import make as make_passphrase_vault

KeyMode = Literal["file", "credential", "passphrase"]


class Locked(CallboxError):
    """The key of this box is sealed, and nobody has unlocked it."""

    def __init__(self, home: Home) -> None:
        super().__init__(
            "This box is locked: its key is sealed with a passphrase.",
            f"Start it (callbox run --home {home.folder}), then: callbox unlock",
        )


def key_mode(home: Home) -> KeyMode:
    """Say who keeps the key of a box's store."""
    if home.sealed_key.exists():
        return "passphrase"
    return "file" if home.key_file.exists() else "credential"


def store_key(home: Home) -> bytes:
    """Return the key of a box's store, making it for a new one. Raises CallboxError; Locked where it is sealed."""
    if home.sealed_key.exists():
        raise Locked(home)
    return open_vault("file", home=home.folder, may_make=not home.store_file.exists()).key()


def unlocked_key(home: Home, passphrase: str) -> bytes:
    """Return the sealed key of a box; an unsealed one that was left over goes. Raises CallboxError."""
    key = _vault(home, passphrase).key()
    _destroy_file(home)
    return key


def seal_key(home: Home, passphrase: str, old: str | None, costs: Costs | None = None) -> None:
    """Seal the key under a passphrase; `old`: the one until now. The unsealed key is destroyed. Raises CallboxError."""
    key = store_key(home) if old is None else _vault(home, old).key()
    make_passphrase_vault(home.folder, passphrase, costs).keep(key)
    _destroy_file(home)


def unseal_key(home: Home, passphrase: str) -> None:
    """Let the key lie in a file again. Raises CallboxError."""
    if not home.sealed_key.exists():
        raise CallboxError("This box has no passphrase.")
    key = unlocked_key(home, passphrase)
    open_vault("file", home=home.folder, credentials="", key=key).key()
    destroy(home.sealed_key)


def _vault(home: Home, passphrase: str) -> PassphraseVault:
    return make_passphrase_vault(home.folder, passphrase)


def _destroy_file(home: Home) -> None:
    try:
        destroy(home.key_file)
    except OSError as error:
        raise CallboxError(
            f"The key is sealed, but the old key file {home.key_file} could not be removed: {error.strerror}.",
            "Remove it by hand: whoever has it can read everything.",
        ) from None
