"""The server's private certificate authority, and the certificate that it gives the server.

Boxes pin the authority (by the hash in their invite), so the server's own certificate can be renewed, and its names
changed, without any box noticing. P-256: every TLS 1.3 library takes it, also on a small processor.
"""

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from callbox.crypto.records import move_bytes
from callbox.wire.signals import Moved

AUTHORITY_DAYS = 365 * 30
LEAF_DAYS = 397
ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")
_BACKDATED = datetime.timedelta(days=2)  # for boxes whose clock is a little behind


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key, both PEM."""

    certificate: bytes
    key: bytes

    @property
    def der(self) -> bytes:
        loaded = x509.load_pem_x509_certificate(self.certificate)
        return loaded.public_bytes(serialization.Encoding.DER)


def pin_of(authority_der: bytes) -> str:
    """Return what an invite carries: the hex SHA-256 of the authority's certificate."""
    return hashlib.sha256(authority_der).hexdigest()


def make_authority(now: datetime.datetime) -> Issued:
    """Make a new authority: self-signed, for server certificates only, no authorities below it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Callbox private authority")])
    builder = (
        _certificate(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _issue(builder, key, key)


def sign(authority: Issued, data: bytes) -> bytes:
    """Return the authority's signature (ECDSA P-256, SHA-256, DER); every box can check it."""
    key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def make_leaf(authority: Issued, hosts: list[str], now: datetime.datetime) -> Issued:
    """Make the server's certificate for these names and addresses, besides ALWAYS_NAMED."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Callbox signaling server")])
    names = [_general_name(host) for host in dict.fromkeys((*hosts, *ALWAYS_NAMED))]
    builder = (
        _certificate(name, issuer.subject, key.public_key(), now, LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    return _issue(builder, key, issuer_key)


def sign_move(authority: Issued, address: str, decided_ms: int) -> Moved:
    """Say, signed by the authority that boxes pin, that the server goes on at `address`."""
    key = serialization.load_pem_private_key(authority.key, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")
    message = move_bytes(hashlib.sha256(authority.der).digest(), address, decided_ms)
    return Moved(address, decided_ms, key.sign(message, ec.ECDSA(hashes.SHA256())))


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _issue(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, issuer_key: ec.EllipticCurvePrivateKey
) -> Issued:
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return Issued(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.encode("idna").decode())
