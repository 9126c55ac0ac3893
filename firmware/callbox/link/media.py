"""Sealed frames to lanes: the freshest first onto the emptiest lane, and never a stale one.

    audio thread --(captured_at, frame)--> pending (<= 120 ms) --> lane with the least queued --> 0x02 message

A frame that waits here can still be dropped; one that a lane has taken cannot. So frames stay here while every
lane is clogged, and what has become older than `stale_after_s` goes. Frames carry their own counters (SFrame),
so they may take any lane and arrive twice: the receiver keeps the first copy.
"""

from collections import deque
from collections.abc import Mapping, Sequence

from callbox.base.time import Instant
from callbox.wire.media import MAX_FRAMES, MAX_MEDIA_BYTES, pack_media

CLOGGED_BYTES = 1024
"""A lane with more than this in its queue (about 100 ms of sound) gets nothing new."""

_HEAD_BYTES = 5
_FRAME_HEAD_BYTES = 2


class MediaLanes:
    """The sender's side of one route."""

    def __init__(self, route: int, stale_after_s: float = 0.120) -> None:
        self.route = route
        self.sent = 0
        self.dropped_stale = 0
        self._stale_after_s = stale_after_s
        self._pending: deque[tuple[Instant, bytes]] = deque()

    def send(
        self, frames: Sequence[tuple[Instant, bytes]], lanes: Mapping[int, int], now: Instant
    ) -> list[tuple[int, bytes]]:
        """Return (lane, media message) for all that may go now.

        `frames` are (captured_at, sealed frame), oldest first; `lanes` maps each lane that is up to the bytes
        queued in front of it. With no lane free, frames wait for the next call of this.
        """
        self._pending.extend(frames)
        while self._pending and now - self._pending[0][0] > self._stale_after_s:
            self._pending.popleft()
            self.dropped_stale += 1
        queued = {lane: size for lane, size in lanes.items() if size <= CLOGGED_BYTES}
        messages: list[tuple[int, bytes]] = []
        while self._pending and queued:
            lane = min(queued, key=lambda number: (queued[number], number))
            message = pack_media(self.route, self._take_some())
            messages.append((lane, message))
            queued[lane] += len(message)
            if queued[lane] > CLOGGED_BYTES:
                del queued[lane]
        return messages

    def _take_some(self) -> list[bytes]:
        """Take as many pending frames as one message holds, at least one."""
        taken: list[bytes] = []
        size = _HEAD_BYTES
        while self._pending and len(taken) < MAX_FRAMES:
            size += _FRAME_HEAD_BYTES + len(self._pending[0][1])
            if taken and size > min(MAX_MEDIA_BYTES, CLOGGED_BYTES):
                break
            taken.append(self._pending.popleft()[1])
        self.sent += len(taken)
        return taken
