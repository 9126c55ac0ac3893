"""`callbox demo`: a real call between two boxes on this machine, watched while it happens, and measured.

a recorded human voice --> kitchen's microphone --> TLS on loopback, sealed end to end --> workshop's speaker
                             |                                                               |
                             +----------------- recorded, compared: delay, STOI -------------+
"""

import argparse
import contextlib
import json
import math
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from callbox.app import client
from callbox.app.demo_screen import Screen
from callbox.app.demo_stage import KITCHEN, WORKSHOP, Stage, box_toml, wait_for
from callbox.audio.devices.wav import read_wav, write_wav
from callbox.base.errors import CallboxError
from callbox.base.frames import RATE_HZ, Samples, silence
from callbox.testing.measure import intelligibility, mouth_to_ear
from callbox.testing.virtual_card import VirtualCard
from callbox.testing.voice import Voice, find_voice

VOICE_S = 10.0
AFTER_S = 0.7
WAV_LEAD_S = 4.0  # silence before the voice in a WAV microphone: dialling and answering happen meanwhile
SEARCHED_S = 0.2  # a fit of envelopes is only good to some 10 ms; the pieces of speech are looked for around it
HEARD_STOI = 0.5
NAMES = (KITCHEN, WORKSHOP)


@dataclass(slots=True)
class Watched:
    """What both boxes last said about themselves, and when each state began."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    since: dict[tuple[str, str], float] = field(default_factory=dict)
    left: bool = False

    def follow(self, name: str, stage: Stage) -> None:
        """Follow one box on a thread of its own until it ends, or until `leave`."""

        def watch() -> None:
            with contextlib.suppress(CallboxError, OSError):
                for facts in client.ask(stage.home(name), "watch"):
                    self.since.setdefault((name, facts["state"]), time.monotonic())
                    self.facts[name] = facts
                    if self.left:
                        return

        threading.Thread(target=watch, name=f"watch-{name}", daemon=True).start()

    def leave(self) -> None:
        """Follow no longer: being watched costs a box a little, which some measurement may not want."""
        self.left = True

    def in_order(self) -> dict[str, dict[str, Any]]:
        """Return what is known of both, the caller first."""
        return {name: self.facts[name] for name in NAMES if name in self.facts}

    def state(self, name: str) -> str:
        return str(self.facts.get(name, {}).get("state", "starting"))

    def connected(self) -> bool:
        return all(self.facts.get(name, {}).get("link") == "connected" for name in NAMES)


def demo(options: argparse.Namespace) -> int:
    """Run the demo; return 0 if the voice arrived, else 1."""
    screen = Screen(sys.stderr, quiet=options.json)
    out = out_folder(options.out)
    voice = find_voice(VOICE_S)
    with tempfile.TemporaryDirectory(prefix="callbox-demo-") as folder:
        figures = _on_a_card(Path(folder), voice, screen, out) if not options.wav else None
        if figures is None:
            figures = _on_files(Path(folder), voice, screen, out)
    print(json.dumps(figures) if options.json else screen.report(figures))
    return 0 if figures["arrived"] else 1


def out_folder(name: str) -> Path:
    """Return the folder for recordings, made if need be. Raises CallboxError."""
    out = Path(name)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CallboxError(
            f"The folder {out} cannot be written: {error.strerror}.", "Name another: --out DIR"
        ) from None
    return out


def _on_a_card(folder: Path, voice: Voice, screen: Screen, out: Path) -> dict[str, Any] | None:
    """Run the call over a virtual sound card; None if there can be none here."""
    with contextlib.ExitStack() as stack:
        try:
            card = stack.enter_context(VirtualCard(NAMES))
        except CallboxError as error:
            screen.say(f"no virtual sound card ({error.what}): WAV files stand in for it")
            return None
        stage = stack.enter_context(Stage(folder, card.environment))
        watched = _set_up(stage, screen, {name: box_toml("portaudio", name, name) for name in NAMES})
        timing = _call(stage, watched, screen)
        said, heard = card.record_microphone(KITCHEN), card.record(WORKSHOP)  # without the ring before it
        card.play(KITCHEN, voice.samples)
        _watch(watched, screen, len(voice.samples) / RATE_HZ + AFTER_S)
        media = watched.facts[WORKSHOP]["media"] or {}
        _hang_up(stage, watched)
        sent, got = said.stop(), heard.stop()
        offset_s = heard.started_at - said.started_at
    delay = mouth_to_ear(sent, got, offset_s)
    figures = {
        "card": "PortAudio on PulseAudio null sinks",
        "mouth_to_ear_median_ms": _number(delay.median_ms),
        "mouth_to_ear_p95_ms": _number(delay.p95_ms),
        "pieces_of_speech": delay.pieces,
        "pieces_missing": delay.missing,
        "stoi": _stoi(sent, got, offset_s),
    }
    return _figures(figures, timing, media, voice, sent, got, out)


def _on_files(folder: Path, voice: Voice, screen: Screen, out: Path) -> dict[str, Any]:
    """Run the call with WAV files for sound cards: no delay can be measured, only what arrived."""
    spoken = np.concatenate((silence(round(WAV_LEAD_S * RATE_HZ)), voice.samples))
    microphone, speaker = folder / "microphone.wav", folder / "speaker.wav"
    write_wav(microphone, spoken)
    with Stage(folder) as stage:
        settings = {
            KITCHEN: box_toml("wav", str(microphone), ""),
            WORKSHOP: box_toml("wav", "", str(speaker)),
        }
        watched = _set_up(stage, screen, settings)
        timing = _call(stage, watched, screen)
        _watch(watched, screen, len(spoken) / RATE_HZ + AFTER_S)
        media = watched.facts[WORKSHOP]["media"] or {}
        _hang_up(stage, watched)
        time.sleep(AFTER_S)
    got = read_wav(speaker)
    figures = {
        "card": "WAV files (no sound card: delay not measured)",
        "mouth_to_ear_median_ms": None,
        "mouth_to_ear_p95_ms": None,
        "pieces_of_speech": None,
        "pieces_missing": None,
        "stoi": stoi_anywhere(spoken, got),
    }
    return _figures(figures, timing, media, voice, spoken, got, out)


# --- acts ----------------------------------------------------------------------------------------------------------


def _set_up(stage: Stage, screen: Screen, settings: dict[str, str]) -> Watched:
    screen.say("starting a signaling server ...")
    stage.start_server()
    screen.say("making two boxes: kitchen and workshop ...")
    stage.enrol(NAMES, settings)
    watched = Watched()
    for name in NAMES:
        stage.start_box(name)
        watched.follow(name, stage)
    wait_for(watched.connected, 15.0, "Connecting both boxes")
    return watched


def _call(stage: Stage, watched: Watched, screen: Screen) -> dict[str, Any]:
    """Press dial at one box and talk at the other; return how long each took."""
    screen.say("kitchen presses dial 1")
    client.ask_once(stage.home(KITCHEN), "press", button="dial1")
    screen.show(watched.in_order())
    wait_for(lambda: watched.state(WORKSHOP) == "ringing", 10.0, "Ringing")
    rang_ms = 1000 * (watched.since[WORKSHOP, "ringing"] - watched.since[KITCHEN, "dialing"])
    screen.say(f"workshop rings after {rang_ms:.0f} ms, and presses talk")
    client.ask_once(stage.home(WORKSHOP), "press", button="talk")
    wait_for(lambda: watched.state(KITCHEN) == watched.state(WORKSHOP) == "talking", 10.0, "Talking")
    screen.say("kitchen speaks")
    return {"dial_to_ring_ms": round(rang_ms)}


def _watch(watched: Watched, screen: Screen, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        screen.show(watched.in_order())
        time.sleep(0.1)


def _hang_up(stage: Stage, watched: Watched) -> None:
    client.ask_once(stage.home(KITCHEN), "press", button="talk")
    wait_for(lambda: all(watched.state(name) in ("idle", "ending") for name in NAMES), 5.0, "Hanging up")


# --- figures -------------------------------------------------------------------------------------------------------


def _figures(
    figures: dict[str, Any],
    timing: dict[str, Any],
    media: dict[str, Any],
    voice: Voice,
    sent: Samples,
    got: Samples,
    out: Path,
) -> dict[str, Any]:
    said, heard = out / "kitchen-said.wav", out / "workshop-heard.wav"
    write_wav(said, sent)
    write_wav(heard, got)
    stoi, missing = figures["stoi"], figures["pieces_missing"] or 0
    arrived = stoi is not None and stoi >= HEARD_STOI and missing * 2 <= (figures["pieces_of_speech"] or 0)
    kept = ("step_name", "packet_ms", "bits_per_s", "delay_ms", "received", "lost", "late", "concealed")
    return {
        "arrived": arrived,
        "voice": voice.source,
        "human": voice.human,
        **figures,
        **timing,
        **{name: media.get(name) for name in kept},
        "said": str(said),
        "heard": str(heard),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 1)


def _stoi(sent: Samples, got: Samples, offset_s: float) -> float | None:
    try:
        score = intelligibility(sent, got, offset_s) if len(got) else math.nan
    except (ValueError, CallboxError):
        return None
    return None if math.isnan(score) else round(score, 3)


def stoi_anywhere(sent: Samples, got: Samples) -> float | None:
    """Return how well `sent` can be understood in `got`, wherever in there it is; None if it cannot be told."""
    return _stoi(sent, got, _lag_s(sent, got) + SEARCHED_S / 2)


def _lag_s(sent: Samples, got: Samples) -> float:
    """Return by how much `got` started later than `sent`, in s, from where the two fit best (envelopes, 10 ms)."""
    first, second = (_envelope(samples) for samples in (sent, got))
    fit = np.correlate(second - second.mean(), first - first.mean(), mode="full")
    return -(int(np.argmax(fit)) - (len(first) - 1)) / 100


def _envelope(samples: Samples) -> "np.ndarray[Any, np.dtype[np.float64]]":
    size = RATE_HZ // 100
    whole = samples[: len(samples) // size * size].astype(np.float64)
    return np.asarray(np.abs(whole).reshape(-1, size).mean(axis=1))
