"""The recorder of voice messages: what passed the microphone's gate becomes Opus packets, in bounded memory.

    captured -> gate -> Recorder.take -> gather 20 ms -> Opus, constant size -> packets (at most `most_s`)
    packets -> unfold -> the mixer, as it plays

It listens only once the tone that says "speak now" has been heard out, so that the tone is not in the message.
24 kbit/s: wide-band speech that PESQ tells apart from 32 by less than 0.1, and five minutes are 0.9 MB.
"""

from collections.abc import Iterator

import numpy as np

from callbox.audio.codecs import Codec
from callbox.audio.ogg import Sound
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence

BITS_PER_S = 24_000
PACKET_MS = 20
PACKET_SAMPLES = RATE_HZ * PACKET_MS // 1000
MOST_S = 300
LONGEST_MS = MOST_S * 1000 + 1000  # of what others recorded: what was cut to five minutes may have a packet more
SETTLE_CYCLES = 10  # after the tone: what was written last is still in the card's buffer


class Recorder:
    """One recording. `listening` says whether captured samples go into it."""

    def __init__(self, codec: Codec, most_s: float = MOST_S) -> None:
        self.listening = False
        self.packets: list[bytes] = []
        self._most = round(most_s * 1000 / PACKET_MS)
        self._encoder = codec.encoder(BITS_PER_S, PACKET_MS)
        self._gathered: list[Samples] = []
        self._quiet_cycles = 0

    @property
    def full(self) -> bool:
        """Whether nothing more goes into it."""
        return len(self.packets) >= self._most

    def wait(self, sounding: bool) -> None:
        """Count a cycle of an open device before it listens; `sounding`: something is still being played."""
        self._quiet_cycles = 0 if sounding else self._quiet_cycles + 1
        self.listening = self._quiet_cycles > SETTLE_CYCLES

    def take(self, samples: Samples) -> None:
        """Record one cycle."""
        if self.full:
            return
        self._gathered.append(samples)
        if len(self._gathered) * CYCLE_SAMPLES >= PACKET_SAMPLES:
            self.packets.append(self._encoder.encode(np.concatenate(self._gathered)))
            self._gathered.clear()

    def finish(self) -> tuple[bytes, ...]:
        """End it and return what was recorded; half a packet is filled up with silence."""
        while self._gathered and not self.full:
            self.take(silence())
        self.listening = False
        self._encoder.close()
        return tuple(self.packets)


def encode(codec: Codec, samples: Samples) -> tuple[bytes, ...]:
    """Return the packets of samples that are there already (mono, 48 kHz): of a file."""
    recorder = Recorder(codec, most_s=len(samples) / RATE_HZ + 1)
    padded = np.concatenate((samples, silence(-len(samples) % CYCLE_SAMPLES)))
    for at in range(0, len(padded), CYCLE_SAMPLES):
        recorder.take(padded[at : at + CYCLE_SAMPLES])
    return recorder.finish()


def unfold(codec: Codec, sound: Sound) -> Iterator[Samples]:
    """Decode a sound piece by piece, as it is asked for."""
    decoder, skip = codec.decoder(), sound.skip
    try:
        for packet in sound.packets:
            heard = decoder.decode(packet, decoder.span(packet))
            piece, skip = heard[skip:], max(0, skip - len(heard))
            if len(piece):
                yield piece
    finally:
        decoder.close()
