"""`callbox demo` as a newcomer runs it: three processes, a real call, figures, an exit code that can be believed."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from callbox.app import demo, demo_conversation
from callbox.audio.devices.wav import read_wav
from callbox.base.frames import RATE_HZ, silence
from callbox.testing.virtual_card import VirtualCard
from callbox.testing.voice import Voice

pytestmark = pytest.mark.real
SPEECH_S = 5.0


def figures(out: Path, wav: bool, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    """Run the demo; return its exit code and the one JSON object that it prints."""
    code = demo.demo(argparse.Namespace(json=True, out=str(out), wav=wav))
    return code, json.loads(capsys.readouterr().out)


def test_a_voice_that_arrives_is_measured_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with VirtualCard(["probe"]):
        pass  # without a sound system this fails and names the packages, where the demo would fall back to WAV files
    monkeypatch.setattr(demo, "VOICE_S", SPEECH_S)
    code, told = figures(tmp_path, False, capsys)
    assert (code, told["arrived"]) == (0, True), told
    assert "PulseAudio" in told["card"]
    assert 0 < told["mouth_to_ear_median_ms"] < 500
    assert told["stoi"] > 0.7
    assert told["received"] > 100
    assert len(read_wav(Path(told["heard"]))) > SPEECH_S * RATE_HZ


@pytest.mark.soak
def test_a_voice_that_does_not_arrive_ends_with_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = Voice(silence(round(2 * RATE_HZ)), "nobody speaks", False)
    monkeypatch.setattr(demo, "find_voice", lambda seconds: nobody)
    code, told = figures(tmp_path, True, capsys)
    assert (code, told["arrived"]) == (1, False), told
    assert "WAV" in told["card"]


@pytest.mark.soak  # half a minute: boxes are switched on in turn, and four seconds are spoken and played
def test_a_conversation_is_played_with_every_mark_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = demo_conversation.conversation(argparse.Namespace(json=True, out=str(tmp_path)))
    told = json.loads(capsys.readouterr().out)
    assert (code, told["arrived"]) == (0, True), told
    assert [(item["kind"], item["state"] or item["reason"]) for item in told["thread"]] == [
        ("text", "heard"),
        ("call", "unreachable"),
        ("voice", "heard"),
        ("call", "quiet"),
    ]
    assert told["why"][0::2] == ["calls are enabled", "may not break through"]
    assert told["why"][1].startswith("quiet hours (")
    assert told["stoi"] > 0.7
    assert len(read_wav(Path(told["heard"]))) > demo_conversation.VOICE_S * RATE_HZ
