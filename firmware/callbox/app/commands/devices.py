"""Commands about this account's devices and keys: link, devices, revoke, backup, restore."""

import base64
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from callbox.app.commands.asking import ask, ask_or_open
from callbox.app.commands.passphrases import add_passphrase, asked_passphrase, new_passphrase
from callbox.app.commands.shown import qr
from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts, progress
from callbox.base.chance import SystemChance
from callbox.base.errors import CallboxError
from callbox.base.files import write_whole


def add(adder: Adder) -> None:
    """Add these commands."""
    link = adder.add("link", "add a further box to this one's account", _link, "callbox link")
    how = link.add_mutually_exclusive_group()
    how.add_argument("--confirm", metavar="NUMBERS", help="both boxes show these numbers: add the one that asks")
    how.add_argument("--refuse", action="store_true", help="the numbers differ: send away who asks")
    add_json(link)

    devices = adder.add("devices", "list the boxes of this account", _devices, "callbox devices --json")
    add_json(devices)

    revoke = adder.add("revoke", "remove a lost or given-up box from this account", _revoke, "callbox revoke 3f9a")
    revoke.add_argument("device", help="its id as `callbox devices` shows it, or the beginning of it")
    add_json(revoke)

    backup = adder.add(
        "backup",
        "write the account's key, contacts and settings to a file that a passphrase opens",
        _backup,
        "callbox backup /media/stick/kitchen.backup",
    )
    backup.add_argument("file", metavar="FILE", type=Path)
    backup.add_argument("--with-messages", action="store_true", help="texts and lines of calls, too (no sound)")
    backup.add_argument("--force", action="store_true", help="replace the file if it is there")
    add_passphrase(backup)

    restore = adder.add(
        "restore",
        "make this box out of a backup; the box that made the backup is removed from the account",
        _restore,
        "callbox restore kitchen.backup --home NEW",
    )
    restore.add_argument("file", metavar="FILE", type=Path)
    add_passphrase(restore)


# --- link ---------------------------------------------------------------------------------------------------------


def _link(options: Options) -> int:
    if options.refuse:
        print_facts(options, ask(options, "link refuse"), "Nothing was linked; the invite is good no more.")
        return 0
    if options.confirm:
        return _confirm(options, options.confirm)
    facts = ask(options, "link")
    invite = str(facts["invite"])
    print_facts(options, facts, invite)  # with --json: one object now, and one with the numbers
    if sys.stdout.isatty() and not options.json:
        print(qr(invite))
    progress("On the other box, within 15 minutes: callbox join INVITE")
    while facts.get("waits", True):
        facts = ask(options, "link wait")
        if "numbers" in facts:
            break
    numbers = str(facts["numbers"])
    if options.json:
        print_facts(options, facts, "")
        return 0
    print(f"The other box must show the same numbers:  {numbers}", flush=True)
    if not sys.stdin.isatty():
        print(f'If it does: callbox link --confirm "{numbers}"   If not: callbox link --refuse')
        return 0
    if input("Does it? [y/N] ").strip().lower() in ("y", "yes"):
        return _confirm(options, numbers)
    ask(options, "link refuse")
    print("Nothing was linked. Make a new invite and try again; if it happens twice, do not trust the network.")
    return 1


def _confirm(options: Options, numbers: str) -> int:
    facts = ask(options, "link confirm", numbers=numbers)
    ask(options, "devices told")
    print_facts(options, facts, f"Linked: device {facts['device']} belongs to this account now.")
    return 0


# --- devices ------------------------------------------------------------------------------------------------------


def _devices(options: Options) -> int:
    facts = ask_or_open(options, "devices")
    lines = [_device_line(device) for device in facts["devices"]]
    key = "here" if facts["holds_key"] else "on another box, which links and revokes"
    print_facts(options, facts, "\n".join([*lines, f"The account's key is {key}."]))
    return 0


def _device_line(device: dict[str, Any]) -> str:
    since = datetime.fromtimestamp(device["created_ms"] / 1000).strftime("%Y-%m-%d")
    note = "removed" if device["revoked"] else "this one" if device["this"] else ""
    return f"{device['device']}  {device['kind']}  since {since}  {note}".rstrip()


def _revoke(options: Options) -> int:
    facts = ask_or_open(options, "revoke", then="devices told", device=options.device)
    late = "" if facts.get("told", True) else " The server hears of it when the box is next connected."
    print_facts(
        options,
        facts,
        f"{facts['device']} is removed: nobody writes to it any more, and nobody takes its calls.{late}\n"
        "What it holds already it still holds.",
    )
    return 0


# --- backup and restore -------------------------------------------------------------------------------------------


def _backup(options: Options) -> int:
    from callbox.crypto.sealed_file import Costs, derive

    if options.file.exists() and not options.force:
        raise CallboxError(f"{options.file} is there already.", "Choose another name, or let it be replaced: --force")
    costs, salt = Costs(), SystemChance().token(16)
    passphrase = new_passphrase(options.passphrase_file, "Passphrase for the backup: ")
    key = derive(passphrase, salt, costs)
    facts = ask_or_open(
        options,
        "backup",
        key=key.hex(),
        salt=salt.hex(),
        costs=(costs.memory_kib, costs.passes, costs.lanes),
        with_messages=options.with_messages,
    )
    data = base64.b64decode(facts.pop("file"))
    _write(options.file, data)
    facts |= {"written": str(options.file), "bytes": len(data)}
    messages = f", {facts['messages']} messages" if options.with_messages else ""
    print_facts(
        options,
        facts,
        f"{options.file}: the account's key, {facts['contacts']} contacts{messages}. "
        "Without the passphrase nobody can open it, and there is no other way in.",
    )
    return 0


def _restore(options: Options) -> int:
    from callbox.app.backup import read_backup, restored
    from callbox.app.restoring import finish, make_box

    try:
        data = options.file.read_bytes()
    except OSError as error:
        raise CallboxError(f"{options.file} cannot be read: {error.strerror}.") from None
    home = home_of(options)
    backup = read_backup(data, asked_passphrase(options.passphrase_file, "Passphrase: "))
    make_box(home, backup, restored)
    progress("telling the server ...")
    told = finish(home)
    facts = {"ok": True, "account": backup.account, "contacts": len(backup.contacts), "messages": len(backup.items)}
    late = "" if told else " The server hears of it when the box is first connected."
    print_facts(
        options,
        facts | {"told": told},
        f"This box is {backup.account} now, and the box that made the backup is removed from the account.{late}",
    )
    return 0


def _write(file: Path, data: bytes) -> None:
    try:
        write_whole(file, data)
    except OSError as error:
        raise CallboxError(f"{file} could not be written: {error.strerror}.", "Is the disk full?") from None
