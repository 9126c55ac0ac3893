"""The command line's side of the control socket: what a person is told while it waits."""

import sys
import time
from pathlib import Path

import pytest

from callbox.app import client
from callbox.app.home import Home


@pytest.mark.parametrize("terminal", [True, False])
def test_whoever_waits_at_a_terminal_is_told_what_for_once_and_a_script_is_not(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(now)))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with pytest.raises(client.NotRunning):
        client.ask_once(Home(tmp_path), "status")
    assert capsys.readouterr().err.count("waiting for the box") == terminal
