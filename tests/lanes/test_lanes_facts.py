"""The kernel's TCP_INFO read at its documented places; options set on sockets; sizes on the wire."""

import contextlib
import socket
import struct

import pytest
from websockets.frames import Frame, Opcode

from callbox.lanes.facts import TCP_INFO_BYTES, LaneFacts, lane_facts, wire_bytes
from callbox.lanes.sockets import acknowledge, told, tune


def tcp_info(**given: int) -> bytes:
    """Return a struct tcp_info with these fields, at the offsets of linux/tcp.h."""
    offsets = {"unacked": 24, "sacked": 28, "rtt": 68, "rttvar": 72, "notsent": 144, "min_rtt": 148}
    longs = {"bytes_acked": 120, "bytes_sent": 200, "bytes_retrans": 208}
    data = bytearray(TCP_INFO_BYTES)
    for name, value in given.items():
        if name in longs:
            struct.pack_into("=Q", data, longs[name], value)
        else:
            struct.pack_into("=I", data, offsets[name], value)
    return bytes(data)


def test_what_flies_and_what_waits_is_unacknowledged() -> None:
    info = tcp_info(
        unacked=3,
        sacked=1,
        bytes_sent=5000,
        bytes_retrans=500,
        bytes_acked=4000,
        notsent=120,
        rtt=50_000,
        min_rtt=48_000,
    )
    facts = lane_facts(info, 7)
    assert facts == LaneFacts(500 + 120 + 7, 127, True, 0.05, 0.0, 0.048)
    assert facts.queueing_s == pytest.approx(0.002)


def test_the_syn_that_was_acknowledged_is_no_debt() -> None:
    assert lane_facts(tcp_info(bytes_sent=100, bytes_acked=101), 0) == LaneFacts(0)


def test_an_older_kernel_says_nothing() -> None:
    assert lane_facts(tcp_info()[:192], 0) is None
    assert lane_facts(b"", 0) is None


@pytest.mark.parametrize("size", [1, 99, 125, 126, 127, 1000, 4096])
@pytest.mark.parametrize("masked", [True, False])
def test_sizes_on_the_wire_are_those_of_websocket_and_tls(size: int, masked: bool) -> None:
    """TLS 1.3 adds 5 bytes of head, 1 of type and 16 of tag to what WebSocket made of it."""
    assert wire_bytes(size, masked) == len(Frame(Opcode.BINARY, bytes(size)).serialize(mask=masked)) + 22


@pytest.mark.real
def test_a_real_connection_tells_how_it_stands() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far, _ = listening.accept()
    with near, far:
        tune(near, media=True)
        near.sendall(bytes(300))
        assert far.recv(1000) == bytes(300)
        acknowledge(far)
        facts = lane_facts(told(near), 0)
        assert facts is not None
        assert facts.unacked == 0
        assert 0 < facts.least_rtt_s < 1
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        near.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while near.send(bytes(4096)):
                continue
        clogged = lane_facts(told(near), 10)
        assert clogged is not None
        assert clogged.unacked > clogged.unsent > 10
    assert told(near) == b""
    acknowledge(near)


@pytest.mark.real
def test_media_sockets_send_at_once_hold_almost_nothing_and_try_again_soon() -> None:
    with socket.socket() as media, socket.socket() as control, socket.socket(socket.AF_INET6) as six:
        tune(media, media=True)
        tune(control, media=False)
        tune(six, media=True)
        for one in (media, control, six):
            assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert media.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 512
        assert media.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 64 * 1024
        assert media.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == 46
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) >> 2 == 46
        assert control.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0
        assert media.getsockopt(socket.IPPROTO_TCP, 16) == 1  # TCP_THIN_LINEAR_TIMEOUTS
        assert control.getsockopt(socket.IPPROTO_TCP, 16) == 0
