"""Blobs: whatever a lying server does to one is found; its size tells a step and nothing else."""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from callbox.crypto.blobs import MAX_CONTENT_BYTES, digest_of, open_blob, seal_blob
from callbox.crypto.errors import Untrusted
from callbox.wire.codec import BLOB_STEPS, MAX_BLOB_BYTES, PART_BYTES

KEY, OTHER, BLOB = bytes(range(32)), bytes(32), bytes(range(16))
CONTENT = bytes(range(256)) * 300


@given(st.integers(0, 5 * PART_BYTES))
def test_a_blob_opens_to_what_was_sealed_and_fills_a_step(size: int) -> None:
    content = (CONTENT * 3)[:size]
    sealed = seal_blob(content, BLOB, KEY)
    assert len(sealed) // PART_BYTES in BLOB_STEPS
    assert len(sealed) % PART_BYTES == 0
    assert sealed == seal_blob(content, BLOB, KEY), "an upload goes on with the same bytes"
    assert open_blob(sealed, BLOB, KEY, digest_of(sealed)) == content


def test_sizes_between_two_steps_look_alike() -> None:
    sizes = {len(seal_blob(bytes(size), BLOB, KEY)) for size in (PART_BYTES * 2, PART_BYTES * 3, PART_BYTES * 4 - 20)}
    assert sizes == {4 * PART_BYTES}


def test_the_largest_fits_and_one_byte_more_does_not() -> None:
    assert len(seal_blob(bytes(MAX_CONTENT_BYTES), BLOB, KEY)) == MAX_BLOB_BYTES
    with pytest.raises(ValueError, match="too large"):
        seal_blob(bytes(MAX_CONTENT_BYTES + 1), BLOB, KEY)


def _swapped(sealed: bytes) -> bytes:
    return sealed[PART_BYTES : 2 * PART_BYTES] + sealed[:PART_BYTES] + sealed[2 * PART_BYTES :]


LIES: dict[str, Callable[[bytes], bytes]] = {
    "parts swapped": _swapped,
    "cut short": lambda sealed: sealed[:-PART_BYTES],
    "made longer": lambda sealed: sealed + sealed[-PART_BYTES:],
    "one bit turned": lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
    "nothing": lambda sealed: b"",
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_server_changed_is_refused(lie: str) -> None:
    sealed = seal_blob(CONTENT, BLOB, KEY)
    with pytest.raises(Untrusted, match="not those that were sent"):
        open_blob(LIES[lie](sealed), BLOB, KEY, digest_of(sealed))


def test_another_blob_key_or_length_is_refused() -> None:
    sealed = seal_blob(CONTENT, BLOB, KEY)
    for blob, key in ((BLOB, OTHER), (OTHER[:16], KEY)):
        with pytest.raises(Untrusted, match="not sealed under the key"):
            open_blob(sealed, blob, key, digest_of(sealed))
    with pytest.raises(Untrusted, match="not sealed under the key"):
        open_blob(b"", BLOB, KEY, digest_of(b""))


def test_a_sender_who_lies_about_the_length_is_refused() -> None:
    padded = (PART_BYTES).to_bytes(4, "big").ljust(PART_BYTES - 16, b"\0")
    sealed = AESGCM(KEY).encrypt(bytes(12), padded, b"CALLBOX1 blob" + BLOB)
    with pytest.raises(Untrusted, match="length"):
        open_blob(sealed, BLOB, KEY, digest_of(sealed))


def test_the_form_stays_what_other_boxes_know() -> None:
    digest = digest_of(seal_blob(b"a voice message", BLOB, KEY))
    assert digest.hex() == "65c1e20bf023320c4c8058d9f0d0ed7112fbd42e5184d3ef580f7ee90cd80658"
