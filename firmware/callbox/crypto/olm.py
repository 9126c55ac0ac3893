"""What vodozemac wants written its own way: base64 without padding, and a key for every pickle."""

import base64


def from_base64(text: str) -> bytes:
    """Decode the unpadded base64 that vodozemac writes."""
    return base64.b64decode(text + "=" * (-len(text) % 4))


def open_pickle_key() -> bytes:
    """Return the key under which pickles leave vodozemac: a public constant.

    vodozemac insists on one; secrecy at rest is the work of `crypto.fields`, once, for all that is stored.
    """
    return bytes(32)
