"""What is kept for how long: pure answers to "what goes now?", asked once a day and at start.

Ask only with a trusted clock: a wrong year would delete everything. Items that were dated by an untrusted clock
(before the firmware was built, or after tomorrow) are dated anew when a trusted one first sees them.
"""

from collections.abc import Iterable

import msgspec

from callbox.conversations.items import Item, TextItem
from callbox.conversations.stores import DeleteItem, PutItem, Write

DAY_MS = 24 * 60 * 60 * 1000


class Retention(msgspec.Struct, frozen=True):
    """Days that texts and call lines stay."""

    text_days: int = 90
    call_days: int = 30


DEFAULT = Retention()


def expired(items: Iterable[Item], now_ms: int, earliest_ms: int, retention: Retention = DEFAULT) -> list[Write]:
    """Return the writes that bring these items in line: deletions, and new dates for impossible ones.

    `earliest_ms`: no honest date lies before it (when this firmware was built). While `now_ms` itself lies before
    it, the clock is not to be trusted and nothing happens.
    """
    if now_ms < earliest_ms:
        return []
    writes: list[Write] = []
    for item in items:
        days = retention.text_days if isinstance(item, TextItem) else retention.call_days
        if not earliest_ms <= item.at_ms <= now_ms + DAY_MS:
            writes.append(PutItem(msgspec.structs.replace(item, at_ms=now_ms)))
        elif now_ms - item.at_ms > days * DAY_MS:
            writes.append(DeleteItem(item.id))
    return writes
