"""Putting a box together from its folder: settings, key, store, pins, sound, network. All faults here are sentences."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from callbox.app.boards import find_board
from callbox.app.box import Box, ServerPlace
from callbox.app.control_socket import ControlSocket
from callbox.app.home import Home
from callbox.app.saved import Saved, load
from callbox.app.settings import BoxSettings, SpeechSettings
from callbox.app.world import World, clock_trusted
from callbox.audio.devices import open_backend
from callbox.audio.engine import Engine
from callbox.audio.facts import Fact
from callbox.audio.speech import Voice, open_voice
from callbox.base.chance import SystemChance
from callbox.conversations.stores import Store
from callbox.conversations.stores.sqlite import SqliteStore
from callbox.crypto.fields import FieldCipher
from callbox.crypto.vaults import open_vault
from callbox.link.transports import Events, Transport
from callbox.link.transports.dialling import parse_address
from callbox.link.transports.websocket import WebSocketTransport
from callbox.panel.pins import open_pins


def open_store(home: Home) -> Store:
    """Open the sealed store of a box's folder; the key comes from the vault."""
    vault = open_vault("file", home=home.folder, may_make=not home.store_file.exists())
    return SqliteStore(home.store_file, FieldCipher(vault.key()))


def key_mode(home: Home) -> str:
    """Say who keeps the key of a box's store: `file`, `credential` or `passphrase`."""
    kept_here = [path.name for path in home.key_files]
    return "file" if "key" in kept_here else "credential"


def open_box(home: Home, settings: BoxSettings) -> tuple[Box, Saved]:
    """Load a box. Raises CallboxError: no box here, store damaged, board wrong."""
    board = find_board(settings.panel.board)
    store = open_store(home)
    saved = load(store)
    membership = saved.membership
    return Box(settings, board, saved, ServerPlace(membership.address, membership.server_id), SystemChance()), saved


def open_world(home: Home, settings_file: Path | None = None) -> tuple[Box, World]:
    """Open everything that `callbox run` needs. To be called on the loop's thread."""
    settings = home.settings(settings_file)
    pins = open_pins(settings.panel.backend, find_board(settings.panel.board))
    for fault in pins.faults:
        logging.getLogger("callbox").warning(fault)
    box, saved = open_box(home, settings)
    devices = open_backend(settings.sound.backend)

    def make_engine(facts: Callable[[Fact], None]) -> Engine:
        return Engine(devices, facts, cpu_clock=time.thread_time)

    socket = ControlSocket(home.control_socket)
    return box, World(saved.store, pins, make_engine, transport_to(saved), socket, speech_voice(settings.speech))


def speech_voice(speech: SpeechSettings) -> Voice:
    """Return the voice that the settings name. Nothing of it is started yet."""
    if speech.voice == "none":
        return open_voice("none")
    return open_voice(speech.voice, variant=speech.variant, words_per_minute=speech.words_per_minute)


def transport_to(saved: Saved) -> Callable[[Events], Transport]:
    """Return what makes the transport to this box's server."""
    membership = saved.membership

    def make(events: Events) -> Transport:
        return WebSocketTransport(parse_address(membership.address), membership.authority, events, clock_trusted)

    return make
