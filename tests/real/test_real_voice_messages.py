"""Real boxes: a voice message from one WAV file that is a microphone to another that is a speaker, and as a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callbox.app.demo_stage import box_toml
from callbox.audio import ogg
from callbox.audio.devices.wav import read_wav, write_wav
from callbox.base.frames import RATE_HZ
from callbox.testing.ears import tone_amplitude
from real.processes import KITCHEN, WORKSHOP, Place, wait_for

pytestmark = pytest.mark.real
TONE_HZ = 700.0
SPOKEN = (8000 * np.sin(2 * np.pi * TONE_HZ * np.arange(30 * RATE_HZ) / RATE_HZ)).astype(np.int16)


def voices(place: Place, name: str) -> list[dict[str, Any]]:
    facts = json.loads(place.must("messages", "--json", "--home", place.home(name)))
    return [item for item in facts["items"] if item["kind"] == "voice"]


def state(place: Place, name: str) -> list[str]:
    return [str(item["state"]) for item in voices(place, name)]


@pytest.mark.soak
def test_held_spoken_released_and_played(place: Place) -> None:
    said, heard = place.folder / "said.wav", place.folder / "heard.wav"
    write_wav(said, SPOKEN)
    place.start_server()
    place.settings(KITCHEN, box_toml("wav", str(said), ""))
    place.settings(WORKSHOP, box_toml("wav", "", str(heard)))
    for name in (KITCHEN, WORKSHOP):
        place.start_box(name)
    wait_for(lambda: place.connected(KITCHEN) and place.connected(WORKSHOP), "connected")
    place.must("press", "dial1", "--hold", "4", "--home", place.home(KITCHEN))
    wait_for(lambda: state(place, KITCHEN) == ["delivered"], "it is delivered")
    place.must("press", "talk", "--home", place.home(WORKSHOP))
    wait_for(lambda: state(place, KITCHEN) == ["heard"], "it is heard")
    assert 2.0 < voices(place, WORKSHOP)[0]["duration_s"] < 3.0
    assert place.running[WORKSHOP].end() == 0
    sound = read_wav(heard)
    windows = [tone_amplitude(sound[at : at + 9600], TONE_HZ) for at in range(0, len(sound) - 9600, 9600)]
    assert sum(window > 1000 for window in windows) >= 9, "two seconds of the tone came out of the speaker"


@pytest.mark.soak
def test_a_file_each_way_of_the_command_line_also_while_a_box_is_off(place: Place, tmp_path: Path) -> None:
    place.start_server()
    write_wav(tmp_path / "said.wav", SPOKEN[: 12 * RATE_HZ])
    sent = place.must("message", WORKSHOP, "--voice", str(tmp_path / "said.wav"), "--home", place.home(KITCHEN))
    assert sent.startswith("sent: voice message "), "two parts, by a box that runs for this command alone"
    place.start_box(WORKSHOP)
    wait_for(lambda: state(place, WORKSHOP) == ["delivered"], "it arrives")
    number = str(voices(place, WORKSHOP)[0]["id"])
    line = place.must("messages", "--home", place.home(WORKSHOP))
    assert f"voice message, 12 s, {number[:8]}" in line
    saved = tmp_path / "saved.ogg"
    facts = json.loads(
        place.must("messages", "--save", number[:8], str(saved), "--json", "--home", place.home(WORKSHOP))
    )
    assert facts["bytes"] == saved.stat().st_size
    assert ogg.read(saved.read_bytes()).duration_ms == pytest.approx(12_000, abs=20)
    again = place.callbox("messages", "--save", number[:8], str(saved), "--home", place.home(WORKSHOP))
    assert again.code == 2
    assert "there already" in again.err
    assert place.running[WORKSHOP].end() == 0
