"""Opening that is never waited for: a sound system that hangs holds up neither the call nor the audio thread.

    open(names) -> a thread of its own opens -> StillOpening, StillOpening ... -> the open device

Who asks again gets what was opened meanwhile. What nobody fetches is closed again. What hangs is told as such, and
nothing else is opened while it does: the sound library is not made for two threads.
"""

import threading
import time
from dataclasses import dataclass, field

from callbox.audio.devices import Device, DeviceBusy, DeviceInfo, Devices, StillOpening

PATIENCE_S = 0.004  # a cycle lasts 10 ms
HANGS_AFTER_S = 5.0
FETCHED_WITHIN_S = 2.0


@dataclass
class _Attempt:
    names: tuple[str, str]
    since: float
    device: Device | None = None
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)
    fetched: threading.Event = field(default_factory=threading.Event)


class Opening:
    """The same devices, opened on a thread. One other thread may call this."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._attempt: _Attempt | None = None
        self._lock = threading.Lock()

    def list(self) -> "list[DeviceInfo]":
        return self._devices.list()

    def open(self, input_name: str, output_name: str) -> Device:
        """Return the open device. Raises StillOpening: ask again; NoSuchDevice or DeviceBusy."""
        names = (input_name, output_name)
        attempt = self._attempt
        if attempt is None:
            attempt = self._attempt = _Attempt(names, time.monotonic())
            threading.Thread(target=self._run, args=(attempt,), name="sound-open", daemon=True).start()
        if not attempt.done.wait(PATIENCE_S):
            if time.monotonic() - attempt.since > HANGS_AFTER_S:
                raise DeviceBusy(input_name, "the sound system does not answer", "unplug the card and plug it in again")
            raise StillOpening
        if not self._fetch(attempt):
            raise StillOpening
        if attempt.names != names:
            if attempt.device is not None:
                attempt.device.close()
            raise StillOpening
        if attempt.error is not None:
            raise attempt.error
        assert attempt.device is not None
        return attempt.device

    def _fetch(self, attempt: _Attempt) -> bool:
        """Take over what an attempt brought; False: it was given up already."""
        with self._lock:
            if self._attempt is not attempt:
                return False
            self._attempt = None
            attempt.fetched.set()
            return True

    def _run(self, attempt: _Attempt) -> None:
        try:
            attempt.device = self._devices.open(*attempt.names)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to who asks again
            attempt.error = error
        attempt.done.set()
        if not attempt.fetched.wait(FETCHED_WITHIN_S) and self._fetch(attempt) and attempt.device is not None:
            attempt.device.close()
