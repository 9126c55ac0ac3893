"""What a link does to the plainest senders: UDP, and one TCP connection that waits for nothing. The same frames.

    python -m callbox.testing.lab.floors udp|tcp PLACE ADDRESS PACKET_MS BYTES SECONDS FOLDER

Both send and both listen. Frames lost on their way are never sent again by UDP.
"""

import select
import socket
import sys
import time
from pathlib import Path

from callbox.app import priority
from callbox.testing.lab.frames import STAMP, write_times

PORT = 7000
_CONNECT_S = 10.0
_LINGER_S = 0.7


def _udp(place: int, address: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.bind(("0.0.0.0", PORT))
    opened.connect((address, PORT))
    return opened


def _tcp(place: int, address: str) -> socket.socket:
    if place == 1:
        listening = socket.create_server(("0.0.0.0", PORT))
        opened, _ = listening.accept()
    else:
        give_up = time.monotonic() + _CONNECT_S
        while True:
            try:
                opened = socket.create_connection((address, PORT), _CONNECT_S)
                break
            except OSError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def exchange(opened: socket.socket, packet_s: float, size: int, length_s: float) -> tuple[dict[int, float], ...]:
    """Send a frame every `packet_s`, take what comes; return when each was sent, and when each first arrived."""
    opened.setblocking(False)
    sent: dict[int, float] = {}
    arrived: dict[int, float] = {}
    held, waiting = b"", b""
    number, began = 0, time.monotonic()
    next_at = began
    while (now := time.monotonic()) < began + length_s + _LINGER_S:
        if next_at <= now < began + length_s:
            number += 1
            sent[number] = now
            waiting += STAMP.pack(number, now).ljust(size, b"\1")
            next_at += packet_s
        waiting = _push(opened, waiting)
        until = next_at if now < began + length_s else began + length_s + _LINGER_S
        ready, _, _ = select.select([opened], [opened] if waiting else [], [], max(0.0, until - time.monotonic()))
        if ready:
            held += _pull(opened)
            now = time.monotonic()
            while len(held) >= size:
                arrived.setdefault(STAMP.unpack_from(held)[0], now)
                held = held[size:]
    return sent, arrived


def _push(opened: socket.socket, waiting: bytes) -> bytes:
    try:
        return waiting[opened.send(waiting) :] if waiting else waiting
    except BlockingIOError:
        return waiting
    except OSError:
        return b""


def _pull(opened: socket.socket) -> bytes:
    try:
        return opened.recv(65536)
    except OSError:
        return b""


def run(kind: str, place: int, address: str, packet_ms: int, size: int, length_s: float, folder: Path) -> None:
    """Exchange frames and write down when."""
    priority.hurry(priority.AUDIO)
    opened = (_udp if kind == "udp" else _tcp)(place, address)
    print("ready", flush=True)
    sys.stdin.readline()
    sent, arrived = exchange(opened, packet_ms / 1000, size, length_s)
    write_times(folder / f"{kind}-{place}-sent", sent)
    write_times(folder / f"{kind}-{place}-arrived", arrived)


if __name__ == "__main__":
    _, given_kind, given_place, given_address, given_ms, given_size, given_s, given_folder = sys.argv
    run(
        given_kind,
        int(given_place),
        given_address,
        int(given_ms),
        int(given_size),
        float(given_s),
        Path(given_folder),
    )
