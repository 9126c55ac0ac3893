"""The process between two places: takes each packet from one TUN device, holds it as the link would, or drops it.

    place 0 == tun ==> OneWay ==> tun == place 1         and the other way round

Lines on stdin: {"use": {conditions}} changes the link, {"counters": true} asks for a line of counters on stdout.
"""

import fcntl
import heapq
import json
import os
import select
import struct
import sys
import time

from callbox.app import priority
from callbox.base.chance import SeededChance
from callbox.testing.lab.conditions import Conditions
from callbox.testing.lab.way import OneWay

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LONGEST_PACKET = 2048


def tun(name: str) -> int:
    """Make a TUN device; return its descriptor, which is good wherever the device is moved to. Needs root."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor


class Router:
    """Two devices, two ways."""

    def __init__(self, names: tuple[str, str], seed: str) -> None:
        now = time.monotonic()
        self._devices = tuple(tun(name) for name in names)
        self._ways = tuple(OneWay(Conditions(), SeededChance(f"{seed} {way}"), now) for way in (0, 1))
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._number = 0

    def run(self) -> None:
        """Move packets until stdin ends."""
        orders = sys.stdin.fileno()
        watched = [*self._devices, orders]
        while True:
            timeout_s = max(0.0, self._flying[0][0] - time.monotonic()) if self._flying else None
            ready, _, _ = select.select(watched, [], [], timeout_s)
            for way, device in enumerate(self._devices):
                if device in ready:
                    self._take(way, device)
            self._deliver()
            if orders in ready and not self._obey(sys.stdin.readline()):
                return

    def _take(self, way: int, device: int) -> None:
        while True:
            try:
                packet = os.read(device, _LONGEST_PACKET)
            except BlockingIOError:
                return
            if packet[0] >> 4 != 4:
                continue  # what IPv6 says about itself
            arrival = self._ways[way].arrival(len(packet), time.monotonic())
            if arrival is not None:
                self._number += 1
                heapq.heappush(self._flying, (arrival, self._number, 1 - way, packet))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._flying and self._flying[0][0] <= now:
            _, _, to, packet = heapq.heappop(self._flying)
            try:
                os.write(self._devices[to], packet)
            except OSError:
                continue  # the device is not up yet, or any more

    def _obey(self, line: str) -> bool:
        if not line:
            return False
        order = json.loads(line)
        if "use" in order:
            for way in self._ways:
                way.use(Conditions(**order["use"]), time.monotonic())
        counted = [[way.packets, way.bytes, way.lost] for way in self._ways]
        print(json.dumps(counted), flush=True)
        return True


if __name__ == "__main__":
    router = Router((sys.argv[1], sys.argv[2]), sys.argv[3])
    priority.hurry(priority.AUDIO)
    print("[]", flush=True)
    router.run()
