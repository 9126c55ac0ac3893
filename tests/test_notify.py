"""What systemd is told, over a socket that stands where systemd's would."""

import socket
from pathlib import Path

import pytest

from callbox.notify import notify, watchdog_interval_s


def test_systemd_hears_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        notify("READY=1")
        systemd.settimeout(1.0)
        assert systemd.recv(100) == b"READY=1"


def test_a_name_with_an_at_sign_is_an_abstract_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = f"callbox-test-{tmp_path.name}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}")
        notify("STOPPING=1")
        systemd.settimeout(1.0)
        assert systemd.recv(100) == b"STOPPING=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(socket, "socket", lambda *arguments: pytest.fail("a socket was opened"))
    notify("READY=1")


@pytest.mark.parametrize(("allowed", "interval_s"), [("30000000", 15.0), ("", None), ("0", None), ("soon", None)])
def test_the_watchdog_is_fed_twice_as_often_as_it_demands(
    allowed: str, interval_s: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", allowed)
    assert watchdog_interval_s() == interval_s
