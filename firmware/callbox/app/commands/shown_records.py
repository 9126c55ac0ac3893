"""How what a box keeps looks to a person. Pure text."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from textwrap import fill
from typing import Any

Facts = Mapping[str, Any]
WIDTH = 100
_AFTERWARDS = """Nothing goes to anybody else. `callbox privacy --consents` shows what you allowed, and when; [keep] in
box.toml says how long things stay; `callbox export` hands everything over, `callbox erase` destroys it."""
_KEYS = {
    "file": "the key lies beside it, so whoever takes the card can read it",
    "credential": "the key is a systemd credential: bound to this machine where it has a TPM, else to the card",
    "passphrase": "the key is sealed with a passphrase: without it there is only ciphertext",
}
_MAY = {
    "ring": "may ring",
    "knock": "may knock",
    "message": "may write",
    "request": "asks to reach you",
    "blocked": "is blocked",
}


def privacy_text(facts: Facts) -> str:
    """Return what `callbox privacy` prints."""
    here = f"{facts['folder']}, {facts['bytes'] / 1_000_000:.1f} MB, encrypted; {_KEYS[facts['key']]}"
    parts = [
        f"{facts['name']} at {facts['server']}",
        _titled(f"Kept on this box ({here})", _held(facts["held"])),
        _titled("Who may reach you", map(_contact, facts["contacts"])),
        _titled("Devices of this account", map(_device, facts["devices"])),
        _titled("What the server can see", map(_point, facts["server_sees"])),
        _AFTERWARDS,
    ]
    return "\n\n".join(parts)


def consent_lines(consents: Iterable[Facts]) -> list[str]:
    """Return who was allowed what, and when, oldest first."""
    lines = [f"{_date(line['at_ms'], '%Y-%m-%d %H:%M')}  {line['name']}: {line['what']}" for line in consents]
    return lines or ["Nothing was allowed to anybody yet."]


def _titled(title: str, lines: Iterable[str]) -> str:
    return "\n".join([fill(title, WIDTH, subsequent_indent="  "), *(list(lines) or ["  nobody"])])


def _held(rows: Iterable[Facts]) -> Iterable[str]:
    for row in rows:
        oldest = f"oldest {_date(row['oldest_ms'], '%Y-%m-%d')}" if row["oldest_ms"] is not None else ""
        days = "until you remove them" if row["days"] is None else f"{row['days']} days"
        if row["days"] == 0:
            days = "until heard or delivered"
        yield f"  {row['what']:<30}{row['count']:>7}   {oldest:<19}{days}".rstrip()


def _contact(contact: Facts) -> str:
    notes = [note for note in ("silenced", "breakthrough", "verified") if contact[note]]
    words = {"silenced": "silenced", "breakthrough": "breaks through quiet hours", "verified": "numbers compared"}
    return f"  {contact['name']} {', '.join([_MAY[contact['permission']], *(words[note] for note in notes)])}"


def _device(device: Facts) -> str:
    this = ", this one" if device["this"] else ", given up" if device["revoked"] else ""
    return f"  {device['device']} ({device['kind']}, since {_date(device['created_ms'], '%Y-%m-%d')}{this})"


def _point(point: str) -> str:
    return fill(point, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _date(at_ms: int, form: str) -> str:
    return datetime.fromtimestamp(at_ms / 1000).strftime(form)
