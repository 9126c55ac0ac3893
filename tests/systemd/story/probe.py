"""Tries what the box's service may and may not do; prints one line for each."""

import mmap
import os
import socket
from collections.abc import Callable
from pathlib import Path


def tried(what: str, attempt: Callable[[], object]) -> None:
    try:
        attempt()
    except OSError as error:
        print(f"{what}: {error.strerror}")
    else:
        print(f"{what}: done")


tried("sound device", lambda: os.open("/dev/sound", os.O_RDWR))
tried("other device", lambda: os.open("/dev/other", os.O_RDWR))
tried("pipe of lgpio", lambda: os.mkfifo(f"{os.environ['LG_WD']}/pipe"))
tried("own folder", lambda: Path(os.environ["CALLBOX_HOME"], "probe").touch())
tried("other folder", lambda: Path("/opt/probe").touch())
tried("program memory", lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
tried("packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
tried("model of the Pi", lambda: Path("/proc/cpuinfo").read_bytes())
# Its files belong to root here, so opening them would show nothing of the mounts.
for what, place in (("activity light", "/sys/class/net/lo"), ("rest of /sys", "/sys/kernel")):
    print(f"{what}: {'read-only' if os.statvfs(place).f_flag & os.ST_RDONLY else 'writable'}")
