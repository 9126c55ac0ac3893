"""gpiozero's lgpio pins, whose inputs the kernel watches: nothing runs while no contact moves.

lgpio looks at watched inputs 2,000 times a second, for ever (a thread that waits 0.5 ms at most). Here an input that
is watched is requested by libgpiod instead, and one thread sleeps until the kernel has an edge to tell. The kernel
debounces, too: a sparking contact does not wake it.

    open, read, lights   gpiozero -> lgpio            edges   kernel -> libgpiod -> this thread -> gpiozero's callback
"""

import os
import select
import threading
from datetime import timedelta
from typing import Any

import gpiod
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin, lgpio
from gpiozero.pins.local import LocalPiPin

CONSUMER = "callbox"
MOST_EDGES = 16  # read at once; what the kernel could not keep is told by the level that follows


class WatchingFactory(LGPIOFactory):  # type: ignore[misc]  # gpiozero has no types
    """`chip` is the number of a gpiochip. Callbacks of its inputs are called on its own thread."""

    def __init__(self, chip: int) -> None:
        super().__init__(chip=chip)
        self.pin_class = WatchedPin
        self._watched: dict[int, WatchedPin] = {}
        self._poll = select.poll()
        self._woken, self._wake = os.pipe()
        self._poll.register(self._woken, select.POLLIN)
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="pins", daemon=True)
        self._thread.start()

    def watch(self, pin: "WatchedPin", fd: int) -> None:
        """Call `pin.edges_came()` whenever `fd` can be read."""
        self._watched[fd] = pin
        self._poll.register(fd, select.POLLIN)
        os.write(self._wake, b"\0")  # a poll that runs does not know of it yet

    def unwatch(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def close(self) -> None:
        super().close()  # closes the pins first
        if not self._ending:
            self._ending = True
            os.write(self._wake, b"\0")
            self._thread.join()
            os.close(self._wake)
            os.close(self._woken)

    def _run(self) -> None:
        while not self._ending:
            for fd, what in self._poll.poll():
                if fd == self._woken:
                    os.read(self._woken, 64)
                elif (pin := self._watched.get(fd)) is not None:
                    if what & select.POLLIN:
                        pin.edges_came()
                    else:  # the chip is gone: nothing will come any more
                        self.unwatch(fd)


class WatchedPin(LGPIOPin):  # type: ignore[misc]
    """An lgpio pin, held by libgpiod for as long as it is watched."""

    _request: Any = None  # a gpiod.LineRequest

    def _enable_event_detect(self) -> None:
        bias = {"up": Bias.PULL_UP, "down": Bias.PULL_DOWN}.get(self._get_pull(), Bias.DISABLED)
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            edge_detection=Edge.BOTH,
            bias=bias,
            debounce_period=timedelta(seconds=self._get_bounce() or 0.0),
        )
        lgpio.gpio_free(self.factory._handle, self._number)
        self._request = gpiod.request_lines(
            f"/dev/gpiochip{self.factory.chip}", {self._number: settings}, consumer=CONSUMER
        )
        self.factory.watch(self, self._request.fd)

    def _disable_event_detect(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            self.factory.unwatch(request.fd)
            request.release()
            lgpio.gpio_claim_input(self.factory._handle, self._number, lgpio.SET_PULL_NONE)

    def close(self) -> None:
        self.when_changed = None
        super().close()

    def _get_state(self) -> Any:
        request = self._request
        if request is None:
            return super()._get_state()
        return request.get_value(self._number) is Value.ACTIVE

    def edges_came(self) -> None:
        """Tell of the edges that the kernel has for this pin; on the factory's thread."""
        request = self._request
        if request is None:
            return
        for edge in request.read_edge_events(MOST_EDGES):
            level = edge.event_type is edge.Type.RISING_EDGE
            LocalPiPin._call_when_changed(self, edge.timestamp_ns / 1e9, level)
