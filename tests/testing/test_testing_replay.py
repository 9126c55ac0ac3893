"""Replaying a call's arrivals: the same trace gives the same sound and decisions."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from callbox.audio.devices.wav import read_wav, write_wav
from callbox.base.errors import CallboxError
from callbox.testing.playout import hum, loudness
from callbox.testing.replay import main, read_trace, replay


def trace(count: int, late: int = -1) -> list[str]:
    """20 ms packets, 7 ms on their way; the one with the number `late` needs 150 ms more, and all behind it wait."""
    lines, at_ms = [], 0.0
    for number in range(count):
        at_ms = max(at_ms, number * 20 + 7 + (150 if number == late else 0))
        lines.append(json.dumps({"at_ms": at_ms, "timestamp": number * 960, "bytes": 60, "packet_ms": 20}))
    return lines


def test_a_steady_trace_is_heard_as_it_was_said() -> None:
    done = replay(read_trace(trace(100)), hum(2.0))
    assert (done.counters.lost, done.counters.late) == (0, 0)
    assert loudness(done.heard[:90_000]) == pytest.approx(loudness(hum(2.0)), rel=0.15)
    assert [decision.did for decision in done.decisions[5:50]] == [["played"]] * 45


def test_a_stall_shows_in_the_decisions() -> None:
    done = replay(read_trace(trace(200, late=100)), hum(2.0))
    there = [decision.ms for decision in done.decisions if "concealed" in decision.did and decision.ms < 3000]
    assert there
    assert 2000 <= min(there) <= 2050
    assert max(there) <= 2180
    assert any(decision.came >= 7 for decision in done.decisions)


def test_the_command_writes_sound_and_decisions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "trace").write_text("\n".join(trace(100)))
    write_wav(tmp_path / "voice.wav", hum(2.0))
    files = {"out": "x.wav", "decisions": "y", "voice": "voice.wav"}
    told = [f"--{what}={tmp_path / name}" for what, name in files.items()]
    assert main([str(tmp_path / "trace"), *told]) == 0
    again = replay(read_trace(trace(100)), hum(2.0))
    assert np.array_equal(read_wav(tmp_path / "x.wav"), again.heard)
    assert [json.loads(line) for line in (tmp_path / "y").read_text().splitlines()] == [
        asdict(decision) for decision in again.decisions
    ]
    assert json.loads(capsys.readouterr().out)["received"] == 100


def test_the_laboratorys_files_are_read_too() -> None:
    arrivals = read_trace(["7 100.5", "8 100.52"])
    assert [(arrival.at_ms, arrival.timestamp) for arrival in arrivals] == [(0, 0), (pytest.approx(20), 480)]


@pytest.mark.parametrize("lines", [[], ["x"], ["{}"], ['{"at_ms": 1, "timestamp": 2, "bytes": 3, "packet_ms": 20}']])
def test_what_is_no_trace_is_refused(lines: list[str]) -> None:
    with pytest.raises(CallboxError, match="callbox trace"):
        read_trace(lines)
