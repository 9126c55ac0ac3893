"""What the doctor finds out, on made-up machines: a folder with the files of /proc, /sys, /dev and /run in it."""

import dataclasses
import errno
import os
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpiod
import pytest

from app.made_up_machines import nobody_may, says, write
from callbox.app import doctor_facts, doctor_machine
from callbox.app.doctor_facts import gather, look_at_box, look_at_folder, look_at_python, look_at_settings
from callbox.app.doctor_known import (
    BoxFacts,
    DiskFacts,
    HeldLine,
    NotLooked,
    PinFacts,
    PowerFacts,
    PythonFacts,
    SettingsFacts,
    SoundFacts,
    StoreFacts,
    Trouble,
)
from callbox.app.doctor_machine import (
    Machine,
    look_at_clock,
    look_at_codec,
    look_at_disk,
    look_at_pins,
    look_at_power,
    look_at_wifi,
    within,
)
from callbox.app.home import Home
from callbox.app.settings import PanelSettings
from callbox.base.errors import CallboxError

# --- the machine -------------------------------------------------------------------------------------------------


def test_a_program_that_is_not_there_fails_or_answers() -> None:
    assert doctor_machine.run_program(["callbox-has-no-such-program"]) is None
    assert doctor_machine.run_program(["false"]) is None
    assert doctor_machine.run_program(["echo", "on"]) == "on\n"


def test_what_hangs_is_left_behind() -> None:
    free = threading.Event()
    with pytest.raises(TimeoutError):
        within(0.01, free.wait)
    free.set()
    assert within(5.0, lambda: 7) == 7
    with pytest.raises(CallboxError, match="broken"):
        within(5.0, lambda: (_ for _ in ()).throw(CallboxError("broken")))


WIFI = {"sys/class/net/wlan0/wireless/link": "", "sys/class/net/wlan0/operstate": "up\n"}


@pytest.mark.parametrize(
    ("files", "said", "found"),
    [
        ({"sys/class/net/eth0/operstate": "up\n"}, "Power save: on\n", ()),
        (WIFI, "Power save: on\n", (("wlan0", True),)),
        (WIFI, "Power save: off\n", (("wlan0", False),)),
        (WIFI, "command failed: No such device (-19)\n", (("wlan0", None),)),
        (WIFI | {"sys/class/net/wlan0/operstate": "down\n"}, "Power save: on\n", ()),
        ({}, "", ()),
    ],
)
def test_wifi(tmp_path: Path, files: dict[str, str], said: str, found: object) -> None:
    write(tmp_path, files)
    assert look_at_wifi(Machine(tmp_path, says(iw=said))).power_save == found


def test_wifi_without_iw(tmp_path: Path) -> None:
    write(tmp_path, WIFI)
    assert look_at_wifi(Machine(tmp_path, says())).power_save == (("wlan0", None),)


MODEL = {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"}
KERNEL = {"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"}


@pytest.mark.parametrize(
    ("files", "said", "found"),
    [
        (MODEL, {"vcgencmd": "throttled=0x50005\n"}, PowerFacts(0x50005)),
        (MODEL | KERNEL, {"vcgencmd": "VCHI initialization failed\n"}, PowerFacts(0x50000)),
        (MODEL | KERNEL, {}, PowerFacts(0x50000)),
        (MODEL, {}, NotLooked("neither `vcgencmd get_throttled` nor the kernel tells")),
        (KERNEL, {"vcgencmd": "throttled=0x0\n"}, NotLooked("this is no Raspberry Pi")),
    ],
)
def test_power(tmp_path: Path, files: dict[str, str], said: dict[str, str], found: object) -> None:
    write(tmp_path, files)
    assert look_at_power(Machine(tmp_path, says(**said))) == found


def test_the_clock(tmp_path: Path) -> None:
    machine = Machine(tmp_path, wall_ms=lambda: 5)
    assert (look_at_clock(machine, 2.0).wall_ms, look_at_clock(machine, 2.0).server_ahead_s) == (5, 2.0)
    assert look_at_clock(machine, None).synchronised is None
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert look_at_clock(machine, None).synchronised is False
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert look_at_clock(machine, None).synchronised is True


def test_the_disk_of_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    looked: list[Path] = []

    def look(path: Path) -> Any:
        looked.append(path)
        return SimpleNamespace(f_bavail=3, f_frsize=4096, f_flag=os.ST_RDONLY)

    assert look_at_disk(tmp_path / "no" / "such", look) == DiskFacts(12288, True)
    assert looked == [tmp_path]
    found = look_at_disk(tmp_path)
    assert isinstance(found, DiskFacts)
    assert found.free_bytes > 0


def test_the_codec() -> None:
    def missing() -> object:
        raise CallboxError("the Opus library is missing", "install it")

    assert look_at_codec().trouble is None
    assert look_at_codec(missing).trouble == Trouble("the Opus library is missing", "install it")


class Chip:
    """What libgpiod opens on a Pi 4: the header's; GPIO17 is held by SPI, GPIO27 by a nameless driver."""

    label = "pinctrl-bcm2711"

    def __init__(self, path: str) -> None:
        assert path.endswith("dev/gpiochip0")

    def __enter__(self) -> "Chip":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_info(self) -> Any:
        return SimpleNamespace(label=self.label)

    def get_line_info(self, pin: int) -> Any:
        return SimpleNamespace(used=pin in (17, 27), consumer={17: "spi0 CS0"}.get(pin, ""))


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A Pi with the header's chip and its own light."""
    write(tmp_path, {"dev/gpiochip0": "", "sys/class/leds/ACT/trigger": "[mmc0]", "sys/class/leds/ACT/brightness": "0"})
    monkeypatch.setattr(gpiod, "Chip", Chip)
    return Machine(tmp_path)


GPIO = PanelSettings(backend="gpio")


def test_pins_that_others_hold_are_named(pi: Machine) -> None:
    facts = look_at_pins(GPIO, False, pi)
    assert facts.trouble is None
    assert facts.busy == (
        HeldLine("button.talk", 17, "`spi0 CS0`"),
        HeldLine("button.mute", 27, "a driver of the kernel"),
    )
    assert facts.activity_light == ""


def test_pins_of_a_running_box_are_its_own(pi: Machine) -> None:
    assert look_at_pins(GPIO, True, pi).busy is None


def test_a_chip_that_does_not_open(pi: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> Chip:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.setattr(gpiod, "Chip", refuse)
    facts = look_at_pins(GPIO, False, pi)
    assert facts.trouble is not None
    assert re.search("may open the GPIO pins|may not", facts.trouble.what)
    assert facts.busy is None


def test_a_machine_without_a_header(pi: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Chip, "label", "gpio-mockup")
    facts = look_at_pins(GPIO, False, pi)
    assert facts.trouble is not None
    assert "no 40-pin GPIO header" in facts.trouble.what


def test_the_folder_of_lgpio_matters_where_a_light_is_dimmed(
    pi: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LG_WD", str(pi.root / "none"))
    assert look_at_pins(GPIO, False, pi).trouble is None
    board = tmp_path / "dimmed.toml"
    board.write_text("[button.talk]\npin = 5\n[light.live]\npin = 6\nbrightness = 0.5\n")
    facts = look_at_pins(PanelSettings(backend="gpio", board=str(board)), False, pi)
    assert facts.trouble is not None
    assert "may not write to" in facts.trouble.what
    assert "LG_WD" in facts.trouble.cure


def test_an_activity_light_that_may_not_be_written_to(pi: Machine) -> None:
    assert "may not write" in look_at_pins(GPIO, False, Machine(pi.root, may=nobody_may)).activity_light


def test_pins_of_buses_that_are_on(pi: Machine, tmp_path: Path) -> None:
    board = tmp_path / "mine.toml"
    board.write_text("[button.talk]\npin = 2\n[button.mute]\npin = 8\n[light.live]\npin = 14\n[light.call]\npin = 5\n")
    panel = PanelSettings(backend="gpio", board=str(board))
    assert look_at_pins(panel, False, pi).shared == ()
    write(pi.root, {"dev/i2c-1": "", "dev/spidev0.0": "", "dev/serial0": ""})
    for running in (False, True):
        assert look_at_pins(panel, running, pi).shared == (
            HeldLine("button.talk", 2, "i2c"),
            HeldLine("button.mute", 8, "spi"),
            HeldLine("light.live", 14, "uart"),
        )


def test_a_board_file_with_mistakes(pi: Machine, tmp_path: Path) -> None:
    board = tmp_path / "mine.toml"
    board.write_text("[button.talk]\npin = 99\n\n[light.glow]\npin = 5\n")
    facts = look_at_pins(PanelSettings(backend="gpio", board=str(board)), False, pi)
    assert len(facts.problems) >= 2
    assert any("mine.toml:2" in problem for problem in facts.problems)
    nameless = look_at_pins(PanelSettings(backend="gpio", board="breadbord"), False, pi)
    assert "breadboard" in nameless.problems[0]


def test_a_simulated_panel_needs_no_chip(tmp_path: Path) -> None:
    facts = look_at_pins(PanelSettings(backend="simulated"), False, Machine(tmp_path))
    assert facts == PinFacts("simulated", "breadboard")


NO_HARDWARE = '[panel]\nbackend = "simulated"\n[sound]\nbackend = "wav"\ninput = ""\noutput = ""\n'


# --- the box -----------------------------------------------------------------------------------------------------


def test_python_and_its_packages() -> None:
    facts = look_at_python()
    assert isinstance(facts, PythonFacts)
    assert {"cryptography", "msgspec", "websockets"} <= {package.name for package in facts.packages}
    assert all(package.there for package in facts.packages)
    assert not {"pytest", "sqlalchemy"} & {package.name for package in facts.packages}, "only what every box needs"
    assert isinstance(look_at_python("callbox-is-not-called-so"), NotLooked)


def test_a_package_that_cannot_be_loaded_leaves_its_area_unseen() -> None:
    def look() -> int:
        raise ModuleNotFoundError("No module named 'numpy'")

    found = doctor_facts.without_package(look)
    assert isinstance(found, NotLooked)
    assert "numpy" in found.why


def test_the_folder_and_its_modes(tmp_path: Path) -> None:
    home = Home(tmp_path / "box")
    assert not look_at_folder(home, Machine(tmp_path)).there
    home.prepare()
    (home.folder / "key").touch(0o600)
    (home.folder / "key").chmod(0o640)
    facts = look_at_folder(home, Machine(tmp_path))
    assert dict(facts.modes) == {".": 0o700, "key": 0o640, "box.toml": 0o600}
    assert (facts.readable, facts.holds_box, facts.owner, facts.service_folder) == (True, False, facts.user, "")
    (tmp_path / "var/lib/callbox").mkdir(parents=True)
    assert look_at_folder(home, Machine(tmp_path)).service_folder == "/var/lib/callbox"


def test_a_folder_that_this_user_may_not_open(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.store_file.touch()
    facts = look_at_folder(home, Machine(tmp_path, may=nobody_may))
    assert (facts.there, facts.readable, facts.holds_box) == (True, False, False)
    assert isinstance(look_at_box(home, facts), NotLooked)
    settings, read = look_at_settings(home, facts)
    assert isinstance(settings, NotLooked)
    assert read is None


def test_settings_with_several_problems(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder = look_at_folder(home, Machine(tmp_path))
    settings, read = look_at_settings(home, folder)
    assert settings == SettingsFacts(str(home.settings_file), False)
    assert read is not None
    home.settings_file.write_text("[sound]\nvolume = 9\nloud = 1\n")
    settings, read = look_at_settings(home, folder)
    assert isinstance(settings, SettingsFacts)
    assert len(settings.problems) == 2
    assert read is None


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.settings_file.mkdir()
    mine = look_at_folder(home, Machine(tmp_path))
    settings, _ = look_at_settings(home, mine)
    assert isinstance(settings, SettingsFacts)
    assert "cannot be read" in settings.problems[0]
    settings, _ = look_at_settings(home, dataclasses.replace(mine, owner="callbox"))
    assert isinstance(settings, NotLooked), "that is another user's matter, and no fault"


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.store_file.touch()
    (tmp_path / "lock").touch()

    def refuse(home: Home) -> bool:
        raise CallboxError("The folder cannot be used: Permission denied.")

    monkeypatch.setattr(Home, "lock", refuse)
    assert isinstance(look_at_box(home, look_at_folder(home, Machine(tmp_path))), NotLooked)


def test_a_folder_held_by_something_that_does_not_listen(tmp_path: Path) -> None:
    home, other = Home(tmp_path), Home(tmp_path)
    home.store_file.touch()
    assert other.lock()
    try:
        box = look_at_box(home, look_at_folder(home, Machine(tmp_path)))
    finally:
        other.unlock()
    assert isinstance(box, BoxFacts)
    assert box.running
    assert box.trouble is not None


def test_a_store_of_another_user_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path)
    home.store_file.touch()
    home.settings_file.write_text(NO_HARDWARE)
    names = iter(("root", "callbox"))
    monkeypatch.setattr(doctor_facts, "_user", lambda number: next(names))
    facts = gather(home, Machine(tmp_path, says()))
    assert isinstance(facts.settings, SettingsFacts)
    assert isinstance(facts.store, NotLooked)
    assert "only its owner, callbox" in facts.store.why
    assert isinstance(facts.server, NotLooked)


def test_a_key_that_only_the_service_is_given(tmp_path: Path) -> None:
    home = Home(tmp_path / "box")
    home.prepare()
    home.store_file.touch()
    without, saved = doctor_facts.look_at_store(home, Machine(tmp_path))
    assert isinstance(without, StoreFacts)
    assert without.trouble is not None
    assert "key" in without.trouble.what
    write(tmp_path, {"etc/credstore.encrypted/callbox-key": "sealed"})
    sealed, saved = doctor_facts.look_at_store(home, Machine(tmp_path))
    assert isinstance(sealed, NotLooked)
    assert saved is None


@pytest.mark.parametrize(("folder", "unsure"), [("box", False), ("var/lib/callbox", True)])
def test_a_hidden_folder_of_credentials_is_the_services_alone(tmp_path: Path, folder: str, unsure: bool) -> None:
    def hidden(path: Path) -> bool:
        if path.name == doctor_facts.CREDENTIAL:
            raise PermissionError
        return False

    home = Home(tmp_path / folder)
    home.prepare()
    looked, _ = doctor_facts.look_at_store(home, Machine(tmp_path, exists=hidden))
    assert isinstance(looked, NotLooked) is unsure


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.store_file.touch()
    home.settings_file.write_text(NO_HARDWARE)
    (tmp_path / "lock").touch()
    gather(home, Machine(tmp_path, says()))
    assert Home(tmp_path).lock()


@pytest.mark.parametrize(
    ("box", "opened"),
    [
        (BoxFacts(False), True),
        (BoxFacts(True, "idle", "connected"), True),
        (BoxFacts(True, "talking", "connected"), False),
        (BoxFacts(True, "idle", fault="the sound card is gone"), False),
        (BoxFacts(True, trouble=Trouble("it does not answer")), False),
    ],
)
def test_a_sound_card_is_opened_unless_the_box_may_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, box: BoxFacts, opened: bool
) -> None:
    monkeypatch.setattr(doctor_facts, "look_at_box", lambda home, folder: box)
    (tmp_path / "box.toml").write_text(NO_HARDWARE)
    assert isinstance(gather(Home(tmp_path), Machine(tmp_path, says())).sound, SoundFacts) is opened
