"""The control socket itself, over a real Unix socket."""

import asyncio
import json
from pathlib import Path
from typing import Any

from callbox.app.control_socket import ControlSocket


async def test_whoever_still_waits_reads_an_end_and_nothing_is_left_running(tmp_path: Path) -> None:
    socket, seen = ControlSocket(tmp_path / "control.sock"), asyncio.Queue[Any]()
    await socket.start(seen.put_nowait)
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "control.sock"))
    writer.write(json.dumps({"ask": "watch"}).encode() + b"\n")
    asked = await asyncio.wait_for(seen.get(), 5)
    assert asked.what == "watch"
    await socket.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert await asyncio.wait_for(reader.read(), 5) == b""
    assert not (tmp_path / "control.sock").exists()
    writer.close()
