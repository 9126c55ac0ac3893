"""The sound self-test with a real PortAudio: a virtual card whose speaker is led to its microphone."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from callbox.testing.virtual_card import VirtualCard

pytestmark = pytest.mark.real
SETTINGS = '[panel]\nbackend = "simulated"\n[sound]\ninput = "kitchen"\noutput = "kitchen"\n'


def callbox(card: VirtualCard, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "box.toml").write_text(SETTINGS)
    return subprocess.run(
        [sys.executable, "-m", "callbox.app.main", *words, "--home", str(folder)],
        env=card.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def lead_speaker_to_microphone(card: VirtualCard, name: str) -> None:
    words = [f"source={name}_speaker.monitor", f"sink={name}_mouth", "latency_msec=20"]
    subprocess.run(["pactl", "load-module", "module-loopback", *words], env=card.environment, check=True)


def test_chirps_come_back_through_a_real_sound_server(tmp_path: Path) -> None:
    with VirtualCard(["kitchen"]) as card:
        lead_speaker_to_microphone(card, "kitchen")
        done = callbox(card, tmp_path, "test", "sound", "--json")
    told = json.loads(done.stdout)
    assert told["test"]["heard"] == 3, done
    assert 10 < told["test"]["delay_ms"] < 250
    assert abs(told["test"]["echo_db"]) < 3
    assert told["ok"] == (done.returncode == 0)


@pytest.mark.soak
def test_a_card_that_is_not_the_one_is_found_out_and_the_right_one_named(tmp_path: Path) -> None:
    """Three tests of three seconds each."""
    with VirtualCard(["kitchen", "attic"]) as card:
        words = ["source=kitchen_speaker.monitor", "sink=attic_mouth", "latency_msec=20"]
        subprocess.run(["pactl", "load-module", "module-loopback", *words], env=card.environment, check=True)
        done = callbox(card, tmp_path, "test", "sound")
    assert done.returncode == 1
    assert "gives nothing at all" in done.stdout
    assert 'input = "attic"' in done.stdout


_HANGING = """
    import json, sys, time
    from callbox.audio.devices import open_backend
    from callbox.audio.devices.opening import Opening
    from callbox.audio.engine import Engine
    from callbox.audio.facts import OpenSound, SetCapture, StartMedia
    facts, longest, sent, opened, begin = [], 0.0, 0, False, time.monotonic()
    engine = Engine(Opening(open_backend("portaudio")), lambda fact: facts.append([time.monotonic() - begin, fact]))
    for command in (OpenSound("kitchen", "kitchen"), StartMedia(bytes, bytes), SetCapture(True)):
        engine.command(command)
    while time.monotonic() < begin + float(sys.argv[1]):
        before = time.monotonic()
        pause_s = engine.cycle(before)
        longest = max(longest, time.monotonic() - before)
        sent += len(list(engine.outbound.drain()))
        if not opened and facts:
            opened = True
            print("open", flush=True)
        time.sleep(pause_s)
    told = [[at, type(fact).__name__] for at, fact in facts if type(fact).__name__.startswith("Sound")]
    print(json.dumps({"told": told, "longest_s": longest, "sent": sent}))
"""


@pytest.mark.soak
def test_a_sound_server_that_hangs_holds_up_no_call() -> None:
    """It hangs for six seconds."""
    with VirtualCard(["kitchen"]) as card:
        daemon = card.daemon
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_HANGING), "14"],
            env=card.environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(2)
        os.kill(daemon, signal.SIGSTOP)
        try:
            time.sleep(6)
        finally:
            os.kill(daemon, signal.SIGCONT)
        told = json.loads(child.communicate(timeout=60)[0].splitlines()[-1])
    assert [what for _, what in told["told"]] == ["SoundOpened", "SoundLost", "SoundOpened"], told
    assert told["longest_s"] < 1.6
    assert told["sent"] > 1000


@pytest.mark.soak
def test_levels_of_a_real_microphone(tmp_path: Path) -> None:
    """Two seconds of listening, to nothing."""
    with VirtualCard(["kitchen"]) as card:
        done = callbox(card, tmp_path, "sound", "levels", "--seconds", "2", "--json")
    told = json.loads(done.stdout)
    assert len(told["levels"]) == 20
    assert told["loudest_db"] < -90
