"""The audio thread while nothing is open, and what a box does to its microphone by its settings."""

import logging
import math
import threading
from itertools import chain, repeat
from typing import Any

import pytest

from callbox.app import sound
from callbox.app.assembly import cleaning_of
from callbox.app.settings import SoundSettings
from callbox.app.sound import SoundThread
from callbox.audio import echo
from callbox.audio.echo import half_duplex
from callbox.audio.facts import LookAgain

PATIENCE_S = 10.0


class IdleEngine:
    """Has nothing to do; notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.heard = threading.Event()

    def cycle(self, now: float) -> float:
        return math.inf

    def command(self, command: Any) -> None:
        self.told.append(command)
        self.heard.set()


def test_an_idle_box_looks_at_its_cards_when_one_comes_or_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    there = chain([("pcmC0D0p",)] * 3, repeat(("pcmC0D0p", "pcmC1D0c")))
    looked = threading.Event()

    def plugged() -> tuple[str, ...]:
        looked.set()
        return next(there)

    monkeypatch.setattr(sound, "plugged", plugged)
    monkeypatch.setattr(sound, "WATCH_EVERY_S", 0.001)
    engine = IdleEngine()
    thread = SoundThread(engine, lambda why: None)  # type: ignore[arg-type]
    thread.start()
    assert engine.heard.wait(PATIENCE_S)
    for _ in range(3):
        looked.clear()
        assert looked.wait(PATIENCE_S)
    thread.stop()
    assert engine.told == [LookAgain()]


def way(settings: SoundSettings) -> tuple[str, bool]:
    made = cleaning_of(settings)
    return type(made._canceller).__name__, made._echo


def test_settings_choose_what_is_done_to_the_microphone() -> None:
    assert way(SoundSettings()) == ("SpeexCanceller", True)
    assert way(SoundSettings(echo="webrtc")) == ("WebrtcCanceller", True)
    assert way(SoundSettings(echo="none")) == ("SpeexCanceller", False)  # for the noise
    assert way(SoundSettings(echo="none", noise=False)) == ("NoCanceller", False)
    assert way(SoundSettings(backend="wav")) == ("SpeexCanceller", False)


def test_a_box_without_any_canceller_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("callbox.app.assembly.open_canceller", lambda name: half_duplex.canceller())
    with caplog.at_level(logging.WARNING, "callbox"):
        cleaning_of(SoundSettings(echo="half_duplex"))
        assert not caplog.records
        cleaning_of(SoundSettings())
    assert "libspeexdsp1" in caplog.text
    assert echo.BEST_FIRST[-1] == "half_duplex"
