"""Commands of a server's upkeep: backup, restore, move, erase."""

import argparse
import datetime
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from callbox.base.errors import CallboxError, WrongUse
from callbox.server.authority import sign_move
from callbox.server.items import Forget
from callbox.server.shell.home import ASIDE, Home, wall_ms
from callbox.wire.names import valid_name

AddCommand = Callable[[str, str, str], argparse.ArgumentParser]

BACKUP_EXAMPLES = """examples:
  callbox server backup /media/stick/server.backup --home S      while the server runs, too
  callbox server backup server.backup --force                    in place of an older one

The file holds the authority's secret key and who talks to whom: keep it like the server itself.
"""
RESTORE_EXAMPLES = f"""examples:
  callbox server restore server.backup --home S       to a new folder, on this machine or another
  callbox server restore server.backup --force        in place of what is there, which goes to {ASIDE}/

Boxes notice that the server knows less than before, and tell it again what it lost.
"""
MOVE_EXAMPLES = """examples:
  callbox server move chat.example.org:8443     on the old machine, as the last of these steps
  callbox server move --stay                    changed your mind

  1. old machine   callbox server backup server.backup
  2. new machine   callbox server restore server.backup --home S
                   callbox server run --home S --public chat.example.org:8443 ...
  3. old machine   callbox server move chat.example.org:8443

Let the old server run until every box has come by once.
"""


ERASE_EXAMPLES = """examples:
  callbox server erase kitchen --home S       the server stopped; for a box that could not do it itself

Deletes the account with its devices, keys, wishes and whatever waits for it. Backups that you made keep it.
"""


def add(add_command: AddCommand) -> None:
    """Add these commands to the parser of `callbox server`."""
    backup = add_command("backup", "write a backup of the server to one file", BACKUP_EXAMPLES)
    restore = add_command("restore", "bring a backup back", RESTORE_EXAMPLES)
    move = add_command("move", "tell all boxes that this server goes on at another address", MOVE_EXAMPLES)
    backup.add_argument("file", metavar="FILE", type=Path)
    backup.add_argument("--force", action="store_true", help="replace the file if it is there")
    restore.add_argument("file", metavar="FILE", type=Path)
    restore.add_argument("--force", action="store_true", help="replace the server that is in the folder")
    move.add_argument("address", metavar="NEW:PORT", nargs="?", help="where it goes on, as boxes reach it")
    move.add_argument("--stay", action="store_true", help="take it back")
    erase = add_command("erase", "delete an account whose box cannot do it any more", ERASE_EXAMPLES)
    erase.add_argument("name", metavar="NAME")
    for command in (backup, restore, move, erase):
        command.add_argument("--json", action="store_true", help="print JSON")


def _backup(home: Home, options: argparse.Namespace) -> int:
    from callbox.server.shell.backups import back_up

    done = back_up(home, options.file, options.force)
    _tell(
        options,
        {"file": str(options.file), "accounts": done.accounts, "letters": done.letters, "bytes": done.bytes},
        f"{options.file}: {_counted(done.accounts, done.letters)}. It holds the server's secret key: keep it safe.",
    )
    return 0


def _restore(home: Home, options: argparse.Namespace) -> int:
    from callbox.server.shell.backups import restore

    done = restore(home, options.file, options.force)
    made = datetime.datetime.fromtimestamp(done.made_ms / 1000).astimezone().isoformat(timespec="minutes")
    _tell(
        options,
        {"folder": str(home.folder), "made": made, "accounts": done.accounts, "letters": done.letters},
        f"{home.folder} is the server of {made} again: {_counted(done.accounts, done.letters)}.\n"
        "Who was invited since then needs a new invite; all else the boxes tell it again.",
    )
    return 0


def _move(home: Home, options: argparse.Namespace) -> int:
    if bool(options.address) == options.stay:
        raise WrongUse("Name the new address, or --stay.", "callbox server move chat.example.org:8443")
    if not home.store_file.exists():
        raise CallboxError(f"There is no server in {home.folder}.", "Name its folder with --home.")
    if options.stay:
        home.write_moved(None)
        _tell(options, {"moved": None}, "Boxes are told nothing more. Those that have gone already stay there.")
        return 0
    from callbox.server.shell.serving import split_address

    host, port = split_address(options.address)
    if not port:
        raise WrongUse(f"'{options.address}' has no port.", "callbox server move chat.example.org:8443")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    home.write_moved(sign_move(home.authority(), address, wall_ms()))
    _tell(
        options,
        {"moved": address},
        f"Every box is told to go on at {address}, now or when it next comes. It goes once the server answers there "
        "with the same authority, and stays here until then.",
    )
    return 0


def _erase(home: Home, options: argparse.Namespace) -> int:
    from callbox.server.stores.sql import SqlStore

    name = valid_name(options.name)
    if not home.store_file.exists():
        raise CallboxError(f"There is no server in {home.folder}.", "Name its folder with --home.")
    home.claim()
    try:
        store = SqlStore(home.store_file, may_migrate=True)
        devices = tuple(device.device for device in store.open().devices if device.account == name)
        if not devices and all(account.name != name for account in store.open().accounts):
            raise CallboxError(f"There is no account {name!r}.", "`callbox server users` lists them.")
        store.apply([Forget(name, devices)])
        store.close()
    finally:
        home.release()
    _tell(options, {"erased": name, "devices": len(devices)}, f"{name} is erased. Its name may be invited again.")
    return 0


def _counted(accounts: int, letters: int) -> str:
    return f"{accounts} account{'' if accounts == 1 else 's'}, {letters} letter{'' if letters == 1 else 's'} waiting"


def _tell(options: argparse.Namespace, facts: Mapping[str, object], sentence: str) -> None:
    print(json.dumps(facts, ensure_ascii=False) if options.json else sentence, flush=True)


COMMANDS: Mapping[str, Callable[[Home, argparse.Namespace], int]] = {
    "backup": _backup,
    "restore": _restore,
    "move": _move,
    "erase": _erase,
}
