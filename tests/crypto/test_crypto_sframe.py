"""Sealed frames: RFC 9605's own vectors, and ours for replay, forgery and constant size."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from callbox.crypto.sframe import (
    AES_128_GCM,
    AES_256_GCM,
    FIRST_COUNTER,
    REPLAY_WINDOW,
    Opener,
    Sealer,
    decode_header,
    derive,
    encode_header,
    sealed_bytes,
)
from callbox.wire.media import FrameKind, PlainFrame, Report, pack_plain, pack_report

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "sframe-rfc9605.json").read_text())
SUITES = {4: AES_128_GCM, 5: AES_256_GCM}
CALL = bytes(range(16))
BASE = bytes(range(64))


def pair() -> tuple[Sealer, Opener]:
    return Sealer(BASE, CALL, "c2r", 0), Opener(BASE, CALL, "c2r", 0)


def test_headers_are_those_of_the_rfc() -> None:
    assert len(VECTORS["header"]) == 289
    for vector in VECTORS["header"]:
        encoded = bytes.fromhex(vector["encoded"])
        assert encode_header(vector["kid"], vector["ctr"]) == encoded
        assert decode_header(encoded + b"rest") == (vector["kid"], vector["ctr"], len(encoded))
        assert decode_header(encoded[:-1]) is None


@pytest.mark.parametrize("number", [4, 5])
def test_aes_gcm_suites_are_those_of_the_rfc(number: int) -> None:
    (vector,) = [vector for vector in VECTORS["sframe"] if vector["cipher_suite"] == number]
    hexed = {name: bytes.fromhex(value) for name, value in vector.items() if isinstance(value, str)}
    key, salt = derive(hexed["base_key"], vector["kid"], SUITES[number])
    assert (key, salt) == (hexed["sframe_key"], hexed["sframe_salt"])
    header = encode_header(vector["kid"], vector["ctr"])
    nonce = (int.from_bytes(salt, "big") ^ vector["ctr"]).to_bytes(12, "big")
    assert nonce == hexed["nonce"]
    assert header + hexed["metadata"] == hexed["aad"]
    assert header + AESGCM(key).encrypt(nonce, hexed["pt"], hexed["aad"]) == hexed["ct"]


def test_the_sealer_and_the_opener_are_those_of_the_rfc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The very code that seals calls, with the vector's metadata and counter in place of a call's."""
    (vector,) = [vector for vector in VECTORS["sframe"] if vector["cipher_suite"] == 5]
    metadata = bytes.fromhex(vector["metadata"])
    monkeypatch.setattr("callbox.crypto.sframe.media_metadata", lambda _call, _direction: metadata)
    sealer = Sealer(bytes.fromhex(vector["base_key"]), CALL, "c2r", vector["kid"])
    sealer.counter = vector["ctr"]
    frame = sealer.seal(bytes.fromhex(vector["pt"]))
    assert frame.hex() == vector["ct"]
    opener = Opener(bytes.fromhex(vector["base_key"]), CALL, "c2r", vector["kid"])
    assert opener.open(frame) == bytes.fromhex(vector["pt"])


def test_frames_open_once() -> None:
    sealer, opener = pair()
    frames = [sealer.seal(bytes([number]) * 50) for number in range(10)]
    assert [opener.open(frame) for frame in frames] == [bytes([number]) * 50 for number in range(10)]
    assert [opener.open(frame) for frame in frames] == [None] * 10
    assert (opener.duplicates, opener.rejected) == (10, 0)


@given(st.lists(st.integers(0, 400), max_size=300))
def test_the_window_takes_each_frame_once_in_any_order(order: list[int]) -> None:
    """Against a model that remembers every counter: taken if new and less than a window behind the highest."""
    sealer, opener = pair()
    frames = [sealer.seal(number.to_bytes(2, "big")) for number in range(401)]
    taken: set[int] = set()
    for number in order:
        due = number not in taken and number > max(taken, default=-1) - REPLAY_WINDOW
        assert opener.open(frames[number]) == (number.to_bytes(2, "big") if due else None)
        if due:
            taken.add(number)


def test_a_forged_counter_far_ahead_does_not_move_the_window() -> None:
    """Marked after authentication: else one forged frame would deafen the receiver for good."""
    sealer, opener = pair()
    first = sealer.seal(b"first")
    forged = encode_header(0, 2**60) + bytes(40)
    assert opener.open(forged) is None
    assert opener.open(first) == b"first"
    assert opener.rejected == 1


@given(st.binary(max_size=120))
def test_anything_else_is_rejected_and_counted(data: bytes) -> None:
    _, opener = pair()
    assert opener.open(data) is None
    assert opener.rejected == 1


@given(st.integers(0, 8 * sealed_bytes(40) - 1))
def test_a_flipped_bit_anywhere_is_noticed(bit: int) -> None:
    sealer, opener = pair()
    frame = bytearray(sealer.seal(bytes(40)))
    frame[bit // 8] ^= 1 << bit % 8
    assert opener.open(bytes(frame)) is None
    assert opener.rejected == 1


@pytest.mark.parametrize(
    "opener",
    [
        Opener(BASE, CALL, "r2c", 0),
        Opener(BASE, bytes(16), "c2r", 0),
        Opener(BASE, CALL, "c2r", 1),
        Opener(bytes(64), CALL, "c2r", 0),
    ],
    ids=["other direction", "other call", "other key id", "other key"],
)
def test_a_frame_opens_only_where_it_belongs(opener: Opener) -> None:
    sealer, _ = pair()
    assert opener.open(sealer.seal(b"voice")) is None
    assert opener.rejected == 1


def test_speech_silence_and_reports_have_one_size() -> None:
    sealer, _ = pair()
    step = 128
    plains = [
        pack_plain(PlainFrame(FrameKind.VOICE, 0, b""), step),
        pack_plain(PlainFrame(FrameKind.VOICE, 2**32 - 1, bytes(120)), step),
        pack_plain(PlainFrame(FrameKind.REPORT, 7, pack_report(Report(50, 0, 0, 20))), step),
    ]
    sizes = {len(sealer.seal(plains[number % 3])) for number in range(3000)}
    assert sizes == {sealed_bytes(step)}


def test_the_header_keeps_its_size_for_92_hours() -> None:
    last = FIRST_COUNTER + 92 * 3600 * 50 - 1
    assert len(encode_header(0, FIRST_COUNTER)) == len(encode_header(1, last)) == 4


def test_no_counter_is_used_twice() -> None:
    sealer, _ = pair()
    headers = [decode_header(sealer.seal(b"")) for _ in range(1000)]
    assert len({header[1] for header in headers if header}) == 1000
    assert sealer.counter == FIRST_COUNTER + 1000
