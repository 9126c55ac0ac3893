"""The real link against the real server, over TLS on loopback: join, session, media lane, and a server that dies."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from callbox.base.chance import SystemChance
from callbox.base.errors import CallboxError
from callbox.crypto.identity import Identity
from callbox.link.events import (
    CloseLane,
    LaneUp,
    LinkEffect,
    OpenLane,
    PingLane,
    Replied,
    SendOnLane,
    SessionLost,
    SessionUp,
    TransportEvent,
)
from callbox.link.joining import Joined, Joining
from callbox.link.session import Credentials, Session
from callbox.link.transports import perform
from callbox.link.transports.dialling import parse_address
from callbox.link.transports.websocket import WebSocketTransport, join
from callbox.wire.cards import Invite, parse_invite
from callbox.wire.signals import Devices, FetchDevices

pytestmark = pytest.mark.real
PROGRAM = [sys.executable, "-m", "callbox.server"]


class RunningServer:
    def __init__(self, home: Path) -> None:
        self._home = home
        self.address = "127.0.0.1:0"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [*PROGRAM, "run", "--home", str(self._home), "--listen", self.address]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().split()[-1]

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate(timeout=10)

    def invite(self, name: str) -> Invite:
        command = [*PROGRAM, "invite", name, "--home", str(self._home)]
        return parse_invite(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class Box:
    """A session on real lanes, driven by the loop."""

    def __init__(self, identity: Identity, server: str, joined: Joined) -> None:
        self._loop = asyncio.get_running_loop()
        epochs = count(2)
        credentials = Credentials(identity.account, identity.device, identity.sign_login, lambda: next(epochs))
        self.session = Session(credentials, joined.server_id, SystemChance())
        self._transport = WebSocketTransport(parse_address(server), joined.authority, self._event)
        self._timer: asyncio.TimerHandle | None = None
        self.seen: list[LinkEffect] = []

    def _event(self, event: TransportEvent) -> None:
        self.do(self.session.handle(event, self._loop.time()))

    def _tick(self) -> None:
        self.do(self.session.tick(self._loop.time()))

    def do(self, effects: list[LinkEffect]) -> None:
        for effect in effects:
            self.seen.append(effect)
            if isinstance(effect, OpenLane | SendOnLane | PingLane | CloseLane):
                perform(self._transport, effect)
        if self._timer is not None:
            self._timer.cancel()
        due = self.session.deadline
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    async def until(self, met: Callable[[LinkEffect], bool], limit_s: float = 5.0) -> None:
        start = len(self.seen)
        async with asyncio.timeout(limit_s):
            while not any(met(effect) for effect in self.seen[start:]):
                await asyncio.sleep(0.005)

    def end(self) -> None:
        self.do(self.session.stop(self._loop.time()))
        self._transport.shutdown()


def joining(identity: Identity, invite: Invite, prekeys: int = 3) -> Joining:
    credentials = Credentials(identity.account, identity.device, identity.sign_login, lambda: 1)
    return Joining(invite, identity.record, credentials, identity.new_prekeys(prekeys, True), SystemChance())


async def test_from_invite_to_media_lane_and_through_the_servers_death(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.start()
    try:
        invite = server.invite("kitchen")
        identity = Identity.create("kitchen", SystemChance(), 1_780_000_000_000)
        joined = await join(joining(identity, invite), parse_address(invite.server))
        other = Identity.create("kitchen", SystemChance(), 1_780_000_000_000)
        with pytest.raises(CallboxError, match="used before"):
            await join(joining(other, invite), parse_address(invite.server))
        box = Box(identity, invite.server, joined)
        now = asyncio.get_running_loop().time
        box.do(box.session.want_lanes(1, now()))
        box.do(box.session.start(now()))
        await box.until(lambda effect: isinstance(effect, LaneUp))
        box.do(box.session.request(lambda number: FetchDevices(number, "kitchen"), now())[1])
        await box.until(lambda effect: isinstance(effect, Replied) and isinstance(effect.message, Devices))
        box.do(box.session.in_call(True, now()))
        server.end(signal.SIGKILL)
        await box.until(lambda effect: isinstance(effect, SessionLost))
        server.start()
        await box.until(lambda effect: isinstance(effect, LaneUp), limit_s=4.0)
        assert sum(isinstance(effect, SessionUp) for effect in box.seen) == 2
        box.end()
    finally:
        server.end(signal.SIGKILL)
