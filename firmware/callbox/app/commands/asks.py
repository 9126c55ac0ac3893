"""Commands that ask a box: everything that the buttons do, and what they cannot.

A running box is asked over its control socket. What only changes or reads what the box keeps (contacts, permissions,
threads) also works while it is off: the command then opens the box's folder itself for a moment.
"""

import argparse
import json
import sys
from datetime import datetime
from typing import Any

from callbox.app import client
from callbox.app.commands.words import Adder, add_json, add_on_off, home_of, print_facts, progress
from callbox.wire.names import valid_name

Options = argparse.Namespace
HOLD_S = 0.15


def add(adder: Adder) -> None:
    """Add these commands."""
    status = adder.add("status", "say what the box is doing now", _status, "callbox status --json")
    add_json(status)
    status.add_argument("--watch", action="store_true", help="go on: one line (or JSON object) per change")

    press = adder.add("press", "press a button of a box whose panel is simulated", _press, "callbox press talk")
    press.add_argument("button", help="its name on the board, such as talk, mute, calls, dial1")
    press.add_argument("--hold", metavar="S", type=float, default=HOLD_S, help="seconds to hold it down")
    add_json(press)

    call = adder.add("call", "call a contact; returns when it rings there", _call, "callbox call workshop")
    call.add_argument("contact")
    call.add_argument("--knock", action="store_true", help="ask with a light only, without sound")
    add_json(call)

    adder.add("hangup", "end the call", lambda options: _say(options, "hangup"))
    adder.add("answer", "answer the call that rings", lambda options: _say(options, "answer"))
    decline = adder.add("decline", "decline the call that rings", _decline, "callbox decline --text")
    decline.add_argument("--text", action="store_true", help="send the ready-made text with it")

    for name, help_line in (
        ("mute", "mute the microphone, or open it again"),
        ("calls", "let calls through, or none; text goes on"),
        ("quiet", "turn do not disturb on or off"),
    ):
        add_on_off(adder.add(name, help_line, _switch(name), f"callbox {name} on"))

    _add_people(adder)
    _add_threads(adder)


def _add_people(adder: Adder) -> None:
    allow = adder.add("allow", "let a contact reach this box", _allow, "callbox allow workshop --ring --dial 1")
    allow.add_argument("contact", help="the account's name, or a contact card NAME@SERVER#FINGERPRINT")
    how = allow.add_mutually_exclusive_group()
    how.add_argument("--ring", dest="row", action="store_const", const="ring", help="calls ring (default)")
    how.add_argument("--knock", dest="row", action="store_const", const="knock", help="calls show a light only")
    how.add_argument("--message", dest="row", action="store_const", const="message", help="messages only")
    allow.add_argument("--dial", metavar="N", type=int, help="speed-dial button (default: the next free one)")
    add_json(allow)

    silence = adder.add("silence", "let a contact's calls pass without a sign", _silence, "callbox silence workshop")
    silence.add_argument("contact")
    silence.add_argument("--off", action="store_true", help="let it ring again")

    block = adder.add("block", "block a contact: to it, this box looks switched off", _block, "callbox block stranger")
    block.add_argument("contact")

    contacts = adder.add("contacts", "list the contacts and what they may do", _contacts, "callbox contacts card")
    contacts.add_argument("what", nargs="?", choices=("list", "card"), default="list", help="card: this box's own card")
    add_json(contacts)


def _add_threads(adder: Adder) -> None:
    message = adder.add("message", "send a text", _message, "callbox message workshop 'Tea is ready'")
    message.add_argument("contact")
    message.add_argument("text")
    add_json(message)

    messages = adder.add("messages", "show a conversation, or all of them", _messages, "callbox messages workshop")
    messages.add_argument("contact", nargs="?")
    messages.add_argument("--last", metavar="N", type=int, default=20, help="how many lines (default 20)")
    messages.add_argument("--read", action="store_true", help="mark them as read")
    add_json(messages)

    why = adder.add("why", "say why it did not ring", _why, "callbox why")
    add_json(why)


# --- asking ------------------------------------------------------------------------------------------------------


def _ask(options: Options, what: str, **words: Any) -> dict[str, Any]:
    """Ask a box that must be running."""
    return client.ask_once(home_of(options), what, **words)


def _ask_or_open(options: Options, what: str, then: str = "", **words: Any) -> dict[str, Any]:
    """Ask the running box; if none runs, open its folder for this one thing."""
    from callbox.app.short import ask_folder

    home = home_of(options)
    if home.folder.is_dir() and home.lock():
        return client.checked(ask_folder(home, what, words, then))
    return client.ask_once(home, what, **words)


def _say(options: Options, what: str, **words: Any) -> int:
    reply = _ask(options, what, **words)
    print(reply.get("state", "done"))
    return 0


def _status(options: Options) -> int:
    from callbox.app.commands.shown import status_line, status_text

    home = home_of(options)
    if not options.watch:
        reply = client.ask_once(home, "status")
        print_facts(options, reply, status_text(reply))
        return 0
    for reply in client.ask(home, "watch"):
        print_facts(options, reply, status_line(reply))
    return 0


def _press(options: Options) -> int:
    reply = _ask(options, "press", button=options.button, hold_s=options.hold)
    print_facts(options, reply, f"{options.button} pressed; the box is {reply['state']}")
    return 0


def _call(options: Options) -> int:
    reply: dict[str, Any] = {}
    for reply in client.ask(home_of(options), "call", contact=valid_name(options.contact), knock=options.knock):
        if "progress" in reply:
            progress(str(reply["progress"]))
    if options.json:
        print(json.dumps(reply, ensure_ascii=False))
        return 0 if reply.get("ok") else 1
    client.checked(reply)
    print(f"{reply['contact']} rings")
    return 0


def _decline(options: Options) -> int:
    return _say(options, "decline", with_text=options.text)


def _switch(name: str) -> Any:
    def perform(options: Options) -> int:
        _ask(options, name, on=options.state == "on")
        print(f"{name} {options.state}")
        return 0

    return perform


def _allow(options: Options) -> int:
    from callbox.wire.cards import parse_card

    fingerprint = ""
    name = options.contact
    if "#" in name or "@" in name:
        card = parse_card(name)
        name, fingerprint = card.name, card.fingerprint
    row = options.row or "ring"
    reply = _ask_or_open(
        options, "allow", then="synced", contact=valid_name(name), row=row, dial=options.dial, fingerprint=fingerprint
    )
    slot = f", dial button {reply['dial']}" if reply.get("dial") else ""
    note = "" if reply.get("verified") else " The number has not been compared."
    late = "" if reply.get("told", True) else " The server hears of it when the box is next connected."
    print_facts(options, reply, f"{reply['contact']} may {row}{slot}.{note}{late}")
    return 0


def _silence(options: Options) -> int:
    reply = _ask_or_open(options, "silence", contact=valid_name(options.contact), on=not options.off)
    print(f"{reply['contact']} {'rings again' if options.off else 'is silenced: its calls pass without a sign'}.")
    return 0


def _block(options: Options) -> int:
    reply = _ask_or_open(options, "block", then="synced", contact=valid_name(options.contact))
    print(f"{reply['contact']} is blocked: to it, this box looks switched off.")
    return 0


def _contacts(options: Options) -> int:
    from callbox.app.commands.shown import contacts_table, qr

    if options.what == "card":
        reply = _ask_or_open(options, "card")
        print_facts(options, reply, reply["card"])
        if sys.stdout.isatty() and not options.json:
            print(qr(reply["card"]))
        return 0
    reply = _ask_or_open(options, "contacts")
    print_facts(options, reply, contacts_table(reply["contacts"]))
    return 0


def _message(options: Options) -> int:
    reply = _ask_or_open(options, "message", then="sent", contact=valid_name(options.contact), text=options.text)
    print_facts(options, reply, f"{reply['state']}: {options.text}")
    return 0


def _messages(options: Options) -> int:
    from callbox.app.commands.shown import thread_line

    contact = valid_name(options.contact) if options.contact else None
    reply = _ask_or_open(options, "messages", contact=contact, last=options.last, read=options.read)
    lines = [thread_line(item) for item in reply["items"]]
    print_facts(options, reply, "\n".join(lines) or "Nothing yet.")
    return 0


def _why(options: Options) -> int:
    reply = _ask_or_open(options, "why")
    lines: list[str] = []
    for item in reply["items"]:
        when = datetime.fromtimestamp(item["at_ms"] / 1000).strftime("%Y-%m-%d %H:%M")
        lines.append(f"{when} {item['contact']}: {item['reason'].replace('_', ' ')}")
        lines += [f"    because {link}" for link in item["chain"]]
    print_facts(options, reply, "\n".join(lines) or "Every call that came has rung.")
    return 0
