"""Names of sound cards: what a name in box.toml means, whatever numbers the cards have today."""

import errno
import os
from pathlib import Path

import pytest

from audio.made_up_cards import plug
from callbox.audio.devices import DeviceInfo, NoSuchDevice, cards
from callbox.audio.devices.naming import choose, names_of


def info(name: str, card_id: str = "", inputs: int = 1, outputs: int = 1, socket: str = "") -> DeviceInfo:
    names = names_of(name, card_id, socket, (), False)
    return DeviceInfo(name, card_id, inputs, outputs, 48_000, names, bool(socket))


HDMI = info("vc4-hdmi-0: MAI PCM i2s-hifi-0 (hw:0,0)", "vc4hdmi0", inputs=0)
JACK = info("bcm2835 Headphones: - (hw:1,0)", "Headphones", inputs=0)
CAMERA = info("Webcam: USB Audio (hw:2,0)", "Webcam", outputs=0, socket="usb:1-1.1")
SPEAKERPHONE = info("Jabra SPEAK 410: USB Audio (hw:3,0)", "USB", socket="usb:1-1.2")
ALSA_DEFAULT = info("default")
HEADLESS_PI = [HDMI, JACK, CAMERA, SPEAKERPHONE, ALSA_DEFAULT]


@pytest.mark.parametrize(
    ("there", "capture", "sound_server", "chosen"),
    [
        (HEADLESS_PI, True, False, SPEAKERPHONE),
        (HEADLESS_PI, False, False, SPEAKERPHONE),
        (HEADLESS_PI[::-1], True, False, SPEAKERPHONE),
        (HEADLESS_PI, False, True, ALSA_DEFAULT),
        ([HDMI, JACK, CAMERA], True, False, CAMERA),
        ([HDMI, JACK, CAMERA], False, False, JACK),
        ([HDMI, ALSA_DEFAULT], False, False, HDMI),
        ([info("kitchen")], True, False, info("kitchen")),
    ],
)
def test_default_is_the_usb_card_whatever_came_first(
    there: list[DeviceInfo], capture: bool, sound_server: bool, chosen: DeviceInfo
) -> None:
    assert there[choose(there, "default", capture, sound_server)] == chosen


@pytest.mark.parametrize(
    "name",
    ["USB", "usb", "USB,0", "usb:1-1.2", "Jabra SPEAK 410", "Jabra SPEAK 410: USB Audio (hw:9,0)"],
)
def test_a_name_means_the_same_card_whatever_its_number(name: str) -> None:
    assert HEADLESS_PI[choose(HEADLESS_PI, name, True)] == SPEAKERPHONE


@pytest.mark.parametrize("name", ["3", "hw:3,0", "card3", "plughw:3"])
def test_a_number_is_no_name(name: str) -> None:
    with pytest.raises(NoSuchDevice) as caught:
        choose(HEADLESS_PI, name, True)
    assert caught.value.cure == "these are there: USB, Webcam, default"


def test_a_card_without_microphone_is_no_microphone() -> None:
    with pytest.raises(NoSuchDevice, match="no sound input is called 'Headphones'"):
        choose(HEADLESS_PI, "Headphones", True)


def test_a_stream_of_a_card_is_named_with_its_number_on_the_card() -> None:
    both = [info("Loopback: PCM (hw:4,0)", "kitchen"), info("Loopback: PCM (hw:4,1)", "kitchen")]
    assert [choose(both, name, True) for name in ("kitchen", "kitchen,0", "kitchen,1")] == [0, 0, 1]
    assert [one.names[0] for one in both] == ["kitchen", "kitchen,1"]


def test_of_two_equal_cards_the_socket_is_the_lasting_name() -> None:
    one = names_of("USB Audio: - (hw:1,0)", "Device_1", "usb:1-1.3", ("platform-xhci-hcd.0-usb-0:1.3:1.0",), True)
    assert one[:2] == ("usb:1-1.3", "platform-xhci-hcd.0-usb-0:1.3:1.0")
    assert names_of("USB Audio: - (hw:1,0)", "Device", "usb:1-1.3", (), False)[0] == "Device"


def test_what_the_kernel_knows_of_a_card(tmp_path: Path) -> None:
    plug(tmp_path, 10, "Device_1", "3-1.4")
    plug(tmp_path, 2, "Device", "1-1")
    (tmp_path / "sys/class/sound/card0").mkdir()
    (tmp_path / "sys/class/sound/card0/id").write_text("vc4hdmi0\n")
    (tmp_path / "dev/snd/by-path").mkdir(parents=True)
    (tmp_path / "dev/snd/by-path/platform-xhci-hcd.1-usb-0:1.4:1.0").symlink_to("../controlC10")
    screen, first, second = cards.cards(tmp_path)
    assert screen == cards.Card(0, "vc4hdmi0")
    assert first == cards.Card(2, "Device", "usb:1-1", "046d:0a44")
    assert second.names == ("Device_1", "usb:3-1.4", "platform-xhci-hcd.1-usb-0:1.4:1.0")
    assert cards.cards(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("number", "status", "words", "cure"),
    [
        (errno.EBUSY, "state: RUNNING\nowner_pid   : 77\n", "pipewire (process 77) holds it", "close that"),
        (errno.EBUSY, "state: RUNNING\nowner_pid   : 78\n", "process 78 holds it", "close that"),
        (errno.EBUSY, "closed\n", "another program holds it", "close that"),
        (errno.EACCES, "", "this user may not", "usermod -aG audio"),
        (errno.EPERM, "", "the service may not", "DeviceAllow=char-116 rw"),
        (errno.ENODEV, "", "No such device", "plug it in again"),
    ],
)
def test_why_a_card_does_not_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: str, words: str, cure: str
) -> None:
    def refuse(path: Path, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    stream = tmp_path / "proc/asound/card1/pcm0c/sub0"
    stream.mkdir(parents=True)
    (stream / "status").write_text(status)
    (tmp_path / "proc/77").mkdir()
    (tmp_path / "proc/77/comm").write_text("pipewire\n")
    monkeypatch.setattr(os, "open", refuse)
    why, told = cards.why_not_open(tmp_path / "dev/snd/pcmC1D0c", tmp_path)
    assert words in why
    assert cure in told


def test_a_card_that_opens_after_all(tmp_path: Path) -> None:
    node = tmp_path / "pcmC1D0p"
    node.touch()
    assert cards.why_not_open(node) == ("", "")


def test_cards_that_the_sound_library_passed_over(tmp_path: Path) -> None:
    plug(tmp_path, 1, "Device", "1-1")
    plug(tmp_path, 2, "Webcam", "1-2")
    (tmp_path / "dev/snd").mkdir(parents=True)
    for node in ("pcmC1D0p", "pcmC2D0c"):
        (tmp_path / "dev/snd" / node).symlink_to("/dev/null/held")
    assert cards.passed_over({"Device"}, tmp_path) == {"Webcam": ("Not a directory", "unplug it and plug it in again")}
