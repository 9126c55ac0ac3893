"""Commands about the key of a box's store: lock it with a passphrase, unlock it after a start."""

import contextlib
import time
from pathlib import Path
from typing import Any

from callbox.app import client
from callbox.app.commands.passphrases import add_passphrase, asked_passphrase, new_passphrase
from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts
from callbox.app.home import Home
from callbox.base.errors import CallboxError

START_WITHIN_S = 15.0
RETRY_S = 0.1
WARNING = (
    "After each start this box will wait for the passphrase (callbox unlock), and until then nothing rings.\n"
    "Who forgets it loses everything on the box: nobody can open it again. Keep a backup: callbox backup FILE"
)
OLD_KEY = {
    "file": "The file that its key lay in is overwritten and gone.",
    "credential": "Its credential still has the key: sudo rm /etc/credstore.encrypted/callbox-key",
}


def add(adder: Adder) -> None:
    """Add these commands."""
    lock = adder.add("lock", "seal the box's key with a passphrase, or change that", _lock, "callbox lock")
    lock.add_argument("--off", action="store_true", help="no passphrase any more: the key lies on the card again")
    add_passphrase(lock, "the passphrase, its first line; with --new-passphrase-file, the old one")
    lock.add_argument("--new-passphrase-file", metavar="F", type=Path, help="the new one, where one is changed")
    add_json(lock)
    unlock = adder.add("unlock", "open a box that waits for its passphrase", _unlock, "callbox unlock")
    add_passphrase(unlock)
    add_json(unlock)


def _lock(options: Options) -> int:
    from callbox.app.keeping import key_mode, seal_key, unseal_key

    home = home_of(options)
    if not home.holds_box:
        raise client.NotRunning(home)
    if options.off:
        unseal_key(home, asked_passphrase(options.passphrase_file, "Passphrase: "))
        _tell(options, home, "No passphrase is needed any more. The key lies on the card, readable for who takes it.")
        return 0
    if home.sealed_key.exists():
        old = asked_passphrase(options.passphrase_file, "The passphrase until now: ")
        seal_key(home, new_passphrase(options.new_passphrase_file, "The new one: "), old)
        _tell(options, home, "The passphrase is changed.")
        return 0
    if not options.json:
        print(WARNING)
    file = options.new_passphrase_file or options.passphrase_file
    mode = key_mode(home)
    seal_key(home, new_passphrase(file, "Passphrase for this box: "), None)
    _tell(options, home, f"The box is locked from its next start on. {OLD_KEY[mode]}")
    return 0


def _tell(options: Options, home: Home, sentence: str) -> None:
    from callbox.app.keeping import key_mode

    print_facts(options, {"ok": True, "key": key_mode(home)}, sentence)


def _unlock(options: Options) -> int:
    home = home_of(options)
    status = client.ask_once(home, "status")
    if status["state"] != "locked":
        print_facts(options, {"ok": True, "state": status["state"]}, "This box is not locked.")
        return 0
    passphrase = asked_passphrase(options.passphrase_file, "Passphrase: ")
    client.ask_once(home, "unlock", passphrase=passphrase)
    status = _started(home)
    print_facts(options, {"ok": True, "state": status["state"]}, f"Unlocked. This box is {status['name']}.")
    return 0


def _started(home: Home) -> dict[str, Any]:
    """Wait until the box itself runs in place of the locked one."""
    give_up_at = time.monotonic() + START_WITHIN_S
    while time.monotonic() < give_up_at:
        with contextlib.suppress(CallboxError):  # between the two nobody listens
            status = client.ask_once(home, "status", patience_s=0.0)
            if status["state"] != "locked":
                return status
        time.sleep(RETRY_S)
    raise CallboxError("The passphrase was right, but the box does not start.", "Its log says why.")
