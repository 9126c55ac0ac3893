"""The command line's side of the control socket: ask a running box and read its replies."""

import json
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

from callbox.app.home import Home
from callbox.base.errors import CallboxError

PATIENCE_S = 10.0
LONGEST_ASK_S = 120.0
RETRY_S = 0.05
TELL_AFTER_S = 1.5  # a person at a terminal wants to know why nothing happens


class NotRunning(CallboxError):
    """No box runs in a folder."""

    def __init__(self, home: Home) -> None:
        if home.holds_box:
            super().__init__(f"No box runs in {home.folder}.", f"Start it: callbox run --home {home.folder}")
        else:
            super().__init__(f"There is no box in {home.folder}.", 'Make one: callbox join "INVITE"')


def ask(home: Home, what: str, patience_s: float = PATIENCE_S, **words: Any) -> Iterator[dict[str, Any]]:
    """Yield the replies to one ask, the last one included. Waits up to `patience_s` for the box to be there."""
    connection = _connect(home, patience_s)
    with connection, connection.makefile("rwb") as stream:
        connection.settimeout(None if what == "watch" else LONGEST_ASK_S)
        try:
            stream.write(json.dumps({"ask": what, **words}).encode() + b"\n")
            stream.flush()
            for line in stream:
                reply: dict[str, Any] = json.loads(line)
                done = reply.pop("done", True)
                yield reply
                if done:
                    return
        except TimeoutError:
            raise CallboxError("The box did not answer in time.", "`callbox status` says what it is doing.") from None
        except ConnectionError:
            pass  # it was killed meanwhile, which reads like an early end
    raise CallboxError("The box stopped before it answered.", "Its log says why.")


def ask_once(home: Home, what: str, patience_s: float = PATIENCE_S, **words: Any) -> dict[str, Any]:
    """Ask, skip the progress, and return the last reply. Raises CallboxError if the box says that it failed."""
    *_, reply = ask(home, what, patience_s, **words)
    return checked(reply)


def checked(reply: dict[str, Any]) -> dict[str, Any]:
    """Raise what a reply reports as an error; return it otherwise."""
    if reply.get("ok", True):
        return reply
    raise CallboxError(str(reply.get("error", "The box refused.")), str(reply.get("cure", "")))


def _connect(home: Home, patience_s: float) -> socket.socket:
    start, told = time.monotonic(), False
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(home.control_socket))
            return connection
        except OSError:
            connection.close()
            waited_s = time.monotonic() - start
            if waited_s >= patience_s:
                raise NotRunning(home) from None
            if waited_s >= TELL_AFTER_S and not told and sys.stderr.isatty():
                told = True
                print(f"waiting for the box in {home.folder} ...", file=sys.stderr, flush=True)
            time.sleep(RETRY_S)
