"""Floors: what the same sound card and the same codec do with no Callbox between them.

card alone    microphone -> PortAudio -> read -> write -> PortAudio -> speaker    (a process of its own, CPU counted)
Opus alone    samples -> encode -> decode -> samples                              (as ctypes calls, CPU counted)
Opus paced    the same, sleeping between packets as a call does: on a processor that did something else meanwhile, with
              cold caches, the same instructions cost several times as much
"""

import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import numpy as np

from callbox.app import priority
from callbox.audio.codecs import open_codec
from callbox.audio.devices import open_backend
from callbox.audio.steps import step_named
from callbox.base.frames import RATE_HZ, Samples
from callbox.testing.bench.processes import cpu_s
from callbox.testing.measure import MouthToEar, mouth_to_ear, quality
from callbox.testing.virtual_card import VirtualCard, hurry

LOOP_OPENS_S = 1.5
PLAYER_ENDS_S = 30.0


@dataclass(frozen=True, slots=True)
class OpusFloor:
    """CPU seconds per second of sound, encoded and decoded once; and PESQ-WB of what came out (None: no pesq)."""

    cpu: float
    pesq: float | None
    paced_cpu: float | None = None


@dataclass(frozen=True, slots=True)
class CardFloor:
    """What a process costs that only copies, in CPU seconds per second, and its delay."""

    delay: MouthToEar
    cpu: float


def card_alone(card: VirtualCard, name: str, voice: Samples) -> CardFloor:
    """Measure from microphone to speaker of one card through a process that only copies."""
    program = [sys.executable, "-m", "callbox.testing.bench.floors", name]
    loop = subprocess.Popen(program, env=card.environment, stderr=subprocess.DEVNULL)
    hurry(loop.pid)
    try:
        said, heard = card.record_microphone(name), card.record(name)
        time.sleep(LOOP_OPENS_S)
        cpu_before, began = cpu_s(loop.pid), time.monotonic()
        card.play(name, voice).wait(PLAYER_ENDS_S)
        cpu = (cpu_s(loop.pid) - cpu_before) / (time.monotonic() - began)
        sent, got = said.stop(), heard.stop()
    finally:
        loop.terminate()
        loop.wait()
    return CardFloor(mouth_to_ear(sent, got, heard.started_at - said.started_at), cpu)


def opus_alone(step_name: str, voice: Samples) -> OpusFloor:
    """Encode and decode `voice` in the format of a rate step."""
    step, codec = step_named(step_name), open_codec()
    encoder, decoder = codec.encoder(step.bits_per_s, step.packet_ms), codec.decoder()
    size = step.packet_samples
    packets = [voice[at : at + size] for at in range(0, len(voice) - size + 1, size)]
    start = time.process_time()
    came = [decoder.decode(encoder.encode(packet), size) for packet in packets]
    used_s = time.process_time() - start
    encoder.close()
    decoder.close()
    return OpusFloor(used_s / (len(packets) * step.packet_ms / 1000), quality(voice, np.concatenate(came)))


def opus_paced(step_name: str, voice: Samples) -> float:
    """Encode and decode `voice` at the pace at which it was spoken, with a call's priority; return CPU s per s."""
    step, codec = step_named(step_name), open_codec()
    size, spent = step.packet_samples, [0.0]

    def work() -> None:
        priority.hurry(priority.AUDIO)
        encoder, decoder = codec.encoder(step.bits_per_s, step.packet_ms), codec.decoder()
        due = time.monotonic()
        for at in range(0, len(voice) - size + 1, size):
            due += step.packet_ms / 1000
            time.sleep(max(0.0, due - time.monotonic()))
            before = time.thread_time()
            decoder.decode(encoder.encode(voice[at : at + size]), size)
            spent[0] += time.thread_time() - before
        encoder.close()
        decoder.close()

    thread = threading.Thread(target=work, name="opus-paced")
    thread.start()
    thread.join()
    return spent[0] * RATE_HZ / (len(voice) // size * size)


def copy(name: str) -> None:
    """Copy the microphone of a card to its speaker until the process is ended."""
    device = open_backend("portaudio").open(name, name)
    while True:
        device.write(device.read())


if __name__ == "__main__":
    copy(sys.argv[1])
