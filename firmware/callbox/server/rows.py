"""Who may do what: one row per (owner, other), from blocked up to ring. Who has no row is a stranger: `request`."""

from collections import OrderedDict
from collections.abc import Iterable

from callbox.server.items import STRANGER, Request
from callbox.wire.records import ROWS, Row

RECEIPTS_PER_LETTER = 2  # delivered, heard
MAX_RECEIPT_PAIRS = 10_000
_RANK = {row: rank for rank, row in enumerate(ROWS)}


def at_least(row: Row, needed: Row) -> bool:
    """Return whether `row` allows what `needed` allows."""
    return _RANK[row] >= _RANK[needed]


class Rows:
    """What each owner allows to others, and which strangers have used up their one request."""

    def __init__(self, rows: Iterable[tuple[str, str, Row]], requests: Iterable[Request]) -> None:
        self._rows: dict[str, dict[str, Row]] = {}
        self._requests: dict[tuple[str, str], dict[str, bytes]] = {}
        self._receipts_owed: OrderedDict[tuple[str, str], int] = OrderedDict()
        for owner, other, row in rows:
            self.set(owner, other, row)
        for request in requests:
            self.use_request(request)

    def of(self, owner: str, other: str) -> Row:
        """Return what `other` may do towards `owner`. One's own devices may do everything."""
        if owner == other:
            return "ring"
        return self._rows.get(owner, {}).get(other, STRANGER)

    def set(self, owner: str, other: str, row: Row) -> None:
        """Note a wish; what a stranger may do needs none."""
        rows = self._rows.setdefault(owner, {})
        rows[other] = row
        if row == STRANGER:
            del rows[other]

    def all_of(self, owner: str) -> tuple[tuple[str, Row], ...]:
        return tuple(self._rows.get(owner, {}).items())

    def known_to(self, account: str) -> list[str]:
        """Return the accounts that keep a row for `account`, or that it keeps one for."""
        keepers = [owner for owner, rows in self._rows.items() if account in rows]
        return sorted({*keepers, *self._rows.get(account, {})})

    def may_request(self, owner: str, sender: str, device: str, message_id: bytes) -> bool:
        """Return whether a stranger's letter is its first to this device, or that very letter again."""
        return self._requests.get((owner, sender), {}).get(device, message_id) == message_id

    def use_request(self, request: Request) -> None:
        self._requests.setdefault((request.owner, request.sender), {})[request.device] = request.message_id

    def unuse_request(self, owner: str, sender: str, device: str) -> None:
        self._requests.get((owner, sender), {}).pop(device, None)

    def owe_receipt(self, writer: str, reader: str) -> None:
        """Note that `reader` took a letter of `writer`, and may tell it so whatever the row says."""
        count = self._receipts_owed.pop((writer, reader), 0)
        self._receipts_owed[writer, reader] = count + RECEIPTS_PER_LETTER
        if len(self._receipts_owed) > MAX_RECEIPT_PAIRS:
            self._receipts_owed.popitem(last=False)

    def use_receipt(self, writer: str, reader: str) -> bool:
        """Return whether `reader` still owes `writer` a receipt, and count it."""
        count = self._receipts_owed.get((writer, reader), 0)
        if count:
            self._receipts_owed[writer, reader] = count - 1
        return count > 0

    def return_receipt(self, writer: str, reader: str) -> None:
        """A receipt that was counted was not taken in."""
        if (writer, reader) in self._receipts_owed:
            self._receipts_owed[writer, reader] += 1

    def forget_account(self, account: str) -> None:
        """The account is no more. What others have decided about it stays theirs."""
        self._rows.pop(account, None)
        self._requests = {pair: letters for pair, letters in self._requests.items() if account not in pair}
        for pair in [pair for pair in self._receipts_owed if account in pair]:
            del self._receipts_owed[pair]

    def forget_device(self, device: str) -> None:
        for letters in self._requests.values():
            letters.pop(device, None)

    def forget_requests(self, owner: str, sender: str) -> bool:
        return self._requests.pop((owner, sender), None) is not None
