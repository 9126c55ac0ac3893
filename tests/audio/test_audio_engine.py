"""The engine: commands in, facts out, and what happens when the sound card goes."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from callbox.audio.devices.simulated import SimulatedCard, SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import (
    CheckSound,
    CloseSound,
    Fact,
    FirstAudio,
    LiveChanged,
    MediaBack,
    MediaSilent,
    Meter,
    NoteUnsent,
    OpenSound,
    Play,
    PlaySpeech,
    SetCapture,
    SetVolume,
    SoundFound,
    SoundLost,
    SoundOpened,
    StartMedia,
    StopMedia,
    StopSpeech,
    StopTones,
)
from callbox.audio.tones import Tone
from callbox.testing.playout import hum, loudness


def as_is(frame: bytes) -> bytes:
    return frame


@dataclass
class Box:
    """An engine on a simulated card, driven at the pace that it asks for."""

    card: SimulatedCard = field(default_factory=lambda: SimulatedCard("card"))
    facts: list[Fact] = field(default_factory=list)
    now: float = 0.0
    woken: int = 0

    def __post_init__(self) -> None:
        self.engine = Engine(SimulatedDevices([self.card]), self.facts.append)
        self.engine.on_outbound = self._wake

    def _wake(self) -> None:
        self.woken += 1

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until - 1e-9:
            pause_s = self.engine.cycle(self.now)
            if pause_s == math.inf:
                self.now = until
            else:
                self.now += pause_s if pause_s > 0 else self.card.cycle_s

    def start(self, capture: bool = True, step_name: str | None = "clear") -> None:
        for command in (OpenSound("card", "card"), StartMedia(as_is, as_is, step_name), SetCapture(capture)):
            self.engine.command(command)

    def told(self, *kinds: type[Fact]) -> list[Fact]:
        return [fact for fact in self.facts if isinstance(fact, kinds)]


def call(a: Box, b: Box, seconds: float) -> None:
    """Run both boxes side by side and carry their frames across, 10 ms at a time."""
    for _ in range(round(seconds * 100)):
        for box in (a, b):
            box.run(0.01)
        for here, there in ((a, b), (b, a)):
            for _, frame in here.engine.outbound.drain():
                there.engine.inbound.put(frame)


def test_idle_engine_asks_for_nothing() -> None:
    box = Box()
    assert box.engine.cycle(0.0) == math.inf
    assert box.card.opened == 0


def test_two_boxes_talk() -> None:
    a, b = Box(), Box()
    voice = hum(2.0)
    a.card.say(voice)
    a.start()
    b.start()
    call(a, b, 2.0)
    assert loudness(b.card.heard()[24_000:]) == pytest.approx(loudness(voice), rel=0.15)
    assert len(b.told(FirstAudio)) == 1
    assert b.woken > 90
    stats = b.engine.stats()
    assert stats.received >= 95
    assert (stats.lost, stats.late, stats.duplicates_or_forged) == (0, 0, 0)
    assert stats.delay_ms <= 30
    assert (stats.step_name, stats.bits_per_s, stats.packet_ms) == ("clear", 40_000, 20)
    assert stats.bytes_sent == stats.sent * 108


def test_opening_sound_passes_nothing_on() -> None:
    box = Box()
    box.card.say(hum(1.0))
    box.engine.command(OpenSound("card", "card"))
    box.engine.command(SetCapture(True))
    box.run(0.5)
    assert box.facts == [SoundOpened(0.0)]
    assert len(box.engine.outbound) == 0


def test_live_follows_what_happens_not_what_is_asked() -> None:
    box = Box()
    box.engine.command(SetCapture(True))
    box.run(0.05)
    assert not box.told(LiveChanged)
    box.start()
    box.run(0.05)
    assert box.told(LiveChanged) == [LiveChanged(True)]
    box.engine.command(SetCapture(False))
    box.run(0.02)
    assert box.told(LiveChanged)[-1] == LiveChanged(False)
    box.engine.command(SetCapture(True))
    box.run(0.02)
    box.card.unplug()
    box.run(0.05)
    assert box.told(LiveChanged)[-1] == LiveChanged(False)
    box.card.plug()
    box.run(1.5)
    assert box.told(LiveChanged)[-1] == LiveChanged(True)
    box.engine.command(StopMedia())
    box.run(0.02)
    assert box.told(LiveChanged)[-1] == LiveChanged(False)
    assert len(box.told(LiveChanged)) == 6


def test_mute_reaches_the_far_end_as_silence_within_two_packets() -> None:
    a, b = Box(), Box()
    a.card.say(hum(3.0))
    a.start()
    b.start()
    call(a, b, 1.0)
    a.engine.command(SetCapture(False))
    call(a, b, 0.15)
    b.card.forget()
    call(a, b, 1.0)
    assert loudness(b.card.heard()) < 5
    assert b.engine.stats().concealed <= 2  # frames go on


def test_unplugged_card_keeps_the_call_and_its_pace() -> None:
    a, b = Box(), Box()
    a.card.say(hum(10.0))
    a.start()
    b.start()
    call(a, b, 1.0)
    sent = a.engine.stats().sent
    a.card.unplug()
    call(a, b, 3.0)
    assert len(a.told(SoundLost)) == 1
    assert a.engine.stats().sent - sent == pytest.approx(153, abs=4)
    assert not b.told(MediaSilent)
    b.card.forget()
    a.card.plug()
    call(a, b, 2.0)
    assert len(a.told(SoundOpened)) == 2
    assert loudness(b.card.heard()[-48_000:]) > 2000
    assert b.engine.stats().lost == 0


def test_card_that_is_missing_at_first_is_found_later() -> None:
    box = Box()
    box.card.unplug()
    box.engine.command(OpenSound("card", "card"))
    assert 0.9 < box.engine.cycle(0.0) <= 1.0
    box.now = 0.01
    box.run(5.0)
    (lost,) = box.told(SoundLost)
    assert isinstance(lost, SoundLost)
    assert "card" in lost.sentence
    box.card.plug()
    box.run(1.1)
    assert box.told(SoundOpened)


def test_a_check_finds_a_card_and_leaves_it_alone() -> None:
    box = Box()
    box.engine.command(CheckSound("card", "card"))
    assert box.engine.cycle(0.0) == math.inf
    assert box.told(SoundFound)
    assert box.card.opened == 0
    assert not box.told(SoundOpened)


def test_a_check_tells_once_that_a_card_is_missing_and_looks_until_it_is_there() -> None:
    box = Box()
    box.card.unplug()
    box.engine.command(CheckSound("card", "card"))
    box.run(21.0)
    assert len(box.told(SoundLost)) == 1
    box.card.plug()
    box.run(5.1)
    assert len(box.told(SoundFound)) == 1
    assert box.engine.cycle(box.now) == math.inf


def test_a_card_lost_in_a_call_is_told_when_it_is_back_after_the_call() -> None:
    box = Box()
    box.start()
    box.run(0.1)
    box.card.unplug()
    box.run(0.2)
    box.engine.command(StopMedia())
    box.engine.command(CloseSound())
    box.run(1.0)
    assert len(box.told(SoundLost)) == 1
    box.card.plug()
    box.run(6.0)
    assert len(box.told(SoundFound)) == 1
    assert box.card.opened == 0


def test_closing_sound_lets_go_of_the_card_and_ends_wake_ups() -> None:
    box = Box()
    box.start()
    box.run(0.1)
    box.engine.command(StopMedia())
    box.engine.command(CloseSound())
    assert box.engine.cycle(box.now) == math.inf
    assert box.card.opened == 0


def test_silence_of_the_far_end_is_told_and_its_return() -> None:
    a, b = Box(), Box()
    a.start()
    b.start()
    call(a, b, 1.0)
    b.run(1.4)
    assert not b.told(MediaSilent)
    b.run(0.3)
    assert len(b.told(MediaSilent)) == 1
    for _ in a.engine.outbound.drain():
        pass
    call(a, b, 0.2)
    assert len(b.told(MediaBack)) == 1


def test_a_far_end_that_never_speaks_is_silent_too() -> None:
    box = Box()
    box.start()
    box.run(2.0)
    assert len(box.told(MediaSilent)) == 1
    assert not box.told(FirstAudio)


def test_meter_comes_four_times_a_second_and_only_in_a_call() -> None:
    box = Box()
    box.engine.command(OpenSound("card", "card"))
    box.run(1.0)
    assert not box.told(Meter)
    box.card.say(hum(5.0))
    box.start()
    box.run(2.0)
    meters = [fact for fact in box.facts if isinstance(fact, Meter)]
    assert 7 <= len(meters) <= 8
    assert -40 < meters[-1].level_in < 0
    assert meters[-1].level_out == -96.0
    box.engine.command(SetCapture(False))
    box.run(0.5)
    assert isinstance(box.facts[-1], Meter)
    assert box.facts[-1].level_in == -96.0


def test_a_new_session_starts_from_zero() -> None:
    a, b = Box(), Box()
    a.start()
    b.start()
    call(a, b, 1.0)
    b.start()
    call(a, b, 0.5)
    assert b.engine.stats().received <= 26
    assert len(b.told(FirstAudio)) == 2


def test_keys_of_an_earlier_call_open_nothing() -> None:
    a, b = Box(), Box()
    a.start()
    b.start()
    b.engine.command(StartMedia(as_is, lambda sealed: None))
    call(a, b, 0.5)
    stats = b.engine.stats()
    assert stats.received == 0
    assert stats.duplicates_or_forged >= 20
    assert not b.told(FirstAudio)


def test_tones_prompts_and_volume() -> None:
    box = Box()
    box.engine.command(OpenSound("card", "card"))
    box.engine.command(Play(Tone.RING, repeat=True))
    box.run(0.5)
    assert loudness(box.card.heard()) > 2000
    box.engine.command(StopTones())
    box.run(0.3)
    box.card.forget()
    box.engine.command(PlaySpeech(hum(0.2)))
    box.run(0.3)
    spoken = loudness(box.card.heard())
    assert spoken > 1000
    box.engine.command(SetVolume(0.25))
    box.run(0.02)
    box.card.forget()
    box.engine.command(PlaySpeech(hum(0.2)))
    box.run(0.3)
    assert loudness(box.card.heard()) == pytest.approx(spoken / 4, rel=0.02)
    box.engine.command(PlaySpeech(hum(5.0)))
    box.engine.command(StopSpeech())
    box.run(0.1)
    box.card.forget()
    box.run(0.1)
    assert not box.card.heard().any()


def test_unsent_bytes_lower_the_step() -> None:
    box = Box()
    box.start(step_name=None)
    box.run(0.1)
    box.engine.command(NoteUnsent(5000))
    box.run(0.1)
    assert box.engine.stats().step_name == "steady"


def test_unknown_step_is_refused_where_it_is_asked_for() -> None:
    with pytest.raises(KeyError, match="near"):
        StartMedia(as_is, as_is, "hifi")


@pytest.mark.parametrize("drift_ppm", [200.0, -200.0])
def test_cards_with_different_clocks_stay_together(drift_ppm: float) -> None:
    a, b = Box(), Box(card=SimulatedCard("card", drift_ppm=drift_ppm))
    a.card.microphone = lambda: hum(0.01, 200)
    a.start()
    b.start()
    while a.now < 60:
        box = a if a.now <= b.now else b
        box.run(1e-6)
        for here, there in ((a, b), (b, a)):
            for _, frame in here.engine.outbound.drain():
                there.engine.inbound.put(frame)
    for box in (a, b):
        stats = box.engine.stats()
        assert stats.delay_ms <= 35
        assert stats.lost == stats.late == 0
        assert stats.concealed <= 6
    assert np.abs(b.card.heard()[-480:]).max() > 1000


def test_frames_carry_the_time_of_their_capture_and_the_oldest_give_way() -> None:
    box = Box()
    box.start()
    box.run(3.0)
    stamps = [captured_at for captured_at, _ in box.engine.outbound.drain()]
    assert len(stamps) == 50
    assert stamps == sorted(stamps)
    assert stamps[-1] == pytest.approx(3.0, abs=0.03)
    assert box.engine.outbound.dropped > 90


def test_processor_time_of_the_step_is_counted_by_a_given_clock() -> None:
    ticks = iter(range(10**6))
    engine = Engine(SimulatedDevices([SimulatedCard("card")]), lambda fact: None, cpu_clock=lambda: next(ticks) * 1e-4)
    engine.command(OpenSound("card", "card"))
    engine.command(StartMedia(as_is, as_is))
    for number in range(200):
        engine.cycle(number / 100)
    assert engine.stats().step_us == 100
    engine.close()
