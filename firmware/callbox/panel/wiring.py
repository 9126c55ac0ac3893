"""Whether parts can share one header: every clash and forbidden pin, told with the pins that are still free."""

from collections.abc import Callable, Mapping

from callbox.base.settings import Problems
from callbox.panel.header import ALWAYS_PULLED_UP, IDENTITY, POSITION_OF_GPIO, reserved_for
from callbox.panel.parts import LIGHTS, Light, Part

Path = tuple[str, str]  # kind and name of a part: ("button", "talk")
Parts = Mapping[Path, Part]


def check_wiring(problems: Problems, parts: Parts, below: Parts, reserve: tuple[str, ...]) -> None:
    """Note in `problems` whatever is wrong with `parts`, which stand in the file in the order given.

    `below` are parts of a board that was checked already and that this file adds to; `reserve` names the
    functions of the header that the board keeps free.
    """
    kept = reserved_for(reserve)
    used: dict[int | str, Path] = {part.pin: path for path, part in below.items()}
    all_pins = {part.pin for part in (*parts.values(), *below.values())}
    free = sorted(set(POSITION_OF_GPIO) - kept.keys() - all_pins)

    def refuse(path: Path, sentence: str) -> None:
        problems.add(path, "pin", f"{sentence} Free on this board: {_listed(free)}.", parts[path].pin)

    for path, part in parts.items():
        pin = part.pin
        if pin in used:
            verb = "drives" if used[pin][0] == "light" else "reads"
            refuse(path, f"{_named(pin)} already {verb} [{'.'.join(used[pin])}].")
        elif isinstance(pin, int) and pin not in POSITION_OF_GPIO:
            refuse(path, f"There is no GPIO{pin} on the header.")
        elif isinstance(pin, int) and pin in kept:
            by_board = "" if pin in IDENTITY else " by this board"
            refuse(path, f"{_named(pin)} is kept{by_board} for {kept[pin]}.")
        used.setdefault(pin, path)
        _check_electrics(problems, path, part)
    _check_lights(problems, parts, below, refuse)


def _check_electrics(problems: Problems, path: Path, part: Part) -> None:
    """Refuse what the hardware of the Pi cannot do."""
    if isinstance(part, Light):
        if part.pin == "ACT" and part.brightness < 1:
            problems.add(path, "brightness", "The activity light cannot be dimmed: leave this out.", part.brightness)
    elif part.pin in ALWAYS_PULLED_UP and part.pull != "up":
        sentence = f'{_named(part.pin)} has a pull-up resistor of its own: give pull = "up", or another pin.'
        problems.add(path, "pull", sentence, part.pull)


def _check_lights(problems: Problems, parts: Parts, below: Parts, refuse: Callable[[Path, str], None]) -> None:
    """Refuse boards whose lights would not tell the truth about the microphone."""
    lights = {path: part for path, part in {**below, **parts}.items() if isinstance(part, Light)}
    names = {name for _, name in lights}
    for path, light in lights.items():
        if path not in parts:
            continue
        if path[1] == "live" and light.also:
            problems.add(path, "also", "The live light shows the microphone and nothing else.", light.also)
        for other in light.also:
            if other == "live" or other not in LIGHTS:
                choices = ", ".join(name for name in LIGHTS if name not in ("live", path[1]))
                problems.add(path, "also", f"This can hold: {choices}.", light.also)
            elif other in names:
                problems.add(path, "also", f"There is a [light.{other}] of its own on this board.", light.also)
    if lights and "live" not in names:
        first = next((path for path in lights if path in parts), None)
        if first is not None:
            refuse(first, "The first light of a board is [light.live], and this board has none.")


def _named(pin: int | str) -> str:
    return f"GPIO{pin}" if isinstance(pin, int) else "The activity light"


def _listed(free: list[int]) -> str:
    return ", ".join(str(pin) for pin in free) or "none"
