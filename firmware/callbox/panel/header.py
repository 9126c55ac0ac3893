"""The 40-pin header of a Raspberry Pi: which position carries which GPIO, power or ground, and who else uses it.

Source: the pinout in the Raspberry Pi documentation ("GPIO and the 40-pin header"); it is the same on every
model since the B+.
"""

from collections.abc import Iterable

# Position 1 is the corner nearest the card slot; odd positions are the inner row. A number is a GPIO.
POSITIONS: tuple[int | str, ...] = (
    *("3V3", "5V", 2, "5V", 3, "GND", 4, 14, "GND", 15),
    *(17, 18, 27, "GND", 22, 23, "3V3", 24, 10, "GND"),
    *(9, 25, 11, 8, "GND", 7, 0, 1, 5, "GND"),
    *(6, 12, 13, "GND", 19, 16, 26, 20, "GND", 21),
)
POSITION_OF_GPIO = {what: place for place, what in enumerate(POSITIONS, 1) if isinstance(what, int)}
GROUNDS = tuple(place for place, what in enumerate(POSITIONS, 1) if what == "GND")

# GPIO 0 and 1 read the identity chip of a HAT while the Pi starts: nothing else may hang there, ever.
IDENTITY = (0, 1)
RESERVABLE: dict[str, tuple[int, ...]] = {
    "i2c": (2, 3),
    "spi": (7, 8, 9, 10, 11),
    "uart": (14, 15),
    "i2s": (18, 19, 20, 21),
}
# Resistors of 1.8 kilohm on the Pi itself pull these up, whatever a program asks for.
ALWAYS_PULLED_UP = (2, 3)


def reserved_for(reserve: Iterable[str]) -> dict[int, str]:
    """Return GPIO -> what it is kept for, given the functions that a board keeps."""
    kept = dict.fromkeys(IDENTITY, "the identity chip of a HAT")
    for function in reserve:
        kept |= dict.fromkeys(RESERVABLE[function], function.upper().replace("I2", "I²"))
    return kept


def nearest_ground(gpio: int) -> int:
    """Return the position of the ground pin closest to a GPIO, for the shortest second wire."""
    place = POSITION_OF_GPIO[gpio]

    def distance(ground: int) -> tuple[int, int]:
        rows, columns = (ground + 1) // 2 - (place + 1) // 2, ground % 2 - place % 2
        return rows * rows + columns * columns, ground

    return min(GROUNDS, key=distance)
