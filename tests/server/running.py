"""A server as a process of its own, and boxes that speak to it over the real WebSocket in real TLS."""

import ssl
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from websockets.sync.client import ClientConnection, connect

from callbox.wire.cards import parse_invite
from callbox.wire.codec import decode_server_message, encode_message
from callbox.wire.media import MEDIA_TYPE
from callbox.wire.signals import AskAuthority, Authority, Challenge, ClientMessage, Enrolled, ServerMessage, Welcome
from server.people import Box

Kind = TypeVar("Kind")
ANSWER_S = 10.0


def command(*words: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run `callbox server ...` to its end."""
    line = [sys.executable, "-m", "callbox.server", *words, "--home", str(home)]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


class RunningServer:
    """`callbox server run` on a free port."""

    def __init__(self, home: Path, listen: str = "127.0.0.1:0") -> None:
        line = [sys.executable, "-m", "callbox.server", "run", "--home", str(home), "--listen", listen]
        self.home = home
        self._errors = (home.parent / f"{home.name}.stderr").open("a+")
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()
        assert self.ready_line.startswith("callbox server: ready on "), self.ready_line
        self.port = int(self.ready_line.rsplit(":", 1)[1])

    def kill(self) -> None:
        """SIGKILL, as a power cut does it."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """SIGTERM, as systemd does it; return the exit code."""
        self.process.terminate()
        code = self.process.wait(timeout=20)
        self._close()
        return code

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._errors.seek(0)
        complaints = self._errors.read()
        self._errors.close()
        assert not complaints, complaints

    def memory_bytes(self) -> int:
        """Return the resident memory of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * 4096

    def invite(self, name: str) -> str:
        done = command("invite", name, home=self.home)
        assert done.returncode == 0, done.stderr
        (line,) = done.stdout.splitlines()
        return line

    def enrol(self, box: Box) -> None:
        with BoxOnTheLine(self, box) as line:
            line.say(box.enrol(parse_invite(self.invite(box.name)).token))
            line.hear(Enrolled)


class BoxOnTheLine:
    """One connection of a box."""

    def __init__(self, server: RunningServer, box: Box, context: ssl.SSLContext | None = None) -> None:
        self.box = box
        self.media: list[bytes] = []
        self._stack = ExitStack()
        address = f"wss://127.0.0.1:{server.port}"
        opening = connect(address, ssl=context or unproven(), compression=None, ping_interval=None, close_timeout=1)
        self.socket: ClientConnection = self._stack.enter_context(opening)
        self.requests = 0
        self.challenge = self.hear(Challenge)

    def __enter__(self) -> "BoxOnTheLine":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def login(self, epoch: int) -> Welcome:
        self.say(self.box.login(self.challenge, epoch))
        return self.hear(Welcome)

    def say(self, message: ClientMessage) -> None:
        self.socket.send(encode_message(message))

    def next(self, timeout_s: float = ANSWER_S) -> ServerMessage:
        """Return the next control message; media is put aside."""
        while True:
            data = self.socket.recv(timeout=timeout_s)
            assert isinstance(data, bytes)
            if data[0] != MEDIA_TYPE:
                return decode_server_message(data)
            self.media.append(data)

    def hear(self, kind: type[Kind], timeout_s: float = ANSWER_S) -> Kind:
        """Return the next message of a kind; others are passed over."""
        while True:
            message = self.next(timeout_s)
            if isinstance(message, kind):
                return message

    def ask(self, build: Callable[[int], ClientMessage]) -> ServerMessage:
        self.requests += 1
        self.say(build(self.requests))
        while True:
            message = self.next()
            if getattr(message, "request", None) == self.requests:
                return message


def unproven() -> ssl.SSLContext:
    """Return a context that takes any certificate, as a box before it knows the authority."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def authority_of(server: RunningServer) -> bytes:
    with BoxOnTheLine(server, Box("nobody")) as line:
        line.say(AskAuthority())
        return line.hear(Authority).certificate
