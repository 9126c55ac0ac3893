"""The floor below a relayed frame: the server's own sockets, TLS and frames, with nothing between in and out.

    measure: clients, in turns of a frame each --TLS--> Echo: Pipe --> whole message --> Pipe, in a process of its own

What the server's decisions cost is the difference to it (`callbox.testing.bench.calls`).
"""

import asyncio
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from callbox.lanes.messages import Incoming, framed
from callbox.server.shell.home import Home
from callbox.server.shell.pipe import Pipe
from callbox.server.shell.tls import server_context
from callbox.testing.bench.processes import ran_s

CLIENTS = 24
TURNS = 200
REPEATED = 5
MESSAGE_BYTES = 150
_MASK = b"\x17\x2a\x80\x05"


class Echo:
    """A reader that sends back what it hears."""

    def __init__(self) -> None:
        self._incoming = Incoming(MESSAGE_BYTES, masked=True)

    def connected(self, pipe: Pipe, peer: tuple[str, int]) -> None:
        self._pipe = pipe
        pipe.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def came(self, plain: bytes) -> None:
        for _, message in self._incoming.take(plain):
            self._pipe.send(framed(message))

    def ended(self) -> None:
        self._pipe.abort()

    def clogged(self) -> None: ...

    def flowing(self) -> None: ...

    def gone(self) -> None: ...


def us_per_frame(home: Path) -> float:
    """Return the processor time of one echoed frame, the best of several runs; `home` is a folder for its keys."""
    command = [sys.executable, "-m", "callbox.testing.bench.echoes", str(home)]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    message = framed(bytes(MESSAGE_BYTES), _MASK)
    with ExitStack() as stack:
        server = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(server.kill)
        assert server.stdout is not None
        port = int(server.stdout.readline())
        clients = []
        for _ in range(CLIENTS):
            plain = socket.create_connection(("127.0.0.1", port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clients.append(stack.enter_context(context.wrap_socket(plain)))
        runs = []
        for _ in range(REPEATED):
            before = ran_s(server.pid)
            for _ in range(TURNS):
                for client in clients:
                    client.sendall(message)
                for client in clients:
                    client.recv(2 * MESSAGE_BYTES)
            runs.append((ran_s(server.pid) - before) / (TURNS * CLIENTS))
    return 1e6 * min(runs)


async def serve(home: Home) -> None:
    """Echo until the process is ended."""
    home.prepare()
    home.issue_leaf(["127.0.0.1"])
    context = server_context(home.leaf_certificate, home.leaf_key)
    server = await asyncio.get_running_loop().create_server(lambda: Pipe(context, Echo()), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(Home(Path(sys.argv[1]))))
