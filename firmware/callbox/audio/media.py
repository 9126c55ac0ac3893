"""Both halves of a media session: what is sent and what is received under the keys of one call.

    Sending    cycle -> gather -> Encoder -> pack_plain (fixed size of the rate step) -> seal
    Receiving  sealed -> open -> unpack_plain -> VOICE: JitterBuffer, REPORT: to the rate control

Reports are frames of the same size as voice, about one a second, so that neither shows from outside. A
frame's `timestamp` is that of its first sample; flag 1 says that it carries a copy of the frame before.
"""

import math

import numpy as np

from callbox.audio.codecs import Codec
from callbox.audio.facts import Arrival, Open, Seal
from callbox.audio.jitter import JitterBuffer
from callbox.audio.steps import RateStep
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.base.time import Instant
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import FrameKind, PlainFrame, Report, pack_plain, pack_report, unpack_plain, unpack_report

CARRIES_COPY = 1
REPORT_EVERY_S = 1.0
REPORT_EVERY_FRAMES = 25  # ... and no more often than this, for on a thin link each one weighs, ...
REPORT_AT_LEAST_S = 1.5  # ... but the far end has to know
REPORT_AGAIN_S = 0.25  # when a queue begins to stand or frames are lost: the sender must know at once ...
HURRIED_REPORTS = 5  # ... but not for ever
REPORT_QUEUE_MS = 60
REPORT_LOST = 5
SILENT_AFTER_S = 1.5


class Sending:
    """Our voice, sealed. `sent` and `bytes_sent` count frames and sealed bytes."""

    def __init__(self, codec: Codec, seal: Seal, step: RateStep) -> None:
        self.step = step
        self._packet_samples, self._plain_bytes = step.packet_samples, step.plain_bytes
        self.sent = 0
        self.bytes_sent = 0
        self._wanted = step
        self._seal = seal
        self._encoder = codec.encoder(step.bits_per_s, step.packet_ms)
        self._gathered: list[Samples] = []
        self._timestamp = 0
        self._fec = False

    def use(self, step: RateStep) -> None:
        """Change to another rate step at the next packet boundary."""
        self._wanted = step

    def set_fec(self, on: bool, loss_percent: int = 10) -> None:
        """Carry copies of earlier frames, or not. They cost quality (0.6 PESQ at 24 kbit/s) where nothing is lost."""
        if on == self._fec:
            return
        self._fec = on
        self._encoder.set_fec(on)
        self._encoder.set_packet_loss(loss_percent if on else 0)

    def cycle(self, samples: Samples, report: Report | None) -> list[bytes]:
        """Take one cycle of samples (and a report that is due); return the sealed frames that are complete."""
        made: list[bytes] = []
        if not self._gathered and self._wanted is not self.step:
            self.step = self._wanted
            self._packet_samples, self._plain_bytes = self.step.packet_samples, self.step.plain_bytes
            self._encoder.set_rate(self.step.bits_per_s, self.step.packet_ms)
        if report is not None:
            made.append(self._frame(FrameKind.REPORT, pack_report(report), self._timestamp))
        self._gathered.append(samples)
        span = len(self._gathered) * CYCLE_SAMPLES
        if span >= self._packet_samples:
            whole = self._gathered[0] if len(self._gathered) == 1 else np.concatenate(self._gathered)
            self._gathered.clear()
            made.append(self._frame(FrameKind.VOICE, self._encoder.encode(whole), self._timestamp))
            self._timestamp += span
        return made

    def forget_gathered(self) -> None:
        """Turn what is gathered but not yet encoded into silence: mute acts on the press."""
        self._gathered = [silence() for _ in self._gathered]

    def _frame(self, kind: FrameKind, payload: bytes, timestamp: int) -> bytes:
        flags = CARRIES_COPY if kind is FrameKind.VOICE and self._encoder.carries_copies else 0
        sealed = self._seal(pack_plain(PlainFrame(kind, timestamp, payload, flags), self._plain_bytes))
        self.sent += 1
        self.bytes_sent += len(sealed)
        return sealed

    def close(self) -> None:
        self._encoder.close()


class Receiving:
    """Their voice, opened. `refused` counts frames that were forged, malformed or here before."""

    def __init__(self, codec: Codec, open_: Open, most_kbps: int = 0) -> None:
        self.refused = 0
        self.bytes_received = 0
        self.peer: Report | None = None  # the far end's latest report
        self.last_authentic: Instant | None = None
        self._open = open_
        self._most_kbps = most_kbps
        self._decoder = codec.decoder()
        self.jitter = JitterBuffer(self._decoder)
        self._reported_at: Instant | None = None
        self._looked_at: Instant = -math.inf
        self._hurried = 0  # looks in a row that found trouble
        self._reported = (0, 0, 0)

    def take(self, sealed: bytes, now: Instant, trace: list[Arrival] | None = None) -> Report | None:
        """Take in one sealed frame; return the report in it, if it was one. Voice is noted in `trace`, as it came."""
        plain = self._open(sealed)
        if plain is None:
            self.refused += 1
            return None
        try:
            frame = unpack_plain(plain)
            report = unpack_report(frame.payload) if frame.kind is FrameKind.REPORT else None
        except MalformedMessage:
            self.refused += 1
            return None
        self.last_authentic = now
        self.bytes_received += len(sealed)
        if report is None:
            if trace is not None:
                span_ms = self._decoder.span(frame.payload) * 1000 // RATE_HZ
                trace.append(Arrival(round(1000 * now, 1), frame.timestamp, len(frame.payload), span_ms))
            self.jitter.put(frame.payload, frame.timestamp, bool(frame.flags & CARRIES_COPY))
        else:
            self.peer = report
        return report

    def cycle(self) -> Samples:
        """Return the next cycle of their voice."""
        return self.jitter.get()

    def due_report(self, now: Instant, packet_ms: int) -> Report | None:
        """Return a report about the time since the last one, if one is due. `packet_ms`: of what we send."""
        if now - self._looked_at < REPORT_AGAIN_S:
            return None
        queue_ms, counters, self._looked_at = self.jitter.take_queue_ms(), self.jitter.counters, now
        if self._reported_at is None:
            self._reported_at = now
        trouble = queue_ms > REPORT_QUEUE_MS or counters.lost - self._reported[1] >= REPORT_LOST
        self._hurried = self._hurried + 1 if trouble else 0
        every_s = max(REPORT_EVERY_S, min(REPORT_AT_LEAST_S, REPORT_EVERY_FRAMES * packet_ms / 1000))
        if not 0 < self._hurried <= HURRIED_REPORTS and now - self._reported_at < every_s:
            return None
        self._reported_at = now
        counts = (counters.received, counters.lost, counters.late)
        fresh = [count - before for count, before in zip(counts, self._reported, strict=True)]
        self._reported = counts
        return Report(fresh[0], fresh[1], fresh[2], queue_ms, self.bytes_received, self._most_kbps)

    def close(self) -> None:
        self._decoder.close()
