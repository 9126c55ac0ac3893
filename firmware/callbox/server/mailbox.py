"""What waits for each device: marks of letters in memory, their bytes in the store.

The marks decide everything (order, doubles, quotas, expiry), so a submit needs no read from the disk.

A letter that must look stored and never arrive (its sender is blocked) is kept as `void`: zeros of the same length,
in the same place, for as long as undelivered mail is kept. So quota, timing and answers are those of a box that is
switched off. Void letters fill only their sender's share, never the mailbox of the one who blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from callbox.server.items import LetterMark
from callbox.server.settings import MailBounds

LetterKey = tuple[str, bytes]
"""Sending device and message id: with the receiving device, what makes a letter unique."""
Waiter = tuple[int, int]
"""Connection and request of a submit that waits for its commit."""


@dataclass(slots=True)
class Share:
    """How much of a mailbox something fills."""

    items: int = 0
    bytes: int = 0

    def add(self, size: int, sign: int = 1) -> None:
        self.items += sign
        self.bytes += sign * size

    def fits(self, size: int, items: float, limit_bytes: float) -> bool:
        return self.items + 1 <= items and self.bytes + size <= limit_bytes


@dataclass(slots=True)
class Mailbox:
    """The letters of one device."""

    marks: dict[LetterKey, LetterMark] = field(default_factory=dict)
    uncommitted: dict[LetterKey, list[Waiter]] = field(default_factory=dict)  # who waits for the commit
    filled: Share = field(default_factory=Share)
    by_sender: dict[str, Share] = field(default_factory=dict)
    newest_committed: int = 0

    def has_room(self, from_account: str, size: int, bounds: MailBounds) -> bool:
        """Return whether a letter of `size` bytes fits, in all and in its sender's part."""
        share = self.by_sender.get(from_account, Share())
        part = bounds.sender_percent / 100
        return self.filled.fits(size, bounds.items, bounds.bytes) and share.fits(
            size, max(1.0, bounds.items * part), bounds.bytes * part
        )

    def add(self, mark: LetterMark) -> None:
        self.marks[mark.from_device, mark.message_id] = mark
        self.by_sender.setdefault(mark.from_account, Share()).add(mark.size)
        if not mark.void:
            self.filled.add(mark.size)

    def remove(self, key: LetterKey) -> LetterMark | None:
        mark = self.marks.pop(key, None)
        if mark is None:
            return None
        self.uncommitted.pop(key, None)
        share = self.by_sender[mark.from_account]
        share.add(mark.size, -1)
        if not share.items:
            del self.by_sender[mark.from_account]
        if not mark.void:
            self.filled.add(mark.size, -1)
        return mark

    def committed(self, mark: LetterMark) -> list[Waiter]:
        """Note that a letter is safe; return who waits to hear so."""
        if not mark.void:
            self.newest_committed = max(self.newest_committed, mark.number)
        return self.uncommitted.pop((mark.from_device, mark.message_id), [])


class Mailboxes:
    """The mailboxes of all devices."""

    def __init__(self, marks: tuple[LetterMark, ...], last_number: int) -> None:
        self._boxes: dict[str, Mailbox] = {}
        self._last_number = last_number
        for mark in sorted(marks, key=lambda mark: mark.number):
            box = self.of(mark.to_device)
            box.add(mark)
            box.committed(mark)
            self._last_number = max(self._last_number, mark.number)

    def of(self, device: str) -> Mailbox:
        return self._boxes.setdefault(device, Mailbox())

    def forget(self, device: str) -> None:
        """The device is no more."""
        self._boxes.pop(device, None)

    def next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def expired(self, wall_ms: int) -> Iterator[LetterMark]:
        """Yield the letters whose time is over; the caller removes them."""
        for box in self._boxes.values():
            for key, mark in list(box.marks.items()):
                if mark.expires_ms <= wall_ms and key not in box.uncommitted:
                    yield mark


@dataclass(slots=True)
class Delivery:
    """How far a session has been handed its mailbox: at most a window of letters is on its way at a time."""

    cursor: int = 0  # number of the last letter handed over
    in_flight: dict[LetterKey, int] = field(default_factory=dict)  # key -> bytes
    fetching: bool = False

    def room(self, bounds: MailBounds) -> int:
        """Return how many letters may follow now; a first one always may, however large."""
        if sum(self.in_flight.values()) >= bounds.window_bytes:
            return 0
        return max(0, bounds.window_items - len(self.in_flight))

    def fits(self, size: int, bounds: MailBounds) -> bool:
        return not self.in_flight or sum(self.in_flight.values()) + size <= bounds.window_bytes
