"""`callbox sound list`: what it shows, and which devices it marks as used."""

import pytest

from callbox.app.commands.sound import as_facts, table, used, worth_showing
from callbox.app.settings import SoundSettings
from callbox.audio.devices import DeviceInfo

SCREEN = DeviceInfo("vc4-hdmi-0: MAI PCM (hw:0,0)", "vc4hdmi0", 0, 2, 48_000, ("vc4hdmi0", "vc4-hdmi-0"))
STICK = DeviceInfo("USB Audio: - (hw:1,0)", "Device", 1, 2, 44_100, ("usb:1-1.2", "Device"), True, True)
THERE = [SCREEN, STICK]


@pytest.fixture(autouse=True)
def no_sound_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PULSE_SERVER", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("sound", "now"),
    [
        (SoundSettings(), (1, 1)),
        (SoundSettings(input="device", output="vc4hdmi0"), (1, 0)),
        (SoundSettings(input="attic", output="usb:1-1.2"), (None, 1)),
        (SoundSettings(backend="wav", input="", output=""), (None, None)),
    ],
)
def test_what_the_settings_mean(sound: SoundSettings, now: tuple[int | None, int | None]) -> None:
    assert used(THERE, sound) == now


def test_the_list_for_a_person_and_for_a_program() -> None:
    facts = [as_facts(THERE, at, (1, 0)) for at in range(2)]
    assert table(facts, {"Webcam": "pipewire (process 7) holds it"}).splitlines() == [
        "name              microphone  speaker   what it is",
        "vc4hdmi0          -           used now  vc4-hdmi-0: MAI PCM (hw:0,0)",
        "usb:1-1.2         used now    yes       USB Audio: - (hw:1,0)",
        "Cards of the same model are named by their sockets: their ids change places between starts.",
        "Webcam is there too, and not to be had now: pipewire (process 7) holds it.",
    ]
    assert facts[1]["also"] == ["Device"]
    assert (facts[0]["speaker_now"], facts[0]["microphone_now"], facts[1]["twin"]) == (True, False, True)


def test_what_alsa_makes_up_is_not_shown_beside_cards() -> None:
    made_up = [DeviceInfo(name, "", 2, 2, 48_000) for name in ("surround51", "default")]
    assert worth_showing([SCREEN, *made_up, STICK]) == [SCREEN, STICK, made_up[1]]
    assert worth_showing(made_up) == made_up


def test_a_machine_without_sound_cards() -> None:
    assert table([], {}) == "No sound card is there: plug one in."
