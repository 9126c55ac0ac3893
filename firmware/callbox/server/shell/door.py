"""The server's own call at its door: whether a connection to the listening socket is taken.

Only what restarting mends counts: nobody listens, or the kernel has a connection that the server never takes. An
address that is not there, because its network is down, comes back by itself.
"""

import asyncio
import ipaddress
import socket

from callbox.base.time import Instant

CONNECT_S = 1.0
Peer = tuple[str, int]


class Door:
    """Calls at the socket that `listening` is bound to, one call at a time."""

    def __init__(self, listening: socket.socket) -> None:
        host, self._port = listening.getsockname()[:2]
        self._family = listening.family
        itself = "::1" if self._family == socket.AF_INET6 else "127.0.0.1"
        self._host = itself if ipaddress.ip_address(host).is_unspecified else host
        self._caller: Peer | None = None
        self.owes_since: Instant | None = None

    async def call(self) -> None:
        """Connect, and hang up; the server owes itself to take that connection. Does nothing while it does."""
        if self._caller is not None:
            return
        loop = asyncio.get_running_loop()
        if self.owes_since is None:
            self.owes_since = loop.time()
        with socket.socket(self._family, socket.SOCK_STREAM) as calling:
            calling.setblocking(False)
            try:
                calling.bind((self._host, 0))
                self._caller = calling.getsockname()[:2]
                await asyncio.wait_for(loop.sock_connect(calling, (self._host, self._port)), CONNECT_S)
            except ConnectionRefusedError:
                self._caller = None
            except OSError:  # and TimeoutError
                self._caller = self.owes_since = None

    def took(self, peer: Peer) -> bool:
        """Say whether a connection that was taken, from `peer`, is the server's own."""
        own = peer == self._caller
        if own:
            self._caller = self.owes_since = None
        return own
