"""Real sound cards through PyAudio and PortAudio: blocking streams that are never allowed to block for long.

    microphone -> PortAudio -> [mix to mono, to 48 kHz] -> read()          paced by the microphone's own clock
    write() -> [to the card's rate, its clock, to stereo] -> PortAudio -> speaker    kept one to three cycles full

A pulled USB device can leave a PortAudio call waiting for ever. So `read` asks how much is there and sleeps in
between, `write` asks how much fits, and `close` runs on a thread that is left behind if it hangs; the next `open` waits
for it, because PortAudio is not made for two threads.
Measured on a virtual null-sink card: 480-frame buffers 18 ms, 240-frame buffers 23 ms, both directions and
the card together, against 20 ms for plain blocking calls.
"""

import ctypes
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyaudio

from callbox.audio.devices import DeviceBusy, DeviceInfo, DeviceLost, NoSuchDevice, cards
from callbox.audio.devices.drift import DriftMatch
from callbox.audio.devices.naming import DEFAULT, choose, names_of
from callbox.audio.devices.pacing import Pace
from callbox.audio.devices.resample import Resampler
from callbox.audio.jitter_render import fade
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_MS, RATE_HZ, Samples

LOST_AFTER_S = 1.0  # a microphone that gives nothing for so long is gone
CLOSE_WITHIN_S = 0.3
_PLACE = re.compile(r"\(hw:(\d+),(\d+)\)")
_MOST_QUEUED_CYCLES = 3  # in the speaker's buffer; above this a cycle is dropped, or delay would stay for good


@lru_cache(maxsize=1)
def _hush_libraries() -> list[object]:
    """Stop ALSA and JACK from writing to standard error while PortAudio looks around. Returns what must live."""
    alsa_handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
    jack_handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p)
    quiet_alsa = alsa_handler(lambda *_: None)
    quiet_jack = jack_handler(lambda *_: None)
    for library, names, quiet in (
        ("libasound.so.2", ("snd_lib_error_set_handler",), quiet_alsa),
        ("libjack.so.0", ("jack_set_error_function", "jack_set_info_function"), quiet_jack),
    ):
        try:
            loaded = ctypes.CDLL(library)
        except OSError:
            continue
        for name in names:
            getattr(loaded, name)(quiet)
    return [quiet_alsa, quiet_jack]


class _Stream:
    """One direction: a PortAudio stream, the channels and the rate it really has."""

    def __init__(self, audio: pyaudio.PyAudio, index: int, info: DeviceInfo, capture: bool, nodes: Path) -> None:
        before = cards.open_nodes(nodes)
        channels = info.inputs if capture else info.outputs
        why = "it takes neither mono nor stereo"
        for rate_hz in dict.fromkeys((RATE_HZ, info.rate_hz)):
            for count in (1, 2):
                if count > channels or rate_hz % 100:
                    continue
                try:
                    self.stream = self._open(audio, index, rate_hz, count, capture)
                except (OSError, ValueError) as error:
                    why = str(error.args[-1])
                    continue
                self.rate_hz, self.channels = rate_hz, count
                self.cycle_frames = rate_hz * CYCLE_MS // 1000
                self._nodes = {number: node for number, node in cards.open_nodes(nodes).items() if number not in before}
                return
        raise DeviceBusy(info.name, why)

    @staticmethod
    def _open(audio: pyaudio.PyAudio, index: int, rate_hz: int, channels: int, capture: bool) -> pyaudio.Stream:
        return audio.open(
            rate=rate_hz,
            channels=channels,
            format=pyaudio.paInt16,
            input=capture,
            output=not capture,
            input_device_index=index if capture else None,
            output_device_index=None if capture else index,
            frames_per_buffer=rate_hz * CYCLE_MS // 1000,
        )

    def close(self) -> None:
        """Close it. Of a card that was pulled, PortAudio fails to stop the stream and then never closes it."""
        try:
            self.stream.close()
        except OSError:
            for number, node in self._nodes.items():
                if cards.node_of(number).startswith(node):
                    os.close(number)


class PortAudioDevice:
    """An open microphone and speaker; they may be two cards with two clocks."""

    def __init__(
        self, audio: pyaudio.PyAudio, microphone: _Stream, speaker: _Stream, closing: list[threading.Thread]
    ) -> None:
        self._closing = closing
        self._audio = audio
        self._microphone = microphone
        self._speaker = speaker
        self._to_48k = None if microphone.rate_hz == RATE_HZ else Resampler(microphone.rate_hz, RATE_HZ)
        self._from_48k = None if speaker.rate_hz == RATE_HZ else Resampler(RATE_HZ, speaker.rate_hz)
        self._pace = Pace(microphone.rate_hz, microphone.cycle_frames)
        self._drift = DriftMatch(speaker.cycle_frames)
        self._capacity = speaker.stream.get_write_available()
        self._dropped: Samples | None = None
        self._closed = False
        self.dropped_cycles = 0  # the speaker's buffer was full
        self.dry_cycles = 0  # it was empty: a gap was heard
        self.rate_hz = microphone.rate_hz
        self.latency_ms = 1000 * (microphone.stream.get_input_latency() + speaker.stream.get_output_latency())

    def read(self) -> Samples:
        wanted, stream = self._microphone.cycle_frames, self._microphone.stream
        patience_s = LOST_AFTER_S
        self._check()
        try:
            if nap_s := self._pace.nap_s(time.monotonic()):
                time.sleep(nap_s)
            while (there := stream.get_read_available()) < wanted:
                pause_s = self._pace.pause_s(wanted - there)
                if patience_s <= 0:
                    raise DeviceLost("the microphone gives no sound any more")
                time.sleep(pause_s)
                patience_s -= pause_s
            self._pace.came(there - wanted, time.monotonic())
            raw = stream.read(wanted, exception_on_overflow=False)
        except OSError as error:
            raise DeviceLost(f"the microphone is gone: {error.args[-1]}") from None
        samples = np.frombuffer(raw, dtype=np.int16)
        if self._microphone.channels == 2:
            samples = samples.reshape(-1, 2).mean(axis=1).astype(np.int16)
        return samples if self._to_48k is None else self._to_48k.process(samples)

    def write(self, samples: Samples) -> None:
        self._check()
        if self._from_48k is not None:
            samples = self._from_48k.process(samples)
        frames, stream = self._speaker.cycle_frames, self._speaker.stream
        try:
            room = stream.get_write_available()
            samples = self._drift.process(samples, self._capacity - room)
            if room < len(samples) or self._capacity - room >= _MOST_QUEUED_CYCLES * frames:
                self._dropped = samples
                self.dropped_cycles += 1
                self._drift.begin()
                return
            if self._dropped is not None:
                samples, self._dropped = fade(self._dropped, samples), None
            if room >= self._capacity:  # it ran dry: one cycle of silence ahead, or it will again
                self.dry_cycles += 1
                self._drift.begin()
                stream.write(bytes(2 * frames * self._speaker.channels))
            stream.write(self._raw(samples), exception_on_underflow=False)
        except OSError as error:
            raise DeviceLost(f"the speaker is gone: {error.args[-1]}") from None

    def _check(self) -> None:
        if self._closed:
            raise DeviceLost("the sound device was closed")

    def _raw(self, samples: Samples) -> bytes:
        return samples.tobytes() if self._speaker.channels == 1 else np.repeat(samples, 2).tobytes()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        closing = threading.Thread(target=self._close, name="sound-close", daemon=True)
        closing.start()
        closing.join(CLOSE_WITHIN_S)
        if closing.is_alive():
            self._closing.append(closing)

    def _close(self) -> None:
        self._microphone.close()
        self._speaker.close()
        self._audio.terminate()


class PortAudioDevices:
    """The backend. Looks for devices anew at every call, so that what is plugged in later is found."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._closing: list[threading.Thread] = []

    def list(self) -> "list[DeviceInfo]":
        audio = _portaudio()
        try:
            return [info for info in _there(audio, self._root) if info.inputs or info.outputs]
        finally:
            audio.terminate()

    def open(self, input_name: str, output_name: str) -> PortAudioDevice:
        while self._closing:
            self._closing.pop().join()
        audio = _portaudio()
        opened: list[_Stream] = []
        try:
            there = _there(audio, self._root)
            for name, capture in ((input_name, True), (output_name, False)):
                index = _choose(there, name, capture, self._root)
                opened.append(_Stream(audio, index, there[index], capture, self._root / "dev/snd"))
            return PortAudioDevice(audio, opened[0], opened[1], self._closing)
        except BaseException:
            for half in opened:
                half.close()
            audio.terminate()
            raise


def _there(audio: pyaudio.PyAudio, root: Path) -> list[DeviceInfo]:
    """Return every device by PortAudio's own index, which holds until it is asked anew."""
    known = {card.number: card for card in cards.cards(root)}
    models = [card.model for card in known.values() if card.model]
    return [_describe(audio.get_device_info_by_index(at), known, models) for at in range(audio.get_device_count())]


def choose_here(there: Sequence[DeviceInfo], name: str, capture: bool) -> int:
    """Return which of `there` a name means on this machine, for this user. Raises NoSuchDevice."""
    return choose(there, name, capture, _sound_server(os.environ))


def _choose(there: Sequence[DeviceInfo], name: str, capture: bool, root: Path) -> int:
    if name != DEFAULT:  # before another stream of the same card is taken for it
        _tell_passed_over(there, name, capture, root)
    try:
        return choose_here(there, name, capture)
    except NoSuchDevice:
        _tell_passed_over(there, name, capture, root)
        raise


def _tell_passed_over(there: Sequence[DeviceInfo], name: str, capture: bool, root: Path) -> None:
    """Raise DeviceBusy, if the kernel has a stream that PortAudio does not list: it passes over what does not open."""
    able = (info.name for info in there if (info.inputs if capture else info.outputs))
    listed = {f"pcmC{found[1]}D{found[2]}" for found in map(_PLACE.search, able) if found}
    known = {card.number: card for card in cards.cards(root)}
    for node, number, captures in cards.pcm_nodes(root):
        card = known.get(number)
        if captures == capture and card and name.lower() in {DEFAULT, *map(str.lower, card.names)}:
            if node.name[:-1] in listed:
                return
            why, cure = cards.why_not_open(node, root)
            if why:
                raise DeviceBusy(card.id, why, cure)


def _sound_server(environment: Mapping[str, str]) -> bool:
    """Say whether PulseAudio or PipeWire runs for this user; a service has none, whatever the desktop has."""
    runtime = Path(environment.get("XDG_RUNTIME_DIR") or "/nonexistent")
    return "PULSE_SERVER" in environment or (runtime / "pulse/native").exists() or (runtime / "pipewire-0").exists()


def _portaudio() -> pyaudio.PyAudio:
    _hush_libraries()
    try:
        return pyaudio.PyAudio()
    except OSError as error:
        raise CallboxError(f"PortAudio does not start: {error.args[-1]}", "is ALSA installed? try: aplay -l") from None


def _describe(raw: Mapping[str, object], known: Mapping[int, cards.Card], models: Sequence[str]) -> DeviceInfo:
    name = str(raw["name"])
    found = _PLACE.search(name)
    card = known.get(int(found[1])) if found else None
    twin = card is not None and models.count(card.model) > 1
    return DeviceInfo(
        name,
        card.id if card else "",
        int(str(raw["maxInputChannels"])),
        int(str(raw["maxOutputChannels"])),
        int(float(str(raw["defaultSampleRate"]))),
        names_of(name, card.id, card.socket, card.paths, twin) if card else names_of(name, "", "", (), False),
        bool(card and card.socket),
        twin,
    )


def backend(root: Path = Path("/")) -> PortAudioDevices:
    return PortAudioDevices(root)
