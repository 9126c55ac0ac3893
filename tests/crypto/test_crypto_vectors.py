"""The published call-key vectors: our code gives them, and so does a second, independent calculation."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from crypto.call_vectors import RUNS, VECTORS, run

PUBLISHED: list[dict[str, Any]] = json.loads(VECTORS.read_text())


@pytest.mark.parametrize("index", range(len(RUNS)))
def test_the_code_gives_what_is_published(index: int) -> None:
    assert run(*RUNS[index]) == PUBLISHED[index]


@pytest.mark.parametrize("vector", PUBLISHED, ids=[vector["name"] for vector in PUBLISHED])
def test_a_second_implementation_comes_to_the_same(vector: dict[str, Any]) -> None:
    """Written from the documentation in handshake.py alone, with nothing but hash, HMAC and X25519."""

    def raw(*path: str) -> bytes:
        value: Any = vector
        for name in path:
            value = value[name]
        return bytes.fromhex(value)

    def prefixed(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    call_id, e_c, e_r, nonce = (
        raw("call_id"),
        raw("reveal", "ephemeral"),
        raw("ringing", "ephemeral"),
        raw("caller", "nonce"),
    )
    commitment = hashlib.sha256(b"DMCALL1 commit" + call_id + vector["callee_device"].encode() + e_c + nonce).digest()
    assert commitment == raw("offer", "commitment")

    caller_key = X25519PrivateKey.from_private_bytes(raw("caller", "private_key"))
    assert caller_key.public_key().public_bytes_raw() == e_c
    shared = caller_key.exchange(X25519PublicKey.from_public_bytes(e_r))

    flags = bytes([(1 if vector["offer"]["resume"] else 0) + (2 if vector["offer"]["knock"] else 0)])
    suites = b"".join(suite.to_bytes(2, "big") for suite in vector["offer"]["suites"])
    transcript = hashlib.sha512(
        b"DMCALL1"
        + prefixed(call_id + commitment + flags + suites)
        + prefixed(call_id + e_r)
        + prefixed(call_id + e_c + nonce)
    ).digest()

    pseudorandom = hmac.digest(transcript, shared, "sha512")
    names = ("caller_account", "caller_olm", "callee_account", "callee_olm")
    info = b"DMCALL1" + b"".join(raw("identities", name) for name in names) + call_id
    okm, block = b"", b""
    for number in range(1, 5):
        block = hmac.digest(pseudorandom, block + info + bytes([number]), "sha512")
        okm += block
    assert okm[:64] == raw("keys", "base_c2r")
    assert okm[64:128] == raw("keys", "base_r2c")
    assert hmac.digest(okm[128:160], b"reveal" + transcript, "sha256") == raw("reveal", "mac")
    assert hmac.digest(okm[160:192], b"answer" + transcript, "sha256") == raw("answer", "mac")
    assert hmac.digest(okm[128:160], b"ack" + transcript, "sha256") == raw("ack", "mac")
    assert okm[192:208] == raw("keys", "route_token")
    assert f"{int.from_bytes(okm[208:213], 'big') % 10**12:012d}" == vector["keys"]["code"].replace(" ", "")
