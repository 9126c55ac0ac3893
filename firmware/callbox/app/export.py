"""Handing everything over: a folder or a zip file in open formats (JSON, Ogg Opus), with a README.

    README.txt                       what lies where
    box.json                         name, server, devices, controls
    contacts.json, consents.json     who may what; who was allowed what, and when
    conversations/NAME.json          every line of a conversation, oldest first
    voice/NAME/DATE-ID.ogg           voice messages
    box.toml                         the settings, as they are

It is written aside and put in its place by one rename: whole or not at all.
"""

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from callbox.base.errors import CallboxError

README = """This is everything that the Callbox "{name}" keeps about its owner's conversations, written on {when}.

box.json                    the box: its name, server, devices, and what was set for all calls
box.toml                    its settings file
contacts.json               contacts and requests, and what each may do
consents.json               who was allowed what, and when
conversations/NAME.json     one conversation each, oldest line first; times are UTC
voice/NAME/...ogg           voice messages (Ogg Opus: any player plays them), named in their conversation

Texts: {texts}, voice messages: {voices}, lines of calls: {calls}, contacts: {contacts}.
Nothing in here is encrypted any more: keep it as you would keep the letters themselves.
Keys are not part of it; those are in a backup. What others keep on their boxes is theirs.
"""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


class Exported(NamedTuple):
    """What a person is told: how many of each there are, and which sounds were not here."""

    texts: int
    voices: int
    calls: int
    missing: int


def export(target: Path, facts: Mapping[str, Any], settings: str, sound: Callable[[str], bytes]) -> Exported:
    """Write an export to a new folder, or to a new file if `target` ends in .zip. Raises CallboxError.

    `sound` returns the Ogg Opus of a voice message by its id, b"" when it is not here.
    """
    if target.exists() and not (target.is_dir() and target.suffix != ".zip" and not any(target.iterdir())):
        raise CallboxError(f"{target} is there already.", "Name a new folder, or a new file that ends in .zip.")
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        writer = _zipped(draft) if target.suffix == ".zip" else _in_folder(draft)
        with writer as write:
            done = _write_all(facts, settings, sound, write)
        draft.replace(target)
    except OSError as error:
        raise CallboxError(
            f"The export {target} could not be written: {error.strerror or error}.",
            "Is there room, and may you write there? Nothing of it was left behind.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink() if draft.is_file() else shutil.rmtree(draft)
    return done


def file_name(name: str, taken: set[str]) -> str:
    """Return a name of a file or folder for an account, good on every system and on USB sticks; adds it to `taken`."""
    safe = name.rstrip(".") or "contact"
    if safe.split(".")[0] in _RESERVED:
        safe = f"{safe}_"
    unique, number = safe, 1
    while unique in taken:
        number += 1
        unique = f"{safe}~{number}"
    taken.add(unique)
    return unique


Write = Callable[[str, bytes], None]


@contextlib.contextmanager
def _in_folder(folder: Path) -> Iterator[Write]:
    folder.mkdir(mode=0o700)

    def write(name: str, data: bytes) -> None:
        path = folder / PurePosixPath(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)

    yield write


@contextlib.contextmanager
def _zipped(path: Path) -> Iterator[Write]:
    with (
        open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        yield archive.writestr


def _write_all(facts: Mapping[str, Any], settings: str, sound: Callable[[str], bytes], write: Write) -> Exported:
    threads: dict[str, list[dict[str, Any]]] = {}
    counted = {"text": 0, "voice": 0, "call": 0}
    missing, taken = 0, set[str]()
    names: dict[str, str] = {}
    for item in facts["items"]:
        contact = str(item["contact"])
        if contact not in names:
            names[contact] = file_name(contact, taken)
        line = {
            "at": _when(item["at_ms"]),
            **{key: value for key, value in item.items() if key not in ("at_ms", "here")},
        }
        counted[item["kind"]] += 1
        if item["kind"] == "voice":
            data = sound(str(item["id"])) if item["here"] else b""
            line["file"] = f"voice/{names[contact]}/{_when(item['at_ms'], '-')}-{item['id'][:8]}.ogg" if data else None
            missing += not data
            if data:
                write(line["file"], data)
        threads.setdefault(contact, []).append(line)
    for contact, lines in threads.items():
        write(f"conversations/{names[contact]}.json", _json({"contact": contact, "lines": lines}))
    about = {name: facts[name] for name in ("name", "server", "devices", "controls")}
    write("box.json", _json(about))
    write("contacts.json", _json(facts["contacts"]))
    write("consents.json", _json([{"at": _when(line.pop("at_ms")), **line} for line in map(dict, facts["consents"])]))
    write("box.toml", settings.encode())
    numbers = {"texts": counted["text"], "voices": counted["voice"], "calls": counted["call"]}
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    readme = README.format(name=facts["name"], when=when, contacts=len(facts["contacts"]), **numbers)
    write("README.txt", readme.encode())
    return Exported(**numbers, missing=missing)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode() + b"\n"


def _when(at_ms: int, colon: str = ":") -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime(f"%Y-%m-%dT%H{colon}%M{colon}%SZ")
    except (OverflowError, ValueError, OSError):
        return str(at_ms)
