"""gpiozero's pins over libgpiod, the kernel's own library: nothing runs while no contact moves.

An output's line is requested at once, an input's when all that is wanted of it is known. One thread sleeps until the
kernel has an edge to tell. The kernel debounces, too: a sparking contact does not wake it.

    lights   gpiozero -> libgpiod -> kernel      buttons   kernel -> libgpiod -> this thread -> gpiozero's callback
"""

import dataclasses
import os
import select
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import gpiod
from gpiod.line import Bias, Direction, Edge, Value
from gpiozero.exc import (
    PinFixedPull,
    PinInvalidBounce,
    PinInvalidEdges,
    PinInvalidFunction,
    PinInvalidPull,
    PinSetInput,
)
from gpiozero.pins.local import LocalPiFactory, LocalPiPin

CONSUMER = "callbox"
MOST_EDGES = 16  # read at once; what the kernel could not keep is told by the level that follows
PULLS = {"floating": Bias.DISABLED, "up": Bias.PULL_UP, "down": Bias.PULL_DOWN}
EDGES = {"both": Edge.BOTH, "rising": Edge.RISING, "falling": Edge.FALLING}
FUNCTIONS = {
    "input": gpiod.LineSettings(direction=Direction.INPUT, bias=Bias.DISABLED),
    "output": gpiod.LineSettings(direction=Direction.OUTPUT),
}


class LineFactory(LocalPiFactory):  # type: ignore[misc]  # gpiozero has no types
    """`chip` is the device of a gpiochip. Callbacks of its inputs are called on its own thread."""

    def __init__(self, chip: Path) -> None:
        super().__init__()
        self.chip = chip
        self.pin_class = LinePin
        self._watched: dict[int, LinePin] = {}
        self._lock = threading.Lock()  # a line that is read is not let go meanwhile
        self._poll = select.epoll()
        self._end, self._ends = os.pipe()  # closing the second wakes the first
        self._poll.register(self._end, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="pins", daemon=True)
        self._thread.start()

    def watch(self, pin: "LinePin", fd: int) -> None:
        """Call `pin.tell(...)` with the edges that can be read from `fd`."""
        with self._lock:
            self._watched[fd] = pin
            self._poll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """Watch `fd` no longer; it may be closed then."""
        with self._lock:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def close(self) -> None:
        super().close()  # closes the pins
        if not self._poll.closed:
            os.close(self._ends)
            self._thread.join()
            self._poll.close()
            os.close(self._end)

    def _run(self) -> None:
        while True:
            for fd, what in self._poll.poll():
                if fd == self._end:
                    return
                with self._lock:
                    pin = self._watched.get(fd)
                    edges = self._read(pin, fd, what) if pin else ()
                if pin and edges:
                    pin.tell(edges)

    def _read(self, pin: "LinePin", fd: int, what: int) -> Sequence[Any]:
        with suppress(OSError):
            if what & select.EPOLLIN:
                return pin.read()
        self._drop(fd)  # the chip is gone: nothing will come any more
        return ()


class LinePin(LocalPiPin):  # type: ignore[misc]
    """One line: requested when it shall show, or is read or watched, and anew for whatever is changed from then on."""

    def __init__(self, factory: LineFactory, info: Any) -> None:
        super().__init__(factory, info)
        self._line: Any = None  # a gpiod.LineRequest
        self._settings = FUNCTIONS["input"]
        self._edges = "both"

    def _request(self, settings: gpiod.LineSettings) -> None:
        self._let_go()
        try:
            self._line = gpiod.request_lines(str(self.factory.chip), {self._number: settings}, consumer=CONSUMER)
        except (ValueError, NotImplementedError) as error:  # how EINVAL and EOPNOTSUPP of the kernel are raised
            raise OSError(*error.args) from error
        self._settings = settings
        if settings.edge_detection is not Edge.NONE:
            self.factory.watch(self, self._line.fd)

    def _change(self, **settings: Any) -> None:
        changed = dataclasses.replace(self._settings, **settings)
        if self._line is None:
            self._settings = changed
        else:
            self._request(changed)

    def _let_go(self) -> None:
        if self._line is not None:
            self.factory.unwatch(self._line.fd)  # first: the thread may be at it
            self._line.release()
            self._line = None

    def close(self) -> None:
        """Let the line go, as an input: some chips keep an output's level, and a light would stay lit."""
        with self._when_changed_lock:
            self._when_changed = None
        if self._line is not None and self._get_function() == "output":
            with suppress(OSError):
                self._request(FUNCTIONS["input"])
        self._let_go()

    def output_with_state(self, state: Any) -> None:
        self._request(dataclasses.replace(FUNCTIONS["output"], output_value=Value(int(bool(state)))))

    def _get_function(self) -> str:
        return "output" if self._settings.direction is Direction.OUTPUT else "input"

    def _set_function(self, value: str) -> None:
        if value not in FUNCTIONS:
            raise PinInvalidFunction(f'invalid function "{value}" for pin {self!r}')
        self._let_go()
        self._settings = FUNCTIONS[value]
        if value == "output":
            self._request(self._settings)

    def _get_state(self) -> bool:
        if self._line is None:
            self._request(self._settings)
        return self._line.get_value(self._number) is Value.ACTIVE

    def _set_state(self, value: Any) -> None:
        if self._get_function() == "input":
            raise PinSetInput(f"cannot set state of pin {self!r}")
        self._line.set_value(self._number, Value(int(bool(value))))

    def _get_pull(self) -> str:
        return next((name for name, bias in PULLS.items() if bias is self._settings.bias), "floating")

    def _set_pull(self, value: str) -> None:
        if value not in PULLS:
            raise PinInvalidPull(f'invalid pull "{value}" for pin {self!r}')
        if self._get_function() != "input" or self.info.pull not in (value, ""):
            raise PinFixedPull(f"the pull of pin {self!r} cannot be set to {value}")
        self._change(bias=PULLS[value])

    def _get_bounce(self) -> float | None:
        return self._settings.debounce_period.total_seconds() or None

    def _set_bounce(self, value: float | None) -> None:
        if (value or 0) < 0:
            raise PinInvalidBounce("bounce must be 0 or greater")
        self._change(debounce_period=timedelta(seconds=value or 0))

    def _get_edges(self) -> str:
        return self._edges

    def _set_edges(self, value: str) -> None:
        if value not in EDGES:
            raise PinInvalidEdges(f'invalid edges "{value}" for pin {self!r}')
        self._edges = value
        if self._settings.edge_detection is not Edge.NONE:
            self._enable_event_detect()

    def _enable_event_detect(self) -> None:
        self._request(dataclasses.replace(self._settings, edge_detection=EDGES[self._edges]))

    def _disable_event_detect(self) -> None:
        self._change(edge_detection=Edge.NONE)

    def read(self) -> Sequence[Any]:
        """Return the edges that the kernel has for this pin; wait for one if there is none."""
        edges: Sequence[Any] = self._line.read_edge_events(MOST_EDGES)
        return edges

    def tell(self, edges: Sequence[Any]) -> None:
        """Tell gpiozero of edges; on the factory's thread."""
        for edge in edges:
            with self._when_changed_lock:
                changed = self.when_changed
            if changed is not None:
                changed(edge.timestamp_ns / 1e9, edge.event_type is edge.Type.RISING_EDGE)
