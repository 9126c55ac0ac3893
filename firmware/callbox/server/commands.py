"""`callbox server ...`: run the server, invite people, see who is there."""

import argparse
import asyncio
import datetime
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from callbox.base.chance import SystemChance
from callbox.base.errors import CallboxError
from callbox.server import upkeep
from callbox.server.authority import pin_of
from callbox.server.invites import new_invite
from callbox.server.items import PutInvite, StoreSnapshot
from callbox.server.shell.home import Home, wall_ms
from callbox.wire.cards import Invite
from callbox.wire.codec import decode_record
from callbox.wire.names import valid_name

if TYPE_CHECKING:
    from callbox.server.stores.sql import SqlStore

WAIT_S = 10.0

RUN_EXAMPLES = """examples:
  callbox server run --home S --listen 127.0.0.1:8443        to try things out on this machine
  callbox server run --listen 0.0.0.0:8443 --public chat.example.org:8443
"""
INVITE_EXAMPLES = """examples:
  callbox server invite kitchen --home S        prints one line for `callbox join`, good once and for 7 days
  callbox server invite kitchen --replace       for a lost box without a backup: its account begins anew
"""
USERS_EXAMPLES = """examples:
  callbox server users --home S
  callbox server users --home S --json
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one server command; return its exit code. Raises CallboxError for what a person can mend."""
    return run(_parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="callbox server",
        description="The signaling server: carries sealed messages and sealed voice, and can read none of them.",
    )
    commands = parser.add_subparsers(dest="server_command", metavar="COMMAND", required=True)
    running = _command(commands, "run", "run the server until it is stopped", RUN_EXAMPLES)
    running.add_argument("--listen", metavar="ADDR:PORT", help="where to listen (default: as server.toml says)")
    running.add_argument("--public", metavar="NAME:PORT", help="how boxes reach it, for certificate and invites")
    inviting = _command(commands, "invite", "print an invite for a new account", INVITE_EXAMPLES)
    inviting.add_argument("name", metavar="NAME", help="the account's name: letters, digits, - _ .")
    inviting.add_argument("--public", metavar="NAME:PORT", help="how boxes reach the server (default: as it runs)")
    inviting.add_argument(
        "--replace",
        action="store_true",
        help="for an account whose box is lost: the next one takes its name, with new keys that contacts must confirm",
    )
    users = _command(commands, "users", "list accounts and open invites", USERS_EXAMPLES)
    users.add_argument("--json", action="store_true", help="print JSON")
    upkeep.add(lambda name, summary, examples: _command(commands, name, summary, examples))
    return parser


def run(options: argparse.Namespace) -> int:
    """Do what the parsed command line says."""
    home = Home.named(options.home)
    if options.server_command == "run":
        return _run(home, options.listen, options.public)
    if options.server_command == "invite":
        return _invite(home, options.name, options.public, options.replace)
    if options.server_command in upkeep.COMMANDS:
        return upkeep.COMMANDS[options.server_command](home, options)
    return _users(home, options.json)


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, examples: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--home", metavar="DIR", help="the server's folder (default: CALLBOX_HOME or ~/.callbox-server)"
    )
    return parser


def _run(home: Home, listen: str | None, public: str | None) -> int:
    from callbox.server.shell.serving import serve  # heavy: only where a server runs

    def ready(address: str) -> None:
        print(f"callbox server: ready on {address}", flush=True)

    asyncio.run(serve(home, listen, public, ready))
    return 0


# --- invite ---------------------------------------------------------------------------------------------------


def _invite(home: Home, given_name: str, public: str | None, replaces: bool) -> int:
    """Print one invite line; on a terminal a QR code below it."""
    name = valid_name(given_name)
    server = public or _public_address(home)
    home.prepare()
    settings = home.settings()
    store, snapshot = _open_store(home)
    known = any(account.name == name for account in snapshot.accounts)
    if known != replaces:
        store.close()
        raise _not_there(name) if replaces else _there_already(name)
    token, invite = new_invite(name, SystemChance(), wall_ms(), settings.accounts.invite_days, replaces)
    store.apply([PutInvite(invite)])
    store.close()
    line = str(Invite(server, name, token, pin_of(home.authority().der)))
    print(line, flush=True)
    if sys.stdout.isatty():
        import segno

        segno.make(line, micro=False).terminal(compact=True)
    return 0


def _not_there(name: str) -> CallboxError:
    return CallboxError(f"There is nobody called {name} to be replaced.", "For a new account leave --replace away.")


def _there_already(name: str) -> CallboxError:
    return CallboxError(
        f"{name} is here already.",
        "Choose another name; `callbox server users` lists them. Is its box lost? Restore it from its backup "
        f"(callbox restore FILE), or else: callbox server invite {name} --replace",
    )


def _public_address(home: Home) -> str:
    """Return how boxes reach the server: as settings say, or as it said when it started, perhaps just now."""
    until = time.monotonic() + WAIT_S
    while True:
        server = home.settings().server
        address = server.public or home.read_address()
        if address:
            return address
        if time.monotonic() >= until:
            raise CallboxError(
                f"No server has run in {home.folder} yet, so its address is not known.",
                "Start it (callbox server run --home DIR), or name the address: --public NAME:PORT.",
            )
        time.sleep(0.05)


def _open_store(home: Home) -> "tuple[SqlStore, StoreSnapshot]":
    from callbox.server.stores.sql import SqlStore

    store = SqlStore(home.store_file)
    return store, store.open()


# --- users ----------------------------------------------------------------------------------------------------


def _users(home: Home, as_json: bool) -> int:
    if not Path(home.store_file).exists():
        raise CallboxError(f"There is no server in {home.folder}.", "Name its folder with --home.")
    store, snapshot = _open_store(home)
    invites = [invite for invite in store.invites() if not invite.used_by and invite.expires_ms > wall_ms()]
    store.close()
    accounts = [
        {
            "name": account.name,
            "created": _when(account.created_ms),
            "calls_enabled": account.calls_enabled,
            "devices": [
                {"device": device.device, "kind": decode_record(device.record.record).kind}
                for device in snapshot.devices
                if device.account == account.name
            ],
            "letters_waiting": sum(
                not mark.void and _belongs(snapshot, mark.to_device, account.name) for mark in snapshot.letters
            ),
        }
        for account in sorted(snapshot.accounts, key=lambda account: account.name)
    ]
    waiting = [{"name": invite.name, "expires": _when(invite.expires_ms)} for invite in invites]
    if as_json:
        print(json.dumps({"accounts": accounts, "invites": waiting}, ensure_ascii=False, indent=2))
        return 0
    for account in accounts:
        calls = "" if account["calls_enabled"] else ", calls disabled"
        print(f"{account['name']}: since {account['created']}, {account['letters_waiting']} letters waiting{calls}")
    for invite in waiting:
        print(f"{invite['name']}: invited, until {invite['expires']}")
    if not accounts and not waiting:
        print("Nobody yet. Invite somebody: callbox server invite NAME")
    return 0


def _belongs(snapshot: StoreSnapshot, device: str, account: str) -> bool:
    return any(entry.device == device and entry.account == account for entry in snapshot.devices)


def _when(wall: int) -> str:
    return datetime.datetime.fromtimestamp(wall / 1000).astimezone().isoformat(timespec="minutes")
