"""What the Pi's own light shows while no box runs, on files that stand where the kernel's would."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "systemd" / "status-light"
AFTER_BOOT = "none timer [mmc0] default-on"


@pytest.fixture
def light(tmp_path: Path) -> Path:
    folder = tmp_path / "ACT"
    folder.mkdir()
    (folder / "trigger").write_text(AFTER_BOOT)
    return folder


def show(leds: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *words],
        env={**os.environ, "LEDS": str(leds), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def rhythm_of(light: Path) -> tuple[str, ...]:
    return tuple((light / name).read_text().strip() for name in ("trigger", "delay_on", "delay_off"))


def test_before_a_box_runs_the_light_blinks_shortly(light: Path) -> None:
    assert show(light.parent, "waiting").returncode == 0
    assert rhythm_of(light) == ("timer", "100", "1900")


def test_an_older_kernel_calls_it_led0(light: Path) -> None:
    light = light.rename(light.with_name("led0"))
    show(light.parent, "waiting")
    assert rhythm_of(light) == ("timer", "100", "1900")


@pytest.mark.parametrize(
    ("result", "rhythm"),
    [
        ("success", ("timer", "100", "1900")),
        ("exit-code", ("timer", "200", "200")),
        ("watchdog", ("timer", "200", "200")),
    ],
)
def test_after_the_service_it_tells_whether_that_failed(light: Path, result: str, rhythm: tuple[str, ...]) -> None:
    show(light.parent, "ended", SERVICE_RESULT=result)
    assert rhythm_of(light) == rhythm


def test_a_box_with_a_status_light_of_its_own_gives_the_light_back_to_the_card(light: Path) -> None:
    (light / "trigger").write_text("none [timer] mmc0")
    show(light.parent, "running")
    assert (light / "trigger").read_text() == "mmc0\n"


def test_a_box_that_has_taken_the_light_keeps_it(light: Path) -> None:
    (light / "trigger").write_text("[none] timer mmc0")
    show(light.parent, "running")
    assert (light / "trigger").read_text() == "[none] timer mmc0"


def test_a_machine_without_that_light_is_left_alone(tmp_path: Path) -> None:
    done = show(tmp_path, "waiting")
    assert (done.returncode, done.stdout + done.stderr, list(tmp_path.iterdir())) == (0, "", [])


def test_another_word_is_wrong_use(light: Path) -> None:
    assert show(light.parent, "off").returncode == 2
    assert (light / "trigger").read_text() == AFTER_BOOT
