"""Which blobs lie here, for whom, and how far they got: marks in memory, their parts in the store.

A blob (a sealed voice message) is announced with its size, put in parts, in order, and is whole when the last one is
committed. Its room is reserved when it is announced. A blob of somebody whom the receiver blocked is `void`: taken in
as zeros, kept as long as any that nobody fetches, never handed out, and counted against its sender alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from callbox.server.items import Blob
from callbox.server.mailbox import Share
from callbox.server.settings import BlobBounds
from callbox.wire.codec import PART_BYTES


class Shelf:
    """All blobs of the server."""

    def __init__(self, blobs: Iterable[Blob] = ()) -> None:
        self._blobs: dict[bytes, Blob] = {}
        self._filled: dict[str, Share] = {}
        self._by_sender: dict[tuple[str, str], Share] = {}
        for blob in blobs:
            self.add(blob)

    def __len__(self) -> int:
        return len(self._blobs)

    def get(self, blob: bytes) -> Blob | None:
        return self._blobs.get(blob)

    def has_room(self, to_account: str, from_account: str, parts: int, bounds: BlobBounds) -> bool:
        """Return whether a blob of so many parts fits, in all and in its sender's part."""
        size, part = parts * PART_BYTES, bounds.sender_percent / 100
        filled = self._filled.get(to_account, Share())
        share = self._by_sender.get((to_account, from_account), Share())
        return filled.fits(size, bounds.items, bounds.bytes) and share.fits(
            size, max(1.0, bounds.items * part), bounds.bytes * part
        )

    def unfinished(self, device: str) -> int:
        """Return how many blobs this device has announced and not put in full."""
        return sum(blob.from_device == device and not blob.whole for blob in self._blobs.values())

    def add(self, blob: Blob) -> None:
        """Put an announced blob on the shelf, or one from the store."""
        self._blobs[blob.blob] = blob
        self._count(blob, 1)

    def change(self, blob: Blob) -> None:
        """Note how far a blob is now; its size and whose it is stay."""
        self._blobs[blob.blob] = blob

    def remove(self, blob: bytes) -> Blob | None:
        gone = self._blobs.pop(blob, None)
        if gone is not None:
            self._count(gone, -1)
        return gone

    def over(self, wall_ms: int) -> Iterator[Blob]:
        """Yield the blobs whose time is over; the caller removes them."""
        yield from [blob for blob in self._blobs.values() if blob.expires_ms <= wall_ms]

    def whole(self) -> Iterator[Blob]:
        """Yield the whole blobs that may be handed out."""
        yield from [blob for blob in self._blobs.values() if blob.whole and not blob.void]

    def of_account(self, account: str) -> list[Blob]:
        """Return every blob from or for an account: what goes when the account is erased."""
        return [blob for blob in self._blobs.values() if account in (blob.from_account, blob.to_account)]

    def _count(self, blob: Blob, sign: int) -> None:
        size, pair = blob.parts * PART_BYTES, (blob.to_account, blob.from_account)
        self._by_sender.setdefault(pair, Share()).add(size, sign)
        if not self._by_sender[pair].items:
            del self._by_sender[pair]
        if not blob.void:
            self._filled.setdefault(blob.to_account, Share()).add(size, sign)


def without(blob: Blob, devices: Iterable[str]) -> Blob:
    """Return a blob that these devices need no longer fetch."""
    gone = set(devices)
    return replace(blob, waiting=tuple(device for device in blob.waiting if device not in gone))
