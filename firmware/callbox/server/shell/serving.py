"""The running server: listens, feeds the core, performs its effects.

One asyncio loop for everything but the store, which has a thread of its own. The core is never entered twice: what an
effect causes (a lost connection, an outcome of the store) comes back through the loop.
"""

import asyncio
import gc
import ipaddress
import logging
import os
import signal
import socket
from collections.abc import Callable
from itertools import count

from callbox.base.chance import SystemChance
from callbox.base.errors import CallboxError, WrongUse
from callbox.base.time import Instant
from callbox.notify import feed_watchdog, notify
from callbox.server.authority import sign
from callbox.server.core import Server
from callbox.server.events import (
    Audit,
    CloseConnection,
    Closed,
    MoveDecided,
    Opened,
    Received,
    SendMedia,
    SendTo,
    ServerEffect,
    ServerEvent,
    Stopping,
)
from callbox.server.health import Vitals, ailment
from callbox.server.settings import ServerSettings
from callbox.server.shell.audit import AuditLog
from callbox.server.shell.connection import SEND_BUFFER_BYTES, Connection
from callbox.server.shell.door import Door
from callbox.server.shell.home import Home, wall_ms
from callbox.server.shell.pipe import Pipe
from callbox.server.shell.store_thread import StoreThread
from callbox.server.shell.tls import server_context
from callbox.server.shell.voices import Voices
from callbox.server.stores.sql import SqlStore
from callbox.server.stores.sql_migrations import forget_copies
from callbox.wire.errors import MalformedMessage
from callbox.wire.media import MEDIA_TYPE

SWEEP_S = 1.0
RENEW_MS = 30 * 86_400_000
SET_BACK_MS = 86_400_000  # a certificate is valid from two days before it was made
PROVEN_S = 600.0  # having served for so long, a newer server has proved good
RENEW_AGAIN_S = 3600.0
BACKLOG = 256
_log = logging.getLogger("callbox.server")


class Serving:
    """One server on its loop."""

    def __init__(self, home: Home, settings: ServerSettings, hosts: list[str]) -> None:
        self.settings = settings
        self._home = home
        self._hosts = hosts
        self._certified_ms, self._renew_not_before = wall_ms(), 0.0
        home.issue_leaf(hosts)
        self.context = server_context(home.leaf_certificate, home.leaf_key)
        self._loop = asyncio.get_running_loop()
        self._store = SqlStore(home.store_file, may_migrate=True)
        snapshot = self._store.open()
        issued, now = home.authority(), self.now()
        self._core = Server(
            settings, SystemChance(), snapshot, issued.der, now, home.moved(), lambda data: sign(issued, data)
        )
        self._store_thread = StoreThread(self._store, AuditLog(home.audit_file), self._outcomes, self._store_crashed)
        self._store_thread.start()
        self._connections: dict[int, Connection] = {}
        self._voices = Voices(self._connections)
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: Instant | None = None
        self._server: asyncio.Server | None = None
        self._door: Door | None = None
        self._calling: asyncio.Task[None] | None = None
        self._sweep_due = self.now()
        self._stopped = asyncio.Event()
        self._moved = home.moved()
        self.failure: CallboxError | None = None

    def now(self) -> Instant:
        return self._loop.time()

    # --- life ---

    async def listen(self, listening: socket.socket) -> None:
        def taken() -> Pipe:
            return Pipe(self.context, Connection(next(self._numbers), self))

        self._server = await self._loop.create_server(taken, sock=listening, backlog=BACKLOG)
        self._door = Door(listening)
        self._sweep()
        self._loop.call_later(PROVEN_S, forget_copies, self._home.store_file)
        self._set_timer()

    def ask_to_stop(self) -> None:
        self._stopped.set()

    async def run_until_stopped(self) -> None:
        """Serve until asked to stop; then tell everybody and finish what the store has to do."""
        await self._stopped.wait()
        if self._server is not None:
            self._server.close()
        self._handle(Stopping())
        for _ in range(40):  # the farewells leave within a moment, or the peers do without
            if not self._connections:
                break
            await asyncio.sleep(0.025)
        for connection in list(self._connections.values()):
            connection.abort()
        if self._timer is not None:
            self._timer.cancel()
        await self._loop.run_in_executor(None, self._store_thread.stop)
        self._store.close()

    # --- what connections report ---

    def opened(self, connection: Connection) -> None:
        self._connections[connection.number] = connection
        self._handle(Opened(connection.number, connection.address))

    def received(self, connection: Connection, data: bytes) -> None:
        if data and data[0] == MEDIA_TYPE:
            try:
                onward = self._core.relay(connection.number, data)
            except MalformedMessage:
                self._handle(Received(connection.number, data))
                return
            if onward is not None:
                self._voices.pass_on(onward, connection)
            return
        self._handle(Received(connection.number, data))

    def is_own(self, peer: tuple[str, int]) -> bool:
        return self._door is not None and self._door.took(peer)

    def closed(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None) is not None:
            self._handle(Closed(connection.number))

    # --- health ---

    @property
    def vitals(self) -> Vitals:
        """Since when each part of the server owes something."""
        return Vitals(
            loop_owes_since=self._sweep_due,
            store_owes_since=self._store_thread.owes_since,
            door_owes_since=self._door.owes_since if self._door is not None else None,
        )

    def ailment(self) -> str:
        """Return which part hangs, as a sentence; "" while all of them work."""
        return ailment(self.vitals, self.now())

    def probe(self) -> None:
        """Call at the own door."""
        if self._door is not None:
            self._calling = self._loop.create_task(self._door.call())

    # --- the core ---

    def _handle(self, event: ServerEvent) -> None:
        self._perform(self._core.handle(event, self.now(), wall_ms()))
        self._set_timer()

    def _outcomes(self, events: list[ServerEvent]) -> None:
        for event in events:
            self._handle(event)

    def _perform(self, effects: list[ServerEffect]) -> None:
        for effect in effects:
            match effect:
                case SendTo(number, data):
                    if (connection := self._connections.get(number)) is not None:
                        connection.send(data)
                case SendMedia(number, data):
                    if (connection := self._connections.get(number)) is not None:
                        connection.send_media(data)
                case CloseConnection(number):
                    if (connection := self._connections.get(number)) is not None:
                        connection.close()
                case Audit():
                    self._store_thread.put(effect)
                case _:
                    self._store_thread.put(effect)

    def _set_timer(self) -> None:
        due = self._core.deadline
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer_due = None
        self._perform(self._core.tick(self.now(), wall_ms()))
        self._set_timer()

    # --- upkeep ---

    def _sweep(self) -> None:
        """Ping the silent, drop the dead and the stuck; renew the certificate now and then."""
        now = self.now()
        self._renew(now)
        self._sweep_due = now + SWEEP_S
        self._loop.call_at(self._sweep_due, self._sweep)
        self._look_for_move()
        bounds = self.settings.connections
        for connection in list(self._connections.values()):
            silent_s = now - connection.heard_at
            stuck = connection.media.stuck_for(now) >= bounds.blocked_s - SWEEP_S
            if stuck or silent_s >= 2.5 * bounds.ping_s:
                connection.abort()
            elif silent_s >= bounds.ping_s and now - connection.pinged_at >= bounds.ping_s:
                connection.ping(now)

    def _renew(self, now: Instant) -> None:
        """Renew the certificate when it has aged, or when the clock was set: a Pi without a battery begins in 1970."""
        wall = wall_ms()
        if -SET_BACK_MS < wall - self._certified_ms < RENEW_MS or now < self._renew_not_before:
            return
        try:
            self._home.issue_leaf(self._hosts)
            self.context.load_cert_chain(self._home.leaf_certificate, self._home.leaf_key)
        except (OSError, CallboxError) as error:  # a full disk
            _log.warning("The certificate could not be renewed: %s", error)
            self._renew_not_before = now + RENEW_AGAIN_S
            return
        self._certified_ms = wall

    def _look_for_move(self) -> None:
        """`callbox server move` is another process: its word lies in the folder."""
        moved = self._home.moved()
        if moved != self._moved:
            self._moved = moved
            self._handle(MoveDecided(moved))

    def _store_crashed(self) -> None:
        self.failure = CallboxError("The thread of the server's store has died.", "Please report this as a bug.")
        self.ask_to_stop()


async def serve(
    home: Home,
    listen: str | None = None,
    public: str | None = None,
    ready: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve until SIGTERM or SIGINT. `ready` is called with HOST:PORT once boxes can connect. Raises CallboxError."""
    os.umask(0o077)
    home.prepare()
    settings = home.settings()
    host, port = split_address(listen or settings.server.listen)
    listening = _listening_socket(host, port)
    port = listening.getsockname()[1]
    public = public or settings.server.public or f"{_shown(host)}:{port}"
    home.claim()
    serving = Serving(home, settings, [split_address(public)[0], *_named(host)])
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, serving.ask_to_stop)
    await serving.listen(listening)
    home.write_address(public)
    gc.freeze()
    ready(f"{_shown(host)}:{port}")
    notify("READY=1")
    watchdog = loop.create_task(feed_watchdog(serving))
    try:
        await serving.run_until_stopped()
    finally:
        watchdog.cancel()
        notify("STOPPING=1")
        home.release()
    if serving.failure is not None:
        raise serving.failure


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT or [HOST]:PORT. Raises WrongUse."""
    host, colon, port = address.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise WrongUse(f"'{address}' is not an address.", "Write HOST:PORT, such as 0.0.0.0:8443 or [::]:8443.")
    return bare, int(port)


def _listening_socket(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # accepted ones inherit it
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, port))
        listening.setblocking(False)
    except OSError as error:
        taken = "Another program listens there. Stop it, or choose another port with --listen."
        cure = taken if error.errno == 98 else "Choose another address with --listen."
        raise CallboxError(f"The server cannot listen on {_shown(host)}:{port}: {error.strerror}.", cure) from None
    return listening


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _named(host: str) -> list[str]:
    """Return the listening address as a name for the certificate, unless it stands for every address."""
    try:
        return [] if ipaddress.ip_address(host).is_unspecified else [host]
    except ValueError:
        return [host]
