"""Sound where no box runs: microphone, speaker and the live light, opened by the command itself.

Levels and self-test (`listen_alone`), and the numbers that a box says while it is linked (`say_alone`).
"""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace

from callbox.app.boards import find_board
from callbox.app.settings import BoxSettings
from callbox.audio.devices import Devices, open_backend
from callbox.audio.engine import Engine
from callbox.audio.facts import (
    CheckSound,
    Fact,
    Level,
    Listen,
    Listened,
    LiveChanged,
    PlaySpeech,
    SetVolume,
    SoundLost,
    StopListening,
)
from callbox.base.errors import CallboxError
from callbox.base.frames import Samples
from callbox.panel.pins import Pins, open_pins

LONGEST_NAP_S = 0.02


Told = Generator[Level | Listened, None, None]


def listen_alone(settings: BoxSettings, listen: Listen, devices: Devices | None = None) -> Told:
    """Yield each level, then what came of it. Raises CallboxError if microphone or speaker cannot be had."""
    sound = settings.sound
    told: list[Fact] = []
    engine = Engine(devices or open_backend(sound.backend), told.append)
    named = replace(listen, input_name=listen.input_name or sound.input, output_name=listen.output_name or sound.output)
    pins = _light(settings)
    try:
        engine.command(SetVolume(sound.volume))
        engine.command(named)
        while True:
            pause_s = engine.cycle(time.monotonic())
            for fact in told:
                if isinstance(fact, LiveChanged) and pins is not None:
                    pins.show({"live": 1.0 if fact.live else 0.0})
                elif isinstance(fact, SoundLost):
                    raise CallboxError(f"There is no sound: {fact.sentence}", "callbox sound list")
                elif isinstance(fact, Level | Listened):
                    yield fact
                    if isinstance(fact, Listened):
                        return
            told.clear()
            time.sleep(min(pause_s, LONGEST_NAP_S))
    finally:
        engine.command(StopListening())
        engine.cycle(time.monotonic())
        engine.close()
        if pins is not None:
            pins.close()


def say_alone(
    settings: BoxSettings, said: Iterable[Samples], hush: Callable[[], bool], devices: Devices | None = None
) -> None:
    """Play what a voice made, until it was heard out or `hush`. Raises CallboxError if there is no speaker."""
    sound = settings.sound
    told: list[Fact] = []
    engine = Engine(devices or open_backend(sound.backend), told.append)
    try:
        engine.command(SetVolume(sound.volume))
        engine.command(CheckSound(sound.input, sound.output))
        for samples in said:
            engine.command(PlaySpeech(samples))
        while (pause_s := engine.cycle(time.monotonic())) < math.inf and not hush():
            for fact in told:
                if isinstance(fact, SoundLost):
                    raise CallboxError(f"There is no sound: {fact.sentence}", "callbox sound list")
            told.clear()
            time.sleep(min(pause_s, LONGEST_NAP_S))
    finally:
        engine.close()


def _light(settings: BoxSettings) -> Pins | None:
    """Open the panel for its live light; None where it has none that can be had."""
    try:
        return open_pins(settings.panel.backend, find_board(settings.panel.board))
    except CallboxError as error:
        logging.getLogger("callbox").info("no live light: %s", error)
        return None
