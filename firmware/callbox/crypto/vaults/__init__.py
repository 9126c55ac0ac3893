"""Where the database key comes from. A member is one file here, found by its name, with a `make(**options)`.

file     a systemd credential, or else a file of mode 0600 in the box's folder. It protects from other users of
         the machine, not from whoever holds the card.
passphrase   `key.sealed` in the box's folder, opened by what a person knows
memory   a key that is gone with the process, for tests
"""

import importlib
import pkgutil
from pathlib import Path
from typing import Protocol, cast

from callbox.base.errors import WrongUse

KEY_BYTES = 32


class Vault(Protocol):
    """A keeper of the 32-byte database key."""

    def key(self) -> bytes:
        """Return the key, the same every time. Raises CallboxError when it cannot be had."""
        ...


class _Member(Protocol):
    def make(self, **options: object) -> Vault: ...


def vault_names() -> tuple[str, ...]:
    """Return the names of all members."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])))


def open_vault(name: str, **options: object) -> Vault:
    """Return the vault called `name`; each takes the options that its file names. Raises WrongUse."""
    if name not in vault_names():
        raise WrongUse(f"There is no vault {name!r}.", f"Known: {', '.join(vault_names())}")
    member = cast(_Member, importlib.import_module(f"{__name__}.{name}"))
    return member.make(**options)
