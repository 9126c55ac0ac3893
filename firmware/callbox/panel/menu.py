"""The spoken menu: a pure state machine. What is in it comes from `ENTRIES`; what is said and done is the box's.

    closed --talk + mute held (one button: pressed three times)--> entries --talk--> choices of an entry --talk--> done

Volume up and mute step on, volume down steps back, talk chooses, calls goes back. With one button a short press steps
and a hold chooses. Ten seconds without a press or a word close the menu, and a ring closes it at once. Whatever is
pressed while it is open belongs to it: the release that comes after it closed means nothing else.

In every list of choices the first one changes nothing, so that a press too many does no harm.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from callbox.base.time import Instant
from callbox.panel.gestures import ButtonGesture, Held, Pressed, Released

SILENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of entry. `there`: when it is in the menu. `choices`: what may be done; none: chosen, it speaks."""

    name: str
    there: str
    does: str
    choices: tuple[str, ...] = ()


ENTRIES: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("why", "always", "says which call did not ring last, and why"),
        Entry("repeat", "a message was received", "says the last message again"),
        Entry("delete", "a message was received", "deletes the last message here", ("keep", "delete")),
        Entry(
            "request",
            "for each stranger who asks",
            "decides what they may do",
            ("leave", "message", "knock", "ring", "block"),
        ),
        Entry(
            "compare",
            "the key of the last conversation is known",
            "says the safety number in groups",
            ("leave", "again", "same", "other"),
        ),
        Entry("new_box", "for each contact with a new box", "confirms it", ("leave", "confirm")),
        Entry(
            "link",
            "a further box asks to be linked",
            "says the numbers that both boxes show; confirmed, it becomes part of this account",
            ("leave", "again", "same", "other"),
        ),
        Entry(
            "network",
            "always",
            "says to which server the box is connected, since when, and how well the Wi-Fi is received",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as it stands in the menu now, and whom it is about."""

    name: str
    about: str = ""

    @property
    def choices(self) -> tuple[str, ...]:
        return ENTRIES[self.name].choices


@dataclass(frozen=True, slots=True)
class SayItem:
    """Say the entry that one has come to. `first`: the menu has just been opened."""

    item: Item
    first: bool = False


@dataclass(frozen=True, slots=True)
class Enter:
    """An entry with choices was chosen: say what it is about, then its first choice."""

    item: Item
    choice: str


@dataclass(frozen=True, slots=True)
class SayChoice:
    """Say the choice that one has come to."""

    item: Item
    choice: str


@dataclass(frozen=True, slots=True)
class Do:
    """Carry out an entry; `choice` is empty for one that has none."""

    item: Item
    choice: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """The menu is closed. `quietly`: something else is going on by now."""

    quietly: bool = False


Effect = SayItem | Enter | SayChoice | Do | Closed

STEPS = {"volume_up": 1, "mute": 1, "volume_down": -1}


class Menu:
    """One menu. `deadline` is when silence closes it; tell it by `spoke` how long the box itself speaks."""

    def __init__(self, one_button: bool = False) -> None:
        self._one_button = one_button
        self._items: Sequence[Item] = ()
        self._at = 0
        self._choice: int | None = None
        self._silent_since: Instant = 0.0
        self._closed_at: Instant = float("-inf")

    @property
    def is_open(self) -> bool:
        return bool(self._items)

    @property
    def deadline(self) -> Instant | None:
        return self._silent_since + SILENCE_S if self.is_open else None

    def takes(self, gesture: ButtonGesture) -> bool:
        """Say whether a gesture is the menu's: it is open, or was when that press began."""
        return self.is_open or gesture.pressed_at <= self._closed_at

    def open(self, items: Sequence[Item], now: Instant) -> list[Effect]:
        """Open the menu with these entries."""
        self._items, self._at, self._choice = tuple(items), 0, None
        self._silent_since = now
        return [SayItem(self._items[0], first=True)] if items else []

    def handle(self, gesture: ButtonGesture, now: Instant) -> list[Effect]:
        """Take a gesture of any button."""
        if not self.is_open:
            return []
        effects = list(self._only_button(gesture, now) if self._one_button else self._buttons(gesture, now))
        if effects:
            self._silent_since = now
        return effects

    def tick(self, now: Instant) -> list[Effect]:
        """Close after a silence."""
        if self.deadline is None or now < self.deadline:
            return []
        return self._close(now)

    def spoke(self, until: Instant) -> None:
        """The box has been speaking up to this moment: silence begins there."""
        self._silent_since = max(self._silent_since, until)

    def close(self, now: Instant) -> list[Effect]:
        """Close at once: something rings, or the box is needed otherwise."""
        return self._close(now, quietly=True) if self.is_open else []

    def _buttons(self, gesture: ButtonGesture, now: Instant) -> Iterator[Effect]:
        match gesture:
            case Pressed(button=button) if button in STEPS:
                yield self._step(STEPS[button])
            case Pressed(button="talk"):
                yield from self._choose(now)
            case Pressed(button="calls"):
                yield from self._back(now)

    def _only_button(self, gesture: ButtonGesture, now: Instant) -> Iterator[Effect]:
        match gesture:
            case Released(was_hold=False):
                yield self._step(1)
            case Held():
                yield from self._choose(now)

    def _step(self, by: int) -> Effect:
        item = self._items[self._at]
        if self._choice is None:
            self._at = (self._at + by) % len(self._items)
            return SayItem(self._items[self._at])
        self._choice = (self._choice + by) % len(item.choices)
        return SayChoice(item, item.choices[self._choice])

    def _choose(self, now: Instant) -> Iterator[Effect]:
        item = self._items[self._at]
        if not item.choices:
            yield Do(item)
        elif self._choice is None:
            self._choice = 0
            yield Enter(item, item.choices[0])
        elif item.choices[self._choice] == "again":
            yield Enter(item, "again")
        else:
            yield Do(item, item.choices[self._choice])
            yield from self._close(now, quietly=True)

    def _back(self, now: Instant) -> Iterator[Effect]:
        if self._choice is None:
            yield from self._close(now)
        else:
            self._choice = None
            yield SayItem(self._items[self._at])

    def _close(self, now: Instant, quietly: bool = False) -> list[Effect]:
        self._items, self._choice, self._closed_at = (), None, now
        return [Closed(quietly)]


def table() -> str:
    """Return the menu as a table in Markdown, for MENU.md."""
    rows = [
        f"| {entry.name} | {entry.there} | {entry.does} | {', '.join(entry.choices) or '-'} |"
        for entry in ENTRIES.values()
    ]
    return "\n".join(("| entry | when it is there | what it does | choices |", "|---|---|---|---|", *rows, ""))
