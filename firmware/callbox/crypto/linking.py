"""Linking a device: what the invite commits to, and the three numbers that both boxes show.

    old box:  nonce (32 random bytes);  token = base32(SHA-256("CALLBOX1 link" | nonce)[:20]), in the invite
    new box:  its record, self-signed            -> the old box
    old box:  the nonce                          -> the new box, which checks it against the token
    both:     numbers = HMAC-SHA256(nonce, "CALLBOX1 link numbers" | SHA-256(account key | record))[:5] mod 10^12

Whoever sits in the middle must show the old box a record before it knows the nonce, and must have fixed a nonce of its
own for the new box before it sees the record; so the numbers agree by chance alone, once in 10^12.
"""

import base64
import hashlib
import hmac

from callbox.crypto.errors import Untrusted

_TOKEN_BYTES = 20


def link_token(nonce: bytes) -> str:
    """Return what an invite carries: it commits to the nonce, and finds the old box at the server."""
    return base64.b32encode(hashlib.sha256(b"CALLBOX1 link" + nonce).digest()[:_TOKEN_BYTES]).decode().lower()


def check_nonce(token: str, nonce: bytes) -> None:
    """Raise Untrusted unless the token commits to this nonce."""
    if not hmac.compare_digest(link_token(nonce), token):
        raise Untrusted("the answer is not from the box that made the invite")


def link_numbers(account_key: bytes, record: bytes, nonce: bytes) -> str:
    """Return "1234 5678 9012": the same on both boxes if nobody is between them."""
    digest = hashlib.sha256(account_key + record).digest()
    drawn = hmac.digest(nonce, b"CALLBOX1 link numbers" + digest, "sha256")
    digits = f"{int.from_bytes(drawn[:5], 'big') % 10**12:012d}"
    return f"{digits[:4]} {digits[4:8]} {digits[8:]}"
