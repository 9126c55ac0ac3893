"""Malformed input of any kind gives MalformedMessage, never another error, and costs neither time nor memory."""

import resource
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbox.wire import codec, media
from callbox.wire.errors import MalformedMessage
from fuzz.fuzz_wire import PARSERS, loop, seeds, try_input
from wire.samples import BODIES, CLIENT, SERVER, present, tag_of

TAGS = [tag_of(message) for message in (*CLIENT, *SERVER, *BODIES)]
FIELDS = sorted({name for message in (*CLIENT, *SERVER, *BODIES) for name in message.__struct_fields__})


@settings(max_examples=500)
@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    for parser in range(len(PARSERS)):
        try_input(bytes([parser]) + data)


@settings(max_examples=300)
@given(st.sampled_from(sorted(present().values())), st.data())
def test_valid_messages_with_bytes_changed(message: bytes, data: st.DataObject) -> None:
    work = bytearray(message)
    for _ in range(data.draw(st.integers(1, 4))):
        work[data.draw(st.integers(0, len(work) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(work)))
    for parser in range(len(PARSERS)):
        try_input(bytes([parser]) + work)
        try_input(bytes([parser]) + work[:cut])


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=40)
    | st.binary(max_size=70),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inside, max_size=5),
    max_leaves=12,
)


@settings(max_examples=500)
@given(st.sampled_from(TAGS), st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=8))
def test_known_tags_with_any_fields(tag: str, fields: dict[str, Any]) -> None:
    data = msgspec.msgpack.encode({"type": tag, **fields})
    for decode in (codec.decode_client_message, codec.decode_server_message):
        try:
            message = decode(b"\x01" + data)
        except MalformedMessage:
            continue
        assert tag_of(message) == tag


BOMBS = {
    "lists": b"\x91" * 60_000,
    "maps": b"\x81\xa1a" * 20_000,
    "lists in an unknown field": b"\x82\xa4type\xa8accepted\xa1x" + b"\x91" * 60_000,
    "lists in a known field": b"\x82\xa4type\xa8accepted\xa7request" + b"\x91" * 60_000,
    "closed nest": b"\x82\xa4type\xa8accepted\xa1x" + b"\x91" * 30_000 + b"\xc0",
}
PROMISES = {
    "four giga-items": b"\xdd\xff\xff\xff\xff",
    "four giga-pairs": b"\xdf\xff\xff\xff\xff",
    "four gigabytes": b"\xc6\xff\xff\xff\xff",
    "a giga-text": b"\xdb\xff\xff\xff\xff",
    "giga-items in a known field": b"\x82\xa4type\xabacknowledge\xa7letters\xdd\xff\xff\xff\xff",
    "giga-pairs of rows": b"\x82\xa4type\xa7welcome\xa4rows\xdd\xff\xff\xff\xff",
}


@pytest.mark.parametrize("bomb", (BOMBS | PROMISES).values(), ids=(BOMBS | PROMISES).keys())
def test_nesting_bombs_and_empty_promises(bomb: bytes) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for decode in (codec.decode_client_message, codec.decode_server_message):
        with pytest.raises(MalformedMessage):
            decode(b"\x01" + bomb)
    for decode_more in (codec.decode_record, codec.decode_inner, media.unpack_media):
        with pytest.raises(MalformedMessage):
            decode_more(bomb)
    if len(bomb) < 40_000:
        with pytest.raises(MalformedMessage):
            codec.decode_inner(codec.pad(bomb))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


@pytest.mark.parametrize(
    "data", [b"", b"\x01", b"\x01\x80", b"\x01\x81\xa4type\xa4ring", b"\x02", b"\x01\x82\xa4type\xc0\xa1x\xc0"]
)
def test_the_smallest_wrong_messages(data: bytes) -> None:
    for decode in (codec.decode_client_message, codec.decode_server_message):
        with pytest.raises(MalformedMessage):
            decode(data)


def test_a_text_that_is_no_unicode() -> None:
    with pytest.raises(MalformedMessage):
        codec.decode_server_message(b"\x01\x82\xa4type\xa8enrolled\xa7account\xa2\xff\xfe")


def test_the_error_is_short_whatever_came() -> None:
    data = msgspec.msgpack.encode({"type": "x" * 60_000})
    with pytest.raises(MalformedMessage) as caught:
        codec.decode_client_message(b"\x01" + data)
    assert len(str(caught.value)) <= 200


def test_the_error_is_harmless_in_a_log() -> None:
    data = msgspec.msgpack.encode({"type": "\x1b[2J\r\n\u202e"})
    with pytest.raises(MalformedMessage) as caught:
        codec.decode_client_message(b"\x01" + data)
    assert str(caught.value).isprintable()


def test_the_fuzz_target_runs_and_reaches_past_the_first_check() -> None:
    tried, accepted = loop(seconds=20, seed=7, most=5000)
    assert tried == 5000
    assert 100 < accepted < tried
    assert all(try_input(seed) for seed in seeds() if seed[:2] == b"\x00\x01" and b"submit" in seed)
