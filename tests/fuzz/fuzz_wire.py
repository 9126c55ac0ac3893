"""Fuzz target: no bytes make a parser of the network's input raise anything but what they say.

    python tests/fuzz/fuzz_wire.py [--seconds N] [--seed N]        atheris if it is installed, else a loop of our own

The first byte chooses the parser, the rest is its input. Atheris follows the code's branches and is the better
searcher; without it, mutations of the compatibility vectors are tried for N seconds, and memory must stay flat.
"""

import argparse
import importlib
import importlib.util
import json
import random
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from callbox.audio import ogg
from callbox.base.errors import WrongUse
from callbox.wire import cards, codec, media
from callbox.wire.errors import MalformedMessage

VECTORS = Path(__file__).parents[1] / "vectors" / "wire-v1.json"
MAX_GROWTH_KIB = 64 * 1024

PARSERS: tuple[Callable[[bytes], object], ...] = (
    codec.decode_client_message,
    codec.decode_server_message,
    codec.decode_inner,
    lambda data: codec.decode_inner(_padded(data)),
    codec.decode_record,
    media.unpack_media,
    media.media_route,
    media.unpack_plain,
    media.unpack_report,
    lambda data: cards.parse_invite("callbox-invite:" + data.decode("latin-1")),
    lambda data: cards.parse_card(data.decode("utf-8", "replace")),
    ogg.read,
)


def _padded(data: bytes) -> bytes:
    """Pad `data`, so that the fuzzer gets past the padding to the letter inside."""
    return codec.pad(data[: codec.PADDING_STEPS[-1] - 4])


def try_input(data: bytes) -> bool:
    """Give one input to the parser that it names; return whether it was accepted. Any other error is a finding."""
    if not data:
        return False
    try:
        PARSERS[data[0] % len(PARSERS)](data[1:])
    except (MalformedMessage, WrongUse, ogg.NotOggOpus):
        return False
    return True


def seeds() -> list[bytes]:
    """Return valid messages of every kind, each before a byte for every parser."""
    vectors: dict[str, list[str]] = json.loads(VECTORS.read_text())
    valid = [bytes.fromhex(encoding) for encodings in vectors.values() for encoding in encodings]
    valid.append(ogg.write([bytes([0xF8]) + bytes(60)] * 100))  # a voice message
    valid += [codec.unpad(message) for message in valid if len(message) in codec.PADDING_STEPS]
    return [bytes([parser]) + message for message in valid for parser in range(len(PARSERS))]


def mutated(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Return `data` with a few bytes changed, cut, doubled, or crossed with another message."""
    work = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(1, len(work) + 1)
        kind = chance.randrange(6)
        if kind == 0 and place < len(work):
            work[place] = chance.randrange(256)
        elif kind == 1:
            del work[place:]
        elif kind == 2:
            work[place:place] = work[place : place + chance.randint(1, 40)]
        elif kind == 3:
            work[place:] = other[min(place, len(other)) :]
        elif kind == 4:  # a length that promises four gigabytes, or a nest
            work[place:place] = chance.choice([b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\x91" * 3000])
        else:
            work[place:place] = chance.randbytes(chance.randint(1, 20))
    return bytes(work)


def loop(seconds: float, seed: int, most: int | None = None) -> tuple[int, int]:
    """Try mutations for `seconds` or `most` inputs; return how many, and how many of them were accepted."""
    chance = random.Random(seed)
    corpus = seeds()
    tried = accepted = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end and (most is None or tried < most):
        data = mutated(chance, chance.choice(corpus), chance.choice(corpus))
        try:
            accepted += try_input(data)
        except BaseException:
            print(f"seed {seed}, input {tried}: {data[:4000].hex()}", file=sys.stderr)
            raise
        tried += 1
    return tried, accepted


def main() -> None:
    """Run atheris, or our own loop."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--seed", type=int, default=1)
    chosen, rest = arguments.parse_known_args()
    if importlib.util.find_spec("atheris") is not None:
        atheris = importlib.import_module("atheris")
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], f"-max_total_time={int(chosen.seconds)}", f"-seed={chosen.seed}", *rest], try_input)
        atheris.Fuzz()
        return
    print(f"atheris is not installed: random mutations for {chosen.seconds:g} s instead (they search less well)")
    loop(1, chosen.seed)  # what is allocated once is allocated now
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tried, accepted = loop(chosen.seconds, chosen.seed)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{tried} inputs, {accepted} accepted, none raised anything else; memory grew by {growth} KiB")
    if growth > MAX_GROWTH_KIB:
        raise SystemExit("that is a leak")


if __name__ == "__main__":
    main()
