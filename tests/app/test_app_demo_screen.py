"""What a person sees of the demo: conversations that grow, drawn in place on a terminal, told in lines elsewhere."""

import io
from typing import Any

from callbox.app.demo_screen import WIDTH, Screen, chat

LIGHTS = {"live": 0.0, "message": 1.0}
BOX = {"name": "kitchen", "state": "idle", "lights": LIGHTS, "call": None, "media": None}


def text(state: str, outgoing: bool = True) -> dict[str, Any]:
    return {"kind": "text", "text": "Supper!", "state": state, "outgoing": outgoing, **WHERE}


WHERE = {"contact": "workshop", "at_ms": 1_700_000_000_000, "problem": ""}
MISSED = {"kind": "call", "reason": "no_answer", "outgoing": False, "heard": False, "answered": False, **WHERE}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_ours_stand_on_the_right_with_their_marks_theirs_on_the_left_while_new() -> None:
    lines = chat([text("sent"), text("heard"), text("delivered", outgoing=False), MISSED], 4)
    assert [line.strip() for line in lines] == [
        "Supper!  ✓ sent",
        "Supper!  ✓✓ heard",
        "Supper!  new",
        "missed call, no answer  new",
    ]
    assert [line.startswith(" ") for line in lines] == [True, True, False, False]
    assert max(map(len, lines)) < WIDTH


def test_the_newest_lines_are_shown_and_a_shorter_conversation_leaves_rows_empty() -> None:
    assert [line.strip() for line in chat([text("sent"), text("heard")], 1)] == ["Supper!  ✓✓ heard"]
    assert chat([], 2) == ["", ""]


def test_without_a_terminal_a_line_is_told_when_it_is_new_or_its_mark_is() -> None:
    stream = io.StringIO()
    screen = Screen(stream, quiet=False)
    for state in ("sent", "sent", "delivered"):
        screen.show({"kitchen": BOX}, {"kitchen": [text(state)]})
    told = [line for line in stream.getvalue().splitlines() if "Supper" in line]
    assert [line.rpartition("  ")[2] for line in told] == ["(sent)", "(delivered)"]


def test_on_a_terminal_what_happens_is_said_above_the_panels() -> None:
    stream = Terminal()
    screen = Screen(stream, quiet=False)
    screen.show({"kitchen": BOX}, {"kitchen": [text("sent")]})
    drawn = stream.getvalue().count("\n")
    screen.say("workshop is switched on")
    assert f"\x1b[{drawn}A\x1b[Jworkshop is switched on\n" in stream.getvalue()
