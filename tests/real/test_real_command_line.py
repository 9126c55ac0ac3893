"""The command line and the control socket of real processes: wrong use, garbage, signals, watching."""

import json
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from callbox.app.home import Home
from real.processes import KITCHEN, QUIET_SOUND, WORKSHOP, Place, collect, told, wait_for

pytestmark = pytest.mark.real

# --- the control socket ----------------------------------------------------------------------------------------------

GARBAGE = [
    b"\n",
    b"\x00\xff\xfe\n",
    b"[1, 2]\n",
    b'"status"\n',
    b"{}\n",
    b'{"ask": "nonsense"}\n',
    b'{"ask": "\\ud800"}\n',
    b'{"ask": "press"}\n',
    b'{"ask": "press", "button": "talk", "hold_s": 1e999}\n',
    b'{"ask": "press", "button": "talk", "hold_s": -1}\n',
    b'{"ask": "press", "button": "talk", "hold_s": NaN}\n',
    b'{"ask": "press", "button": ["talk"], "hold_s": {}}\n',
    b'{"ask": "messages", "contact": 5, "last": 1e999, "read": 1}\n',
    b'{"ask": "messages", "contact": {}, "last": -5, "read": null}\n',
    b'{"ask": "sent", "id": "zz"}\n',
    b'{"ask": "message", "contact": "workshop", "text": "\\ud800"}\n',
    b'{"ask": "message", "contact": "\\udfff", "text": "hello"}\n',
    b'{"ask": "allow", "contact": [], "row": "emperor", "dial": "x", "fingerprint": 7}\n',
    b'{"ask": "allow", "contact": "workshop", "row": "ring", "dial": -7, "fingerprint": "short"}\n',
    b'{"ask": "call", "contact": null, "knock": []}\n',
    b'{"ask": "quiet hours", "span": 7}\n',
    b'{"ask": "mute"}\n',
    b"[" * 100_000 + b"\n",
    b'{"a":' * 20_000 + b"\n",
    b"x" * 1_000_000 + b"\n",
    b'{"ask": "status"',
]


def test_garbage_on_the_control_socket(place: Place) -> None:
    place.start_server()
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    path = str(Home(Path(place.home(KITCHEN))).control_socket)
    for garbage in GARBAGE:
        with socket.socket(socket.AF_UNIX) as asker:
            asker.settimeout(10)
            asker.connect(path)
            try:
                asker.sendall(garbage)
                asker.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: asker.recv(65536), b""))
            except (BrokenPipeError, ConnectionResetError):
                answer = b""  # too long to be read to its end
        assert not answer or not json.loads(answer)["ok"], (garbage[:80], answer)
        assert box.process.poll() is None, (garbage[:80], box.log[-2000:])
    assert place.status(KITCHEN)["state"] == "idle"
    assert box.end() == 0


# --- the command line ------------------------------------------------------------------------------------------------


def test_wrong_use_is_exit_code_2(place: Place) -> None:
    for arguments in ((), ("nonsense",), ("press",), ("mute", "loud"), ("call",), ("server",), ("server", "walk")):
        told(place.callbox(*arguments), 2, "usage: callbox")
    told(place.callbox("allow", "a/b", "--home", place.home(KITCHEN)), 2, "name")
    told(place.callbox("boards", "show", "breadbord"), 2, "breadboard")
    assert place.callbox("--version").out.startswith("callbox ")


MOCKED_PINS = """
import sys
from gpiozero.pins.mock import MockFactory
from callbox.app.main import main
from callbox.panel.pins import gpio
gpio.open_member = lambda board: gpio.GpioPins(board, MockFactory())
sys.exit(main(sys.argv[2:]))
"""


def test_a_press_on_real_pins_is_refused(place: Place) -> None:
    place.start_server()
    place.settings(KITCHEN, QUIET_SOUND.replace("simulated", "gpio"))
    mocked = place.folder / "mocked.py"
    mocked.write_text(MOCKED_PINS)
    box = place.start(KITCHEN, "run", "--home", place.home(KITCHEN), prefix=(sys.executable, str(mocked)))
    told(place.callbox("press", "talk", "--home", place.home(KITCHEN)), 1, "real", "simulated")
    assert box.end() == 0


def test_a_press_of_a_button_that_the_board_lacks(place: Place) -> None:
    place.start_server()
    place.start_box(KITCHEN)
    told(place.callbox("press", "doorbell", "--home", place.home(KITCHEN)), 1, "doorbell", "talk")


def test_watching_tells_every_change_as_a_line_of_json(place: Place) -> None:
    place.start_server()
    place.start_box(KITCHEN)
    watching = place.begin("status", "--watch", "--json", "--home", place.home(KITCHEN))
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["muted"] is False
    place.must("press", "mute", "--home", place.home(KITCHEN))
    for line in watching.stdout:
        facts = json.loads(line)
        if facts["muted"] and facts["lights"]["mute"] == 1.0:
            break
    watching.send_signal(signal.SIGINT)
    done = collect(watching)
    assert (done.code, done.err) == (130, "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_box_that_is_stopped_in_a_call_hangs_up_first(place: Place, how: signal.Signals) -> None:
    place.start_server()
    boxes = {name: place.start_box(name) for name in (KITCHEN, WORKSHOP)}
    place.must("call", WORKSHOP, "--home", place.home(KITCHEN))
    place.must("press", "talk", "--home", place.home(WORKSHOP))
    wait_for(lambda: place.state(KITCHEN) == place.state(WORKSHOP) == "talking", "talking")
    assert boxes[KITCHEN].end(how) == 0
    wait_for(lambda: place.state(WORKSHOP) in ("ending", "idle"), "the other side hearing of it", 2.0)
    for name in (KITCHEN, WORKSHOP):
        assert "hung up" in place.must("messages", "--home", place.home(name))
    server = place.running["server"]
    assert server.end(how) == 0
    assert boxes[WORKSHOP].process.poll() is None


def test_ctrl_c_while_a_command_waits(place: Place) -> None:
    place.start_server()
    begun = [
        place.begin("status", "--home", place.home("nowhere")),
        place.begin("join", place.invite_to_nobody(), "--home", place.home("other")),
    ]
    time.sleep(1.5)
    for waiting in begun:
        waiting.send_signal(signal.SIGINT)
        done = collect(waiting)
        assert done.code == 130
        assert "Traceback" not in done.err
