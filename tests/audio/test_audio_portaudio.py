"""PyAudio's member of the device family against a PortAudio that misbehaves: odd rates, stereo, full, gone, hanging."""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyaudio
import pytest

from audio.made_up_cards import plug
from callbox.audio.devices import DeviceBusy, DeviceLost, NoSuchDevice, portaudio
from callbox.base.frames import CYCLE_SAMPLES, silence
from callbox.testing.playout import hum


@dataclass
class FakeStream:
    rate: int
    channels: int
    index: int = 0
    capacity: int = 1440
    queued: int = 0
    there: int = 0
    written: list[bytes] = field(default_factory=list)
    closed: bool = False
    gone: bool = False
    hang: threading.Event | None = None
    node: int | None = None  # what the kernel gave for it

    def get_read_available(self) -> int:
        self._check()
        return self.there

    def read(self, frames: int, exception_on_overflow: bool) -> bytes:
        assert not exception_on_overflow
        self._check()
        sound = hum(0.02)[:frames]
        return np.repeat(sound, self.channels).tobytes()

    def get_write_available(self) -> int:
        self._check()
        return self.capacity - self.queued

    def write(self, data: bytes, exception_on_underflow: bool = False) -> None:
        del exception_on_underflow
        self._check()
        self.queued += len(data) // 2 // self.channels
        self.written.append(data)

    def get_input_latency(self) -> float:
        return 0.02

    get_output_latency = get_input_latency

    def close(self) -> None:
        if self.hang is not None:
            self.hang.wait(30)
        self._check()  # PortAudio does not close what it cannot stop
        if self.node is not None:
            os.close(self.node)
        self.closed = True

    def _check(self) -> None:
        if self.gone:
            raise OSError(-9988, "Stream closed")


@dataclass
class FakePortAudio:
    """A PortAudio with the given devices: name -> rates and channel counts that open."""

    devices: dict[str, tuple[set[int], set[int]]]
    streams: list[FakeStream] = field(default_factory=list)
    node: Path | None = None
    terminated: int = 0

    def __call__(self) -> "FakePortAudio":
        return self

    def get_device_count(self) -> int:
        return len(self.devices)

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        name, (rates, channels) = list(self.devices.items())[index]
        most = max(channels)
        return {
            "name": name,
            "maxInputChannels": most,
            "maxOutputChannels": most,
            "defaultSampleRate": float(min(rates)),
        }

    def open(self, rate: int, channels: int, **options: Any) -> FakeStream:
        index = options["input_device_index"] if options["input"] else options["output_device_index"]
        rates, counts = list(self.devices.values())[index]
        if rate not in rates or channels not in counts:
            raise OSError(-9997, "Invalid sample rate")
        self.streams.append(FakeStream(rate, channels, index, there=480))
        if self.node is not None:
            self.streams[-1].node = os.open(self.node, os.O_RDONLY)
        return self.streams[-1]

    def terminate(self) -> None:
        self.terminated += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    made = FakePortAudio({"USB Audio: - (hw:7,0)": ({48_000}, {1}), "Headset": ({44_100}, {2}), "Fax": ({7_777}, {1})})
    monkeypatch.setattr(pyaudio, "PyAudio", made)
    return made


def opened(fake: FakePortAudio, name: str = "USB Audio") -> tuple[portaudio.PortAudioDevice, FakeStream, FakeStream]:
    device = portaudio.backend().open(name, name)
    return device, fake.streams[0], fake.streams[1]


def test_a_device_is_found_by_its_whole_or_short_name(fake: FakePortAudio) -> None:
    for name in ("USB Audio: - (hw:7,0)", "USB Audio", "usb audio", "default"):
        portaudio.backend().open(name, name).close()
    with pytest.raises(NoSuchDevice, match="Headset"):
        portaudio.backend().open("0", "0")


def test_a_device_is_found_by_card_id_and_usb_path(fake: FakePortAudio, tmp_path: Path) -> None:
    plug(tmp_path, 7, "Jabra", "1-1.2")
    devices = portaudio.backend(tmp_path)
    assert [info.card_id for info in devices.list()] == ["Jabra", "", ""]
    for name in ("jabra", "usb:1-1.2", "jabra,0", "default"):
        devices.open(name, name).close()


def test_a_card_is_found_under_another_number_and_after_it_came_back(fake: FakePortAudio, tmp_path: Path) -> None:
    devices = portaudio.backend(tmp_path)
    fake.devices = {"Screen: HDMI (hw:0,0)": ({48_000}, {2}), "USB Audio: - (hw:1,0)": ({48_000}, {1})}
    plug(tmp_path, 1, "Jabra", "1-1.2")
    for name in ("Jabra", "usb:1-1.2", "USB Audio: - (hw:7,0)"):
        devices.open(name, name).close()
    assert [stream.index for stream in fake.streams] == [1] * 6
    (tmp_path / "sys/class/sound/card1/device").unlink()
    (tmp_path / "sys/class/sound/card1/id").unlink()
    (tmp_path / "sys/class/sound/card1").rmdir()
    fake.devices = {"USB Audio: - (hw:0,0)": ({48_000}, {1}), "Screen: HDMI (hw:3,0)": ({48_000}, {2})}
    plug(tmp_path, 0, "Jabra", "1-1.2")
    devices.open("Jabra", "usb:1-1.2").close()
    assert [stream.index for stream in fake.streams[6:]] == [0, 0]


def test_a_card_that_another_program_holds_is_not_said_to_be_missing(fake: FakePortAudio, tmp_path: Path) -> None:
    plug(tmp_path, 1, "Device", "1-1.3")
    (tmp_path / "dev/snd").mkdir(parents=True)
    (tmp_path / "dev/snd/pcmC1D0c").symlink_to("/dev/null/held")  # opening it fails, as opening a held one does
    with pytest.raises(DeviceBusy, match="'Device' does not open: Not a directory"):
        portaudio.backend(tmp_path).open("Device", "Device")
    with pytest.raises(NoSuchDevice, match="Headset"):
        portaudio.backend(tmp_path).open("Devise", "Device")
    fake.devices["Device: second stream (hw:1,1)"] = ({48_000}, {1})
    with pytest.raises(DeviceBusy, match="'Device' does not open"):
        portaudio.backend(tmp_path).open("Device", "Headset")
    portaudio.backend(tmp_path).open("Device,1", "Headset").close()


def test_devices_are_looked_for_at_every_open(fake: FakePortAudio) -> None:
    with pytest.raises(NoSuchDevice):
        portaudio.backend().open("New", "New")
    fake.devices["New"] = ({48_000}, {1})
    portaudio.backend().open("New", "New").close()
    assert fake.terminated == 2


def test_stereo_and_44100_hz_become_mono_cycles_of_48000_hz(fake: FakePortAudio) -> None:
    device, microphone, speaker = opened(fake, "Headset")
    assert (microphone.rate, microphone.channels) == (44_100, 2)
    assert len(device.read()) == CYCLE_SAMPLES
    device.write(hum(0.01))
    assert len(speaker.written[-1]) == 441 * 2 * 2
    assert device.rate_hz == 44_100


def test_a_device_that_takes_no_rate_of_ours_is_busy_not_a_traceback(fake: FakePortAudio) -> None:
    with pytest.raises(DeviceBusy, match="Fax"):
        portaudio.backend().open("USB Audio", "Fax")
    assert [stream.closed for stream in fake.streams] == [True]
    assert fake.terminated == 1


def test_microphone_that_falls_silent_is_lost_within_about_a_second(
    fake: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    device, microphone, _ = opened(fake)
    microphone.there = 100
    with pytest.raises(DeviceLost, match="no sound"):
        device.read()
    assert sum(slept) == pytest.approx(1.0, abs=0.05)


def test_pulled_device_is_lost_in_both_directions(fake: FakePortAudio) -> None:
    device, microphone, speaker = opened(fake)
    microphone.gone = speaker.gone = True
    with pytest.raises(DeviceLost, match="microphone"):
        device.read()
    with pytest.raises(DeviceLost, match="speaker"):
        device.write(silence())


def test_full_speaker_drops_a_cycle_and_never_waits(fake: FakePortAudio) -> None:
    device, _, speaker = opened(fake)
    for _ in range(20):
        device.write(hum(0.01))
    assert speaker.queued == 1440
    speaker.queued = 480
    before = len(speaker.written)
    device.write(hum(0.01))
    assert len(speaker.written) == before + 1


def test_speaker_that_ran_dry_gets_a_cycle_ahead(fake: FakePortAudio) -> None:
    device, _, speaker = opened(fake)
    device.write(hum(0.01))
    assert speaker.written == [bytes(960), bytes(2 * 9) + hum(0.01)[:-9].tobytes()]
    speaker.queued = 480
    device.write(hum(0.01))
    assert len(speaker.written) == 3


def test_hanging_driver_does_not_hang_close(fake: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "CLOSE_WITHIN_S", 0.05)
    device, microphone, _ = opened(fake)
    microphone.hang = threading.Event()
    device.close()
    assert not microphone.closed
    microphone.hang.set()


def test_the_next_opening_waits_for_a_close_that_hangs(fake: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portaudio, "CLOSE_WITHIN_S", 0.01)
    devices = portaudio.backend()
    device = devices.open("USB Audio", "USB Audio")
    hang = fake.streams[0].hang = threading.Event()
    device.close()
    opening = threading.Thread(target=lambda: devices.open("Headset", "Headset"))
    opening.start()
    opening.join(0.05)
    assert (opening.is_alive(), len(fake.streams)) == (True, 2)
    hang.set()
    opening.join(10)
    assert (opening.is_alive(), len(fake.streams)) == (False, 4)


def test_close_closes_both_and_ends_portaudio(fake: FakePortAudio) -> None:
    device, microphone, speaker = opened(fake)
    device.close()
    device.close()
    assert microphone.closed
    assert speaker.closed
    assert fake.terminated == 1
    with pytest.raises(DeviceLost):
        device.read()


@pytest.mark.parametrize("pulled", [False, True])
def test_a_card_leaves_no_descriptor_open_pulled_or_not(fake: FakePortAudio, tmp_path: Path, pulled: bool) -> None:
    (tmp_path / "dev/snd").mkdir(parents=True)
    fake.node = tmp_path / "dev/snd/pcmC7D0c"
    fake.node.touch()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        device = portaudio.backend(tmp_path).open("Headset", "Headset")
        assert len(os.listdir("/proc/self/fd")) == before + 2
        if pulled:
            fake.node.unlink()
            fake.node.touch()
            fake.streams[-1].gone = fake.streams[-2].gone = True
        device.close()
        assert len(os.listdir("/proc/self/fd")) == before
