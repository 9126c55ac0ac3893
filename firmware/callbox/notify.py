"""sd_notify: tell systemd how the service is. Box and server use it; without systemd it does nothing."""

import os
import socket


def notify(state: str) -> None:
    """Send one line such as `READY=1`, `STOPPING=1` or `WATCHDOG=1` to NOTIFY_SOCKET, if there is one; sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect("\0" + address[1:] if address.startswith("@") else address)
        sender.sendall(state.encode())


def watchdog_interval_s() -> float | None:
    """Return how often systemd wants to hear `WATCHDOG=1`: half of what it allows. None: no watchdog."""
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed_us) / 2_000_000 if allowed_us.isdigit() and int(allowed_us) else None
