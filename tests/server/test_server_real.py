"""The server as a process: its commands, its TLS, its shell under clients that misbehave."""

import hashlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from callbox.wire.cards import parse_invite
from callbox.wire.codec import encode_message
from callbox.wire.signals import Accepted, Deliver, OpenRoute, Refused, RouteOpened, SetRow
from server.people import Box, digest
from server.room import call_id, media, ring_of, route_of, submit_of
from server.running import BoxOnTheLine, RunningServer, authority_of, command, unproven

pytestmark = pytest.mark.real
KITCHEN, WORKSHOP = Box("kitchen"), Box("workshop")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with two accounts; workshop may ring kitchen."""
    home = tmp_path_factory.mktemp("server")
    (home / "server.toml").write_text("[connections]\nblocked_s = 2.0\nunproven_on_loopback = 8\n")
    running = RunningServer(home)
    for box in (KITCHEN, WORKSHOP):
        running.enrol(box)
    with BoxOnTheLine(running, KITCHEN) as kitchen:
        kitchen.login(1)
        kitchen.ask(lambda request: SetRow(request, "workshop", "ring"))
    yield running
    assert running.stop() == 0


_epochs = iter(range(2, 1000))


def logged_in(server: RunningServer, box: Box) -> BoxOnTheLine:
    line = BoxOnTheLine(server, box)
    line.login(next(_epochs))
    return line


# --- commands ---


def test_ready_is_one_line_with_the_address(server: RunningServer) -> None:
    assert server.ready_line == f"callbox server: ready on 127.0.0.1:{server.port}\n"


def test_an_invite_is_one_line_that_tells_where_and_pins_the_authority(server: RunningServer) -> None:
    invite = parse_invite(server.invite("Cellar"))
    assert (invite.server, invite.name) == (f"127.0.0.1:{server.port}", "cellar")
    assert invite.authority_pin == hashlib.sha256(authority_of(server)).hexdigest()


def test_users_lists_accounts_and_open_invites(server: RunningServer) -> None:
    server.invite("attic")
    done = command("users", "--json", home=server.home)
    told = json.loads(done.stdout)
    assert [account["name"] for account in told["accounts"]] == ["kitchen", "workshop"]
    assert "attic" in [invite["name"] for invite in told["invites"]]
    assert "kitchen: since" in command("users", home=server.home).stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("invite", "kitchen"), 1, "kitchen is here already"),
        (("invite", "two words"), 2, "cannot be part of a name"),
        (("run", "--listen", "here"), 2, "'here' is not an address"),
        (("run", "--listen", "127.0.0.1:0"), 1, "A server is running"),
        (("run", "--listen", "192.0.2.1:8443"), 1, "cannot listen on 192.0.2.1:8443"),
    ],
)
def test_what_goes_wrong_is_a_sentence(server: RunningServer, words: tuple[str, ...], code: int, sentence: str) -> None:
    done = command(*words, home=server.home)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_a_sentence(server: RunningServer, tmp_path: Path) -> None:
    done = command("run", "--listen", f"127.0.0.1:{server.port}", home=tmp_path)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr
    assert "--listen" in done.stderr


def test_wrong_settings_are_told_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "server.toml").write_text("[calls]\nbursts = 3\nper_hour = 0\n")
    done = command("run", "--listen", "127.0.0.1:0", home=tmp_path)
    assert done.returncode == 2
    assert "server.toml:2" in done.stderr
    assert "Did you mean `burst`?" in done.stderr
    assert "server.toml:3" in done.stderr


def test_a_damaged_store_is_a_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    store = tmp_path / "server.sqlite"
    store.write_bytes(b"SQLite format 3\0" + b"\x07" * 9000)
    before = store.read_bytes()
    done = command("run", "--listen", "127.0.0.1:0", home=tmp_path)
    assert (done.returncode, "is damaged" in done.stderr, "Traceback" in done.stderr) == (1, True, False)
    assert store.read_bytes() == before


def test_an_invite_waits_for_a_server_that_was_started_just_before(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "callbox.server", "invite", "kitchen", "--home", str(tmp_path)]
    inviting = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    running = RunningServer(tmp_path)
    told, _ = inviting.communicate(timeout=20)
    assert parse_invite(told).server == f"127.0.0.1:{running.port}"
    assert running.stop() == 0


def test_an_invite_may_be_made_before_the_first_start(tmp_path: Path) -> None:
    done = command("invite", "kitchen", "--public", "chat.example.org:8443", home=tmp_path)
    invite = parse_invite(done.stdout)
    assert invite.server == "chat.example.org:8443"
    running = RunningServer(tmp_path)
    assert hashlib.sha256(authority_of(running)).hexdigest() == invite.authority_pin
    running.stop()


# --- TLS ---


def test_the_certificate_proves_itself_by_the_authority_of_the_invite(server: RunningServer) -> None:
    pem = ssl.DER_cert_to_PEM_cert(authority_of(server))
    for name in ("127.0.0.1", "localhost"):
        context = ssl.create_default_context(cadata=pem)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection(("127.0.0.1", server.port)) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            assert tls.version() == "TLSv1.3"


def test_a_lane_that_is_closed_before_it_opened_is_no_failure(server: RunningServer) -> None:
    """A box that stops while it opens lanes: request and farewell lie together when the server reads."""
    request = (
        "GET / HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        unproven().wrap_socket(plain, do_handshake_on_connect=True) as tls,
    ):
        server.process.send_signal(signal.SIGSTOP)
        try:
            tls.send(request.encode())
            tls.settimeout(0.1)
            with suppress(OSError):  # the server's own farewell is not waited for
                tls.unwrap()
        finally:
            server.process.send_signal(signal.SIGCONT)
        tls.settimeout(5.0)
        with suppress(OSError):
            while tls.recv(4096):  # until the server has closed
                pass
    logged_in(server, KITCHEN).__exit__()


def test_an_older_tls_is_refused(server: RunningServer) -> None:
    context = unproven()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", server.port)) as plain, pytest.raises(OSError, match=r"."):
        context.wrap_socket(plain)


# --- the shell ---


def test_a_letter_goes_through(server: RunningServer) -> None:
    with logged_in(server, KITCHEN) as kitchen, logged_in(server, WORKSHOP) as workshop:
        assert isinstance(workshop.ask(submit_of(WORKSHOP, KITCHEN, 1, size=64 * 1024)), Accepted)
        assert kitchen.hear(Deliver).envelope == WORKSHOP.to(KITCHEN, 1, size=64 * 1024)


def test_a_message_in_fragments_is_one_message(server: RunningServer) -> None:
    with logged_in(server, KITCHEN) as kitchen:
        data = encode_message(SetRow(1, "cellar", "knock"))
        kitchen.socket.send([data[:3], data[3:9], data[9:]])
        assert kitchen.hear(Accepted) == Accepted(1)


def test_malformed_bytes_are_told_and_the_others_go_on(server: RunningServer) -> None:
    with logged_in(server, KITCHEN) as kitchen, logged_in(server, WORKSHOP) as workshop:
        workshop.socket.send(b"\x01 nonsense")
        assert workshop.hear(Refused).why == "malformed"
        with pytest.raises(ConnectionClosed):
            workshop.next()
        assert isinstance(kitchen.ask(lambda request: SetRow(request, "cellar", "ring")), Accepted)


def test_a_message_beyond_the_size_limit_ends_the_connection(server: RunningServer) -> None:
    with logged_in(server, KITCHEN) as kitchen:
        kitchen.socket.send(bytes(100_000))
        with pytest.raises(ConnectionClosed):
            kitchen.hear(Refused)


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", bytes(4000)])
def test_what_is_not_tls_is_dropped(server: RunningServer, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
        plain.sendall(data)
        plain.settimeout(10)
        try:
            while plain.recv(4096):
                pass
        except ConnectionResetError:
            pass
    with logged_in(server, KITCHEN):
        pass


def test_what_is_not_a_websocket_gets_an_http_answer(server: RunningServer) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain,
        unproven().wrap_socket(plain) as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert tls.recv(4096).startswith(b"HTTP/1.1 426 ")


def test_too_many_unproven_connections_are_dropped_before_tls(server: RunningServer) -> None:
    waiting = [socket.create_connection(("127.0.0.1", server.port), timeout=10) for _ in range(8)]
    try:
        with pytest.raises((OSError, InvalidHandshake, EOFError)):
            connect(f"wss://127.0.0.1:{server.port}", ssl=unproven()).close()
    finally:
        for plain in waiting:
            plain.close()
    with logged_in(server, KITCHEN):
        pass


def routed(server: RunningServer, kitchen: BoxOnTheLine, workshop: BoxOnTheLine, call: int) -> int:
    """Ring, and open the route from both sides; return its number."""
    assert isinstance(workshop.ask(ring_of(WORKSHOP, [KITCHEN], call)), Accepted)
    workshop.ask(route_of(KITCHEN, call))
    kitchen.say(OpenRoute(99, digest("token", 1, size=16), call_id(call), "workshop", WORKSHOP.device))
    return kitchen.hear(RouteOpened).route


def test_media_goes_through_and_a_peer_that_stops_reading_is_cut_off(server: RunningServer) -> None:
    with logged_in(server, KITCHEN) as kitchen, logged_in(server, WORKSHOP) as workshop:
        kitchen.socket.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        route = routed(server, kitchen, workshop, 1)
        workshop.socket.send(media(route))
        with pytest.raises(TimeoutError):
            kitchen.next(0.5)
        assert kitchen.media == [media(route)]

        # Nobody takes from the client's queue now: it fills, and the client stops reading its socket.
        before, began = server.memory_bytes(), time.monotonic()
        number = 0
        while _established(kitchen):
            number += 1
            workshop.socket.send(media(route, number, size=1200))
            assert time.monotonic() - began < 15, "the stalled peer was never cut off"
        assert time.monotonic() - began > 1, "the peer was cut off before its time"
        assert server.memory_bytes() - before < 4 * 1024 * 1024
        with logged_in(server, KITCHEN):  # the server is well, and kitchen may come again
            pass


def _established(line: BoxOnTheLine) -> bool:
    """Return whether the kernel still holds this connection for open."""
    return line.socket.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == 1


def test_a_stop_is_told_and_clean(tmp_path: Path) -> None:
    running = RunningServer(tmp_path)
    running.enrol(KITCHEN)
    with BoxOnTheLine(running, KITCHEN) as kitchen:
        kitchen.login(1)
        running.process.send_signal(signal.SIGTERM)
        assert kitchen.hear(Refused).why == "stopping"
    assert running.stop() == 0
