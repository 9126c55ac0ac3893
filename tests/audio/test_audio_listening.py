"""Level meter and sound self-test: the engine with a simulated card in a simulated room, and what the figures mean."""

from dataclasses import replace

import numpy as np
import pytest

from callbox.app.doctor_finding import is_well
from callbox.app.sound_verdict import verdict
from callbox.audio.devices.simulated import SimulatedCard, SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import (
    CheckSound,
    Fact,
    Level,
    Listen,
    Listened,
    LiveChanged,
    OpenSound,
    SetVolume,
    SoundLost,
    StartMedia,
    StopListening,
)
from callbox.audio.sound_test import CHIRPS, SoundTest, chirps, measure
from callbox.base.frames import RATE_HZ, silence
from callbox.testing.playout import hum
from callbox.testing.room import Room, RoomCard, Surroundings

FINE = SoundTest(3, 45.0, 0.0, -6.0, -62.0, -12.0, 0.0, False)


class Driven:
    """An engine over these cards, its cycles driven by hand."""

    def __init__(self, *cards: SimulatedCard) -> None:
        self.facts: list[Fact] = []
        self.engine = Engine(SimulatedDevices(cards), self.facts.append)
        self.engine.command(CheckSound("default", "default"))
        self.now = 0.0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.engine.cycle(self.now)
            self.now += 0.01

    def told(self, kind: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts if type(fact) is kind]


def outcome(surroundings: Surroundings) -> SoundTest:
    driven = Driven(RoomCard("card", Room(surroundings)))
    driven.engine.command(Listen(1.0, test=True))
    driven.run(4.0)
    (listened,) = driven.told(Listened)
    assert isinstance(listened, Listened)
    assert listened.test is not None
    return listened.test


@pytest.mark.parametrize(("delay_ms", "echo_db", "noise_db"), [(20, -30, -60), (200, 0, -45)])
def test_delay_loudness_and_noise_are_measured(delay_ms: int, echo_db: int, noise_db: int) -> None:
    test = outcome(Surroundings(delay_ms=delay_ms, echo_db=echo_db, noise_db=noise_db))
    assert (test.heard, test.mic_dead) == (CHIRPS, False)
    assert test.delay_ms == pytest.approx(delay_ms, abs=0.5)
    assert test.spread_ms < 1
    assert test.echo_db == pytest.approx(echo_db, abs=2)
    assert test.noise_db == pytest.approx(noise_db, abs=2)


def test_a_speaker_that_is_not_heard_is_told_from_a_dead_microphone() -> None:
    unheard = outcome(Surroundings(echo_db=-120))
    assert (unheard.heard, unheard.delay_ms, unheard.mic_dead) == (0, None, False)
    driven = Driven(SimulatedCard())
    driven.engine.command(Listen(1.0, test=True))
    driven.run(4.0)
    (listened,) = driven.told(Listened)
    assert isinstance(listened, Listened)
    assert listened.test is not None
    assert (listened.test.heard, listened.test.mic_dead) == (0, True)


def test_another_sound_than_the_chirps_is_no_answer() -> None:
    played = np.concatenate((chirps(), silence(RATE_HZ)))
    assert measure(np.resize(hum(1.0), len(played)), played).heard == 0


def test_a_microphone_at_its_limit_is_seen() -> None:
    assert outcome(Surroundings(echo_db=18)).clipped > 0.01


def test_the_live_light_is_lit_exactly_while_it_listens() -> None:
    driven = Driven(RoomCard("card", Room()))
    driven.run(0.1)
    driven.engine.command(Listen(1.0))
    driven.run(0.5)
    assert driven.told(LiveChanged) == [LiveChanged(True)]
    driven.run(1.0)
    assert driven.told(LiveChanged) == [LiveChanged(True), LiveChanged(False)]
    assert len(driven.told(Level)) == 10
    assert driven.told(Listened) == [Listened()]


def test_levels_are_those_of_the_microphone() -> None:
    card = SimulatedCard()
    card.say(hum(1.0, level=3000))
    driven = Driven(card)
    driven.engine.command(Listen(1.0))
    driven.run(1.2)
    level = driven.told(Level)[3]
    assert isinstance(level, Level)
    assert -25 < level.mean_db < -15
    assert level.mean_db < level.peak_db < -5


def test_the_devices_that_are_asked_for_are_opened() -> None:
    heard, other = RoomCard("heard", Room(Surroundings(delay_ms=70))), SimulatedCard("other")
    driven = Driven(other, heard)
    driven.engine.command(Listen(1.0, test=True, input_name="heard", output_name="heard"))
    driven.run(4.0)
    (listened,) = driven.told(Listened)
    assert isinstance(listened, Listened)
    assert listened.test is not None
    assert listened.test.delay_ms == pytest.approx(70, abs=1)
    driven.run(0.5)
    assert (heard.opened, other.opened) == (0, 0)


def test_a_call_a_pulled_card_and_a_change_of_mind_end_it() -> None:
    for number in range(3):
        card = RoomCard("card", Room())
        driven = Driven(card)
        driven.engine.command(Listen(1.0, test=True))
        driven.run(0.3)
        if number == 0:
            driven.engine.command(OpenSound("default", "default"))
            driven.engine.command(StartMedia(lambda plain: plain, lambda sealed: sealed))
        elif number == 1:
            card.unplug()
        else:
            driven.engine.command(StopListening())
        driven.run(0.5)
        assert driven.told(Listened) == [Listened(None)]
        assert driven.told(LiveChanged)[-1] == LiveChanged(False)
        assert len(driven.told(SoundLost)) == (1 if number == 1 else 0)


def test_the_volume_that_is_set_is_tested() -> None:
    driven = Driven(RoomCard("card", Room(Surroundings(noise_db=-90))))
    driven.engine.command(SetVolume(0.1))
    driven.engine.command(Listen(1.0, test=True))
    driven.run(3.5)
    (listened,) = driven.told(Listened)
    assert isinstance(listened, Listened)
    assert listened.test is not None
    assert listened.test.loudest_db < -30
    assert listened.test.heard == CHIRPS


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({}, "ok", "heard after 45 ms, 6 dB weaker"),
        ({"mic_dead": True}, "fault", "not even noise"),
        ({"heard": 0, "delay_ms": None, "echo_db": None}, "fault", "does not hear the speaker"),
        ({"heard": 2}, "warning", "2 of 3"),
        ({"spread_ms": 30.0}, "warning", "breaks off"),
        ({"clipped": 0.01}, "warning", "too loud"),
        ({"noise_db": -30.0}, "warning", "noisy"),
        ({"echo_db": -45.0}, "warning", "hardly heard"),
        ({"delay_ms": 320.0}, "warning", "late by 320 ms"),
    ],
)
def test_the_verdict_in_words(changed: dict[str, float], level: str, said: str) -> None:
    findings = verdict(replace(FINE, **changed), "Mic", "Box")  # type: ignore[arg-type]
    assert any(one.level == level and said in one.what for one in findings), findings
    assert is_well(findings) == (level == "ok")
    assert all(one.cure for one in findings if one.level != "ok")


def test_a_headset_is_not_blamed_for_what_it_is() -> None:
    unheard = replace(FINE, heard=0, delay_ms=None, echo_db=None)
    assert is_well(verdict(unheard, "Mic", "Box", headset=True))
    assert not is_well(verdict(replace(unheard, mic_dead=True), "Mic", "Box", headset=True))
