"""Levels and self-test where no box runs: microphone, speaker and the live light, opened by the command itself."""

import logging
import time
from collections.abc import Generator
from dataclasses import replace

from callbox.app.boards import find_board
from callbox.app.settings import BoxSettings
from callbox.audio.devices import Devices, open_backend
from callbox.audio.engine import Engine
from callbox.audio.facts import Fact, Level, Listen, Listened, LiveChanged, SetVolume, SoundLost, StopListening
from callbox.base.errors import CallboxError
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


def _light(settings: BoxSettings) -> Pins | None:
    """Open the panel for its live light; None where it has none that can be had."""
    try:
        return open_pins(settings.panel.backend, find_board(settings.panel.board))
    except CallboxError as error:
        logging.getLogger("callbox").info("no live light: %s", error)
        return None
