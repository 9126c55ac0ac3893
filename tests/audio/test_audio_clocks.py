"""Cards that hang, clocks that differ: opening in the background, and the match of the speaker's clock."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest

from callbox.audio.cleaning import Cleaning
from callbox.audio.devices import Device, DeviceBusy, DeviceInfo, NoSuchDevice, StillOpening, opening
from callbox.audio.devices.drift import DriftMatch
from callbox.audio.devices.opening import Opening
from callbox.audio.devices.simulated import SimulatedCard, SimulatedDevice, SimulatedDevices
from callbox.audio.echo import speex
from callbox.audio.engine import Engine
from callbox.audio.facts import CheckSound, Fact, LookAgain, OpenSound, SoundFound, SoundLost, SoundOpened, StartMedia
from callbox.base.frames import CYCLE_SAMPLES, RATE_HZ, Samples, silence
from callbox.testing.playout import hum, loudness
from callbox.testing.room import Room, Surroundings, pink_noise

PATIENCE_S = 10.0


@dataclass
class SlowDevices:
    """Devices whose sound system answers when it is let."""

    card: SimulatedCard = field(default_factory=SimulatedCard)
    let: threading.Event = field(default_factory=threading.Event)
    answered: threading.Event = field(default_factory=threading.Event)

    def list(self) -> list[DeviceInfo]:
        return []

    def open(self, input_name: str, output_name: str) -> Device:
        self.let.wait(PATIENCE_S)
        try:
            return SimulatedDevices([self.card]).open(input_name, output_name)
        finally:
            self.answered.set()


def fetched(devices: Opening, name: str = "default") -> Device:
    for _ in range(1000):
        try:
            return devices.open(name, name)
        except StillOpening:
            continue
    raise AssertionError("it never opened")


def test_opening_is_not_waited_for() -> None:
    slow = SlowDevices()
    devices = Opening(slow)
    with pytest.raises(StillOpening):
        devices.open("default", "default")
    slow.let.set()
    assert isinstance(fetched(devices), SimulatedDevice)
    with pytest.raises(NoSuchDevice, match="attic"):
        fetched(devices, "attic")


def test_a_sound_system_that_hangs_is_told_and_used_again_when_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowDevices()
    devices = Opening(slow)
    monkeypatch.setattr(opening, "HANGS_AFTER_S", 0.0)
    for _ in range(2):
        with pytest.raises(DeviceBusy, match="does not answer"):
            devices.open("default", "default")
    monkeypatch.setattr(opening, "HANGS_AFTER_S", PATIENCE_S)
    slow.let.set()
    assert isinstance(fetched(devices), SimulatedDevice)


def test_what_nobody_fetches_is_closed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FETCHED_WITHIN_S", 0.01)
    slow = SlowDevices()
    devices = Opening(slow)
    with pytest.raises(StillOpening):
        devices.open("default", "default")
    worker = next(thread for thread in threading.enumerate() if thread.name == "sound-open")
    slow.let.set()
    worker.join(PATIENCE_S)
    assert slow.card.opened == 0
    monkeypatch.setattr(opening, "FETCHED_WITHIN_S", PATIENCE_S)
    fetched(devices)
    assert slow.card.opened == 1


def test_what_was_opened_for_others_is_not_taken_for_these() -> None:
    slow = SlowDevices()
    devices = Opening(slow)
    with pytest.raises(StillOpening):
        devices.open("default", "default")
    slow.let.set()
    with pytest.raises(NoSuchDevice, match="attic"):
        fetched(devices, "attic")
    assert slow.card.opened == 0


def test_a_call_goes_on_while_its_card_opens() -> None:
    facts: list[Fact] = []
    slow = SlowDevices()
    engine = Engine(Opening(slow), facts.append)
    sent: list[bytes] = []
    engine.command(OpenSound("default", "default"))
    engine.command(StartMedia(lambda plain: sent.append(plain) or plain, lambda sealed: sealed))  # type: ignore[func-returns-value]
    now = 0.0
    for _ in range(20):
        now += max(0.01, engine.cycle(now))
    assert len(sent) > 15
    assert facts == []
    slow.let.set()
    slow.answered.wait(PATIENCE_S)
    for _ in range(200):
        now += max(0.01, engine.cycle(now))
    assert SoundOpened(0.0) in facts


def test_an_idle_box_looks_again_when_something_was_pulled_or_plugged() -> None:
    facts: list[Fact] = []
    card = SimulatedCard()
    engine = Engine(SimulatedDevices([card]), facts.append)
    engine.command(CheckSound("default", "default"))
    engine.cycle(0.0)
    card.unplug()
    engine.cycle(1.0)
    assert facts == [SoundFound()]
    engine.command(LookAgain())
    engine.cycle(2.0)
    assert [type(fact) for fact in facts] == [SoundFound, SoundLost]
    card.plug()
    engine.command(LookAgain())
    engine.cycle(3.0)
    assert facts[-1] == SoundFound()
    assert card.opened == 0


def played(drift_ppm: float, seconds: float, sound: Samples | None = None, seed: int = 1) -> tuple[list[int], Samples]:
    """Feed a speaker whose clock is faster by `drift_ppm`; return how full its buffer was, and what it played."""
    chance, match, fill = np.random.default_rng(seed), DriftMatch(CYCLE_SAMPLES), 720.0
    fills: list[int] = []
    out: list[Samples] = []
    line = hum(1.0) if sound is None else sound
    for number in range(round(seconds * 100)):
        fills.append(round(fill + chance.uniform(-120, 120)))
        at = number * CYCLE_SAMPLES % (len(line) - CYCLE_SAMPLES + 1)
        cycle = match.process(line[at : at + CYCLE_SAMPLES], fills[-1])
        fill += len(cycle) - CYCLE_SAMPLES * (1 + drift_ppm * 1e-6)
        if sound is not None:
            out.append(cycle)
    return fills, np.concatenate(out) if out else line[:0]


@pytest.mark.parametrize("drift_ppm", [-300, 100])
def test_the_buffer_of_a_speaker_with_another_clock_stays_as_full_as_it_was(drift_ppm: int) -> None:
    fills, _ = played(drift_ppm, 40)
    assert np.mean(fills[-1000:]) == pytest.approx(np.mean(fills[:200]), abs=200)
    assert min(fills) > 240
    assert max(fills) < 1440


def test_one_clock_is_left_alone() -> None:
    sound = hum(20.0)
    _, out = played(0, 20, sound)
    assert np.array_equal(out[9:], sound[: len(out) - 9])


def test_nobody_hears_the_match() -> None:
    time = np.arange(20 * RATE_HZ) / RATE_HZ
    sound = (10_000 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    _, out = played(500, 20, sound)
    assert len(out) != len(sound)
    part = out[-4 * RATE_HZ :].astype(float)
    spectrum = np.abs(np.fft.rfft(part * np.blackman(len(part)))) ** 2
    peak = int(spectrum.argmax())
    beside = spectrum.sum() - spectrum[peak - 60 : peak + 61].sum()
    assert 10 * np.log10(spectrum.sum() / beside) > 50


@pytest.mark.soak
def test_an_echo_canceller_sees_one_clock() -> None:
    """Twenty seconds of an adaptive filter."""
    room, cleaning, match = Room(Surroundings(drift_ppm=100)), Cleaning(speex.canceller(), gain=False), DriftMatch(480)
    played, heard, out = silence(), [], []
    for number in range(2000):
        heard.append(room.hear())
        out.append(cleaning.process(heard[-1], played))
        played = pink_noise(CYCLE_SAMPLES, -22, number).astype(np.int16)
        room.play(match.process(played, room.queued + 2 * CYCLE_SAMPLES))
    before, after = (loudness(np.concatenate(part[-200:])) for part in (heard, out))
    assert 20 * np.log10(before / after) > 20  # 12 without the match
