"""sd_notify: tell systemd how the service is. Box and server use it; without systemd it does nothing."""

import asyncio
import logging
import os
import socket
from typing import Protocol

_log = logging.getLogger("callbox")


class Service(Protocol):
    """What feeds its own watchdog: a box's world, a server."""

    def ailment(self) -> str:
        """Return which part hangs, as a sentence; "" while all of them work."""
        ...

    def probe(self) -> None:
        """Give the parts something to do, which they owe until it is done."""
        ...


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


async def feed_watchdog(service: Service) -> None:
    """Tell systemd as often as it wants to hear it, and only while it is true, that the service works."""
    interval_s, told = watchdog_interval_s(), ""
    while interval_s is not None:
        wrong = service.ailment()
        if wrong != told:
            notify(f"STATUS={wrong}")
            _log.log(logging.ERROR if wrong else logging.INFO, wrong or "All parts work again.")
        if not wrong:
            notify("WATCHDOG=1")
        told = wrong
        service.probe()
        await asyncio.sleep(interval_s)
