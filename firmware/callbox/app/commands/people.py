"""Commands about other people: who may reach this box, and whether they are who they seem."""

import sys

from callbox.app.commands.asking import ask_or_open
from callbox.app.commands.shown import contacts_table, qr
from callbox.app.commands.words import Adder, Options, add_json, print_facts
from callbox.wire.cards import parse_card
from callbox.wire.names import valid_name


def add(adder: Adder) -> None:
    """Add these commands."""
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

    prefer = adder.add("prefer", "set how a contact rings, and when", _prefer, "callbox prefer workshop --ring rising")
    prefer.add_argument("contact")
    prefer.add_argument(
        "--ring",
        choices=("full", "rising", "light"),
        help="full: at once; rising: louder and louder; light: the light alone",
    )
    prefer.add_argument("--messages", choices=("sound", "light"), help="how its messages are told")
    prefer.add_argument(
        "--breakthrough", choices=("on", "off"), help="its second call within 3 minutes rings in quiet hours, too"
    )
    add_json(prefer)

    block = adder.add("block", "block a contact: to it, this box looks switched off", _block, "callbox block stranger")
    block.add_argument("contact")

    contacts = adder.add("contacts", "list the contacts and what they may do", _contacts, "callbox contacts card")
    contacts.add_argument("what", nargs="?", choices=("list", "card"), default="list", help="card: this box's own card")
    add_json(contacts)

    verify = adder.add(
        "verify", "compare numbers with a contact, and say that they agree", _verify, "callbox verify workshop"
    )
    verify.add_argument("contact")
    verify.add_argument("--yes", action="store_true", help="the numbers were compared and agree; do not ask")
    add_json(verify)


def _allow(options: Options) -> int:
    fingerprint = ""
    name = options.contact
    if "#" in name or "@" in name:
        card = parse_card(name)
        name, fingerprint = card.name, card.fingerprint
    row = options.row or "ring"
    reply = ask_or_open(
        options, "allow", then="synced", contact=valid_name(name), row=row, dial=options.dial, fingerprint=fingerprint
    )
    slot = f", dial button {reply['dial']}" if reply.get("dial") else ""
    note = "" if reply.get("verified") else " The number has not been compared."
    late = "" if reply.get("told", True) else " The server hears of it when the box is next connected."
    print_facts(options, reply, f"{reply['contact']} may {row}{slot}.{note}{late}")
    return 0


def _silence(options: Options) -> int:
    reply = ask_or_open(options, "silence", contact=valid_name(options.contact), on=not options.off)
    print(f"{reply['contact']} {'rings again' if options.off else 'is silenced: its calls pass without a sign'}.")
    return 0


def _prefer(options: Options) -> int:
    through = None if options.breakthrough is None else options.breakthrough == "on"
    notify = None if options.messages is None else options.messages == "sound"
    contact = valid_name(options.contact)
    reply = ask_or_open(options, "prefer", contact=contact, style=options.ring, notify=notify, breakthrough=through)
    how = {"full": "rings at once", "rising": "rings louder and louder", "light": "rings by light alone"}
    messages = "messages sound" if reply["notify"] else "messages only light up"
    quiet = "breaks through quiet hours at the second call" if reply["breakthrough"] else "is kept out in quiet hours"
    print_facts(options, reply, f"{reply['name']} {how[reply['ring_style']]}, its {messages}, and it {quiet}.")
    return 0


def _block(options: Options) -> int:
    reply = ask_or_open(options, "block", then="synced", contact=valid_name(options.contact))
    print(f"{reply['contact']} is blocked: to it, this box looks switched off.")
    return 0


def _contacts(options: Options) -> int:
    if options.what == "card":
        reply = ask_or_open(options, "card")
        print_facts(options, reply, reply["card"])
        if sys.stdout.isatty() and not options.json:
            print(qr(reply["card"]))
        return 0
    reply = ask_or_open(options, "contacts")
    print_facts(options, reply, contacts_table(reply["contacts"]))
    return 0


def _verify(options: Options) -> int:
    """Show the number that both boxes show; on a yes, mark the contact's key as compared."""
    contact = valid_name(options.contact)
    facts = ask_or_open(options, "number", contact=contact)
    if not options.json:
        groups = str(facts["number"]).split()
        print("\n".join("  " + " ".join(groups[start : start + 4]) for start in range(0, len(groups), 4)))
        if facts.get("code"):
            print(f"In this call you can read these to each other instead: {facts['code']}")
        if facts["changed"]:
            print(f"{contact} has a new box. Calls wait until you confirm it.")
    if options.yes or (sys.stdin.isatty() and not options.json and _agrees(contact)):
        facts = ask_or_open(options, "verify", contact=contact, number=facts["number"])
    state = "compared: it is really them" if facts["verified"] else "not compared yet"
    print_facts(options, facts, f"{contact}: {state}.")
    return 0


def _agrees(contact: str) -> bool:
    return input(f"Does {contact}'s box show the same number (callbox verify there)? [y/N] ").strip().lower() in (
        "y",
        "yes",
    )
