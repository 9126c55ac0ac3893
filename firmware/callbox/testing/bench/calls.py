"""`python -m callbox.testing.bench.calls`: what a call costs the server, and how long it holds a frame.

    n calls: two sessions each with their lanes, 50 frames/s each way  -->  CPU of the server per call, relay delay

A call here is 100 frames a second, both directions together. All boxes live in one process, which costs more than the
server does; so the calls are few, and the server's CPU is divided by them. A server that is woken for every frame finds
its caches cold and pays more than one that is busy: with `--together` all boxes speak at the same moment, and with
`--haste 4` each as four would. `floor_us` is what an echo costs in the same run.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from callbox.base.chance import SystemChance
from callbox.crypto.identity import Identity
from callbox.lanes.lane import Counters
from callbox.lanes.spread import Spread
from callbox.link.events import (
    CloseLane,
    Incoming,
    LaneReceived,
    LaneUp,
    LinkEffect,
    OpenLane,
    PingLane,
    Replied,
    SendOnLane,
    SessionUp,
    TransportEvent,
)
from callbox.link.joining import Joining
from callbox.link.session import Credentials, Session
from callbox.link.transports import perform
from callbox.link.transports.dialling import parse_address
from callbox.link.transports.websocket import WebSocketTransport, join
from callbox.testing.bench import echoes
from callbox.testing.bench.call import SERVER_TOML
from callbox.testing.bench.processes import memory_mb, ran_s
from callbox.testing.lab.frames import STAMP
from callbox.wire.cards import Invite, parse_invite
from callbox.wire.media import MEDIA_TYPE, unpack_media
from callbox.wire.signals import ClientMessage, Envelope, OpenRoute, Ring, RouteOpened, SetRow

FRAMES_PER_S = 50
FRAME_BYTES = 128
SETTLE_S = 1.0
_SERVER = (sys.executable, "-m", "callbox.server")
_TOML = SERVER_TOML.replace("[calls]\n", "[calls]\nroute_within_s = 600\n") + (
    "\n[connections]\nunproven_on_loopback = 256\n"
)


class Line:
    """One box: a session on real lanes, and the frames that came."""

    def __init__(self, identity: Identity, address: str, authority: bytes, server_id: bytes, lanes: int) -> None:
        self.identity = identity
        self.delays_ms: list[float] = []
        self._loop = asyncio.get_running_loop()
        epochs = count(2)
        credentials = Credentials(identity.account, identity.device, identity.sign_login, lambda: next(epochs))
        self._session = Session(credentials, server_id, SystemChance())
        self._transport = WebSocketTransport(parse_address(address), authority, self._event)
        self._seen: list[LinkEffect] = []
        self._timer: asyncio.TimerHandle | None = None
        self._spread: Spread | None = None
        self._number = 0
        self._do(self._session.want_lanes(lanes, self._loop.time()))
        self._do(self._session.start(self._loop.time()))

    async def until(self, met: Callable[[LinkEffect], bool]) -> LinkEffect:
        """Wait for an effect that has come or will."""
        async with asyncio.timeout(20):
            while True:
                for effect in self._seen:
                    if met(effect):
                        return effect
                await asyncio.sleep(0.005)

    async def ask(self, build: Callable[[int], ClientMessage]) -> Any:
        """Return the answer to a request."""
        number, effects = self._session.request(build, self._loop.time())
        self._do(effects)
        answer = await self.until(lambda effect: isinstance(effect, Replied) and effect.request == number)
        assert isinstance(answer, Replied)
        return answer.message

    async def route(self) -> int:
        """Return the number of the route, once it is complete."""

        def complete(effect: LinkEffect) -> bool:
            told = effect.message if isinstance(effect, Incoming | Replied) else None
            return isinstance(told, RouteOpened) and told.complete

        found = await self.until(complete)
        assert isinstance(found, Incoming | Replied)
        assert isinstance(found.message, RouteOpened)
        return found.message.route

    def speak(self, route: int) -> None:
        """Send one frame with the time in it."""
        now, self._number = self._loop.time(), self._number + 1
        if self._spread is None:
            self._spread = Spread(route)
            self._spread.set_lanes(self._session.media_lanes)
        frame = STAMP.pack(self._number, time.monotonic()).ljust(FRAME_BYTES - 16, b"\1") + self._tail()
        for lane in self._spread.look_at(now):
            self._spread.note(lane, self._transport.facts(lane), now)
        for lane, message in self._spread.send([(now, frame)], self._free, now):
            self._transport.send(lane, message)

    @property
    def sent_again(self) -> int:
        """Frames of this box that went twice."""
        counters = self._spread.counters if self._spread is not None else Counters()
        return counters.again + counters.repeated

    def end(self) -> None:
        self._do(self._session.stop(self._loop.time()))
        self._transport.shutdown()

    def _free(self, lane: int) -> bool:
        return not self._transport.queued_bytes(lane)

    def _tail(self) -> bytes:
        return bytes.fromhex(self.identity.device) + self._number.to_bytes(8, "big")

    def _event(self, event: TransportEvent) -> None:
        if isinstance(event, LaneReceived) and event.data[0] == MEDIA_TYPE:
            now = time.monotonic()
            self.delays_ms += [1000 * (now - STAMP.unpack_from(frame)[1]) for frame in unpack_media(event.data)[1]]
            return
        self._do(self._session.handle(event, self._loop.time()))

    def _do(self, effects: list[LinkEffect]) -> None:
        for effect in effects:
            self._seen.append(effect)
            if isinstance(effect, OpenLane | SendOnLane | PingLane | CloseLane):
                perform(self._transport, effect)
        if self._timer is not None:
            self._timer.cancel()
        due = self._session.deadline
        self._timer = None if due is None else self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._do(self._session.tick(self._loop.time()))


async def _enrolled(name: str, invite: Invite, lanes: int) -> Line:
    chance = SystemChance()
    identity = Identity.create(name, chance, time.time_ns() // 1_000_000)
    credentials = Credentials(identity.account, identity.device, identity.sign_login, lambda: 1)
    joining = Joining(invite, identity.record, credentials, identity.new_prekeys(1, True), chance)
    joined = await join(joining, parse_address(invite.server))
    line = Line(identity, invite.server, joined.authority, joined.server_id, lanes)
    await line.until(lambda effect: isinstance(effect, LaneUp if lanes else SessionUp))
    return line


async def _call(number: int, invite: Callable[[str], Invite], lanes: int) -> tuple[int, Line, Line]:
    """Bring two boxes into a call; return its route and them."""
    chance = SystemChance()
    names = f"caller{number}", f"callee{number}"
    caller, callee = [await _enrolled(name, invite(name), lanes) for name in names]
    await callee.ask(lambda request: SetRow(request, names[0], "ring"))
    call_id, token, one, other = chance.token(16), chance.token(16), caller.identity, callee.identity
    letter = Envelope("call", chance.token(16), names[0], one.device, names[1], other.device, 60, 1, bytes(256))
    await caller.ask(lambda request: Ring(request, call_id, names[1], (letter,)))
    await caller.ask(lambda request: OpenRoute(request, token, call_id, names[1], other.device))
    await callee.ask(lambda request: OpenRoute(request, token, call_id, names[0], one.device))
    return await caller.route(), caller, callee


async def measure(
    address: str,
    pid: int,
    invite: Callable[[str], Invite],
    calls: int,
    lanes: int,
    length_s: float,
    haste: float,
    together: bool,
) -> dict[str, float]:
    """Hold `calls` calls for `length_s`; return what they cost."""
    held = [await _call(0, invite, lanes)]
    empty_mb = memory_mb(pid)[0]
    held += [await _call(number, invite, lanes) for number in range(1, calls)]
    idle_kb = 1000 * (memory_mb(pid)[0] - empty_mb) / max(1, 2 * (calls - 1) * (1 + lanes))
    lines = [(route, line) for route, *pair in held for line in pair]
    loop, pause_s = asyncio.get_running_loop(), 1 / FRAMES_PER_S / haste / len(lines)
    begins = loop.time() + SETTLE_S
    before, due, turn = 0.0, loop.time(), 0
    while loop.time() < begins + length_s:
        if not before and loop.time() >= begins:
            before = ran_s(pid)
            for _, line in lines:
                line.delays_ms.clear()
        for _ in lines:  # evenly over time, as the microphones of strangers would
            if due > loop.time() and not (together and turn % len(lines)):
                break
            route, line = lines[turn % len(lines)]
            line.speak(route)
            due, turn = due + pause_s, turn + 1
        await asyncio.sleep(max(0.0005, due - loop.time()))
    spent = ran_s(pid) - before
    behind_s = max(0.0, loop.time() - due)
    delays = [delay for _, line in lines for delay in line.delays_ms]
    for _, line in lines:
        line.end()
    return {
        "calls": calls,
        "calls_per_core": len(delays) / 2 / FRAMES_PER_S / spent,
        "frame_us": 1e6 * spent / len(delays),
        "frames": len(delays),
        "expected": calls * 2 * FRAMES_PER_S * length_s * haste,
        "boxes_behind_s": behind_s,
        "again": sum(line.sent_again for _, line in lines),
        "relay_p50_ms": float(np.percentile(delays, 50)),
        "relay_p99_ms": float(np.percentile(delays, 99)),
        "idle_connection_kb": idle_kb,
        "server_pss_mb": memory_mb(pid)[0],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m callbox.testing.bench.calls", description=main.__doc__)
    parser.add_argument("--calls", type=int, default=12)
    parser.add_argument("--lanes", type=int, default=6, help="media lanes of each box (6)")
    parser.add_argument("--haste", type=float, default=1.0, help="times the pace of a call (1); up to 9")
    parser.add_argument("--together", action="store_true", help="all boxes speak at the same moment, not in turn")
    parser.add_argument("--seconds", type=float, default=15.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="callbox-calls-") as folder:
        home = Path(folder) / "server"
        home.mkdir(mode=0o700)
        (home / "server.toml").write_text(_TOML, encoding="utf-8")
        command = [*_SERVER, "run", "--home", str(home), "--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().split()[-1]

            def invite(name: str) -> Invite:
                made = [*_SERVER, "invite", name, "--home", str(home)]
                return parse_invite(subprocess.run(made, capture_output=True, text=True, check=True).stdout)

            try:
                options = (chosen.calls, chosen.lanes, chosen.seconds, chosen.haste, chosen.together)
                told = asyncio.run(measure(address, server.pid, invite, *options))
                told["floor_us"] = echoes.us_per_frame(home)
            finally:
                server.terminate()
    print(json.dumps({name: round(value, 4) for name, value in told.items()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
