"""The command line's words: what is understood, what is refused, and how facts look to a person."""

import argparse
import io
import sys
from pathlib import Path
from typing import Any

import pytest

from callbox.app import client
from callbox.app.commands import parser
from callbox.app.commands.shown import contacts_table, lights_line, status_line, status_text, thread_line, why_lines
from callbox.app.main import main

FINGERPRINT = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
STATUS = {
    "name": "kitchen",
    "version": "1",
    "server": "here:1",
    "link": "connected",
    "state": "talking",
    "call": {"contact": "workshop", "outgoing": True, "duration_s": 12.4},
    "muted": True,
    "calls_enabled": True,
    "do_not_disturb": False,
    "quiet_hours": "",
    "unread": 2,
    "lights": {"live": 0.0, "mute": 1.0},
    "media": {"bits_per_s": 48000, "delay_ms": 12, "lost": 1, "late": 0},
    "fault": None,
}


class Asked:
    """Stands where the box is: notes asks and gives one reply to all of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **reply: Any) -> None:
        self.asks: list[dict[str, Any]] = []
        self.reply = {"ok": True, **reply}
        monkeypatch.setattr(client, "ask_once", self._ask)

    def _ask(self, home: object, what: str, patience_s: float = 0.0, **words: Any) -> dict[str, Any]:
        self.asks.append({"what": what, **words})
        return self.reply


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("call workshop --knock", {"contact": "workshop", "knock": True}),
        ("press talk", {"button": "talk", "hold": None}),
        ("press calls --hold 1.2", {"button": "calls", "hold": 1.2}),
        ("allow workshop --knock --dial 3", {"contact": "workshop", "row": "knock", "dial": 3}),
        ("allow workshop", {"contact": "workshop", "row": None, "dial": None}),
        ("messages", {"contact": None, "last": 20, "read": False}),
        ("status --watch --json --home H", {"watch": True, "json": True, "home": "H"}),
    ],
)
def test_what_is_understood(line: str, wanted: dict[str, object]) -> None:
    options = vars(parser().parse_args(line.split()))
    assert {name: options[name] for name in wanted} == wanted


@pytest.mark.parametrize("line", ["", "dance", "allow a --ring --knock", "mute maybe", "call", "boards paint"])
def test_wrong_use_ends_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(line.split())
    assert ended.value.code == 2
    assert "usage: callbox" in capsys.readouterr().err


def test_every_command_says_what_it_does() -> None:
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    listed = {action.dest: action.help for action in commands._choices_actions}
    assert set(listed) == set(commands.choices)
    assert all(listed.values())


def test_a_fault_is_a_sentence_and_its_cure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "no" / "wiring.svg"
    assert main(["boards", "draw", "--out", str(file)]) == 1
    assert capsys.readouterr().err.startswith(f"callbox: The picture cannot be written to {file}")
    assert main(["boards", "show", "pinball"]) == 2
    said = capsys.readouterr().err
    assert "pinball" in said
    assert "breadboard" in said


def test_a_terminal_without_the_letters_still_tells_lit_from_dark(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["boards", "show", "breadboard"]) == 0
    print(lights_line({"live": 1.0, "mute": 0.0}), "бабушка", flush=True)
    said = terminal.buffer.getvalue()
    assert b"330 ohm" in said
    assert b"live *  mute - ???????" in said


def test_a_card_allows_with_its_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = Asked(monkeypatch, contact="workshop", dial=1, verified=True)
    folder = str(tmp_path / "none")
    assert main(["allow", f"workshop@here.example:8443#{FINGERPRINT}", "--home", folder]) == 0
    (ask,) = asked.asks
    assert (ask["what"], ask["contact"], ask["row"], ask["fingerprint"]) == ("allow", "workshop", "ring", FINGERPRINT)


@pytest.mark.parametrize(
    ("state", "ask"),
    [
        ("on", {"what": "quiet", "on": True}),
        ("22:00-07:00", {"what": "quiet hours", "span": "22:00-07:00"}),
        ("never", {"what": "quiet hours", "span": None}),
    ],
)
def test_quiet_is_a_switch_or_a_span(
    state: str, ask: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = Asked(monkeypatch, quiet="")
    assert main(["quiet", state, "--home", str(tmp_path / "none")]) == 0
    assert asked.asks == [ask]


def test_status_tells_the_call_the_lights_and_the_voice() -> None:
    text = status_text(STATUS)
    assert "talking, to workshop, 12 s" in text
    assert "muted" in text
    assert "live ○  mute ●" in text
    assert "48 kbit/s" in text
    assert "fault" not in text
    assert "48 kbit/s" not in status_text(STATUS | {"state": "reconnecting"})
    assert status_line(STATUS).startswith("kitchen: talking workshop  [live ○  mute ●]")


def test_status_tells_that_a_voice_message_is_recorded() -> None:
    recording = STATUS | {"recording": "workshop", "state": "idle", "call": None}
    assert "microphone records a voice message to workshop" in status_text(recording)
    assert "recording to workshop" in status_line(recording)
    assert "record" not in status_text(STATUS) + status_line(STATUS)


def test_a_fault_is_told() -> None:
    assert "The disk is full." in status_text(STATUS | {"fault": "The disk is full."})
    assert "speech     espeak-ng is missing." in status_text(STATUS | {"speech": "espeak-ng is missing."})
    assert "speech" not in status_text(STATUS | {"speech": "on"})
    assert "fault      No card.\n           Plug one in." in status_text(STATUS | {"fault": "No card.\nPlug one in."})


def test_a_light_counts_as_on_from_half_brightness() -> None:
    assert lights_line({"live": 0.5, "mute": 0.4}) == "live ●  mute ○"


def test_contacts_are_a_table_of_even_columns() -> None:
    contact = {
        "name": "workshop",
        "permission": "ring",
        "dial": 1,
        "verified": False,
        "known": True,
        "key_changed": True,
        "silenced": True,
    }
    head, row = contacts_table([contact]).splitlines()
    assert head.index("DIAL") == row.index("1")
    assert row.endswith("KEY CHANGED")
    assert "Add one" in contacts_table([])


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ({"kind": "text", "outgoing": True, "text": "tea?", "state": "sent"}, "-> workshop: tea?  (sent)"),
        ({"kind": "text", "outgoing": False, "text": "yes", "state": "delivered"}, "<- workshop: yes"),
        (
            {"kind": "text", "outgoing": True, "text": "tea?", "state": "unsent", "problem": "not-allowed"},
            "-> workshop: tea?  (unsent, workshop has to allow this box first)",
        ),
        (
            {"kind": "text", "outgoing": True, "text": "tea?", "state": "unsent", "problem": "expired"},
            "-> workshop: tea?  (unsent, nobody took it for 30 days)",
        ),
        (
            {"kind": "call", "outgoing": False, "reason": "no_answer", "answered": False, "duration_s": 0.0},
            "<- workshop: missed call, no answer",
        ),
        (
            {"kind": "call", "outgoing": False, "reason": "cancelled", "answered": False, "knock": True},
            "<- workshop: missed knock, cancelled",
        ),
        (
            {"kind": "call", "outgoing": True, "reason": "hung_up", "answered": True, "duration_s": 61.2},
            "-> workshop: call, 61 s, hung up",
        ),
    ],
)
def test_a_line_of_a_thread(item: dict[str, Any], shown: str) -> None:
    assert thread_line({"contact": "workshop", "at_ms": 0, **item}).endswith(shown)


def test_why_tells_the_chain_of_decisions() -> None:
    item = {"contact": "workshop", "at_ms": 0, "reason": "no_answer", "chain": ["silenced by you"]}
    head, because = why_lines(item)
    assert head.endswith("workshop: no answer")
    assert because == "    because silenced by you"
