"""`python -m callbox.testing.replay TRACE`: the jitter buffer again, from when which packet of a call arrived.

    TRACE (times, numbers, sizes) + a voice -> packets -> JitterBuffer -> --out heard.wav, --decisions what-it-did.jsonl

A trace is JSON lines, one for each packet in the order of arrival: {"at_ms": when it came, "timestamp": of its first
sample at 48 kHz, "bytes": size of the Opus packet, "packet_ms": its length}; `callbox trace` records one from a call.
It holds no sound: the voice is a recorded one, or `--voice`. The network laboratory's `arrived` files (number, seconds)
are read, too, with `--step`.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from callbox.audio.codecs import open_codec
from callbox.audio.devices.wav import read_wav, write_wav
from callbox.audio.jitter import JitterBuffer, JitterCounters
from callbox.audio.steps import DEFAULT_STEP, STEPS, RateStep, step_named
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, RATE_HZ, Samples
from callbox.testing.measure import intelligibility, quality
from callbox.testing.voice import find_voice

EXTRA_S = 0.5
_COUNTED = ("lost", "late", "recovered", "concealed", "shortened", "lengthened")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A packet that came: when, which, and in which format it was sent."""

    at_ms: float
    timestamp: int
    step: RateStep


@dataclass(frozen=True, slots=True)
class Decision:
    """One cycle: how many packets came before it, what was done, and the delay then."""

    ms: int
    came: int
    did: list[str]
    delay_ms: int
    target_ms: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What was heard, what would have been heard on a perfect line, and what was done in each cycle of 10 ms."""

    heard: Samples
    sent: Samples
    decisions: list[Decision]
    counters: JitterCounters


def read_trace(lines: Sequence[str], step: RateStep = DEFAULT_STEP) -> list[Arrival]:
    """Return the arrivals, timestamps from 0. `step`: of a trace that does not say. Raises CallboxError."""
    try:
        found = [_arrival(line, step) for line in lines if line.strip()]
    except (ValueError, KeyError, TypeError) as error:
        raise CallboxError(f"this is no trace of arrivals: {error}", "record one: callbox trace > FILE") from None
    if not found:
        raise CallboxError("the trace is empty", "record one while a call runs: callbox trace > FILE")
    first = min(arrival.timestamp for arrival in found)
    began = min(arrival.at_ms for arrival in found)
    return [Arrival(arrival.at_ms - began, arrival.timestamp - first, arrival.step) for arrival in found]


def _arrival(line: str, step: RateStep) -> Arrival:
    if line.startswith("{"):
        facts = json.loads(line)
        known = {(step.packet_bytes, step.packet_ms): step for step in STEPS}
        step = known[int(facts["bytes"]), int(facts["packet_ms"])]
        return Arrival(float(facts["at_ms"]), int(facts["timestamp"]), step)
    number, at_s = line.split()
    return Arrival(1000 * float(at_s), int(number) * step.packet_samples, step)


def packets(arrivals: Sequence[Arrival], voice: Samples) -> Iterator[tuple[int, bytes]]:
    """Encode `voice` as it would have been sent; yield timestamp and packet of all that arrived, in order."""
    codec, at = open_codec(), 0
    encoder, used = codec.encoder(DEFAULT_STEP.bits_per_s, DEFAULT_STEP.packet_ms), DEFAULT_STEP
    for timestamp, step in sorted({arrival.timestamp: arrival.step for arrival in arrivals}.items()):
        while at < timestamp:  # what never came was encoded all the same
            encoder.encode(part(voice, at, used.packet_samples))
            at += used.packet_samples
        if step is not used:
            encoder.set_rate(step.bits_per_s, step.packet_ms)
            used = step
        yield timestamp, encoder.encode(part(voice, timestamp, step.packet_samples))
        at = timestamp + step.packet_samples
    encoder.close()


def part(voice: Samples, at: int, length: int) -> Samples:
    """Return a piece of a voice that is repeated for ever."""
    return np.take(voice, np.arange(at, at + length), mode="wrap")


def replay(arrivals: Sequence[Arrival], voice: Samples) -> Replayed:
    """Let a jitter buffer live through the trace."""
    made = dict(packets(arrivals, voice))
    buffer = JitterBuffer(open_codec().decoder())
    coming = sorted(arrivals, key=lambda arrival: arrival.at_ms)
    heard: list[Samples] = []
    decisions: list[Decision] = []
    before = dict.fromkeys(_COUNTED, 0)
    cycles = int((coming[-1].at_ms / 1000 + EXTRA_S) * 1000 / CYCLE_MS)
    next_one = 0
    for cycle in range(cycles):
        first = next_one
        while next_one < len(coming) and coming[next_one].at_ms <= cycle * CYCLE_MS:
            timestamp = coming[next_one].timestamp
            buffer.put(made[timestamp], timestamp)
            next_one += 1
        heard.append(buffer.get())
        now = {name: getattr(buffer.counters, name) for name in _COUNTED}
        if next_one == len(coming) and now["concealed"] > before["concealed"]:
            break  # all is played
        did = [name for name in _COUNTED if now[name] > before[name]] or ["played" if buffer.playing else "waited"]
        before = now
        decisions.append(
            Decision(cycle * CYCLE_MS, next_one - first, did, buffer.counters.delay_ms, buffer.counters.target_ms)
        )
    return Replayed(np.concatenate(heard), part(voice, 0, max(made) + CYCLE_SAMPLES), decisions, buffer.counters)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m callbox.testing.replay", description=__doc__)
    parser.add_argument("trace", type=Path, help="recorded by `callbox trace`, or an `arrived` file of the laboratory")
    parser.add_argument("--out", type=Path, metavar="WAV", help="what would have been heard")
    parser.add_argument("--decisions", type=Path, metavar="JSONL", help="what was done in each cycle of 10 ms")
    parser.add_argument("--voice", type=Path, metavar="WAV", help="who speaks (a recorded voice)")
    parser.add_argument("--step", default=DEFAULT_STEP.name, help="rate step of a trace that does not say (near)")
    chosen = parser.parse_args(arguments)
    try:
        arrivals = read_trace(chosen.trace.read_text().splitlines(), step_named(chosen.step))
        voice = read_wav(chosen.voice) if chosen.voice else find_voice().samples
    except (CallboxError, OSError, KeyError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    done = replay(arrivals, voice)
    if chosen.out:
        write_wav(chosen.out, done.heard)
    if chosen.decisions:
        chosen.decisions.write_text("".join(json.dumps(asdict(decision)) + "\n" for decision in done.decisions))
    print(json.dumps(summary(done)))
    return 0


def summary(done: Replayed) -> dict[str, object]:
    """Return the outcome in a few figures."""
    delays = [decision.delay_ms for decision in done.decisions]
    score = quality(done.sent, done.heard)
    return {
        "seconds": len(done.heard) / RATE_HZ,
        "received": done.counters.received,
        **{name: getattr(done.counters, name) for name in _COUNTED},
        "delay_ms_median": float(np.median(delays)),
        "delay_ms_p95": float(np.percentile(delays, 95)),
        "pesq": None if score is None else round(score, 2),
        "stoi": round(intelligibility(done.sent, done.heard), 3),
    }


if __name__ == "__main__":
    sys.exit(main())
