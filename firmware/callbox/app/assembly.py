"""Putting a box together from its folder: settings, key, store, pins, sound, network. All faults here are sentences."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from callbox.app.boards import find_board
from callbox.app.box import Box, ServerPlace
from callbox.app.control_socket import ControlSocket
from callbox.app.home import Home
from callbox.app.keeping import store_key, unlocked_key
from callbox.app.locked import LockedBox
from callbox.app.phrases import load_phrases
from callbox.app.saved import Saved, load
from callbox.app.settings import BoxSettings, SoundSettings, SpeechSettings
from callbox.app.world import World
from callbox.audio.cleaning import Cleaning
from callbox.audio.devices import open_backend
from callbox.audio.devices.opening import Opening
from callbox.audio.echo import open_canceller
from callbox.audio.echo.half_duplex import HalfDuplex
from callbox.audio.engine import Engine
from callbox.audio.facts import Fact
from callbox.audio.speech import Voice, open_voice
from callbox.base.chance import SystemChance
from callbox.conversations.stores import Store
from callbox.conversations.stores.memory import MemoryStore
from callbox.conversations.stores.sqlite import SqliteStore
from callbox.crypto.fields import FieldCipher
from callbox.link.transports import Events, NoTransport, Transport
from callbox.link.transports.dialling import parse_address
from callbox.link.transports.websocket import WebSocketTransport
from callbox.panel.pins import Pins, open_pins


def open_store(home: Home, key: bytes | None = None) -> Store:
    """Open the sealed store of a box's folder; `key`: of a box that was locked. Raises CallboxError."""
    return SqliteStore(home.store_file, FieldCipher(key or store_key(home)))


def open_box(home: Home, settings: BoxSettings, key: bytes | None = None) -> tuple[Box, Saved]:
    """Load a box. Raises CallboxError: no box here, store damaged, board wrong."""
    board = find_board(settings.panel.board)
    store = open_store(home, key)
    saved = load(store)
    membership = saved.membership
    return Box(settings, board, saved, ServerPlace(membership.address, membership.server_id), SystemChance()), saved


def open_world(home: Home, settings_file: Path | None = None, key: bytes | None = None) -> tuple[Box, World]:
    """Open everything that `callbox run` needs; `key`: of a box that was locked. To be called on the loop's thread."""
    settings = home.settings(settings_file)
    pins = _pins(settings)
    box, saved = open_box(home, settings, key)
    socket, voice = ControlSocket(home.control_socket), speech_voice(settings.speech)
    return box, World(saved.store, pins, _engine_of(settings), transport_to(saved), socket, voice)


def open_locked_world(home: Home, settings_file: Path | None = None) -> tuple[LockedBox, World]:
    """Open what a box needs that waits for its passphrase: panel, sound and socket, but no network and no store."""
    settings = home.settings(settings_file)
    speech = settings.speech
    box = LockedBox(
        find_board(settings.panel.board), load_phrases(speech.language), speech.voice != "none", settings.sound
    )
    world = World(
        MemoryStore(),
        _pins(settings),
        _engine_of(settings),
        NoTransport,
        ControlSocket(home.control_socket),
        speech_voice(speech),
        lambda passphrase: unlocked_key(home, passphrase),
    )
    return box, world


def _pins(settings: BoxSettings) -> Pins:
    pins = open_pins(settings.panel.backend, find_board(settings.panel.board))
    for fault in pins.faults:
        logging.getLogger("callbox").warning(fault)
    return pins


def _engine_of(settings: BoxSettings) -> Callable[[Callable[[Fact], None]], Engine]:
    devices = Opening(open_backend(settings.sound.backend))
    return lambda facts: Engine(devices, facts, cleaning_of(settings.sound), cpu_clock=time.thread_time)


def cleaning_of(sound: SoundSettings) -> Cleaning:
    """Return what is done to the microphone. Raises CallboxError if the library that the settings name is missing."""
    echo = sound.echo != "none" and sound.backend != "wav"  # a file hears no speaker
    canceller = open_canceller(sound.echo if echo else "auto" if sound.noise else "none")
    if echo and sound.echo == "auto" and isinstance(canceller, HalfDuplex):
        logging.getLogger("callbox").warning(
            "sound: no echo canceller is installed, so one person is heard at a time: sudo apt install libspeexdsp1"
        )
    return Cleaning(canceller, echo, sound.noise, sound.gain)


def speech_voice(speech: SpeechSettings) -> Voice:
    """Return the voice that the settings name. Nothing of it is started yet."""
    if speech.voice == "none":
        return open_voice("none")
    return open_voice(speech.voice, variant=speech.variant, words_per_minute=speech.words_per_minute)


def transport_to(saved: Saved) -> Callable[[Events], Transport]:
    """Return what makes the transport to this box's server."""
    membership = saved.membership

    def make(events: Events) -> Transport:
        return WebSocketTransport(parse_address(membership.address), membership.authority, events)

    return make
