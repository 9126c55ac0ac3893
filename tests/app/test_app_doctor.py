"""The doctor's judgement, by tables: facts in, findings out."""

from typing import Any

import pytest

from callbox.app.commands.doctor import as_facts, report, summary
from callbox.app.doctor import judge
from callbox.app.doctor_finding import Finding, is_well, sentence
from callbox.app.doctor_known import (
    BoxFacts,
    Certificate,
    ClockFacts,
    CodecFacts,
    DiskFacts,
    Facts,
    FolderFacts,
    Held,
    HeldLine,
    MixerFacts,
    NotLooked,
    Package,
    PinFacts,
    PowerFacts,
    PythonFacts,
    ServerFacts,
    ServiceFacts,
    SettingsFacts,
    SoundFacts,
    SpeechFacts,
    StoreFacts,
    Trouble,
    WifiFacts,
)

NOW_MS = 1_795_000_000_000
NOW_S, DAY_S = NOW_MS / 1000, 86_400
GOOD_CERTIFICATE = Certificate(NOW_S - 100 * DAY_S, NOW_S + 297 * DAY_S)
SERVER = ServerFacts("here.example:8443", None, False, 12.3, GOOD_CERTIFICATE, 0.4)
FOLDER = FolderFacts("/home/pi/.callbox", True, True, True, "pi", "pi", ((".", 0o700), ("key", 0o600)))
WELL = Facts(
    python=PythonFacts((3, 11, 2), "1.0", (Package("gpiozero", "2.0.1.post3", "2.0.1.post3"),)),
    folder=FOLDER,
    box=BoxFacts(running=False),
    service=ServiceFacts(),
    settings=SettingsFacts("box.toml", True),
    disk=DiskFacts(8_000_000_000, False),
    store=StoreFacts("kitchen"),
    server=SERVER,
    clock=ClockFacts(NOW_MS, None, 0.4),
    sound=SoundFacts("portaudio", "Device", "Device", ("Device (USB-Audio)",)),
    mixer=MixerFacts(),
    codec=CodecFacts(),
    speech=SpeechFacts(True),
    pins=PinFacts("gpio", "breadboard", busy=()),
    wifi=WifiFacts((("wlan0", False),)),
    power=PowerFacts(0),
)
AREAS = [finding.area for finding in judge(WELL)]


def changed(**facts: Any) -> Facts:
    return Facts(**{**{name: getattr(WELL, name) for name in WELL.__slots__}, **facts})


def found(area: str, facts: Facts) -> list[Finding]:
    """Return the findings of one area; all others must be as well as before."""
    findings = judge(facts)
    assert [one.area for one in findings if one.area != area] == [name for name in AREAS if name != area]
    return [one for one in findings if one.area == area]


def test_a_box_that_is_well() -> None:
    findings = judge(WELL)
    words = "python folder settings disk service box store clock server sound codec speech panel wifi power"
    assert " ".join(finding.area for finding in findings) == words
    assert {finding.level for finding in findings} == {"ok"}
    assert is_well(findings)
    assert summary(findings) == "Nothing wrong was found."


RUNNING = BoxFacts(True, "idle", "connected", "here.example:8443")
USB = ("Device (USB-Audio)",)


@pytest.mark.parametrize(
    ("area", "facts", "level", "words", "cure"),
    [
        ("python", PythonFacts((3, 10, 12), "1", ()), "fault", "Python 3.10.12", "virtual environment"),
        ("python", PythonFacts((3, 14, 0), "1", ()), "fault", "3.11 to 3.13", "virtual environment"),
        ("python", PythonFacts((3, 12, 0), "1", (Package("numpy", "1.26", None),)), "fault", "missing", "numpy>=1.26"),
        (
            "python",
            PythonFacts((3, 12, 0), "1", (Package("gpiozero", "2.0.1.post3", "2.0.1"),)),
            "fault",
            "gpiozero is version 2.0.1;",
            "pip install",
        ),
        ("python", PythonFacts((3, 12, 0), "1", (Package("numpy", "1.26", "1.100"),)), "ok", "3.12.0", ""),
        ("settings", SettingsFacts("box.toml", False), "ok", "defaults", ""),
        ("settings", SettingsFacts("box.toml", True, ("box.toml:3 x: no",)), "fault", "box.toml:3", "Mend"),
        ("disk", DiskFacts(150_000_000, False), "warning", "150 MB", "vacuum"),
        ("disk", DiskFacts(1_000_000, False), "fault", "1 MB", "Free some"),
        ("disk", DiskFacts(9_000_000_000, True), "fault", "read-only", "worn out"),
        ("box", RUNNING, "ok", "idle", ""),
        ("box", BoxFacts(False), "ok", "No box runs", "systemctl start"),
        ("service", ServiceFacts(), "ok", "callbox.service is active", ""),
        ("service", ServiceFacts(active="inactive"), "ok", "is inactive", ""),
        ("service", ServiceFacts(active="failed", exit_status=1), "fault", "has failed.", "journalctl -u callbox"),
        ("service", ServiceFacts(active="failed", exit_status=2), "fault", "failed: box.toml has a mistake", "Mend"),
        ("service", ServiceFacts(active="failed", exit_status=216), "fault", "a group that it", "systemd-sysusers"),
        ("service", ServiceFacts(active="failed", result="watchdog"), "fault", "failed: it hung", "journalctl"),
        ("service", ServiceFacts(active="activating"), "fault", "ends again after each start.", "journalctl"),
        ("service", ServiceFacts(restarts=7), "warning", "started again 7 times", "journalctl"),
        ("service", ServiceFacts(load="masked", starts_by_itself=False), "fault", "masked", "systemctl unmask callbox"),
        ("service", ServiceFacts(load="bad-setting"), "fault", "bad-setting", "systemctl status"),
        ("service", ServiceFacts(starts_by_itself=False), "warning", "not start with", "sudo systemctl enable callbox"),
        (
            "service",
            ServiceFacts(denied=("DeviceAllow=char-116 rw",)),
            "fault",
            "lacks rights that this box needs: DeviceAllow=char-116 rw.",
            "sudo systemctl revert callbox",
        ),
        ("box", BoxFacts(True, trouble=Trouble("The box runs, but does not answer.")), "fault", "answer", "restart"),
        (
            "box",
            BoxFacts(True, "idle", fault="no sound input is called 'x'\nplug one in"),
            "fault",
            "reports: No sound input is called 'x'.",
            "Plug one in.",
        ),
        ("store", StoreFacts(trouble=Trouble("It is damaged.", "Restore.")), "fault", "damaged", "Restore."),
        ("store", Held(False), "ok", "running box", ""),
        ("store", Held(True), "unknown", "Not looked at: the running box", ""),
        ("store", NotLooked("only its owner should"), "unknown", "Not looked at: only its owner should.", ""),
        (
            "server",
            ServerFacts("a:1", Trouble("Nothing listens at a:1.", "Start it.")),
            "fault",
            "Nothing",
            "Start it.",
        ),
        ("server", ServerFacts("a:1", None, True, 3.0, GOOD_CERTIFICATE), "ok", "the running box is logged in", ""),
        ("clock", ClockFacts(0, True, 5.0), "fault", "1970-01-01", "timedatectl"),
        ("clock", ClockFacts(NOW_MS, True, 600.0), "warning", "600 s behind", "timedatectl"),
        ("clock", ClockFacts(NOW_MS, True, -600.0), "warning", "600 s ahead of", "timedatectl"),
        ("clock", ClockFacts(NOW_MS - 200 * DAY_S * 1000, None, None), "fault", "certificate begins", "timedatectl"),
        ("clock", ClockFacts(NOW_MS, True, None), "ok", "set from the network", ""),
        ("clock", ClockFacts(NOW_MS, False, None), "ok", "within the time of the server's certificate", ""),
        ("sound", SoundFacts("wav", "a.wav", ""), "ok", "WAV files", ""),
        ("sound", Held(False), "ok", "running box", ""),
        ("sound", Held(True), "unknown", "Not looked at", ""),
        (
            "sound",
            SoundFacts(
                "portaudio", "x", "y", USB, False, Trouble("no sound input is called 'x'", "these are there: y")
            ),
            "fault",
            "'x'. The kernel lists: Device (USB-Audio).",
            "These are there: y.",
        ),
        (
            "sound",
            SoundFacts("portaudio", "x", "y", USB, True, Trouble("no sound input is called 'x'")),
            "fault",
            "may not use the sound cards",
            "usermod -aG audio",
        ),
        ("codec", CodecFacts(Trouble("the Opus library is missing", "install it")), "fault", "The Opus", "Install it."),
        ("speech", SpeechFacts(False), "ok", "Switched off", ""),
        ("speech", SpeechFacts(True, Trouble("no voice", "install it")), "warning", "No voice.", "Install it."),
        ("panel", PinFacts("simulated", "breadboard"), "ok", "Simulated", ""),
        ("panel", PinFacts("gpio", "b", ("b.toml:7 [light.x]: no",)), "fault", "b.toml:7", "boards list"),
        ("panel", PinFacts("simulated", "b", ("b.toml:7 [light.x]: no",)), "fault", "b.toml:7", "boards list"),
        (
            "panel",
            PinFacts("gpio", "b", shared=(HeldLine("button.talk", 2, "i2c"),)),
            "warning",
            "I²C too",
            "raspi-config",
        ),
        ("panel", PinFacts("gpio", "b", trouble=Trouble("No header.", "Simulate.")), "fault", "No header", "Simulate."),
        (
            "panel",
            PinFacts("gpio", "b", busy=(HeldLine("button.talk", 17, "`spi0 CS0`"),)),
            "fault",
            "[button.talk] GPIO17 is in use by `spi0 CS0`",
            "another pin",
        ),
        ("panel", PinFacts("gpio", "b", busy=(), activity_light="not writable"), "warning", "not writable", "udev"),
        ("panel", PinFacts("gpio", "b", busy=None), "ok", "held by the running box", ""),
        ("wifi", WifiFacts(), "ok", "No Wi-Fi", ""),
        ("wifi", WifiFacts((("wlan0", True),)), "warning", "wlan0 saves power", "nmcli connection modify"),
        ("wifi", WifiFacts((("wlan0", None),)), "unknown", "`iw`", "apt install iw"),
        ("power", PowerFacts(0x50005), "fault", "low at this moment", "supply"),
        ("power", PowerFacts(0x50000), "warning", "has been too low", "supply"),
        ("power", PowerFacts(0x8), "warning", "is slowed down", "heat"),
        ("power", PowerFacts(0x80000), "warning", "has been slowed down", "heat"),
        ("power", NotLooked("this is no Raspberry Pi"), "unknown", "no Raspberry Pi", ""),
    ],
)
def test_one_finding(area: str, facts: Any, level: str, words: str, cure: str) -> None:
    name = "pins" if area == "panel" else area
    findings = judge(changed(**{name: facts})) if area == "clock" else found(area, changed(**{name: facts}))
    (finding,) = [one for one in findings if one.area == area]
    assert finding.level == level
    assert words in finding.what
    assert cure in finding.cure
    assert bool(cure) == bool(finding.cure)
    assert is_well([finding]) is (level in ("ok", "unknown"))


def test_an_expired_certificate_is_told_and_keeps_nobody_out() -> None:
    facts = changed(server=ServerFacts("a:1", None, True, 3.0, Certificate(0, NOW_S - DAY_S)))
    answers, expired = [one for one in found("server", facts) if one.area == "server"]
    assert (answers.level, expired.level) == ("ok", "warning")
    assert "expired on 2026-11-17" in expired.what
    assert "restart the server" in expired.cure


@pytest.mark.parametrize(
    ("folder", "level", "words", "cure"),
    [
        (FolderFacts("/x", False, False, False, "", "pi"), "fault", "no box in /x", "callbox join"),
        (FolderFacts("/x", True, True, False, "pi", "pi"), "fault", "no box in /x", "callbox join"),
        (
            FolderFacts("/x", False, False, False, "", "pi", service_folder="/var/lib/callbox"),
            "fault",
            "no box",
            "sudo callbox doctor",
        ),
        (
            FolderFacts("/x", True, False, False, "callbox", "pi"),
            "fault",
            "belongs to callbox, and you are pi",
            "sudo callbox doctor --home /x",
        ),
        (FolderFacts("/x", True, True, True, "callbox", "root"), "warning", "you are root", "sudo callbox doctor"),
        (FolderFacts("/x", True, False, False, "pi", "pi"), "fault", "cannot be opened", "chmod 700 /x"),
        (FolderFacts("/x", True, True, True, "pi", "pi", ((".", 0o750),)), "warning", "mode 0750", "chmod go-rwx /x"),
        (FolderFacts("/x", True, True, True, "pi", "pi", (("key", 0o604),)), "fault", "/x/key", "chmod go-rwx /x/key"),
        (
            FolderFacts("/x", True, True, True, "pi", "pi", (("box.toml", 0o644),)),
            "warning",
            "/x/box.toml",
            "chmod go-rwx /x/box.toml",
        ),
    ],
)
def test_the_folder(folder: FolderFacts, level: str, words: str, cure: str) -> None:
    (finding,) = found("folder", changed(folder=folder))
    assert finding.level == level
    assert words in finding.what
    assert cure in finding.cure


def test_a_box_that_the_service_does_not_run_has_no_service() -> None:
    assert [one for one in judge(changed(service=None)) if one.area == "service"] == []


def test_muted_cards_and_equal_cards_are_warnings_beside_a_card_that_opens() -> None:
    mixer = MixerFacts((("Device", "Speaker", False), ("Device", "Mic", True)), (("Device_1", "usb:1-1.3"),))
    opens, speaker, microphone, twin = found("sound", changed(mixer=mixer))
    assert [one.level for one in (opens, speaker, microphone, twin)] == ["ok", "warning", "warning", "warning"]
    assert "speaker of Device is muted" in speaker.what
    assert "amixer -c Device sset 'Speaker' 80% unmute" in speaker.cure
    assert "amixer -c Device sset 'Mic' 80% cap" in microphone.cure
    assert "'Device_1' may be the other" in twin.what
    assert "'usb:1-1.3'" in twin.cure


def test_a_clock_with_nothing_to_compare_is_not_called_right() -> None:
    facts = changed(clock=ClockFacts(NOW_MS, False, None), server=NotLooked("no store"))
    (clock,) = (one for one in judge(facts) if one.area == "clock")
    assert clock.level == "unknown"
    assert "2026-11-18" in clock.what


def test_a_clock_after_the_end_of_the_certificate_is_not_called_right_either() -> None:
    over = ServerFacts("a:1", Trouble("Not valid."), False, None, Certificate(0, NOW_S - DAY_S))
    levels = {one.area: one.level for one in judge(changed(clock=ClockFacts(NOW_MS, None, None), server=over))}
    assert (levels["clock"], levels["server"]) == ("unknown", "fault")


def test_a_certificate_that_ends_soon_is_a_warning_beside_a_server_that_works() -> None:
    server = ServerFacts("a:1", None, False, 3.0, Certificate(0, NOW_S + 3 * DAY_S), 0.0)
    works, ends = found("server", changed(server=server))
    assert (works.level, ends.level) == ("ok", "warning")
    assert "in 3 days" in ends.what


def test_a_clock_that_was_never_set_does_not_make_a_certificate_old_or_new() -> None:
    findings = judge(changed(clock=ClockFacts(0), server=SERVER))
    assert [one.level for one in findings if one.area == "server"] == ["ok"]


def test_every_problem_of_the_settings_is_told_and_the_cure_once() -> None:
    findings = found("settings", changed(settings=SettingsFacts("f", True, ("f:1: a", "f:2: b"))))
    assert [one.what for one in findings] == ["f:1: a", "f:2: b"]
    assert [bool(one.cure) for one in findings] == [False, True]


def test_every_fault_and_warning_has_a_cure_and_every_finding_ends_as_a_sentence() -> None:
    bad = changed(
        python=PythonFacts((3, 9, 0), "1", (Package("a", "2", None),)),
        disk=DiskFacts(0, False),
        sound=SoundFacts("portaudio", "x", "y", (), False, Trouble("it hangs")),
        codec=CodecFacts(Trouble("the Opus library is missing", "install it")),
        power=PowerFacts(0x9),
    )
    for finding in judge(bad):
        assert finding.what[-1] in ".)", finding
        assert finding.cure or finding.level in ("ok", "unknown"), finding


def test_a_sentence() -> None:
    assert sentence("no sound") == "No sound."
    assert sentence(" Is it there? ") == "Is it there?"
    assert sentence("Done.") == "Done."
    assert sentence("") == ""


FINDINGS = [
    Finding("python", "ok", "Python 3.11."),
    Finding("power", "unknown", "Not looked at: this is no Raspberry Pi."),
    Finding("wifi", "warning", "wlan0 saves power.", "Turn it off."),
    Finding("sound", "fault", "No card \x1b[31mred\x07.", "word " * 40),
]


def test_the_report_is_plain_folded_and_harmless() -> None:
    text = report(FINDINGS, coloured=False)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert all(len(line) <= 110 for line in text.splitlines())
    assert "wifi      warning  wlan0 saves power.\n                   -> Turn it off." in text
    assert text.endswith("Found: 1 fault and 1 warning. 1 not looked at.")


def test_colours_mark_only_what_is_wrong() -> None:
    text = report(FINDINGS, coloured=True)
    assert "\x1b[31mfault" in text
    assert "\x1b[33mwarning" in text
    assert "\x1b" not in text.splitlines()[0]


def test_facts_for_programs() -> None:
    facts = as_facts(FINDINGS[:1], True)
    assert facts == {
        "ok": True,
        "findings": [{"area": "python", "level": "ok", "what": "Python 3.11.", "cure": None}],
    }
