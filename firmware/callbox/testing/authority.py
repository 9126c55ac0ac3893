"""The authority of simulated servers: always the same one, so that the same seed gives the same world.

Its key is no secret. Made once by `server.authority.make_authority` from the key below.
"""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from callbox.server.authority import Issued

AUTHORITY = base64.b64decode(
    "MIIBkDCCATegAwIBAgIUbvKgRF7DyAPmrLkMS+HdK6MxC8wwCgYIKoZIzj0EAwIwJDEiMCAGA1UEAwwZQ2FsbGJveCBwcml2YXRl"
    "IGF1dGhvcml0eTAgFw0yNDEyMzAwMDAwMDBaGA8yMDU0MTIyNTAwMDAwMFowJDEiMCAGA1UEAwwZQ2FsbGJveCBwcml2YXRlIGF1"
    "dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABMIP6F+p2avZqjUT32+eRafAIYC38pJzJQCKRw+9CtGB2EkFvcQt7xk3"
    "/iMq6T1QhhOk0kydpn95gN7AiQoTfkSjRTBDMBIGA1UdEwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMB0GA1UdDgQWBBQI"
    "9eRF1vEWw2oDMDPOzayt6ARkyDAKBggqhkjOPQQDAgNHADBEAiA8SfFej2Fz6O8b55HhOjRrV4op2XnB1dGCoB4CXrqSKAIgUTxw"
    "ndN+RKEHfxiQLScxFhdZ8BM3pCFj6qrTmt8RQPE="
)
"""Its certificate, DER."""

_KEY = ec.derive_private_key(int.from_bytes(b"a simulated authority".ljust(31, b"."), "big"), ec.SECP256R1())


def issued() -> Issued:
    """Return certificate and key as a server's folder holds them, both PEM."""
    return Issued(
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(AUTHORITY) + b"-----END CERTIFICATE-----\n",
        _KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
