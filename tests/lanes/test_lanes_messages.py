"""Messages in one frame are cut out of any stream; everything else goes to the protocol, in its place."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from callbox.lanes.messages import Incoming, framed, masked

MASK = b"\x01\x02\x03\x04"
MOST = 70_000


def cut(stream: bytes, cuts: list[int], incoming: Incoming) -> list[tuple[bool, bytes]]:
    edges = [0, *sorted(edge % (len(stream) + 1) for edge in cuts), len(stream)]
    return [one for begin, end in pairwise(edges) for one in incoming.take(stream[begin:end])]


@given(
    messages=st.lists(st.binary(max_size=300), max_size=8),
    cuts=st.lists(st.integers(0, 5000), max_size=9),
    mask=st.sampled_from([b"", MASK]),
)
def test_messages_come_whole_and_in_order_however_they_are_cut(
    messages: list[bytes], cuts: list[int], mask: bytes
) -> None:
    stream = b"".join(framed(message, mask) for message in messages)
    assert cut(stream, cuts, Incoming(MOST, masked=bool(mask))) == [(True, message) for message in messages]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, MOST])
@pytest.mark.parametrize("mask", [b"", MASK])
def test_a_frame_is_what_the_library_makes_of_it(size: int, mask: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda _: MASK)
    message = bytes(range(256)) * (size // 256 + 1)
    frame = framed(message[:size], mask)
    assert frame == Frame(Opcode.BINARY, message[:size]).serialize(mask=bool(mask))
    assert Incoming(MOST, masked=bool(mask)).take(frame) == [(True, message[:size])]


def test_pings_and_fragments_are_the_protocols() -> None:
    fragments = [
        Frame(Opcode.BINARY, b"one", fin=False).serialize(mask=False),
        Frame(Opcode.PING, b"").serialize(mask=False),
        framed(b"in the midst of a message: a fault"),
        Frame(Opcode.CONT, b"two").serialize(mask=False),
    ]
    taken = Incoming(MOST, masked=False).take(b"".join(fragments) + framed(b"after it"))
    assert taken == [*((False, fragment) for fragment in fragments), (True, b"after it")]


@pytest.mark.parametrize(("mask", "wanted"), [(b"", True), (MASK, False)])
def test_a_frame_with_the_wrong_side_s_mask_is_for_the_protocol_to_refuse(mask: bytes, wanted: bool) -> None:
    frame = framed(b"voice", mask)
    assert Incoming(MOST, masked=wanted).take(frame) == [(False, frame)]


def test_what_is_too_large_is_passed_on_at_once_and_not_held() -> None:
    incoming = Incoming(100, masked=False)
    frame = framed(b"x" * 101)
    assert incoming.take(frame[:20]) == [(False, frame[:20])]
    assert incoming.take(frame[20:]) == [(False, frame[20:])]


def test_a_mask_is_taken_off_as_it_was_put_on() -> None:
    assert masked(masked(b"hello", MASK), MASK) == b"hello"
    assert masked(b"hello", MASK) == bytes(byte ^ MASK[at % 4] for at, byte in enumerate(b"hello"))
