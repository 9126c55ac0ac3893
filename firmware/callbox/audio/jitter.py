"""The jitter buffer: packets in as they come, sound out at a steady pace.

    put(packet, timestamp) -> estimate (how much delay) ----+
             |                                              v
             +-> waiting packets, by timestamp ---> decide (play, shorten, lengthen, recover, conceal, skip, wait)
                                                            v
    get() <- one cycle <- rest <- render (pitch-wise stretch, seams) <- Decoder

Time is counted in pulls: every `get` is one cycle of local time. So the drift between the sender's clock and
our card shows as a slow change of delay, which stretching takes back. A packet that has not come when it is
needed does not lose its turn: the delay grows by what was concealed, and shrinks again when packets are ahead.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from callbox.audio.codecs import Decoder
from callbox.audio.jitter_decide import Choice, Urgency, View, about_right, decide, urgency
from callbox.audio.jitter_estimate import Estimate
from callbox.audio.jitter_render import HISTORY_SAMPLES, SEAM_SAMPLES, fade, lengthened, shortened
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence

MOST_WAITING = 400
HISTORY_CYCLES = -(-HISTORY_SAMPLES // CYCLE_SAMPLES)
RESTART_SAMPLES = 5 * RATE_HZ  # a timestamp this far from any expectation starts a new stream
AUDIBLE_CONCEAL_CYCLES = 12  # what the decoder makes up fades within this; then silence is as good, and cheap
_WRAP = 1 << 32


@dataclass(slots=True)
class JitterCounters:
    """Packets since the start, and the delay in ms that this buffer adds now and aims at."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    recovered: int = 0
    concealed: int = 0  # cycles that had to be made up
    shortened: int = 0
    lengthened: int = 0
    delay_ms: int = 0
    target_ms: int = 0


class JitterBuffer:
    """Two verbs: `put` a packet, `get` one cycle of samples."""

    def __init__(self, decoder: Decoder) -> None:
        self.counters = JitterCounters()
        self.playing = False  # a packet has been played
        self._decoder = decoder
        self._estimate = Estimate()
        self._waiting: dict[int, tuple[bytes, int, bool]] = {}  # timestamp -> packet, span, carries a copy
        self._played: deque[int] = deque(maxlen=64)
        self._given_up: deque[int] = deque(maxlen=64)
        self._pulls = 0
        self._latest: int | None = None  # unwrapped timestamp of the newest packet seen
        self._cursor: int | None = None  # timestamp of the next sample to decode
        self._span = CYCLE_SAMPLES
        self._rest = silence(0)
        self._heard = deque([silence()] * HISTORY_CYCLES, maxlen=HISTORY_CYCLES)  # the latest cycles given out
        self._since_stretch = 0
        self._off_target = 0
        self._made_up = 0  # cycles concealed in a row
        self._tail = silence(0)  # what the next decoded samples are faded over from, where they do not follow on

    def put(self, packet: bytes, timestamp: int, copy: bool = False) -> None:
        """Take in one packet. `timestamp` counts 48 kHz samples modulo 2**32; `copy`: carries the one before."""
        span = self._decoder.span(packet)
        if span == 0:
            return
        at = self._unwrap(timestamp)
        local = self._pulls * CYCLE_SAMPLES
        if self._cursor is not None and abs(local - at - self._estimate.base) > RESTART_SAMPLES:
            self._restart(at)
        if at in self._waiting or at in self._played:
            self.counters.duplicate += 1
            return
        self.counters.received += 1
        self._estimate.arrived(at, local)
        self._latest = at if self._latest is None else max(self._latest, at)
        if self._cursor is not None and self.playing and at < self._cursor:
            self._came_late(at)
            return
        self._waiting[at] = (packet, span, copy)
        self._span = span
        if len(self._waiting) > MOST_WAITING:
            del self._waiting[min(self._waiting)]
            self.counters.late += 1

    def get(self) -> Samples:
        """Return the next cycle of samples; silence before the first packet."""
        while len(self._rest) < CYCLE_SAMPLES:
            made = self._make()
            self._rest = made if len(self._rest) == 0 else np.concatenate((self._rest, made))
        cycle, self._rest = self._rest[:CYCLE_SAMPLES], self._rest[CYCLE_SAMPLES:]
        self._heard.append(cycle)
        self._pulls += 1
        self._since_stretch += CYCLE_SAMPLES
        delay, target = self._delay(), self._estimate.target
        self._off_target = 0 if about_right(delay, target, self._estimate.ample) else self._off_target + CYCLE_SAMPLES
        self.counters.target_ms = target * 1000 // RATE_HZ
        self.counters.delay_ms = max(0, delay) * 1000 // RATE_HZ if self.playing else 0
        return cycle

    def take_queue_ms(self) -> int:
        """Return the network's standing queue since the last call: how late even the fastest packet was."""
        return self._estimate.take_queue() * 1000 // RATE_HZ

    def _unwrap(self, timestamp: int) -> int:
        if self._latest is None:
            return timestamp
        difference = (timestamp - self._latest) % _WRAP
        return self._latest + (difference if difference < _WRAP // 2 else difference - _WRAP)

    def _restart(self, at: int) -> None:
        self._waiting.clear()
        self._estimate = Estimate()
        self._latest = self._cursor = at
        self._played.clear()
        self._given_up.clear()
        self._tail = self._leftover()
        self.playing = False

    def _came_late(self, at: int) -> None:
        self.counters.late += 1
        if at in self._given_up:
            self._given_up.remove(at)
            self.counters.lost -= 1

    def _delay(self) -> int:
        """How much older than need be the next sample to leave is, in samples."""
        if self._cursor is None:
            return 0
        position = self._cursor - len(self._rest)
        return self._pulls * CYCLE_SAMPLES - position - self._estimate.base

    def _view(self) -> View:
        first = min(self._waiting) if self._waiting else None
        if first is not None and not self.playing:
            self._cursor = first
        gap = None if first is None or self._cursor is None else max(0, first - self._cursor)
        return View(
            started=self.playing,
            delay=self._delay(),
            target=self._estimate.target,
            ample=self._estimate.ample,
            gap=gap,
            ahead=self._ahead(),
            newer=len(self._waiting) > 1,
            copy=first is not None and self._waiting[first][2],
            span=self._span,
            since_stretch=self._since_stretch,
            off_target=self._off_target,
        )

    def _ahead(self) -> int:
        if self._cursor is None:
            return 0
        end = self._cursor
        while end in self._waiting and end - self._cursor < RATE_HZ // 10:
            end += self._waiting[end][1]
        return end - self._cursor + len(self._rest)

    def _make(self) -> Samples:
        """Return at least one more sample, moving the cursor as decided."""
        estimate = self._estimate
        if (
            self._cursor in self._waiting
            and self.playing
            and about_right(self._delay(), estimate.target, estimate.ample)
        ):
            return self._decode()  # what would be decided nearly always, without asking
        view = self._view()
        choice = decide(view)
        if choice is Choice.SKIP:
            self._skip()
            choice = Choice.PLAY
        if choice is Choice.WAIT:
            return self._conceal(CYCLE_SAMPLES) if self.playing else silence()
        if choice is Choice.CONCEAL or choice is Choice.RECOVER:
            return self._fill(choice, view)
        samples = self._decode()
        if choice is Choice.ACCELERATE:
            return self._shorten(samples, urgency(view))
        if choice is Choice.STRETCH:
            return self._lengthen(samples, urgency(view))
        return samples

    def _decode(self) -> Samples:
        assert self._waiting
        at = self._cursor if self._cursor in self._waiting else min(self._waiting)
        packet, span, _ = self._waiting.pop(at)
        samples = self._decoder.decode(packet, span)
        self._cursor = at + span
        self._played.append(at)
        self.playing = True
        if self._made_up > AUDIBLE_CONCEAL_CYCLES:
            self._tail = silence(SEAM_SAMPLES)
        if len(self._tail):
            samples, self._tail = fade(self._tail, samples), silence(0)
        self._made_up = 0
        return samples

    def _skip(self) -> None:
        """Drop stale packets: all but those that the target would still play, and never the newest."""
        limit = self._pulls * CYCLE_SAMPLES - self._estimate.base - self._estimate.target
        stamps = sorted(self._waiting)
        keep = next((stamp for stamp in stamps if stamp >= limit), stamps[-1])
        for stamp in stamps:
            if stamp < keep:
                del self._waiting[stamp]
                self.counters.late += 1
        self._tail = self._leftover()
        self._rest = silence(0)
        self._cursor = keep

    def _leftover(self) -> Samples:
        """Return one seam of what would have been heard next."""
        if len(self._rest) >= SEAM_SAMPLES:
            return self._rest[:SEAM_SAMPLES]
        return silence(SEAM_SAMPLES) if not self.playing else self._decoder.conceal(SEAM_SAMPLES)

    def _fill(self, choice: Choice, view: View) -> Samples:
        """Bridge a hole of lost packets, one packet's length at a time."""
        assert self._cursor is not None
        assert view.gap is not None
        length = min(view.gap, self._span)
        length -= length % 120
        if length == 0:  # a crooked timestamp: nothing real is that short
            self._cursor += view.gap
            return silence(view.gap)
        self.counters.lost += 1
        self._given_up.append(self._cursor)
        self._cursor += length
        if choice is Choice.RECOVER:
            self.counters.recovered += 1
            return self._decoder.recover(self._waiting[min(self._waiting)][0], length)
        return self._conceal(length)

    def _conceal(self, length: int) -> Samples:
        cycles = max(1, length // CYCLE_SAMPLES)
        self._made_up += cycles
        self.counters.concealed += cycles
        if self._made_up > AUDIBLE_CONCEAL_CYCLES + 1:
            return silence(length)
        made = self._decoder.conceal(length)
        if self._made_up > AUDIBLE_CONCEAL_CYCLES:
            made = fade(made, silence(length))
        return made

    def _shorten(self, samples: Samples, how: Urgency) -> Samples:
        while len(self._rest) + len(samples) < 3 * HISTORY_SAMPLES // 2 and self._cursor in self._waiting:
            samples = np.concatenate((samples, self._decode()))
        whole = np.concatenate((self._rest, samples))
        shorter = shortened(whole, how)
        if len(shorter) < len(whole):
            self.counters.shortened += 1
            self._since_stretch = 0
        self._rest = silence(0)
        return shorter

    def _lengthen(self, samples: Samples, how: Urgency) -> Samples:
        history = np.concatenate((*self._heard, self._rest))
        longer = lengthened(history, samples, how)
        if len(longer) > len(samples):
            self.counters.lengthened += 1
            self._since_stretch = 0
        return longer
