"""How facts look to a person: status, contacts, threads, a QR code. Pure text."""

import io
import json
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

Facts = Mapping[str, Any]
NOTES = 3  # the newest of what the owner was told
LIT, DARK = "●", "○"
PROBLEMS = {
    "no-such-account": "there is no such account",
    "too-large": "the server takes no message as large as this",
    "expired": "nobody took it for 30 days",
}


def lights_line(lights: Mapping[str, float]) -> str:
    """Return the panel's lights in one line: `live ● mute ○ call ●`."""
    return "  ".join(f"{name} {LIT if is_lit(level) else DARK}" for name, level in lights.items())


def status_line(status: Facts) -> str:
    """Return one line for `status --watch`."""
    media = status.get("media")
    voice = f"  {voice_line(media)}" if media else ""
    call = status.get("call") or {}
    who = f" {call['contact']}" if call else f", recording to {status['recording']}" if status.get("recording") else ""
    return f"{status['name']}: {status['state']}{who}  [{lights_line(status['lights'])}]{voice}"


def status_text(status: Facts) -> str:
    """Return what `callbox status` prints."""
    rows = [
        ("box", f"{status['name']} (version {status['version']})"),
        ("server", f"{status['server']}, {status['link']}"),
        ("call", _call_text(status)),
        ("microphone", _microphone_text(status)),
        ("calls", _calls_text(status)),
        ("unread", str(status["unread"])),
        ("lights", lights_line(status["lights"])),
    ]
    if status.get("media") and status["state"] == "talking":  # while reconnecting, the buffer counts the silence
        rows.append(("voice", voice_line(status["media"])))
    if status.get("speech", "on") not in ("on", "off"):
        rows.append(("speech", str(status["speech"])))
    if status.get("fault"):
        what, *cures = str(status["fault"]).splitlines()
        rows += [("fault", what), *(("", cure) for cure in cures)]
    rows += [("note", f"{_when(told)} {told['text']}") for told in status.get("told", ())[-NOTES:]]
    return "\n".join(f"{name:<11}{text}" for name, text in rows)


def voice_line(media: Facts) -> str:
    """Return bit rate, delay, lost and late frames in one line."""
    rate = f"{kbit_per_s(media)} kbit/s, {media['delay_ms']} ms buffer"
    return f"{rate}, {media['lost']} lost, {media['late']} late"


def kbit_per_s(media: Facts) -> int:
    """Return the bit rate in kbit/s; 0 before the first packet."""
    return round((media["bits_per_s"] or 0) / 1000)


def is_lit(level: float) -> bool:
    """Say whether a light of this brightness counts as on, where it can only be on or off."""
    return level >= 0.5


def _call_text(status: Facts) -> str:
    call = status.get("call")
    if not call:
        return "none" if status["state"] == "idle" else str(status["state"])
    seconds = f", {call['duration_s']:.0f} s" if call.get("duration_s") else ""
    state = "asking" if call.get("knock") and status["state"] == "dialing" else status["state"]
    return f"{state}, {'to' if call['outgoing'] else 'from'} {call['contact']}{seconds}"


def _microphone_text(status: Facts) -> str:
    if status.get("recording"):
        return f"records a voice message to {status['recording']}"
    return "muted" if status["muted"] else "open in calls"


def _calls_text(status: Facts) -> str:
    if not status["calls_enabled"]:
        return "disabled; text goes on"
    hours = f"; quiet hours {status['quiet_hours']}" if status["quiet_hours"] else ""
    return ("on, but do not disturb" if status["do_not_disturb"] else "on") + hours


def contacts_table(contacts: Iterable[Facts]) -> str:
    """Return the contacts as a table."""
    rows = [("NAME", "MAY", "DIAL", "NUMBER", "")]
    for contact in contacts:
        rows.append(
            (
                str(contact["name"]),
                str(contact["permission"]),
                str(contact["dial"] or ""),
                "compared" if contact["verified"] else "not compared" if contact["known"] else "not met yet",
                "KEY CHANGED" if contact["key_changed"] else "silenced" if contact["silenced"] else "",
            )
        )
    if len(rows) == 1:
        return "No contacts yet. Add one: callbox allow NAME --ring"
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def thread_line(item: Facts) -> str:
    """Return one line of a conversation."""
    when = _when(item)
    arrow = "->" if item["outgoing"] else "<-"
    if item["kind"] == "voice":
        notes = (item["state"] if item["outgoing"] or item["state"] in ("coming", "lost") else "", _problem(item))
        said = ", ".join(str(note) for note in notes if note)
        what = f"voice message, {item['duration_s']:.0f} s, {str(item['id'])[:8]}"
        return f"{when} {arrow} {item['contact']}: {what}{f'  ({said})' if said else ''}"
    if item["kind"] == "text":
        note = ", ".join(filter(None, (item["state"] if item["outgoing"] else "", _problem(item))))
        return f"{when} {arrow} {item['contact']}: {harmless(str(item['text']))}{f'  ({note})' if note else ''}"
    reason = str(item["reason"]).replace("_", " ")
    if item["answered"]:
        return f"{when} {arrow} {item['contact']}: call, {item['duration_s']:.0f} s, {reason}"
    return f"{when} {arrow} {item['contact']}: {_unanswered(item)}, {reason}"


def _problem(item: Facts) -> str:
    """Return why a message did not get there, in words; the server's word for it is one for programs."""
    problem = str(item.get("problem") or "")
    if problem == "not-allowed":
        return f"{item['contact']} has to allow this box first"
    return PROBLEMS.get(problem, problem)


def _unanswered(item: Facts) -> str:
    if item.get("knock"):
        return "knock" if item["outgoing"] else "missed knock"
    return "call" if item["outgoing"] else "missed call"


def harmless(text: str) -> str:
    """Return what somebody else wrote so that a terminal only shows it: no escape sequences, no turned direction.

    Further lines are indented, so that none of them looks like a line of the conversation.
    """
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n    ".join("".join(_shown(character) for character in line) for line in lines)


def harmless_json(facts: Facts) -> str:
    """Return facts as JSON in which every character that a terminal would obey is an escape."""
    text = json.dumps(facts, ensure_ascii=False)
    return "".join(character if _shown(character) == character else json.dumps(character)[1:-1] for character in text)


def _shown(character: str) -> str:
    """Return a character, or a replacement for one that controls instead of being drawn. Emoji need the joiners."""
    if character in "\t\u200c\u200d" or character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return "\ufffd"


def why_lines(item: Facts) -> list[str]:
    """Return why one call did not ring: the reason, and the chain of decisions that led to it."""
    head = f"{_when(item)} {item['contact']}: {str(item['reason']).replace('_', ' ')}"
    return [head, *(f"    because {link}" for link in item["chain"])]


def _when(item: Facts) -> str:
    return datetime.fromtimestamp(item["at_ms"] / 1000).strftime("%Y-%m-%d %H:%M")


def qr(text: str) -> str:
    """Return a QR code for a terminal."""
    import segno

    drawn = io.StringIO()
    segno.make(text, error="m").terminal(out=drawn, compact=True)
    return drawn.getvalue()
