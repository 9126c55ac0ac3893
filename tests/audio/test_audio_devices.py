"""The contract of the sound-device family, run over every member; then what is special to each."""

import json
import subprocess
import sys
import textwrap
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from callbox.audio.devices import DeviceBusy, DeviceLost, Devices, NoSuchDevice, open_backend
from callbox.audio.devices.resample import Resampler, resampled
from callbox.audio.devices.simulated import SimulatedCard, SimulatedDevices
from callbox.audio.devices.wav import WavDevices, read_wav, write_wav
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing.playout import hum, loudness

VOICE = hum(0.5)


@dataclass
class Bench:
    """One member under test: names that exist, and what its speaker played."""

    devices: Devices
    input_name: str
    output_name: str
    heard: Callable[[], Samples]


def simulated_bench(folder: Path) -> Bench:
    del folder
    card = SimulatedCard("kitchen")
    card.say(VOICE)
    return Bench(SimulatedDevices([card]), "kitchen", "kitchen", card.heard)


def wav_bench(folder: Path) -> Bench:
    write_wav(folder / "in.wav", VOICE)
    devices = WavDevices(clock=lambda: 0.0, sleep=lambda seconds: None)
    return Bench(devices, str(folder / "in.wav"), str(folder / "out.wav"), lambda: read_wav(folder / "out.wav"))


@pytest.fixture(params=[simulated_bench, wav_bench], ids=["simulated", "wav"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made: Bench = request.param(tmp_path)
    return made


def test_what_is_said_is_read_and_what_is_written_is_heard(bench: Bench) -> None:
    device = bench.devices.open(bench.input_name, bench.output_name)
    cycles = [device.read() for _ in range(60)]
    for cycle in cycles:
        assert cycle.dtype == np.int16
        assert len(cycle) == CYCLE_SAMPLES
        device.write(cycle)
    device.close()
    assert np.concatenate(cycles)[: len(VOICE)].tobytes() == VOICE.tobytes()
    assert not np.concatenate(cycles)[len(VOICE) :].any()
    assert bench.heard().tobytes() == np.concatenate(cycles).tobytes()


def test_unknown_names_are_told_in_a_sentence(bench: Bench) -> None:
    with pytest.raises(NoSuchDevice, match="nothing/called-this"):
        bench.devices.open("nothing/called-this", bench.output_name)
    with pytest.raises(NoSuchDevice, match="output"):
        bench.devices.open(bench.input_name, "nothing/called-this")


def test_closed_device_is_lost_and_closes_twice(bench: Bench) -> None:
    device = bench.devices.open(bench.input_name, bench.output_name)
    device.close()
    device.close()
    with pytest.raises(DeviceLost):
        device.read()


def test_it_opens_again_after_closing(bench: Bench) -> None:
    for _ in range(3):
        device = bench.devices.open(bench.input_name, bench.output_name)
        device.write(device.read())
        device.close()


def test_list_describes_devices(bench: Bench) -> None:
    for info in bench.devices.list():
        assert info.name
        assert info.inputs + info.outputs > 0
        assert info.rate_hz > 0


def test_backends_are_found_by_file_name() -> None:
    assert isinstance(open_backend("simulated", cards=[SimulatedCard("attic")]), SimulatedDevices)
    assert [info.name for info in open_backend("simulated", cards=[SimulatedCard("attic")]).list()] == ["attic"]
    with pytest.raises(CallboxError, match="portaudio, simulated, wav"):
        open_backend("oss")


def test_simulated_card_unplugged_and_plugged() -> None:
    card = SimulatedCard("usb")
    devices = SimulatedDevices([card])
    device = devices.open("default", "usb")
    card.unplug()
    with pytest.raises(DeviceLost, match="usb"):
        device.read()
    with pytest.raises(DeviceLost):
        device.write(silence())
    with pytest.raises(NoSuchDevice, match="plug one in"):
        devices.open("usb", "usb")
    device.close()
    card.plug()
    devices.open("usb", "usb").read()
    assert card.opened == 1


def test_simulated_card_can_be_busy_or_off_rate() -> None:
    card = SimulatedCard("usb", drift_ppm=100)
    assert card.cycle_s == pytest.approx(0.01 * (1 - 1e-4), rel=1e-7)
    card.busy = True
    with pytest.raises(DeviceBusy, match="usb"):
        SimulatedDevices([card]).open("usb", "usb")


def test_wav_device_keeps_real_time_without_drifting(tmp_path: Path) -> None:
    write_wav(tmp_path / "in.wav", VOICE)
    now = 100.0
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        naps.append(seconds)
        now += seconds + 0.002  # every sleep lasts longer than asked for

    device = WavDevices(loop=True, clock=lambda: now, sleep=sleep).open(str(tmp_path / "in.wav"), "")
    for _ in range(300):
        assert device.read().any()
    assert now == pytest.approx(103.0, abs=0.01)
    assert len(naps) == 300


def test_wav_of_another_rate_in_stereo_becomes_mono_48_khz(tmp_path: Path) -> None:
    time = np.arange(44_100) / 44_100
    tone = (np.sin(2 * np.pi * 1000 * time) * 8000).astype("<i2")
    with wave.open(str(tmp_path / "in.wav"), "wb") as file:
        file.setparams((2, 2, 44_100, 0, "NONE", ""))
        file.writeframes(np.repeat(tone, 2).tobytes())
    sound = read_wav(tmp_path / "in.wav")
    assert len(sound) == RATE_HZ
    spectrum = np.abs(np.fft.rfft(sound[4800:43_200].astype(float)))
    assert spectrum.argmax() * RATE_HZ / 38_400 == pytest.approx(1000, abs=2)


def test_what_is_no_wav_file_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "in.wav").write_bytes(b"not a wav file")
    with pytest.raises(CallboxError, match="cannot be read"):
        WavDevices().open(str(tmp_path / "in.wav"), "")


@pytest.mark.parametrize("other_hz", [8_000, 16_000, 32_000, 44_100, 96_000])
def test_rate_matching_keeps_a_tone_clean(other_hz: int) -> None:
    time = np.arange(RATE_HZ // 2) / RATE_HZ
    tone = (np.sin(2 * np.pi * 1234 * time) * 10_000).astype(np.int16)
    there = resampled(tone, RATE_HZ, other_hz)
    assert len(there) == other_hz // 2
    back = resampled(there, other_hz, RATE_HZ)[4800:19_200].astype(float)
    spectrum = np.abs(np.fft.rfft(back * np.hanning(len(back)))) ** 2
    peak = int(spectrum.argmax())
    beside = spectrum.sum() - spectrum[peak - 4 : peak + 5].sum()
    assert 10 * np.log10(spectrum.sum() / beside) > 50
    assert loudness(back) == pytest.approx(loudness(tone), rel=0.02)


def test_rate_matching_refuses_odd_rates_and_blocks() -> None:
    with pytest.raises(ValueError, match="100 Hz"):
        Resampler(22_050, RATE_HZ)
    with pytest.raises(ValueError, match="441"):
        Resampler(44_100, RATE_HZ).process(silence(480))


_LOOP = """
    import json, sys, time
    from callbox.audio.devices import DeviceLost, NoSuchDevice, open_backend
    devices = open_backend("portaudio")
    names = [info.name for info in devices.list()]
    try:
        devices.open("attic", "default")
    except NoSuchDevice as error:
        refused = str(error)
    device = devices.open("kitchen", "kitchen")
    print("open", flush=True)
    cycles, lengths, until = 0, set(), time.monotonic() + float(sys.argv[1])
    while time.monotonic() < until:
        cycle = device.read()
        lengths.add(len(cycle))
        device.write(cycle)
        cycles += 1
    device.close()
    device.close()
    try:
        device.read()
        lost = False
    except DeviceLost:
        lost = True
    print(json.dumps({"names": names, "refused": refused, "cycles": cycles, "lengths": sorted(lengths), "lost": lost}))
"""


@pytest.mark.real
def test_portaudio_against_a_virtual_card() -> None:
    from callbox.testing.measure import mouth_to_ear
    from callbox.testing.virtual_card import VirtualCard
    from callbox.testing.voice import find_voice

    with VirtualCard(["kitchen"]) as card:
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_LOOP), "5"],
            env=card.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        mouth, ear = card.record_microphone("kitchen"), card.record("kitchen")
        card.play("kitchen", find_voice(3).samples).wait(20)
        said, heard = mouth.stop(), ear.stop()
        told = json.loads(child.communicate(timeout=20)[0])
    assert set(told["names"]) == {"kitchen", "default"}
    assert "kitchen" in told["refused"]
    assert told["lengths"] == [CYCLE_SAMPLES]
    assert told["lost"]
    assert 450 <= told["cycles"] <= 560
    delay = mouth_to_ear(said, heard, ear.started_at - mouth.started_at)
    assert delay.missing == 0
    assert 5 < delay.median_ms < 60
