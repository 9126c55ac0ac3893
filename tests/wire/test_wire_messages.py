"""Every message: it comes back as it went, and as every released version sent it; sizes and forms are bounded."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbox.wire import bodies, codec, media, signals
from callbox.wire.errors import MalformedMessage
from wire.samples import (
    BLOB,
    BODIES,
    CALL_ID,
    CLIENT,
    DEVICE,
    ENVELOPE,
    KEY,
    MAC,
    NONCE,
    RECORD,
    SERVER,
    SIGNATURE,
    SIGNED_RECORD,
    TOKEN,
    VECTORS,
    inner,
    meant,
    present,
    read,
    tag_of,
    union_tags,
)

PUBLISHED: dict[str, list[str]] = json.loads(VECTORS.read_text())


def test_every_message_has_a_sample() -> None:
    assert union_tags() <= set(present())
    assert set(PUBLISHED) == set(present()), "run: python tests/wire/samples.py"


@pytest.mark.parametrize("name", present())
def test_what_was_ever_sent_is_read_as_before(name: str) -> None:
    for encoding in PUBLISHED[name]:
        assert read(name, bytes.fromhex(encoding)) == meant()[name], f"{name} changed: old peers send {encoding}"


@pytest.mark.parametrize("name", present())
def test_what_is_sent_now_is_published(name: str) -> None:
    assert present()[name].hex() == PUBLISHED[name][-1], (
        f"{name} changed; if that is meant: python tests/wire/samples.py"
    )


@pytest.mark.parametrize("message", CLIENT, ids=tag_of)
def test_client_messages_come_back(message: signals.ClientMessage) -> None:
    assert codec.decode_client_message(codec.encode_message(message)) == message


@pytest.mark.parametrize("message", SERVER, ids=tag_of)
def test_server_messages_come_back(message: signals.ServerMessage) -> None:
    assert codec.decode_server_message(codec.encode_message(message)) == message


@pytest.mark.parametrize("body", BODIES, ids=tag_of)
def test_letters_come_back_padded_to_a_step(body: bodies.Body) -> None:
    padded = codec.encode_inner(inner(body))
    assert len(padded) in codec.PADDING_STEPS
    assert codec.decode_inner(padded) == inner(body)


def test_directions_are_not_mixed() -> None:
    """A message of one direction is malformed in the other."""
    for message in CLIENT:
        with pytest.raises(MalformedMessage):
            codec.decode_server_message(codec.encode_message(message))
    for answer in SERVER:
        with pytest.raises(MalformedMessage):
            codec.decode_client_message(codec.encode_message(answer))


def test_unknown_fields_are_ignored() -> None:
    data = msgspec.msgpack.encode({"type": "accepted", "request": 5, "later": [1, {"x": b"y"}]})
    assert codec.decode_server_message(b"\x01" + data) == signals.Accepted(5)
    longer = msgspec.msgpack.encode([*msgspec.to_builtins(inner(bodies.Probe()), builtin_types=(bytes,)), "later"])
    assert codec.decode_inner(codec.pad(longer)) == inner(bodies.Probe())


@pytest.mark.parametrize("version", [0, 2, 3, 255])
def test_another_version_is_malformed(version: int) -> None:
    data = bytes([version]) + codec.encode_message(signals.AskAuthority())[1:]
    with pytest.raises(MalformedMessage, match="version"):
        codec.decode_client_message(data)


FIXED: list[tuple[msgspec.Struct, str, object]] = [
    (ENVELOPE, "message_id", bytes(15)),
    (ENVELOPE, "from_account", "An na"),
    (ENVELOPE, "to_account", "BERT"),
    (ENVELOPE, "to_account", ""),
    (ENVELOPE, "to_account", "x" * 33),
    (ENVELOPE, "to_account", "bert\x1b[2J"),
    (ENVELOPE, "from_device", DEVICE.upper()),
    (ENVELOPE, "to_device", "0"),
    (ENVELOPE, "to_device", DEVICE + "\n"),
    (ENVELOPE, "ttl_s", -1),
    (ENVELOPE, "ttl_s", 2**63),
    (ENVELOPE, "olm_type", 2),
    (ENVELOPE, "ciphertext", bytes(codec.MAX_CIPHERTEXT_BYTES + 1)),
    (ENVELOPE, "cls", "ring"),
    (signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE), "connection_epoch", -1),
    (signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE), "connection_epoch", 2**64 - 1),
    (signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE), "nonce", bytes(31)),
    (signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE), "signature", bytes(63)),
    (signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE), "account", "../etc"),
    (signals.Login("anna", DEVICE, NONCE, 3, SIGNATURE), "software", "x" * 201),
    (signals.Enrol("token", SIGNED_RECORD), "token", "x" * 201),
    (signals.Refused("epoch"), "detail", "x" * 201),
    (signals.Enrol("token", SIGNED_RECORD), "record", msgspec.structs.replace(SIGNED_RECORD, by_account=b"")),
    (signals.ClaimPrekeys(1, "bert"), "devices", ("nonsense",)),
    (signals.Acknowledge(()), "letters", ((DEVICE, bytes(17)),)),
    (signals.Acknowledge(()), "letters", (("device", bytes(16)),)),
    (signals.SetRow(1, "bert", "ring"), "row", "owner"),
    (signals.OpenRoute(1, TOKEN, CALL_ID, "bert", DEVICE), "token", bytes(15)),
    (signals.CloseRoute(1), "route", 2**32),
    (signals.Challenge(NONCE, NONCE), "server_id", b"x"),
    (signals.RouteOpened(1, 1, True), "route", 2**32),
    (signals.Welcome(b"s", (), 0, 0, True), "rows", (("Not A Name", "ring"),)),
    (signals.BeginBlob(1, BLOB, "bert", 4), "parts", 3),
    (signals.BeginBlob(1, BLOB, "bert", 4), "parts", 128),
    (signals.BeginBlob(1, BLOB, "bert", 4), "blob", bytes(15)),
    (signals.PutPart(1, BLOB, 0, bytes(codec.PART_BYTES)), "data", bytes(codec.PART_BYTES - 1)),
    (signals.BlobPart(1, BLOB, 0, bytes(codec.PART_BYTES)), "data", bytes(codec.PART_BYTES + 1)),
]


@pytest.mark.parametrize(("message", "field", "wrong"), FIXED)
def test_fields_of_a_wrong_form_are_malformed(message: msgspec.Struct, field: str, wrong: object) -> None:
    changed: Any = msgspec.structs.replace(message, **{field: wrong})
    if isinstance(message, signals.Envelope):
        message, changed = signals.Submit(1, message), signals.Submit(1, changed)
    right: Any = message
    decode: Any = (
        codec.decode_client_message if type(message) in get_args(signals.ClientMessage) else codec.decode_server_message
    )
    assert decode(codec.encode_message(right)) == right
    with pytest.raises(MalformedMessage):
        decode(codec.encode_message(changed))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("account_key", bytes(31)),
        ("auth_key", b""),
        ("olm_signing_key", bytes(33)),
        ("olm_exchange_key", bytes(64)),
        ("device", "x" * 16),
        ("account", "Anna"),
        ("sequence", -1),
    ],
)
def test_records_of_a_wrong_form_are_malformed(field: str, wrong: object) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode_record(codec.encode_record(msgspec.structs.replace(RECORD, **{field: wrong})))


@pytest.mark.parametrize(
    "body",
    [
        bodies.CallOffer(bytes(15), MAC),
        bodies.CallOffer(CALL_ID, bytes(31)),
        bodies.CallOffer(CALL_ID, MAC, (-5,)),
        bodies.CallRinging(CALL_ID, bytes(33)),
        bodies.CallReveal(CALL_ID, KEY, NONCE, b""),
        bodies.Heard((bytes(15),), "heard"),
        bodies.MissedCall(CALL_ID, -1),
    ],
)
def test_letters_of_a_wrong_form_are_malformed(body: bodies.Body) -> None:
    with pytest.raises(MalformedMessage):
        codec.decode_inner(codec.encode_inner(inner(body)))


def test_a_full_letter_fits_and_one_byte_more_does_not() -> None:
    largest = msgspec.structs.replace(ENVELOPE, ciphertext=bytes(codec.MAX_CIPHERTEXT_BYTES))
    assert codec.decode_client_message(codec.encode_message(signals.Submit(1, largest))) == signals.Submit(1, largest)
    too_large = codec.encode_message(signals.Ring(1, CALL_ID, "bert", (largest, ENVELOPE) * 2))
    with pytest.raises(MalformedMessage, match="too large"):
        codec.decode_client_message(too_large)


@given(st.binary(max_size=5000))
def test_padding_comes_off_again(data: bytes) -> None:
    padded = codec.pad(data)
    assert len(padded) in codec.PADDING_STEPS
    assert codec.unpad(padded) == data


def test_padding_that_hides_something_is_refused() -> None:
    padded = codec.pad(b"text")
    with pytest.raises(MalformedMessage, match="damaged"):
        codec.unpad(padded[:-1] + b"x")
    with pytest.raises(MalformedMessage, match="known size"):
        codec.unpad(padded + b"\0")
    with pytest.raises(MalformedMessage, match="damaged"):
        codec.unpad((300).to_bytes(4, "big") + bytes(252))
    with pytest.raises(ValueError, match="more than a letter holds"):
        codec.pad(bytes(48 * 1024))


def test_media_messages_are_bounded() -> None:
    twelve = media.pack_media(1, [b"x"] * media.MAX_FRAMES)
    assert len(media.unpack_media(twelve)[1]) == media.MAX_FRAMES
    for wrong in (
        media.pack_media(1, [b"x"] * (media.MAX_FRAMES + 1)),
        media.pack_media(1, [bytes(media.MAX_MEDIA_BYTES)]),
        media.pack_media(1, []),
        media.pack_media(1, [b""]),
        twelve[:-1],
        twelve + b"\0",
        b"\1" + twelve[1:],
    ):
        with pytest.raises(MalformedMessage):
            media.unpack_media(wrong)


@given(st.integers(0, 2**32 - 1), st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=12))
def test_media_messages_come_back(route: int, frames: list[bytes]) -> None:
    message = media.pack_media(route, frames)
    assert media.media_route(message) == route
    assert media.unpack_media(message) == (route, frames)


@given(st.sampled_from(media.FrameKind), st.integers(0, 2**32 - 1), st.binary(max_size=200), st.integers(0, 255))
def test_plain_frames_come_back_at_one_size(kind: media.FrameKind, timestamp: int, payload: bytes, flags: int) -> None:
    frame = media.PlainFrame(kind, timestamp, payload, flags)
    plain = media.pack_plain(frame, 220)
    assert len(plain) == 220
    assert media.unpack_plain(plain) == frame


def test_a_frame_that_does_not_fit_its_step_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        media.pack_plain(media.PlainFrame(media.FrameKind.VOICE, 0, bytes(100)), 100)


def test_a_report_caps_what_it_cannot_hold() -> None:
    report = media.Report(10**9, -5, 70_000, 3, 2**40 + 1)
    assert media.unpack_report(media.pack_report(report)) == media.Report(65535, 0, 65535, 3, 1)


def test_transcripts_of_different_logins_differ() -> None:
    """Each part is hashed to a fixed length, so nothing can be moved from one part to the next."""
    one = codec.login_transcript(b"ab", b"c", b"d", "e", 1)
    for other in (
        codec.login_transcript(b"a", b"bc", b"d", "e", 1),
        codec.login_transcript(b"ab", b"c", b"de", "", 1),
        codec.login_transcript(b"ab", b"c", b"d", "e", 2),
    ):
        assert len(one) == len(other)
        assert one != other
