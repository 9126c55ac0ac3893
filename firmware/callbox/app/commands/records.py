"""Commands about what a box keeps: see it, take it along, delete some of it, destroy all of it."""

import base64
import contextlib
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

from callbox.app import client
from callbox.app.commands.asking import ask_or_open
from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts, progress
from callbox.app.home import Home
from callbox.base.errors import CallboxError, WrongUse
from callbox.wire.names import valid_name

STOP_WITHIN_S = 10.0
LEFT = (
    "What others keep on their boxes is theirs, and so are backups and exports that you made. Flash memory may keep "
    "old copies of what was overwritten: sealed, and its key is gone."
)


def add(adder: Adder) -> None:
    """Add these commands."""
    privacy = adder.add(
        "privacy", "show what is kept, how long and where, and what the server can see", _privacy, "callbox privacy"
    )
    privacy.add_argument("--consents", action="store_true", help="show who was allowed what, and when")
    add_json(privacy)

    export = adder.add(
        "export", "hand over everything that is kept, in open formats", _export, "callbox export everything.zip"
    )
    export.add_argument("target", metavar="DIR|FILE.zip", type=Path, help="a new folder, or a new zip file")
    add_json(export)

    delete = adder.add(
        "delete", "delete lines of a conversation here, or all of it", _delete, "callbox delete workshop --last 1"
    )
    delete.add_argument("contact", nargs="?", help="whose conversation")
    which = delete.add_mutually_exclusive_group(required=True)
    which.add_argument("--last", metavar="N", type=int, help="the newest lines")
    which.add_argument("--all", action="store_true", help="the whole conversation; its key first")
    which.add_argument("--id", metavar="ID", help="one message (`callbox messages --json` shows the ids)")
    add_json(delete)

    erase = adder.add(
        "erase",
        "destroy this box's account, keys and data, or one contact's",
        _erase,
        "callbox erase --contact workshop",
    )
    erase.add_argument("--contact", metavar="NAME", help="only this contact, and everything said with them")
    erase.add_argument("--yes", action="store_true", help="do not ask to type the name")
    erase.add_argument("--here-only", action="store_true", help="leave the server as it is (it cannot be reached)")
    erase.add_argument("--receipt", metavar="FILE", type=Path, help="write the server's signed receipt to a new file")
    add_json(erase)


# --- to see ---------------------------------------------------------------------------------------------------


def _privacy(options: Options) -> int:
    from callbox.app.commands.shown_records import consent_lines, privacy_text
    from callbox.app.keeping import key_mode

    home = home_of(options)
    facts = ask_or_open(options, "privacy")
    if options.consents:
        print_facts(options, {"consents": facts["consents"]}, "\n".join(consent_lines(facts["consents"])))
        return 0
    facts |= {
        "folder": str(home.folder),
        "bytes": sum(path.stat().st_size for path in home.own_files if path.is_file()),
        "key": key_mode(home),
        "server_sees": server_sees(),
    }
    print_facts(options, facts, privacy_text(facts))
    return 0


def server_sees() -> list[str]:
    """Return what the server can see, point by point, as the protocol's description lists it."""
    text = (resources.files("callbox.wire") / "PROTOCOL.md").read_text(encoding="utf-8")
    section = text.split("## What the server sees\n")[1].split("\n## ")[0]
    plain = section.replace("`", "").replace("**", "")
    points = [" ".join(part.split()) for block in plain.split("\n\n") for part in f"\n{block}".split("\n- ")]
    return [point for point in points if point]


def _export(options: Options) -> int:
    from callbox.app.export import export

    home = home_of(options)
    facts = ask_or_open(options, "export")
    try:
        settings = home.settings_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        settings = ""
    done = export(options.target, facts, settings, lambda item: _sound(options, item))
    counted = f"texts: {done.texts}, voice messages: {done.voices}, lines of calls: {done.calls}"
    missing = f" The sound of {done.missing} was not here." if done.missing else ""
    sentence = f"{options.target} holds {counted}. It is not encrypted: keep it safe.{missing}"
    print_facts(options, {"target": str(options.target), **done._asdict()}, sentence)
    return 0


def _sound(options: Options, item: str) -> bytes:
    """Return the Ogg Opus of a voice message; b"" where it never came, or cannot be read."""
    try:
        return base64.b64decode(ask_or_open(options, "sound", id=item)["sound"])
    except client.NotRunning:
        raise
    except CallboxError:
        return b""


# --- to delete ------------------------------------------------------------------------------------------------


def _delete(options: Options) -> int:
    if (options.contact is None) != (options.id is not None):
        raise WrongUse("Name a conversation, or the id of one message.", "callbox delete workshop --last 1")
    if options.last is not None and options.last < 1:
        raise WrongUse("There are no fewer lines than one to delete.")
    words: dict[str, Any] = {"id": options.id, "last": options.last, "all": options.all}
    if options.contact is not None:
        words["contact"] = valid_name(options.contact)
    reply = ask_or_open(options, "delete", **words)
    count = reply["deleted"]
    what = "Nothing was there." if not count else f"{count} line{'' if count == 1 else 's'} deleted, on this box alone."
    print_facts(options, reply, what)
    return 0


def _erase(options: Options) -> int:
    return _erase_contact(options) if options.contact is not None else _erase_all(options)


def _erase_contact(options: Options) -> int:
    name = valid_name(options.contact)
    _confirm(options, name, f"This destroys {name} as a contact and everything said with them, on this box.")
    reply = ask_or_open(options, "erase contact", then="forgotten", contact=name)
    late = "" if reply.get("told", True) else " The server drops its wishes about them when the box is next connected."
    unblocked = " They were blocked, and are a stranger now." if reply["blocked"] else ""
    sentence = f"{name} and {reply['lines']} lines are erased here.{unblocked}{late} {LEFT}"
    print_facts(options, reply, sentence)
    return 0


def _erase_all(options: Options) -> int:
    """The server first, while there are keys to ask it with; then the folder, its keys first."""
    home = home_of(options)
    if not home.holds_box and not any(path.exists() for path in home.key_files):
        raise client.NotRunning(home)
    if options.receipt is not None and options.receipt.exists():
        raise CallboxError(f"{options.receipt} is there already.", "Name a new file for the receipt.")
    if options.here_only:
        _confirm(options, home.folder.name, f"This destroys the box in {home.folder}; its server is not told.")
        reply: dict[str, Any] = {"ok": True}
    else:
        name = str(ask_or_open(options, "privacy")["name"])
        _confirm(options, name, f"This destroys {name}: its account, its keys, every contact and conversation.")
        progress("asking the server to erase the account ...")
        reply = _erase_at_server(options)
        _keep_receipt(options, reply)
    wiped = _wipe(home)
    lines = (
        _receipt_lines(reply)
        if not options.here_only
        else ["The server was not told. Whoever runs it can erase the account: callbox server erase NAME"]
    )
    lines += [f"The box in {home.folder} is erased, its keys first. {LEFT}"]
    if wiped.credential:
        lines.append("Its key was a systemd credential: sudo rm -f /etc/credstore.encrypted/callbox-key")
    if wiped.foreign:
        lines.append(f"Left in the folder, as they are not the box's: {', '.join(wiped.foreign)}")
    facts = {"statement": reply.get("statement"), "proof": reply.get("proof"), "doubt": reply.get("doubt", "")}
    print_facts(options, {**facts, "folder": str(home.folder), "left": wiped.foreign}, "\n".join(lines))
    return 0


def _erase_at_server(options: Options) -> dict[str, Any]:
    try:
        return ask_or_open(options, "erase")
    except CallboxError as error:
        raise CallboxError(
            f"{error.what} Nothing was erased here either.",
            "Try again when it can be reached. Or erase only what is here (--here-only), and ask whoever runs the "
            "server to do the rest: callbox server erase NAME",
        ) from None


def _keep_receipt(options: Options, reply: dict[str, Any]) -> None:
    if options.receipt is None:
        return
    text = f"{reply['statement']}proof: {reply['proof']}\nauthority: {reply['authority']}\n"
    try:
        with options.receipt.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:  # the account is gone already: go on, and show the receipt at least
        progress(f"The receipt {options.receipt} could not be written: {error.strerror}.")


def _receipt_lines(reply: dict[str, Any]) -> list[str]:
    said = ["The server says, signed by its authority:", *(f"    {line}" for line in reply["statement"].splitlines())]
    doubt = [f"But this receipt proves nothing: {reply['doubt']}"] if reply["doubt"] else []
    return [*said, f"    proof: {reply['proof']}", *doubt]


def _wipe(home: Home) -> Any:
    """Stop the box if one runs, then destroy its folder."""
    from callbox.app.wiping import wipe

    give_up_at = time.monotonic() + STOP_WITHIN_S
    while not home.lock():
        with contextlib.suppress(CallboxError):  # it is stopping, or another command has the folder for a moment
            client.ask_once(home, "stop", patience_s=0.0)
        if time.monotonic() >= give_up_at:
            raise CallboxError(
                f"The box in {home.folder} does not stop.", "Stop it (systemctl stop callbox), then: --here-only"
            )
        time.sleep(0.1)
    try:
        return wipe(home)
    finally:
        home.unlock()


def _confirm(options: Options, name: str, what: str) -> None:
    if options.yes:
        return
    if not sys.stdin.isatty():
        raise WrongUse("This needs somebody to confirm it.", "Say --yes where nobody can be asked.")
    print(f"{what} There is no way back.", file=sys.stderr)
    if input(f"Type {name} to go on: ").strip().casefold() != name.casefold():
        raise CallboxError("Nothing was erased.")
