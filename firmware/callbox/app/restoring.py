"""`callbox restore`: a box's folder out of a backup, in one transaction; the server hears of it after that."""

from collections.abc import Callable

from callbox.app.assembly import open_store
from callbox.app.backup import Backup
from callbox.app.home import Home
from callbox.app.saved import IDENTITY
from callbox.app.world import wall_clock_ms
from callbox.base.chance import Chance, SystemChance
from callbox.base.errors import CallboxError
from callbox.conversations.stores import Write
from callbox.crypto.identity import Identity

MakeBox = Callable[[Backup, Chance, int], tuple[Identity, list[Write]]]


def make_box(home: Home, backup: Backup, restored: MakeBox) -> None:
    """Fill an empty folder. Cut off before the end, it is as if nothing had happened. Raises CallboxError."""
    home.prepare()
    if not home.lock():
        raise CallboxError(f"A box runs in {home.folder}.", "Name another folder for this one: --home")
    try:
        store = open_store(home)
        try:
            if "membership" in store.load(IDENTITY):
                raise CallboxError(
                    f"The folder {home.folder} holds a box already.", "Restore to another folder: --home NEW"
                )
            _, writes = restored(backup, SystemChance(), wall_clock_ms())
            store.commit(writes)
        finally:
            store.close()
    finally:
        home.unlock()


def finish(home: Home) -> bool:
    """Open the box for a moment, so that the server takes it and gives the old one up; whether it did."""
    from callbox.app.short import ask_folder

    if not home.lock():
        return False  # it runs already, and does so by itself
    return bool(ask_folder(home, "devices told", {}).get("ok"))
