"""What every real transport needs: the server's address, TLS with the pinned authority, and errors in plain words.

TLS is 1.3 or nothing. The server's certificate must come from the one authority that the invite pinned and carry
the server's name; the machine's own certificate store is never asked. Certificate times are not checked: a wrong clock,
of this box or of the server that dated its certificate, must not lock a box out (decisions/certificate-times.md).
"""

import errno
import socket
import ssl
from dataclasses import dataclass

from callbox.base.errors import WrongUse
from callbox.link.events import ClosedKind

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which the ssl module does not name
_HOSTNAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL)


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read HOST:PORT or [IPV6]:PORT. Raises WrongUse."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise WrongUse(
            f"{text!r} is not an address of a server.", "Write it as HOST:PORT, for example box.example:8443."
        )
    return Address(host, int(port))


def client_tls(authority: bytes | None) -> ssl.SSLContext:
    """Return TLS settings that trust only `authority` (certificate, DER).

    None proves nothing: only good for fetching the authority's certificate, which a pin then proves.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_verify_locations(cadata=authority)
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def told_failure(error: BaseException, server: Address) -> tuple[str, ClosedKind]:
    """Return a sentence for a person, and the kind, for what went wrong on the way to `server`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _told_certificate(error, server), "certificate"
    if isinstance(error, ssl.SSLError):
        return f"{server} does not speak TLS 1.3: it is no Callbox server, or its port is another.", "refused"
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"No address was found for the name {server.host}: the name is wrong, or name lookup is down.", "network"
    if _is(error, errno.ECONNREFUSED):
        return f"Nothing listens at {server}: the server is not running, or its port is another.", "refused"
    if any(_is(error, number) for number in _NO_WAY):
        return f"There is no way to {server}: the network is down, or the address is wrong.", "network"
    if isinstance(error, TimeoutError):
        return f"{server} does not answer.", "network"
    return f"The connection to {server} was broken off.", "network"


def _told_certificate(error: ssl.SSLCertVerificationError, server: Address) -> str:
    if error.verify_code in _HOSTNAME_MISMATCH:
        return f"The certificate of {server} is for another name."
    return f"The certificate of {server} is not from the server that this box joined."


def _is(error: BaseException, number: int) -> bool:
    """Return whether `error` is of errno `number`, also where asyncio folded the errors of several addresses."""
    return isinstance(error, OSError) and (error.errno == number or f"[Errno {number}]" in str(error))
