"""Destroying a box's folder: the key first, so that whatever of the rest survives is noise.

Each file is overwritten, synced and removed. On flash that is no promise: the card may keep old copies of what was
overwritten. What it then keeps is ciphertext, and the key lay in 32 bytes that were overwritten too.
"""

import contextlib
import os
from pathlib import Path
from typing import NamedTuple

from callbox.app.home import Home
from callbox.base.errors import CallboxError

_CHUNK_BYTES = 1024 * 1024


class Wiped(NamedTuple):
    """What is left: `foreign` files that no box made; `credential`: the key was not in the folder."""

    foreign: list[str]
    credential: bool


def wipe(home: Home) -> Wiped:
    """Destroy everything that a box has put into its folder, which must be locked by us. Raises CallboxError."""
    keys, rest = home.key_files, home.own_files
    credential = home.store_file.exists() and not any(path.exists() for path in keys)
    for path in (*keys, *rest):
        try:
            destroy(path)
        except OSError as error:
            raise CallboxError(
                f"{path} could not be erased: {error.strerror or error}.",
                "Make it writable and say `callbox erase --here-only` again; what came before it is gone already.",
            ) from None
    _sync(home.folder)
    foreign = sorted(entry.name for entry in home.folder.iterdir() if entry.name != "lock")
    if not foreign:
        with contextlib.suppress(OSError):
            (home.folder / "lock").unlink()
            home.folder.rmdir()
    return Wiped(foreign, credential)


def destroy(path: Path) -> None:
    """Overwrite a file with noise, then remove it. What is no plain file is only removed."""
    if not path.is_symlink() and path.is_file():
        size = path.stat().st_size
        with open(os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "wb") as file:
            for start in range(0, size, _CHUNK_BYTES):
                file.write(os.urandom(min(_CHUNK_BYTES, size - start)))
            file.flush()
            os.fsync(file.fileno())
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
