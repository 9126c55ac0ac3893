"""What the kernel knows of sound cards: the names that stay when their numbers change, and who holds one.

    /sys/class/sound/card1/id                   Device           the card's id
    /sys/class/sound/card1/device               .../1-1.2:1.0    its USB socket, here called usb:1-1.2
    /dev/snd/by-path/platform-...-usb-0:1.2     -> controlC1     the same socket, by udev's name

Numbers (`hw:1,0`, "card 1") are given in the order of discovery: two reboots, two orders. So is the `_1` in the id of
the second of two equal cards. Only the socket tells such two apart.
"""

import errno
import os
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

_PCM = re.compile(r"pcmC(\d+)D(\d+)([cp])")


@dataclass(frozen=True, slots=True)
class Card:
    """A sound card. `socket` and `model` are those of USB, else empty; `paths` are udev's names of the place."""

    number: int
    id: str
    socket: str = ""
    model: str = ""
    paths: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names by which this card may be asked for."""
        return tuple(name for name in (self.id, self.socket, *self.paths) if name)


def cards(root: Path = Path("/")) -> list[Card]:
    """Return all cards, in the order of their numbers of today."""
    folders = (root / "sys/class/sound").glob("card[0-9]*")
    return sorted((_read(folder, root) for folder in folders), key=lambda card: card.number)


def _read(folder: Path, root: Path) -> Card:
    number = int(folder.name.removeprefix("card"))
    device = (folder / "device").resolve()
    socket = device.name.partition(":")[0]
    paths = tuple(
        link.name
        for link in sorted((root / "dev/snd/by-path").glob("*"))
        if link.is_symlink() and link.readlink().name == f"controlC{number}"
    )
    if not re.fullmatch(r"\d+-[\d.]+", socket):
        return Card(number, _text(folder / "id"), paths=paths)
    model = ":".join(_text(device.parent / name) for name in ("idVendor", "idProduct"))
    return Card(number, _text(folder / "id"), f"usb:{socket}", model, paths)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace").strip()
    except OSError:
        return ""


def plugged(root: Path = Path("/")) -> tuple[str, ...]:
    """Return what changes when a card is plugged in or pulled, and costs no more than a look into a folder."""
    try:
        return tuple(sorted(os.listdir(root / "dev/snd")))
    except OSError:
        return ()


def pcm_nodes(root: Path = Path("/")) -> Iterator[tuple[Path, int, bool]]:
    """Yield every stream of every card: its node, the card's number, and whether it records."""
    for node in sorted((root / "dev/snd").glob("pcmC*")):
        if found := _PCM.fullmatch(node.name):
            yield node, int(found[1]), found[3] == "c"


def node_of(descriptor: int) -> str:
    """Return what this process has open under a number; "" if nothing."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""


def open_nodes(nodes: Path) -> dict[int, str]:
    """Return what this process has open below `nodes`, by number."""
    there = ((int(name), node_of(int(name))) for name in os.listdir("/proc/self/fd"))
    return {number: node for number, node in there if node.startswith(f"{nodes}/")}


def why_not_open(node: Path, root: Path = Path("/")) -> tuple[str, str]:
    """Try a stream that the sound library passed over; return why it does, and a cure. ("", "") if it opens now."""
    try:
        os.close(os.open(node, (os.O_RDONLY if node.name.endswith("c") else os.O_WRONLY) | os.O_NONBLOCK))
    except OSError as error:
        if error.errno == errno.EACCES:
            return "this user may not use it", "run: sudo usermod -aG audio $USER, and log in again"
        if error.errno == errno.EPERM:
            return "the service may not use it", "let its unit say DeviceAllow=char-116 rw: systemctl cat callbox"
        if error.errno == errno.EBUSY:
            return f"{_holder(node, root)} holds it", "close that, or let it use another card"
        return error.strerror or str(error), "unplug it and plug it in again"
    return "", ""


def passed_over(listed: Container[str], root: Path = Path("/")) -> dict[str, tuple[str, str]]:
    """Return the ids of cards that are there and not `listed`, each with why it does not open and a cure."""
    ids = {card.number: card.id for card in cards(root)}
    found: dict[str, tuple[str, str]] = {}
    for node, number, _ in pcm_nodes(root):
        card_id = ids.get(number, "")
        if card_id and card_id not in listed and (why := why_not_open(node, root))[0]:
            found.setdefault(card_id, why)
    return found


def _holder(node: Path, root: Path) -> str:
    """Return who has a stream open, as the kernel tells it; a hardened service is not shown the program's name."""
    found = _PCM.fullmatch(node.name)
    assert found is not None
    pcm = root / f"proc/asound/card{found[1]}/pcm{found[2]}{found[3]}"
    for status in sorted(pcm.glob("sub*/status")):
        if owner := re.search(r"owner_pid *: (\d+)", _text(status)):
            name = _text(root / "proc" / owner[1] / "comm")
            return f"{name} (process {owner[1]})" if name else f"process {owner[1]}"
    return "another program"
