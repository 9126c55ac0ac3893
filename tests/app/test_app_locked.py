"""A box whose key is sealed: it says so, rings nothing, knows nobody, and opens for its passphrase alone."""

import itertools
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.stored_worlds import KEY as STORED_KEY
from app.stored_worlds import VECTORS
from callbox.app import effects as do
from callbox.app import events as happened
from callbox.app.boards import find_board
from callbox.app.home import Home
from callbox.app.keeping import Locked, key_mode, seal_key, store_key, unlocked_key, unseal_key
from callbox.app.locked import LockedBox
from callbox.app.main import main
from callbox.app.phrases import load_phrases
from callbox.app.settings import SoundSettings
from callbox.audio.devices.simulated import SimulatedDevices
from callbox.audio.engine import Engine
from callbox.audio.facts import Play, PlaySpeech
from callbox.audio.speech.simulated import SimulatedVoice
from callbox.base.errors import CallboxError
from callbox.base.frames import CYCLE_SAMPLES, silence
from callbox.crypto.sealed_file import Costs
from callbox.testing.ears import TimedCard

KEY = b"k" * 32
CHEAP = Costs(memory_kib=64, passes=1, lanes=1)


class Case:
    """A locked box and what it wanted done, oldest first."""

    def __init__(self, speaks: bool = True) -> None:
        self.box = LockedBox(find_board("breadboard"), load_phrases("en"), speaks, SoundSettings())
        self.now = 100.0
        self.done: list[Any] = []
        self.give(happened.Started())

    def give(self, event: happened.Event) -> list[Any]:
        effects = list(self.box.handle(event, self.now))
        self.done += effects
        return effects

    def ask(self, what: str, **words: object) -> dict[str, Any]:
        """Ask; an answer that comes later is an empty one."""
        answers = [effect for effect in self.give(happened.Asked(1, what, words)) if isinstance(effect, do.Answer)]
        return dict(answers[0].reply) if answers else {}

    def try_passphrase(self, right: bool) -> dict[str, Any]:
        early = self.ask("unlock", passphrase="four words make sense")
        if early:
            return early
        opened = happened.VaultOpened(1, KEY if right else None, "" if right else "This is not the passphrase.")
        answer = next(effect for effect in self.give(opened) if isinstance(effect, do.Answer))
        return dict(answer.reply)

    def said(self) -> list[str]:
        return [effect.text for effect in self.done if isinstance(effect, do.Speak)]


def test_it_says_so_at_the_start_and_at_a_press() -> None:
    case = Case()
    assert case.said() == ["This box is locked."]
    case.now += 5.0
    case.give(happened.ButtonMoved("talk", True, case.now))
    case.give(happened.ButtonMoved("talk", False, case.now))
    assert len(case.said()) == 2
    case.give(happened.ButtonMoved("mute", True, case.now + 0.1))
    assert len(case.said()) == 2, "a storm of presses is answered once"
    samples = np.zeros(480, np.int16)
    assert PlaySpeech(samples, 1) in case.give(happened.Spoken(1, samples))


def test_its_words_leave_the_speaker() -> None:
    card = TimedCard("card", lambda: silence(CYCLE_SAMPLES), lambda: 0.0)
    engine = Engine(SimulatedDevices([card]), lambda fact: None)
    case = Case()
    case.give(happened.Spoken(1, SimulatedVoice().say(case.said()[0], "en")))
    for effect in case.done:
        if not isinstance(effect, do.Log | do.Speak | do.ShowLights):
            engine.command(effect)
    for number in range(400):
        engine.cycle(number / 100)
    assert card.ear.words == ["This box is locked."]
    assert card.opened == 0, "and it is let go of again"


@pytest.mark.parametrize("how", ["no voice set", "voice fails"])
def test_without_a_voice_the_error_tone_says_it(how: str) -> None:
    case = Case(speaks=how == "voice fails")
    if how == "voice fails":
        case.give(happened.SpeechFailed(1, "espeak-ng is not there.", True))
    assert [effect.tone.value for effect in case.done if isinstance(effect, Play)] == ["error"]


def test_the_status_light_has_a_rhythm_of_its_own_and_no_other_light_is_on() -> None:
    case = Case()
    lit: list[bool] = []
    for _ in range(300):
        case.now += 0.01
        case.give(happened.Ticked())
        levels = case.box.status()["lights"]
        assert not any(level for name, level in levels.items() if name != "status")
        lit.append(levels["status"] > 0.5)
    starts = sum(not before and after for before, after in itertools.pairwise(lit))
    assert starts in (2, 3)  # three blinks in three seconds, one of them perhaps begun before
    assert sum(lit) == pytest.approx(60, abs=3)
    assert case.box.deadline is not None
    assert case.box.deadline > case.now


@pytest.mark.parametrize("what", ["call", "messages", "privacy", "export", "erase", "contacts", "no such thing"])
def test_nothing_else_is_answered(what: str) -> None:
    case = Case()
    reply = case.ask(what, contact="workshop")
    assert not reply["ok"]
    assert "locked" in reply["error"]
    assert "callbox unlock" in reply["cure"]


def test_status_tells_that_it_is_locked_and_nothing_more() -> None:
    status = Case().ask("status")
    assert (status["state"], status["locked"]) == ("locked", True)


def test_the_right_passphrase_ends_the_wait_with_the_key() -> None:
    case = Case()
    assert case.try_passphrase(right=True) == {"ok": True, "state": "unlocked"}
    assert case.box.finished
    assert case.box.key == KEY


def test_wrong_tries_are_slowed_up_to_a_minute() -> None:
    case = Case()
    for wait_s in (1, 2, 4, 8, 16, 32, 60, 60):
        assert case.try_passphrase(right=False)["error"] == "This is not the passphrase."
        case.now += wait_s - 0.01
        assert "waits: 1 s more" in case.try_passphrase(right=True)["error"], "even the right one has to wait"
        case.now += 0.02
    assert not case.box.finished
    assert case.try_passphrase(right=True)["ok"]


def test_one_try_at_a_time() -> None:
    case = Case()
    assert case.ask("unlock", passphrase="one") == {}
    assert "being made now" in case.ask("unlock", passphrase="two")["error"]


def test_no_passphrase_is_ever_logged() -> None:
    case = Case()
    case.try_passphrase(right=False)
    assert all("four words" not in effect.text for effect in case.done if isinstance(effect, do.Log))


def test_it_stops_without_a_key() -> None:
    for how in (happened.Stopping(), happened.Asked(1, "stop")):
        case = Case()
        case.give(how)
        assert case.box.finished
        assert case.box.key is None


def test_it_never_reaches_out() -> None:
    case = Case()
    for _ in range(50):
        case.now += 1.0
        case.give(happened.Ticked())
    allowed = {"ShowLights", "Speak", "SetVolume", "CheckSound", "Log"}
    assert {type(effect).__name__ for effect in case.done} <= allowed


# --- the key's file, and the whole of it in processes -----------------------------------------------------------


def test_lock_change_and_open_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = store_key(home)
    assert key_mode(home) == "file"
    seal_key(home, "first", None, CHEAP)
    assert key_mode(home) == "passphrase"
    assert not home.key_file.exists()
    assert home.sealed_key.stat().st_mode & 0o777 == 0o600
    assert key not in home.sealed_key.read_bytes()
    with pytest.raises(Locked, match="locked"):
        store_key(home)
    with pytest.raises(CallboxError, match="not the passphrase"):
        seal_key(home, "second", "wrong", CHEAP)
    assert unlocked_key(home, "first") == key
    seal_key(home, "second", "first", CHEAP)
    with pytest.raises(CallboxError, match="not the passphrase"):
        unlocked_key(home, "first")
    with pytest.raises(CallboxError, match="not the passphrase"):
        unseal_key(home, "first")
    assert not home.key_file.exists()
    unseal_key(home, "second")
    assert store_key(home) == key
    assert not home.sealed_key.exists()
    with pytest.raises(CallboxError, match="no passphrase"):
        unseal_key(home, "second")


def test_a_key_left_over_by_a_power_cut_goes_at_the_next_unlocking(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = store_key(home)
    seal_key(home, "first", None, CHEAP)
    home.key_file.write_bytes(key)  # the cut came before it was destroyed
    assert key_mode(home) == "passphrase"
    assert unlocked_key(home, "first") == key
    assert not home.key_file.exists()


def test_a_full_disk_while_sealing_leaves_the_key_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    key = store_key(home)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CallboxError, match="No space left"):
        seal_key(home, "first", None, CHEAP)
    assert key_mode(home) == "file"
    assert store_key(home) == key
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


@pytest.mark.real
def test_a_locked_box_waits_for_callbox_unlock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "kitchen"
    home.mkdir(mode=0o700)
    shutil.copy(VECTORS / "stores-v1" / "kitchen.sqlite", home / "box.sqlite")
    (home / "key").write_bytes(STORED_KEY)
    (home / "key").chmod(0o600)
    settings = {"panel": "backend = 'simulated'", "speech": "voice = 'none'", "keep": "text_days = 3650"}
    settings["sound"] = "backend = 'wav'\noutput = 'out.wav'"
    (home / "box.toml").write_text("".join(f"[{section}]\n{line}\n" for section, line in settings.items()))
    (tmp_path / "right").write_text("four words make sense\n")
    (tmp_path / "wrong").write_text("some words make none\n")

    def callbox(*words: str) -> tuple[int, str]:
        code = main([*words, "--home", str(home)])
        said = capsys.readouterr()
        return code, said.out + said.err

    assert callbox("lock", "--passphrase-file", str(tmp_path / "right"))[0] == 0
    running = subprocess.Popen([sys.executable, "-m", "callbox.app.main", "run", "--home", str(home)], cwd=tmp_path)
    try:
        code, said = callbox("status", "--json")
        assert (code, json.loads(said)["state"]) == (0, "locked")
        assert callbox("messages")[0] == 1
        assert callbox("unlock", "--passphrase-file", str(tmp_path / "wrong"))[0] == 1
        time.sleep(1.0)
        code, said = callbox("unlock", "--passphrase-file", str(tmp_path / "right"))
        assert (code, said) == (0, "Unlocked. This box is kitchen.\n")
        assert "Hello from upstairs" in callbox("messages")[1]
        assert callbox("erase", "--here-only", "--yes")[0] == 0, "it stops the box, and then wipes the folder"
        assert running.wait(timeout=10) == 0
        assert not home.exists()
    finally:
        running.kill()
        running.wait(timeout=10)
