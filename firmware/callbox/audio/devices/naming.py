"""Which device a name in box.toml means. Pure: the devices that are there go in, one of them comes out.

A name is a card's id (`Device`), a stream of that card (`Device,1`), the socket of a USB card (`usb:1-1.2`, or udev's
name of it in /dev/snd/by-path), or what the sound system calls it (`USB Audio Device`). Numbers are not names:
`USB Audio Device: - (hw:1,0)` is found although the card is number 2 today.

`default` means, in this order: what a sound server of this user calls so; a USB card that has both microphone and
speaker; any other USB card; the board's own; HDMI, which mostly leads to no loudspeaker at all.
"""

import re
from collections.abc import Sequence

from callbox.audio.devices import DeviceInfo, NoSuchDevice

DEFAULT = "default"
_NUMBER = re.compile(r"\(hw:\d+,(\d+)\)$")


def without_number(name: str) -> str:
    """Return the sound system's name of a device without the number that its card has today."""
    return _NUMBER.sub(r"(hw:*,\1)", name)


def choose(there: Sequence[DeviceInfo], name: str, capture: bool, sound_server: bool = False) -> int:
    """Return the index in `there` of the device that `name` means as microphone or as speaker. Raises NoSuchDevice.

    `sound_server`: one runs for this user, so that its own choice of a default counts.
    """
    able = [index for index, info in enumerate(there) if (info.inputs if capture else info.outputs)]
    wanted = without_number(name).lower()
    if wanted == DEFAULT and able:
        return min(able, key=lambda index: _rank(there[index], sound_server))
    for index in able:
        if wanted in {known.lower() for known in _names(there[index])}:
            return index
    names = (_names(there[index])[0] for index in able)
    raise NoSuchDevice(name, "input" if capture else "output", names)


def _names(info: DeviceInfo) -> tuple[str, ...]:
    return info.names or (info.name,)


def _rank(info: DeviceInfo, sound_server: bool) -> int:
    if not info.card_id:
        return 0 if sound_server and info.name.lower() == DEFAULT else 5
    if info.usb:
        return 1 if info.inputs and info.outputs else 2
    return 4 if "hdmi" in f"{info.card_id} {info.name}".lower() else 3


def names_of(name: str, card_id: str, socket: str, paths: Sequence[str], twin: bool) -> tuple[str, ...]:
    """Return the names of a device, the one that lasts longest first: the id, but of two equal cards the socket."""
    short, plain = name.partition(": ")[0], without_number(name)
    found = _NUMBER.search(name)
    stream = f"{card_id},{found[1]}" if found and card_id else ""
    lasting = (socket, *paths, card_id) if twin else (card_id, socket, *paths)
    further = (stream,) if found and found[1] != "0" else ()  # the plain id is the card's first stream
    return tuple(dict.fromkeys(known for known in (*further, *lasting, stream, short, plain) if known))
