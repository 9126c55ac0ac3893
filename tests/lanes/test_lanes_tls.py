"""TLS over memory, both ends in one test."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from callbox.lanes.tls import TlsPipe
from callbox.server.authority import make_leaf
from callbox.server.shell.tls import server_context
from callbox.testing.authority import issued


@pytest.fixture
def ends(tmp_path: Path) -> tuple[TlsPipe, TlsPipe]:
    leaf = make_leaf(issued(), ["localhost"], datetime.now(UTC))
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(leaf.certificate)
    key.write_bytes(leaf.key)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=issued().der)
    client, server = TlsPipe(trusting, "localhost"), TlsPipe(server_context(certificate, key))
    while not (client.ready and server.ready):
        for one, other in ((client, server), (server, client)):
            if data := one.to_network():
                assert other.receive(data) == (b"", False)
    return client, server


def test_what_is_said_arrives_both_ways(ends: tuple[TlsPipe, TlsPipe]) -> None:
    client, server = ends
    for one, other in ((client, server), (server, client)):
        one.send(b"first ")
        one.send(b"x" * 100_000)  # several records
        assert other.receive(one.to_network()) == (b"first " + b"x" * 100_000, False)


def test_half_a_record_is_nothing_yet(ends: tuple[TlsPipe, TlsPipe]) -> None:
    client, server = ends
    client.send(b"voice")
    record = client.to_network()
    assert [server.receive(record[at : at + 1]) for at in range(len(record))][-2:] == [(b"", False), (b"voice", False)]


def test_a_farewell_in_the_same_breath_is_heard(ends: tuple[TlsPipe, TlsPipe]) -> None:
    client, server = ends
    client.send(b"last words")
    client.end()
    assert server.receive(client.to_network()) == (b"last words", True)


def test_another_name_is_refused(ends: tuple[TlsPipe, TlsPipe], tmp_path: Path) -> None:
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(cadata=issued().der)
    client = TlsPipe(trusting, "elsewhere")
    server = TlsPipe(server_context(tmp_path / "certificate.pem", tmp_path / "key.pem"))
    server.receive(client.to_network())
    with pytest.raises(ssl.SSLCertVerificationError):
        client.receive(server.to_network())


def test_what_is_no_tls_is_a_fault(ends: tuple[TlsPipe, TlsPipe], tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError):
        TlsPipe(server_context(tmp_path / "certificate.pem", tmp_path / "key.pem")).receive(b"GET / HTTP/1.1\r\n\r\n")
