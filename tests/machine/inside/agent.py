"""Runs inside the guest: does what arrives on a serial port, JSON lines both ways, so that it outlives a snapshot.

    {"id": 1, "run": "uptime", "timeout_s": 5}    -> {"id": 1, "out": "..."} any number of times, {"id": 1, "rc": 0}
    {"id": 2, "put": "/run/x", "data": "base64"}  -> {"id": 2, "rc": 0}
    {"id": 3, "get": "/run/x"}                    -> {"id": 3, "rc": 0, "data": "base64"}
    {"id": 4, "end": 1}                           -> {"id": 4, "rc": 0}, and the command of 1 is killed

Each request has a thread of its own. A command that takes longer than its time is killed: rc 124.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMED_OUT = 124


class Agent:
    """Serves one port for ever."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writing = threading.Lock()
        self._running: dict[int, subprocess.Popen[str]] = {}

    def serve(self) -> None:
        for line in self._lines():
            try:
                request = json.loads(line)
            except ValueError:
                continue  # the end of a line that a snapshot cut off
            threading.Thread(target=self._answer, args=(request,), daemon=True).start()

    def _lines(self) -> Iterator[bytes]:
        waiting = b""
        while True:
            got = os.read(self._port, 65536)
            if not got:  # nobody is connected at the other end
                time.sleep(0.05)
            *lines, waiting = (waiting + got).split(b"\n")
            yield from lines

    def _say(self, request: dict[str, Any], **answer: Any) -> None:
        line = memoryview(json.dumps({"id": request["id"], **answer}).encode() + b"\n")
        with self._writing:
            while line:
                line = line[os.write(self._port, line) :]

    def _answer(self, request: dict[str, Any]) -> None:
        try:
            if "run" in request:
                self._say(request, rc=self._run(request))
            elif "put" in request:
                path = Path(request["put"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(base64.b64decode(request["data"]))
                self._say(request, rc=0)
            elif "get" in request:
                self._say(request, rc=0, data=base64.b64encode(Path(request["get"]).read_bytes()).decode())
            elif "end" in request:
                process = self._running.get(request["end"])
                if process is not None:
                    kill(process)
                self._say(request, rc=0)
            else:
                self._say(request, rc=0)
        except OSError as error:
            self._say(request, rc=1, out=f"{error}\n")

    def _run(self, request: dict[str, Any]) -> int:
        process = subprocess.Popen(
            ["bash", "-c", request["run"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd="/root",
            start_new_session=True,
        )
        self._running[request["id"]] = process
        telling = threading.Thread(target=self._tell, args=(request, process), daemon=True)
        telling.start()
        try:
            code = process.wait(request["timeout_s"])
        except subprocess.TimeoutExpired:
            kill(process)
            process.wait()
            code = TIMED_OUT
        telling.join(1.0)  # something may go on in the background and hold the pipe
        del self._running[request["id"]]
        return code

    def _tell(self, request: dict[str, Any], process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._say(request, out=line)


def kill(process: "subprocess.Popen[str]") -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", LC_ALL="C.UTF-8")
    Agent(os.open(sys.argv[1], os.O_RDWR)).serve()
