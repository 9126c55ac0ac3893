"""From bouncing contacts to gestures: pressed, released, held, repeated, pressed several times.

A level counts once it has stood still for `debounce_ms`; every change before that starts the wait anew.
That costs 15 ms on each edge, too short to feel, and buys that a storm (a loose wire, a wet contact, a
radio beside the box) never looks like a press: debouncing that acts on the first edge and then looks
away would answer a call on the first spark. All gesture times are those of the edge itself, so the wait
never lengthens or shortens a hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from callbox.base.time import Instant, earliest

HOLD_S = 1.0
REPEAT_S = 0.25
MULTI_PRESS_GAP_S = 0.25


@dataclass(frozen=True, slots=True)
class ButtonChanged:
    """A contact closed or opened, raw, as the pins report it. For switches too: closed is `pressed`."""

    button: str
    pressed: bool


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button went down at `pressed_at`."""

    button: str
    pressed_at: Instant


@dataclass(frozen=True, slots=True)
class Released:
    """A button came up again after `held_s`; `was_hold` says that `Held` came before."""

    button: str
    pressed_at: Instant
    held_s: float
    was_hold: bool


@dataclass(frozen=True, slots=True)
class Held:
    """A button has been down for a second, and still is."""

    button: str
    pressed_at: Instant


@dataclass(frozen=True, slots=True)
class Repeated:
    """A button that repeats (volume) is still down, another quarter of a second later."""

    button: str
    pressed_at: Instant


@dataclass(frozen=True, slots=True)
class PressedTimes:
    """The only button was pressed shortly `times` times and then left alone. One-button mode alone."""

    button: str
    pressed_at: Instant
    times: int


@dataclass(frozen=True, slots=True)
class Switched:
    """A switch now stands `on` or off; also told once at the start, for switches that start on."""

    switch: str
    on: bool


ButtonGesture = Pressed | Released | Held | Repeated | PressedTimes
Gesture = ButtonGesture | Switched


@dataclass(frozen=True, slots=True)
class Contact:
    """How one button or switch is listened to."""

    debounce_s: float = 0.015
    repeats: bool = False
    counts: bool = False
    latches: bool = False


class _Button:
    """One contact's state. `level` is raw, `down` is what has stood still long enough."""

    def __init__(self, name: str, contact: Contact) -> None:
        self.name = name
        self.contact = contact
        self.level = self.down = self.held = False
        self.changed_at: Instant = 0.0
        self.pressed_at: Instant = 0.0
        self.next_repeat: Instant = 0.0
        self.times = 0
        self.first_at: Instant = 0.0
        self.last_up: Instant = 0.0

    @property
    def deadline(self) -> Instant | None:
        if self.level != self.down:
            return self.changed_at + self.contact.debounce_s
        if self.contact.latches:
            return None
        if self.down and not self.held:
            # A contact that sparks while down is held once it has been quiet again.
            return max(self.pressed_at + HOLD_S, self.changed_at + self.contact.debounce_s)
        if self.down:
            return self.next_repeat if self.contact.repeats else None
        return self.last_up + MULTI_PRESS_GAP_S if self.times else None

    def expire(self) -> Gesture:
        """Do what the deadline stands for."""
        if self.level != self.down:
            return self._settle()
        if self.down and not self.held:
            self.held = True
            self.next_repeat = self.pressed_at + HOLD_S + REPEAT_S
            return Held(self.name, self.pressed_at)
        if self.down:
            self.next_repeat += REPEAT_S
            return Repeated(self.name, self.pressed_at)
        times, self.times = self.times, 0
        return PressedTimes(self.name, self.first_at, times)

    def _settle(self) -> Gesture:
        self.down = self.level
        if self.contact.latches:
            return Switched(self.name, self.down)
        if self.down:
            self.pressed_at, self.held = self.changed_at, False
            return Pressed(self.name, self.pressed_at)
        held_s = self.changed_at - self.pressed_at
        if self.contact.counts and not self.held:
            self.first_at = self.first_at if self.times else self.pressed_at
            self.times, self.last_up = self.times + 1, self.changed_at
        else:
            self.times = 0
        return Released(self.name, self.pressed_at, held_s, self.held)


class Gestures:
    """All contacts of a panel. Feed it raw changes and time; it returns gestures in the order they happened."""

    def __init__(self, contacts: Mapping[str, Contact]) -> None:
        self._buttons = {name: _Button(name, contact) for name, contact in contacts.items()}
        # No deadline is earlier than this: ten thousand sparks a second must each cost next to nothing.
        self._nothing_before: Instant = float("inf")

    @property
    def deadline(self) -> Instant | None:
        """When `tick` is next needed; None while nothing is down or settling."""
        return earliest(*(button.deadline for button in self._buttons.values()))

    @property
    def held(self) -> frozenset[str]:
        """The buttons that are down now, debounced; switches that are on count too."""
        return frozenset(name for name, button in self._buttons.items() if button.down)

    def pressed_at(self, button: str) -> Instant | None:
        """Return when a button that is down went down."""
        known = self._buttons.get(button)
        return known.pressed_at if known is not None and known.down else None

    def handle(self, event: ButtonChanged, now: Instant) -> list[Gesture]:
        """Take a raw change that happened at `now`, after whatever was due before it.

        `now` is when the pins saw the edge, not when the queue was read: a busy loop must not make a spark
        look like a press. For the same reason all waiting changes are handled before `tick`.
        """
        gestures = self.tick(now)
        button = self._buttons.get(event.button)
        if button is not None and event.pressed != button.level:
            button.level, button.changed_at = event.pressed, now
            self._nothing_before = min(self._nothing_before, now + button.contact.debounce_s)
        return gestures

    def tick(self, now: Instant) -> list[Gesture]:
        """Return the gestures that time alone completes."""
        if now < self._nothing_before:
            return []
        gestures: list[Gesture] = []
        while (due := self._next_due(now)) is not None:
            gestures.append(due.expire())
        deadline = self.deadline
        self._nothing_before = float("inf") if deadline is None else deadline
        return gestures

    def _next_due(self, now: Instant) -> _Button | None:
        waiting = ((button.deadline, button) for button in self._buttons.values())
        due = [(deadline, button) for deadline, button in waiting if deadline is not None and deadline <= now]
        return min(due, key=lambda entry: entry[0])[1] if due else None
