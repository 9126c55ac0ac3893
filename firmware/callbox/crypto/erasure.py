"""Erasing an account at its server: who may ask for it, and what the server signs when it is done.

    asked for    Ed25519 by the account key over wire.codec.erasure_transcript
    done         ECDSA P-256, SHA-256, by the server's authority, which boxes pin, over the statement's bytes

The statement is text that a person can read; `openssl dgst -sha256 -verify` checks it, too. Only verification here.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from callbox.crypto.errors import Untrusted


def verify_erasure(account_key: bytes, transcript: bytes, signature: bytes) -> None:
    """Raise Untrusted unless the account key asked for this erasure."""
    try:
        Ed25519PublicKey.from_public_bytes(account_key).verify(signature, transcript)
    except (InvalidSignature, ValueError):
        raise Untrusted("the account key did not ask for this erasure") from None


def statement(server_id: bytes, session: bytes, account: str, device: str, at_ms: int, **deleted: int) -> str:
    """Return what the server says it has deleted, one fact a line. `device`: this one alone, or "" for the account."""
    facts = {
        "callbox": "erased",
        "server": server_id.hex(),
        "account": account,
        **({"device": device} if device else {}),
        "session": session.hex(),
        "at-ms": at_ms,
        **deleted,
    }
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def verify_statement(authority: bytes, said: str, proof: bytes) -> None:
    """Raise Untrusted unless the authority (certificate, DER) signed this statement."""
    try:
        key = x509.load_der_x509_certificate(authority).public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise Untrusted("the server's authority has a key of another kind")
        key.verify(proof, said.encode(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise Untrusted("the server's authority did not sign this receipt") from None
