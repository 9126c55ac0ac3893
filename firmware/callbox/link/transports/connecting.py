"""A TCP connection as soon as there can be one: an attempt without an answer is not waited for, the next begins beside.

    addresses --0--> attempt     250 ms --> attempt at the next address     ...     the first that answers is kept
                                            (after the last, the first again)

It does two things at once. An address that does not answer is passed by (RFC 8305). And a lost SYN, which TCP repeats
only after 1, 3 and 7 s, is repeated at once: so a box is back as soon as its network is.
"""

import asyncio
import socket
from typing import Any, TypeAlias

from callbox.link.transports.dialling import Address

AGAIN_S = 0.25
QUICK_ATTEMPTS = 6
LATER_AGAIN_S = 1.0
CALM_AGAIN_S = 0.5  # doubled after every attempt

_Place: TypeAlias = tuple[Any, ...]  # as getaddrinfo tells it


async def connected(server: Address, urgent: bool = True) -> socket.socket:
    """Return a connected socket. Raises OSError when every address has refused; the caller limits the time.

    Not `urgent`: one more beside others that serve. Where the network is only slow, attempts cost those their time.
    """
    loop = asyncio.get_running_loop()
    left = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    under_way: dict[asyncio.Task[socket.socket], _Place] = {}
    refusal: BaseException = OSError("there is no address")
    number = 0
    try:
        while left or under_way:
            if left:
                place = left[number % len(left)]
                under_way[loop.create_task(_attempt(place))] = place
            pause_s = (AGAIN_S if number < QUICK_ATTEMPTS else LATER_AGAIN_S) if urgent else CALM_AGAIN_S * 2**number
            number += 1
            done, _ = await asyncio.wait(
                under_way, timeout=pause_s if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                error = attempt.exception()
                if error is None:
                    del under_way[attempt]
                    return attempt.result()
                refusal, place = error, under_way.pop(attempt)
                left = [other for other in left if other != place]
        raise refusal
    finally:
        for attempt in under_way:
            attempt.cancel()
            attempt.add_done_callback(_close)


async def _attempt(place: _Place) -> socket.socket:
    family, kind, protocol, _, address = place
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened


def _close(attempt: "asyncio.Task[socket.socket]") -> None:
    """Close what answered all the same, a moment after the first."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
