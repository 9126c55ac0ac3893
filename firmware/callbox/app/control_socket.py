"""The control socket: JSON lines over a Unix socket that only the box's own user may open.

ask    {"ask": "call", "contact": "workshop"}
reply  {"ok": true, ...}                        the last line of an ask; lines before it carry "progress" or facts
"""

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from callbox.app.events import Asked, AskerLeft

logger = logging.getLogger("callbox")
# The largest voice message, in base64; and more than the longest argument of a program, escaped: so that what is too
# long is told as such.
MAX_LINE_BYTES = 4 * 1024 * 1024
SWALLOWED_BYTES = 4096
LEAVE_WITHIN_S = 1.0


class ControlSocket:
    """Listens on a path; turns lines into Asked events and answers into lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._asks = 0
        self._happened: Callable[[Asked | AskerLeft], None] = lambda event: None

    async def start(self, events: Callable[[Asked | AskerLeft], None]) -> None:
        """Listen; asks are told to `events`. On a read-only card nobody can ask: calls go on."""
        self._happened = events
        before = os.umask(0o177)
        try:
            self._path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE_BYTES)
        except OSError as error:
            logger.warning("control socket: the command line cannot reach this box: %s", error)
        finally:
            os.umask(before)

    async def stop(self) -> None:
        """Listen no longer; who still waits for an answer reads an end."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):  # the card may have turned read-only
                self._path.unlink(missing_ok=True)
        for writer in list(self._writers.values()):
            writer.close()
        if self._serving:  # cancelled by the loop's end instead, asyncio would log a traceback for each
            await asyncio.wait(self._serving, timeout=LEAVE_WITHIN_S)

    def answer(self, ask: int, reply: Mapping[str, Any], done: bool) -> None:
        """Write one reply line; the asker may have left."""
        writer = self._writers.get(ask)
        if writer is None:
            return
        line = json.dumps({**reply, "done": done}, ensure_ascii=False)
        writer.write(line.encode("utf-8", "replace") + b"\n")  # an asker may have sent half a surrogate pair
        if done:
            del self._writers[ask]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._asks += 1
        ask = self._asks
        self._writers[ask] = writer
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            words = json.loads(await reader.readline())
            if not isinstance(words, dict):
                raise TypeError("an ask is an object")
            self._happened(Asked(ask, str(words.pop("ask")), words))
            while await reader.read(SWALLOWED_BYTES):  # until the asker goes away
                pass
        except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
            logger.warning("control socket: a request could not be read: %s", error)
            self.answer(ask, {"ok": False, "error": "The request could not be read."}, True)
        finally:
            if self._writers.pop(ask, None) is not None:
                self._happened(AskerLeft(ask))
                writer.close()
