"""A real box that speaks: buttons pressed from the command line, espeak-ng's words in the file that is its speaker."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from callbox.app.demo_stage import box_toml
from callbox.audio.devices.wav import read_wav
from callbox.audio.speech import open_voice
from callbox.base.frames import Samples
from real.processes import KITCHEN, Place, collect, wait_for

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]


def likeness(words: Samples, heard: Samples) -> float:
    """Return how well `words` are found anywhere in `heard`: 1 is exactly, whatever the volume."""
    asked, line = words.astype(float), heard.astype(float)
    size = 1 << (len(words) + len(heard)).bit_length()
    found = np.fft.irfft(np.fft.rfft(line, size) * np.conj(np.fft.rfft(asked, size)), size)[: len(heard)]
    power = np.concatenate(([0.0], (line**2).cumsum(), np.full(len(words), (line**2).sum())))
    there = power[len(words) :][: len(heard)] - power[: len(heard)]
    return float((found / np.sqrt((there + 1e6) * (asked**2).sum())).max())


@pytest.mark.soak
def test_a_box_that_is_being_linked_says_the_numbers(place: Place) -> None:
    place.start_server()
    place.settings(KITCHEN, box_toml("wav", "", ""))
    place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connected")
    speaker = Path(place.home("hall")) / "speaker.wav"
    speaker.parent.mkdir()
    place.settings("hall", box_toml("wav", "", str(speaker)).replace('voice = "none"', 'voice = "espeak"'))
    linking = place.begin("link", "--home", place.home(KITCHEN))
    assert linking.stdout is not None
    joining = place.begin("join", linking.stdout.readline().strip(), "--home", place.home("hall"))
    numbers = collect(linking).out.partition("same numbers:")[2].split("\n")[0].strip()
    said = open_voice("espeak").say(", ".join(" ".join(group) for group in numbers.split()) + ".", "en")
    wait_for(lambda: speaker.exists() and likeness(said, read_wav(speaker)) > 0.95, "the numbers are said", 30.0)
    assert "Linked" in place.must("link", "--confirm", numbers, "--home", place.home(KITCHEN))
    joined = collect(joining)
    assert joined.code == 0, joined
    assert "not spoken" not in joined.err


def test_holding_mute_says_how_the_box_is_in_its_language(place: Place) -> None:
    place.start_server()
    speaker = Path(place.home(KITCHEN)) / "speaker.wav"
    quiet = box_toml("wav", "", str(speaker))
    place.settings(KITCHEN, quiet.replace('voice = "none"', 'voice = "espeak"\nlanguage = "de"'))
    place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connected")
    assert place.status(KITCHEN)["speech"] == "on"
    place.must("press", "mute", "--hold", "1.5", "--home", place.home(KITCHEN))
    said, not_said = (open_voice("espeak").say(text, "de") for text in ("Verbunden.", "Nicht verbunden."))
    wait_for(lambda: speaker.exists() and len(read_wav(speaker)) > 48_000, "something is said")
    wait_for(lambda: likeness(said, read_wav(speaker)) > 0.95, "the words are said")
    assert likeness(not_said, read_wav(speaker)) < 0.7
    assert place.running[KITCHEN].end() == 0
