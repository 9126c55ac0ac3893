"""What `callbox sound levels` and `callbox test sound` print, and with what they end."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from callbox.app import sound_alone
from callbox.app.commands import parser, sound_tests
from callbox.app.settings import BoxSettings, PanelSettings
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.facts import Listen, Listened
from callbox.base.errors import CallboxError
from callbox.panel.pins.simulated import SimulatedPins
from callbox.testing.room import Room, RoomCard, Surroundings

FINE = {
    "heard": 3,
    "delay_ms": 45.0,
    "spread_ms": 0.0,
    "echo_db": -6.0,
    "noise_db": -62.0,
    "loudest_db": -12.0,
    "clipped": 0.0,
    "mic_dead": False,
}
LEVELS = [{"mean_db": -60.0, "peak_db": -50.0}, {"mean_db": -20.0, "peak_db": -0.1}]


def options(*words: str) -> argparse.Namespace:
    return parser().parse_args([*words])


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []

    def listen(options: argparse.Namespace, **words: Any) -> Iterator[dict[str, Any]]:
        yield from made

    monkeypatch.setattr(sound_tests, "_listen", listen)
    monkeypatch.setenv("CALLBOX_HOME", str(tmp_path))
    (tmp_path / "box.toml").write_text('[sound]\nbackend = "wav"\n')
    return made


def test_a_test_that_finds_nothing_wrong_ends_with_0(
    replies: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    replies.append({"test": FINE})
    chosen = options("test", "sound")
    assert chosen.perform(chosen) == 0
    assert "heard after 45 ms" in capsys.readouterr().out


def test_a_fault_is_told_with_its_cure_and_ends_with_1(
    replies: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    replies.append({"test": {**FINE, "mic_dead": True}})
    chosen = options("test", "sound", "--json")
    assert chosen.perform(chosen) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["test"]["mic_dead"], len(told["findings"])) == (False, True, 1)
    assert "alsamixer" in told["findings"][0]["cure"]


def test_a_test_that_does_not_end_is_an_error(replies: list[dict[str, Any]]) -> None:
    replies.append({"ok": True})
    chosen = options("test", "sound")
    with pytest.raises(CallboxError, match="did not come to its end"):
        chosen.perform(chosen)


def test_levels_are_summed_up(replies: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    replies += [{"level": level} for level in LEVELS]
    chosen = options("sound", "levels")
    assert chosen.perform(chosen) == 0
    assert capsys.readouterr().out == "loudest -0.1 dB, quietest -60.0 dB of full scale\n"
    assert "too loud" in sound_tests.bar(**LEVELS[1])
    assert len({len(sound_tests.bar(**level)) for level in LEVELS}) == 1


def test_alone_it_lights_the_light_while_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []
    monkeypatch.setattr(SimulatedPins, "show", lambda self, levels: shown.append(levels["live"]))
    settings = BoxSettings(panel=PanelSettings(backend="simulated"))
    card = RoomCard("card", Room(Surroundings(delay_ms=30)))
    *_, last = sound_alone.listen_alone(settings, Listen(1.0, test=True), SimulatedDevices([card]))
    assert isinstance(last, Listened)
    assert last.test is not None
    assert last.test.delay_ms == pytest.approx(30, abs=1)
    assert shown == [1.0, 0.0]
    assert card.opened == 0
    card.unplug()
    with pytest.raises(CallboxError, match="There is no sound"):
        list(sound_alone.listen_alone(settings, Listen(1.0), SimulatedDevices([card])))
