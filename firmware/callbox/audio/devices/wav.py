"""WAV files as microphone and speaker: for demonstrations and tests on machines without a sound card.

    input.wav (16 bit, any rate) -> mono 48 kHz, once or looped -> read(), paced -> ... -> write() -> output.wav

Names are paths; an empty name is a silent microphone or a speaker that nobody hears. The pace comes from the
clock and the sleep that are handed in: the real ones play in real time, a test's own at once.
"""

import time
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from callbox.audio.devices import DeviceBusy, DeviceInfo, DeviceLost, NoSuchDevice
from callbox.audio.devices.resample import resampled
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_MS, CYCLE_SAMPLES, RATE_HZ, Samples, silence


def read_wav(path: Path) -> Samples:
    """Return a 16-bit WAV file as mono 48 kHz samples. Raises CallboxError if it is not one."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise CallboxError(f"{path} is not a 16-bit WAV file", "convert it: sox IN -b 16 OUT.wav")
            channels, rate_hz = file.getnchannels(), file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
    except (wave.Error, EOFError, OSError) as error:
        raise CallboxError(f"{path} cannot be read as a WAV file: {error}") from None
    if channels > 1:
        whole = len(pcm) - len(pcm) % channels
        pcm = pcm[:whole].reshape(-1, channels).mean(axis=1).astype(np.int16)
    if rate_hz % 50:
        raise CallboxError(f"{path} has an odd rate of {rate_hz} Hz", "convert it: sox IN -r 48000 OUT.wav")
    return resampled(pcm, rate_hz, RATE_HZ)


def write_wav(path: Path, samples: Samples) -> None:
    """Write mono 48 kHz samples as a 16-bit WAV file. Raises OSError."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


class WavDevice:
    """Two open files, read and written a cycle at a time."""

    rate_hz = RATE_HZ
    latency_ms = 0.0

    def __init__(
        self,
        said: Samples,
        output: wave.Wave_write | None,
        loop: bool,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._said = said
        self._output = output
        self._loop = loop and len(said) > 0
        self._clock = clock
        self._sleep = sleep
        self._at = 0
        self._cycles = 0
        self._start: float | None = None
        self._open = True

    def read(self) -> Samples:
        self._check()
        self._wait()
        part = self._said[self._at : self._at + CYCLE_SAMPLES]
        self._at += CYCLE_SAMPLES
        if self._loop and self._at >= len(self._said):
            self._at = 0
        if len(part) < CYCLE_SAMPLES:
            part = np.concatenate((part, silence(CYCLE_SAMPLES - len(part))))
        return part

    def write(self, samples: Samples) -> None:
        self._check()
        if self._output is not None:
            self._output.writeframes(samples.astype("<i2").tobytes())

    def close(self) -> None:
        self._open = False
        if self._output is not None:
            self._output.close()
            self._output = None

    def _check(self) -> None:
        if not self._open:
            raise DeviceLost("the WAV device was closed")

    def _wait(self) -> None:
        now = self._clock()
        if self._start is None:
            self._start = now
        self._cycles += 1
        due = self._start + self._cycles * CYCLE_MS / 1000
        if due > now:
            self._sleep(due - now)
        elif now - due > 1:  # the machine slept: go on from here instead of racing after lost time
            self._start += now - due


class WavDevices:
    """The backend: any WAV file is a microphone, any path that can be written is a speaker."""

    def __init__(
        self,
        loop: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._sleep = sleep

    def list(self) -> list[DeviceInfo]:
        """Return the WAV files of the working folder."""
        return [DeviceInfo(str(path), "", 1, 1, RATE_HZ) for path in sorted(Path().glob("*.wav"))]

    def open(self, input_name: str, output_name: str) -> WavDevice:
        said = silence(0)
        if input_name:
            if not Path(input_name).is_file():
                raise NoSuchDevice(input_name, "input", (info.name for info in self.list()))
            said = read_wav(Path(input_name))
        output: wave.Wave_write | None = None
        if output_name:
            if not Path(output_name).resolve().parent.is_dir():
                raise NoSuchDevice(output_name, "output", ())
            try:
                output = wave.open(str(output_name), "wb")  # noqa: SIM115 - closed by the device
            except OSError as error:
                raise DeviceBusy(output_name, str(error)) from None
            output.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        return WavDevice(said, output, self._loop, self._clock, self._sleep)


def backend(
    loop: bool = False,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> WavDevices:
    return WavDevices(loop, clock, sleep)
