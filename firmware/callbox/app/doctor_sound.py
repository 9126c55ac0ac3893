"""What `callbox doctor` finds out about microphone and speaker: whether they open, whether a mixer mutes them."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from callbox.app.doctor_known import MixerFacts, SoundFacts, SpeechFacts, Trouble
from callbox.app.doctor_machine import Machine, read, within
from callbox.app.settings import SoundSettings, SpeechSettings
from callbox.base.errors import CallboxError

if TYPE_CHECKING:
    from callbox.audio.speech import Voice

SOUND_S = 10.0
_CARD = re.compile(r"^ *\d+ \[(\S+) *\]: (.*)$", re.MULTILINE)
_CONTROL = re.compile(r"^Simple mixer control '([^']*)'", re.MULTILINE)
_SETTING = re.compile(r"(Playback|Capture)(?: \d+)?(?: \[(\d+)%\])?(?: \[-?[\d.]+dB\])?(?: \[(on|off)\])?")
# Playback controls that feed the microphone back to the ear: off is how they should be.
_NO_SPEAKER = re.compile(r"mic|side|line|loop|capture|auto|gain", re.IGNORECASE)


def look_at_sound(
    sound: SoundSettings, machine: Machine, open_sound: Callable[[SoundSettings], None] | None = None
) -> SoundFacts:
    """List the kernel's cards; then open microphone and speaker as the box would, and take 10 ms of sound."""
    listed = read(machine.root / "proc/asound/cards") or ""
    cards = tuple(f"{card_id} ({what})" for card_id, what in _CARD.findall(listed))
    nodes = sorted((machine.root / "dev/snd").glob("pcm*"))
    refused = bool(nodes) and not any(machine.may(node, os.R_OK | os.W_OK) for node in nodes)
    trouble = None
    try:
        within(SOUND_S, lambda: (open_sound or _open_sound)(sound))
    except CallboxError as error:
        trouble = Trouble(error.what, error.cure)
    except TimeoutError:
        trouble = Trouble("the sound card does not answer", "Unplug it and plug it in again")
    except ImportError as error:
        trouble = Trouble(f"the PortAudio library cannot be loaded: {error}", "sudo apt install libportaudio2")
    return SoundFacts(sound.backend, sound.input, sound.output, cards, refused, trouble)


def _open_sound(sound: SoundSettings) -> None:
    from callbox.audio.devices import DeviceLost, NoSuchDevice, open_backend

    output = sound.output
    if sound.backend == "wav":  # to open it would empty it
        if output and not Path(output).resolve().parent.is_dir():
            raise NoSuchDevice(output, "output", ())
        output = ""
    device = open_backend(sound.backend).open(sound.input, output)
    try:
        device.read()
    except DeviceLost as error:
        raise CallboxError(str(error), "Unplug it and plug it in again") from None
    finally:
        device.close()


def look_at_mixer(sound: SoundSettings, machine: Machine) -> MixerFacts:
    """Ask `amixer` whether the box's cards are muted; find names that mean one of two equal cards."""
    from callbox.audio.devices import cards

    if sound.backend != "portaudio":
        return MixerFacts()
    there = cards.cards(machine.root)
    models = [card.model for card in there if card.model]
    muted: list[tuple[str, str, bool]] = []
    twins: list[tuple[str, str]] = []
    for name, capture in ((sound.input, True), (sound.output, False)):
        for card in there:
            called = name.lower() in map(str.lower, card.names)
            if called or name == "default":
                said = machine.run(["amixer", "-c", card.id, "scontents"]) or ""
                muted += [(card.id, control, capture) for control in muted_controls(said, capture)]
            if called and models.count(card.model) > 1 and name.lower() == card.id.lower():
                twins.append((name, card.socket))
    return MixerFacts(tuple(dict.fromkeys(muted)), tuple(dict.fromkeys(twins)))


def look_at_speech(speech: SpeechSettings, open_voice: "Callable[..., Voice] | None" = None) -> SpeechFacts:
    """Have the voice say one word, to nobody."""
    from callbox.audio import speech as voices

    if speech.voice == "none":
        return SpeechFacts(False)
    try:
        opened = open_voice or voices.open_voice
        voice = opened(speech.voice, variant=speech.variant, words_per_minute=speech.words_per_minute)
        voice.say("one", speech.language)
    except CallboxError as error:
        return SpeechFacts(True, Trouble(error.what, error.cure))
    return SpeechFacts(True)


def muted_controls(said: str, capture: bool) -> list[str]:
    """Return the controls that silence microphone or speaker, from what `amixer scontents` prints."""
    found: list[str] = []
    _, *parts = _CONTROL.split(said)
    for name, block in zip(parts[::2], parts[1::2], strict=True):
        wanted = "Capture" if capture else "Playback"
        settings = [(percent, on) for way, percent, on in _SETTING.findall(block) if way == wanted and (percent or on)]
        silenced = bool(settings) and all(percent == "0" or on == "off" for percent, on in settings)
        if silenced and (capture or not _NO_SPEAKER.search(name)):
            found.append(name)
    return found
