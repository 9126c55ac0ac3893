"""Codecs: what turns samples into packets and back. Each other file in this folder is one member.

    samples -> Encoder -> packet ~~~ packet -> Decoder.decode   the packet is there
                                     next   -> Decoder.recover  it is not, but the next one carries a copy
                                     none   -> Decoder.conceal  nothing is there: continue what was heard

A member is a module with `codec() -> Codec`; `open_codec(name)` finds it by its file name.
"""

from importlib import import_module
from typing import Protocol, cast

from callbox.base.frames import Samples


class Encoder(Protocol):
    """Turns mono 48 kHz samples into packets of exactly `packet_bytes` bytes each."""

    @property
    def packet_bytes(self) -> int:
        """Size of every packet at the present rate and frame length."""
        ...

    def encode(self, samples: Samples) -> bytes:
        """Encode one packet's worth of samples (`packet_ms` long)."""
        ...

    def set_rate(self, bits_per_s: int, packet_ms: int) -> None:
        """Change rate and frame length from the next packet on."""
        ...

    def set_packet_loss(self, percent: int) -> None:
        """Tell the encoder what loss to prepare for (0 to 100)."""
        ...

    def set_fec(self, on: bool) -> None:
        """Carry a coarse copy of the previous frame in each packet, or not."""
        ...

    @property
    def carries_copies(self) -> bool:
        """Whether packets hold such copies now: not every rate leaves the codec a way to."""
        ...

    def set_complexity(self, complexity: int) -> None:
        """Trade processor time for quality: 0 (least) to 10."""
        ...

    def close(self) -> None:
        """Free what the library holds. Safe to call twice."""
        ...


class Decoder(Protocol):
    """Turns packets into samples. Every verb returns exactly as many samples as asked for."""

    def span(self, packet: bytes) -> int:
        """Return how many samples `packet` decodes to; 0 if it is not a packet at all."""
        ...

    def decode(self, packet: bytes, samples: int) -> Samples:
        """Decode a packet that arrived. A damaged one is concealed."""
        ...

    def recover(self, packet: bytes, samples: int) -> Samples:
        """Rebuild the packet *before* `packet` from the copy in it (or conceal, if it has none)."""
        ...

    def conceal(self, samples: int) -> Samples:
        """Continue what was last heard, fading. `samples` is a multiple of 120 (2.5 ms)."""
        ...

    def close(self) -> None:
        """Free what the library holds. Safe to call twice."""
        ...


class Codec(Protocol):
    """Makes encoders and decoders."""

    def encoder(self, bits_per_s: int, packet_ms: int) -> Encoder: ...

    def decoder(self) -> Decoder: ...


def open_codec(name: str = "opus") -> Codec:
    """Return the codec of the file `name`. Raises CallboxError if its library is missing."""
    return cast(Codec, import_module(f"{__name__}.{name}").codec())
