"""PROTOCOL.md names every message with every field, and everything that the server sees."""

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

import callbox.wire
from callbox.wire import bodies, records, signals

TEXT = (Path(callbox.wire.__file__).parent / "PROTOCOL.md").read_text()
SECTIONS = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")}
UNIONS = {
    "Box to server": signals.ClientMessage,
    "Server to box": signals.ServerMessage,
    "Device to device, sealed": bodies.Body,
}
MESSAGES = [(section, struct) for section, union in UNIONS.items() for struct in get_args(union)]


def rows(section: str) -> dict[str, list[str]]:
    """Return the table of a section: tag -> fields."""
    cells = [line.split("|")[1:-1] for line in SECTIONS[section].splitlines() if line.startswith("| `")]
    return {cell[0].strip(" `"): re.findall(r"`(\w+)`", cell[1]) for cell in cells}


@pytest.mark.parametrize(("section", "struct"), MESSAGES, ids=[struct.__name__ for _, struct in MESSAGES])
def test_every_message_is_there_with_its_fields(section: str, struct: type[msgspec.Struct]) -> None:
    assert rows(section).get(str(struct.__struct_config__.tag)) == list(struct.__struct_fields__)


@pytest.mark.parametrize("section", UNIONS)
def test_no_message_is_there_that_does_not_exist(section: str) -> None:
    tags = {str(struct.__struct_config__.tag) for struct in get_args(UNIONS[section])}
    assert set(rows(section)) == tags


def test_the_list_of_what_the_server_sees_is_complete() -> None:
    """Every field of everything that a box sends in the clear; `ticket` and the like come from the server itself."""
    seen = set(re.findall(r"`([\w-]+)`", SECTIONS["What the server sees"]))
    sent: list[type[msgspec.Struct]] = [
        *get_args(signals.ClientMessage),
        signals.Envelope,
        records.DeviceRecord,
        records.SignedRecord,
        records.SignedKey,
    ]
    # These only hold the structs whose fields are listed themselves, or are shown by the section as a whole.
    holders = {"record", "keys", "envelope", "envelopes"}
    fields = {f"{struct.__name__}.{name}": name for struct in sent for name in struct.__struct_fields__}
    missing = [field for field, name in fields.items() if name not in seen | holders]
    assert not missing


def test_a_letter_is_described_in_its_order() -> None:
    described = re.search(r"`\[([\w, ]+)\]`", SECTIONS["Device to device, sealed"])
    assert described is not None
    assert described[1].split(", ") == list(bodies.Inner.__struct_fields__)
