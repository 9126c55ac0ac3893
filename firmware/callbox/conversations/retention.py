"""What is kept for how long: pure answers to "what goes now?", asked at start and then every hour.

Ask only with a trusted clock: a wrong year would delete everything. Items that were dated by an untrusted clock
(before the firmware was built, or after tomorrow) are dated anew when a trusted one first sees them.
"""

from collections.abc import Iterable
from typing import Annotated

import msgspec
from msgspec import Meta

from callbox.conversations.items import CallItem, Item, TextItem, is_unread
from callbox.conversations.stores import DeleteItem, PutItem, Write

DAY_MS = 24 * 60 * 60 * 1000
MOST_DAYS = 3650
UNREAD_DAYS = 30  # with 0 days, what nobody has heard waits no longer than this


class Retention(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long this box keeps what was said. What is deleted here stays on the other person's box."""

    text_days: Annotated[
        int,
        Meta(
            description="Days that texts stay, up to 3650. 0: until they were heard, or delivered.", ge=0, le=MOST_DAYS
        ),
    ] = 90
    voice_days: Annotated[
        int, Meta(description="Days that voice messages stay. 0: as for texts.", ge=0, le=MOST_DAYS)
    ] = 30
    call_days: Annotated[
        int, Meta(description="Days that the line of a call stays. 0: until it was seen.", ge=0, le=MOST_DAYS)
    ] = 30

    def days_of(self, item: Item) -> int:
        """Return for how many days this kind of item stays."""
        if isinstance(item, CallItem):
            return self.call_days
        return self.text_days if isinstance(item, TextItem) else self.voice_days


DEFAULT = Retention()


def expired(items: Iterable[Item], now_ms: int, earliest_ms: int, retention: Retention = DEFAULT) -> list[Write]:
    """Return the writes that bring these items in line: deletions, and new dates for impossible ones.

    What still waits to be sent stays until it was sent or given up. `earliest_ms`: no honest date lies before it (when
    this firmware was built). While `now_ms` itself lies before it, the clock is not to be trusted and nothing happens.
    """
    if now_ms < earliest_ms:
        return []
    writes: list[Write] = []
    for item in items:
        if not earliest_ms <= item.at_ms <= now_ms + DAY_MS:
            writes.append(PutItem(msgspec.structs.replace(item, at_ms=now_ms)))
        elif now_ms - item.at_ms > _kept_ms(item, retention):
            writes.append(DeleteItem(item.id))
    return writes


def _kept_ms(item: Item, retention: Retention) -> float:
    """Return how old this item may become in its present state."""
    state = getattr(item, "state", None)
    if state == "queued":
        return float("inf")
    days = retention.days_of(item)
    if days:
        return days * DAY_MS
    return UNREAD_DAYS * DAY_MS if is_unread(item) or state in ("sent", "coming") else -1.0
