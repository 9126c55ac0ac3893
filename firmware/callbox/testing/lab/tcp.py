"""One TCP connection as its sender feels it, simulated: pure, seeded, on virtual time.

    send --> [cwnd] --> OneWay --> receiver: in order, or held behind a hole --> deliver
    acknowledged, selectively <-- OneWay <-- at once, or within 40 ms

What Linux does and the voice feels: a segment is sent again when one sent later has arrived (RACK, RFC 8985), when the
last ones stay unanswered (tail loss probe), or at the time-out, which doubles unless little is on the way
(TCP_THIN_LINEAR_TIMEOUTS). Time stamps (RFC 7323) tell the round trip of what was sent again, too. Losses shrink the
window as CUBIC does; its growth, pacing and the like are left out.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from callbox.base.time import Instant
from callbox.lanes.facts import LaneFacts, wire_bytes
from callbox.testing.lab.way import OneWay

HEAD_BYTES = 52  # IPv4, TCP, time stamps
LEAST_TIMEOUT_S = 0.2
DELAYED_ACK_S = 0.04
FIRST_WINDOW = 10
SHRINK = 0.7
THIN_SEGMENTS, THIN_TRIES = 4, 6


class Agenda:
    """What happens when. `run` until an instant; things are done in order."""

    def __init__(self) -> None:
        self.now: Instant = 0.0
        self._entries: list[tuple[Instant, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, instant: Instant, act: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._entries, (instant, self._count, act))

    def run(self, until: Instant) -> None:
        while self._entries and self._entries[0][0] <= until:
            instant, _, act = heapq.heappop(self._entries)
            self.now = max(self.now, instant)
            act()
        self.now = max(self.now, until)


@dataclass(slots=True)
class _Segment:
    data: bytes
    sent_at: Instant = -1.0
    sends: int = 0
    arrived: bool = False  # as far as the sender knows
    lost: bool = False


class TcpLane:
    """One connection, one direction. `deliver` gets each message, in order. `prompt`: the far end acknowledges at once;
    else as soon as it has something to send, which it has every `answers_s`."""

    def __init__(
        self, agenda: Agenda, there: OneWay, back: OneWay, deliver: Callable[[bytes], None], rtt_s: float
    ) -> None:
        self.prompt = False
        self.answers_s = 0.01
        self._agenda, self._there, self._back, self._deliver = agenda, there, back, deliver
        self._segments: list[_Segment] = []
        self._acked = self._sent = 0  # segments before these: acknowledged in a row; sent at least once
        self._window = float(FIRST_WINDOW)
        self._rtt_s, self._deviation_s, self._least_rtt_s = rtt_s, rtt_s / 4, rtt_s
        self._tries = 0
        self._timer = 0
        self._recovered_at = 0  # one shrinking per window
        self._held: set[int] = set()  # receiver: what arrived beyond a hole
        self._next = 0
        self._ack_due: Instant | None = None

    # --- sender -----------------------------------------------------------------------------------------------------

    @property
    def facts(self) -> LaneFacts:
        """What TCP_INFO would say."""
        unsent = sum(_bytes(segment) for segment in self._segments[self._sent :])
        flying = sum(_bytes(segment) for segment in self._segments[self._acked : self._sent])
        holes = any(segment.arrived for segment in self._segments[self._acked : self._sent])
        return LaneFacts(flying + unsent, unsent, holes, self._rtt_s, self._deviation_s, self._least_rtt_s)

    def send(self, data: bytes) -> None:
        self._segments.append(_Segment(data))
        self._push()

    def _push(self) -> None:
        """Send what is marked lost, then what is new, as far as the window allows."""
        flying = sum(not (one.arrived or one.lost) for one in self._segments[self._acked : self._sent])
        for number in range(self._acked, self._sent):
            if self._segments[number].lost and flying < self._window:
                self._transmit(number)
                flying += 1
        while self._sent < len(self._segments) and flying < self._window:
            self._sent += 1
            self._transmit(self._sent - 1)
            flying += 1

    def _transmit(self, number: int) -> None:
        segment, now = self._segments[number], self._agenda.now
        segment.lost, segment.sent_at = False, now
        segment.sends += 1
        arrival = self._there.arrival(_bytes(segment) + HEAD_BYTES, now)
        if arrival is not None:
            self._agenda.at(arrival, lambda: self._arrive(number, now))
        self._restart_timer()

    def _restart_timer(self) -> None:
        """A probe after two round trips where the end of what was sent is unanswered, else the time-out."""
        self._timer += 1
        timer = self._timer
        timeout_s = self._timeout_s
        flying = self._sent - self._acked
        probe_s = 2 * self._rtt_s + (LEAST_TIMEOUT_S if flying == 1 else 0.004)
        wait_s = probe_s if self._tries == 0 and probe_s < timeout_s else timeout_s
        self._agenda.at(self._agenda.now + wait_s, lambda: self._timed_out(timer, wait_s < timeout_s))

    @property
    def _timeout_s(self) -> float:
        thin = self._sent - self._acked < THIN_SEGMENTS and self._tries <= THIN_TRIES
        base_s = self._rtt_s + max(LEAST_TIMEOUT_S, 4 * self._deviation_s)
        return base_s if thin else base_s * 2.0**self._tries

    def _timed_out(self, timer: int, probe: bool) -> None:
        if timer != self._timer or self._acked >= self._sent:
            return
        self._tries += 1
        if probe:
            last = max(n for n in range(self._acked, self._sent) if not self._segments[n].arrived)
            self._transmit(last)
            return
        self._window = 1.0
        for segment in self._segments[self._acked : self._sent]:
            segment.lost = not segment.arrived
        self._push()

    def _acknowledged(self, upto: int, held: frozenset[int], echoed: Instant) -> None:
        now = self._agenda.now
        told = [*range(self._acked, upto), *(number for number in held if number >= self._acked)]
        newly = [number for number in told if not self._segments[number].arrived]
        for number in newly:
            self._segments[number].arrived = True
        moved = upto > self._acked
        self._acked = max(self._acked, upto)
        if not newly and not moved:
            return
        self._tries = 0
        self._sample(now - echoed)
        if self._window < FIRST_WINDOW:
            self._window += len(newly) / 2
        if newly:
            self._find_lost(max(self._segments[number].sent_at for number in newly))
        self._push()
        if self._acked < self._sent:
            self._restart_timer()

    def _sample(self, took_s: float) -> None:
        self._least_rtt_s = min(self._least_rtt_s, took_s)
        self._deviation_s += (abs(took_s - self._rtt_s) - self._deviation_s) / 4
        self._rtt_s += (took_s - self._rtt_s) / 8

    def _find_lost(self, latest: Instant) -> None:
        """RACK: what was sent before something that arrived, and longer ago than an answer and a bit takes, is lost."""
        now, allowed_s = self._agenda.now, self._rtt_s + self._least_rtt_s / 4
        for number in range(self._acked, self._sent):
            segment = self._segments[number]
            if segment.arrived or segment.lost or segment.sent_at >= latest:
                continue
            if now >= segment.sent_at + allowed_s - 1e-9:
                segment.lost = True
                if number >= self._recovered_at:
                    self._window = max(2.0, self._window * SHRINK)
                    self._recovered_at = self._sent
            else:
                self._agenda.at(segment.sent_at + allowed_s, lambda: self._look_again(latest))

    def _look_again(self, latest: Instant) -> None:
        self._find_lost(latest)
        self._push()

    # --- receiver ---------------------------------------------------------------------------------------------------

    def _arrive(self, number: int, echo: Instant) -> None:
        hole = number != self._next
        if number >= self._next:
            self._held.add(number)
        while self._next in self._held:
            self._held.discard(self._next)
            self._deliver(self._segments[self._next].data)
            self._next += 1
        if self.prompt or hole or self._held:
            self._answer(echo)
        else:
            now = self._agenda.now
            answer_at = min(now + DELAYED_ACK_S, (now // self.answers_s + 1) * self.answers_s)
            self._agenda.at(answer_at, lambda: self._answer(echo))

    def _answer(self, echo: Instant) -> None:
        arrival = self._back.arrival(HEAD_BYTES, self._agenda.now)
        if arrival is not None:
            upto, held = self._next, frozenset(self._held)
            self._agenda.at(arrival, lambda: self._acknowledged(upto, held, echo))


def _bytes(segment: _Segment) -> int:
    return wire_bytes(len(segment.data), masked=True)
