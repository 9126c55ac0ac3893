"""A box's whole way of the voice, to be counted: audio step, lanes, WebSocket and TLS, against a server that echoes.

    Engine.cycle -> Voice -> WebSocketTransport -> TLS over loopback -> another process hands every message back
                                                                       -> Voice -> Engine.cycle

The clock is counted in cycles, and a cycle begins when the one before has come back: no instruction depends on how fast
the machine is, but for how often a loop looks whether something has come.
"""

import asyncio
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from callbox.app.bell import Bell
from callbox.app.voice import Voice
from callbox.audio.engine import Engine
from callbox.base.frames import CYCLE_MS
from callbox.link.events import LaneOpened, TransportEvent
from callbox.link.transports.dialling import Address
from callbox.link.transports.websocket import WebSocketTransport
from callbox.server.authority import make_leaf
from callbox.testing.authority import AUTHORITY, issued

LANE, ROUTE = 1, 7
PATIENCE_S = 60.0


@contextmanager
def echoing() -> Iterator[int]:
    """Run the server; give its port."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()


async def exchange(engine: Engine, port: int, seconds: int) -> None:
    """Run `engine` for so many seconds of its own time; what it sends comes back to it."""
    loop = asyncio.get_running_loop()
    back = asyncio.Event()
    now_s = 0.0

    def report(event: TransportEvent) -> None:
        if voice.took(event) or isinstance(event, LaneOpened):
            back.set()

    def sealed() -> None:
        back.clear()
        bell.ring()

    transport = WebSocketTransport(Address("localhost", port), AUTHORITY, report)
    voice = Voice(engine, transport, lambda: now_s, lambda due, act: loop.call_later(1.0, act).cancel)
    bell = Bell(voice.pump)
    engine.on_outbound = sealed
    transport.open(LANE)
    await asyncio.wait_for(back.wait(), PATIENCE_S)
    voice.lane_up(LANE)
    voice.attach(ROUTE)
    for cycle in range(1000 * seconds // CYCLE_MS):
        now_s = cycle * CYCLE_MS / 1000
        engine.cycle(now_s)
        await back.wait()
    bell.close()
    transport.shutdown()


async def _serve() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for data in connection:
            await connection.send(data)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        leaf = make_leaf(issued(), ["localhost"], datetime.now(UTC))
        (Path(folder) / "leaf.pem").write_bytes(leaf.certificate + leaf.key)
        context.load_cert_chain(Path(folder) / "leaf.pem")
    async with serve(echo, "localhost", 0, ssl=context, compression=None) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(_serve())
