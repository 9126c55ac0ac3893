"""The desk that knows what calls carry: bytes per call and month, and for who looks into a bad call, what came when.

    Meter, MediaEnded -> bytes since the last one, headers included -> this month's row in the store
    ask `usage` -> months          ask `trace` -> TraceArrivals -> Arrived ... -> replies, until nobody asks any more

A trace has times, numbers and sizes of packets, which are the same whatever is said; none of it is kept here.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import msgspec

from callbox.app import effects as do
from callbox.app.control import Control, Facts, failure
from callbox.app.core import Core
from callbox.audio import facts as audio
from callbox.audio.steps import HEAD_BYTES
from callbox.base.time import Instant
from callbox.conversations.stores import Put, read_row

TABLE = "state"
ROW = "traffic"
KEEP_EVERY_S = 60.0  # a box that dies forgets no more of a call than this
MOST_MONTHS = 24


class Month(msgspec.Struct):
    """Calls of a month: how many, and bytes on their way with all headers (85 a frame, as measured over TLS)."""

    calls: int = 0
    sent: int = 0
    received: int = 0


class Traffic:
    """Counts; answers the asks `usage` and `trace`."""

    def __init__(self, core: Core, in_call: Callable[[], bool], kept: Mapping[str, bytes]) -> None:
        self._core = core
        self._in_call = in_call
        self._months = read_row(dict[str, Month], TABLE, kept[ROW]) if ROW in kept else {}
        self._counted = audio.AudioStats()  # of the present call
        self._kept_at: Instant = 0.0
        self._ask: int | None = None

    def join(self, control: Control) -> None:
        """Let the command line ask."""
        control.learn({"usage": lambda ask, words: self.usage(), "trace": self._trace})
        before = control.on_asker_left

        def left(ask: int) -> None:
            before(ask)
            if ask == self._ask:
                self._end_trace()

        control.on_asker_left = left

    def usage(self) -> Facts:
        """Return bytes per month, the latest first, and of the present or latest call."""
        months = {name: msgspec.to_builtins(month) for name, month in sorted(self._months.items(), reverse=True)}
        sent, received = _bytes(self._counted)
        return {"ok": True, "months": months, "call": {"sent": sent, "received": received}}

    def metered(self, meter: audio.Meter) -> None:
        """A quarter of a second of a call is over."""
        self._count(meter.stats)
        if self._core.now - self._kept_at >= KEEP_EVERY_S:
            self._keep()

    def ended(self, fact: audio.MediaEnded) -> None:
        """The voice of a call is over."""
        self._count(fact.stats)
        self._month().calls += 1
        self._keep()
        if self._ask is not None:
            self._end_trace()

    def arrived(self, fact: audio.Arrived) -> None:
        """Packets came."""
        if self._ask is not None:
            reply = {"ok": True, "arrivals": [asdict(arrival) for arrival in fact.arrivals]}
            self._core.emit(do.Answer(self._ask, reply, done=False))

    def _count(self, stats: audio.AudioStats) -> None:
        if stats.sent < self._counted.sent:  # another call
            self._counted = audio.AudioStats()
        now, before = _bytes(stats), _bytes(self._counted)
        month = self._month()
        month.sent += now[0] - before[0]
        month.received += now[1] - before[1]
        self._counted = stats

    def _month(self) -> Month:
        name = f"{datetime.fromtimestamp(self._core.wall_ms / 1000, UTC):%Y-%m}"
        return self._months.setdefault(name, Month())

    def _keep(self) -> None:
        self._kept_at = self._core.now
        for name in sorted(self._months)[:-MOST_MONTHS]:
            del self._months[name]
        self._core.commit([Put(TABLE, ROW, msgspec.msgpack.encode(self._months))])

    def _trace(self, ask: int, words: Facts) -> Facts | None:
        del words
        if not self._in_call():
            return failure("There is no call to look into.", "Ask while one runs.")
        if self._ask is not None:
            return failure("Somebody looks into this call already.")
        self._ask = ask
        self._core.emit(audio.TraceArrivals(True))
        return None

    def _end_trace(self) -> None:
        ask, self._ask = self._ask, None
        self._core.emit(audio.TraceArrivals(False))
        if ask is not None:
            self._core.emit(do.Answer(ask, {"ok": True}))


def _bytes(stats: audio.AudioStats) -> tuple[int, int]:
    return stats.bytes_sent + stats.sent * HEAD_BYTES, stats.bytes_received + stats.received * HEAD_BYTES
