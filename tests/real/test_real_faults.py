"""What goes wrong around real processes: each time a sentence that says what to do, and never a traceback."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from callbox.app.home import Home
from callbox.audio.devices.wav import write_wav
from callbox.base.frames import RATE_HZ, silence
from real.processes import COMMAND_S, QUIET_SOUND, Done, Place, told, wait_for

pytestmark = pytest.mark.real
KITCHEN, WORKSHOP = "kitchen", "workshop"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A folder of its own; nothing that ran there may have shown a traceback."""
    with Place(tmp_path) as place:
        yield place
        place.no_traceback()


def collect(begun: "subprocess.Popen[str]") -> Done:
    out, err = begun.communicate(timeout=COMMAND_S)
    return Done(begun.returncode, out, err)


def box_of(place: Place, name: str, settings: str = QUIET_SOUND) -> None:
    """Make one box."""
    place.must("join", place.invite(name), "--home", place.home(name))
    (Path(place.home(name)) / "box.toml").write_text(settings)


# --- settings --------------------------------------------------------------------------------------------------------


def test_everything_wrong_in_box_toml_is_told_at_once(place: Place) -> None:
    place.start_server()
    box_of(place, KITCHEN, '[panel]\nbackend = "simulatd"\n\n[sounds]\ninput = "x"\n\n[calls]\nring_s = 3\nrings = 1\n')
    done = place.callbox("run", "--home", place.home(KITCHEN))
    told(done, 2, "box.toml:2", "simulated", "box.toml:4", "`sound`", "box.toml:8", "5", "box.toml:9", "`ring_s`")
    told(place.callbox("run", "--home", place.home(KITCHEN), "--config", "no.toml"), 1, "no.toml")


def test_everything_wrong_in_server_toml_is_told_at_once(place: Place) -> None:
    home = Path(place.home("server"))
    home.mkdir()
    (home / "server.toml").write_text("[server]\nlisten = 8443\n\n[mail]\nitem = 5\n\n[calls]\nburst = 0\n")
    done = place.callbox("server", "run", "--home", str(home))
    told(done, 2, "server.toml:2", "server.toml:5", "`items`", "server.toml:8")


def test_a_file_that_is_no_toml_and_a_board_that_is_none(place: Place) -> None:
    place.start_server()
    box_of(place, KITCHEN, "[panel\n")
    told(place.callbox("run", "--home", place.home(KITCHEN)), 2, "box.toml:1", "TOML")
    (Path(place.home(KITCHEN)) / "box.toml").write_text('[panel]\nbackend = "simulated"\nboard = "breadbord"\n')
    told(place.callbox("run", "--home", place.home(KITCHEN)), 2, "breadboard")


def test_pins_that_this_machine_lacks(place: Place) -> None:
    place.start_server()
    box_of(place, KITCHEN, "")
    done = place.callbox("run", "--home", place.home(KITCHEN))
    told(done, 1, "pin")


# --- server, invite, certificate -------------------------------------------------------------------------------------


def test_a_box_waits_for_its_server_and_finds_it(place: Place) -> None:
    server = place.start_server()
    box_of(place, KITCHEN)
    server.end(signal.SIGKILL)
    box = place.start_box(KITCHEN)
    wait_for(lambda: "Nothing listens" in place.status(KITCHEN)["link"], "the box saying why it is not connected")
    assert place.must("status", "--home", place.home(KITCHEN)).count("Nothing listens") == 1
    told(place.callbox("call", WORKSHOP, "--home", place.home(KITCHEN)), 1, "contact")
    assert box.process.poll() is None
    place.start_server()
    wait_for(lambda: place.connected(KITCHEN), "connecting", 35.0)
    assert box.end() == 0


def test_another_server_at_the_same_address(place: Place) -> None:
    """A server set up anew, or an impostor: the box says so and tells it nothing; old invites are refused."""
    server = place.start_server()
    box_of(place, KITCHEN)
    place.must("allow", WORKSHOP, "--home", place.home(KITCHEN))
    old_invite = place.invite(WORKSHOP)
    server.end()
    place.start_server(name="impostor")
    told(place.callbox("join", old_invite, "--home", place.home(WORKSHOP)), 1, "server", "invite")
    box = place.start_box(KITCHEN)
    wait_for(lambda: "not from the server that this box joined" in place.status(KITCHEN)["link"], "the box's warning")
    assert "join again" in place.status(KITCHEN)["link"]
    place.must("message", WORKSHOP, "for the true one only", "--home", place.home(KITCHEN))
    time.sleep(1.0)
    users = json.loads(place.must("server", "users", "--json", "--home", place.home("impostor")))
    assert users["accounts"] == []
    assert not place.connected(KITCHEN)
    assert box.end() == 0


def test_an_invite_is_good_once_and_for_a_time(place: Place) -> None:
    place.start_server("[accounts]\ninvite_days = 0.00002\n")
    late = place.invite(WORKSHOP)
    time.sleep(2.0)
    told(place.callbox("join", late, "--home", place.home(WORKSHOP)), 1, "expired", "callbox server invite")
    (Path(place.home("server")) / "server.toml").write_text("")
    invite = place.invite(KITCHEN)
    place.must("join", invite, "--home", place.home(KITCHEN))
    told(place.callbox("join", invite, "--home", place.home("other")), 1, "used before", "callbox server invite")
    told(place.callbox("join", invite, "--home", place.home(KITCHEN)), 1, "holds a box already", "--home")
    told(place.callbox("join", invite[:-5], "--home", place.home("other")), 2, "cut short")
    told(place.callbox("join", "hello", "--home", place.home("other")), 2, "callbox-invite")
    told(place.callbox("server", "invite", KITCHEN, "--home", place.home("server")), 1, "already")
    told(place.callbox("server", "invite", "a b/c", "--home", place.home("server")), 2, "name")


def test_a_port_that_is_taken_and_an_address_that_is_none(place: Place) -> None:
    place.start_server()
    told(
        place.callbox("server", "run", "--home", place.home("second"), "--listen", f"127.0.0.1:{place.port}"),
        1,
        str(place.port),
        "--listen",
    )
    told(place.callbox("server", "run", "--home", place.home("second"), "--listen", "8443"), 2, "HOST:PORT")
    told(place.callbox("server", "run", "--home", place.home("server"), "--listen", "127.0.0.1:0"), 1, "already")


FAKED_TIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.mark.skipif(not FAKED_TIME, reason="another time for one process needs libfaketime: sudo apt install faketime")
@pytest.mark.parametrize("year", [1970, 2049])
def test_a_box_whose_clock_is_wrong(place: Place, year: int) -> None:
    """At boot in 1970 certificate times mean nothing; in a far future they do, and the box says what is wrong."""
    place.start_server()
    box_of(place, KITCHEN)
    faked = ("env", f"LD_PRELOAD={FAKED_TIME[0]}", f"FAKETIME=@{year}-01-01 00:02:00", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    box = place.start(KITCHEN, "run", "--home", place.home(KITCHEN), prefix=faked)
    if year == 1970:
        wait_for(lambda: place.connected(KITCHEN), "connecting in 1970")
    else:
        wait_for(lambda: "clock" in place.status(KITCHEN)["link"], "the box's doubt in its clock")
    assert box.end() == 0


# --- folders and stores ----------------------------------------------------------------------------------------------


def test_a_damaged_store_is_told_and_left_as_it_is(place: Place) -> None:
    server = place.start_server()
    box_of(place, KITCHEN)
    server.end()
    for home, file, command in (
        (KITCHEN, "box.sqlite", ("run",)),
        (KITCHEN, "box.sqlite", ("messages",)),
        ("server", "server.sqlite", ("server", "run", "--listen", "127.0.0.1:0")),
        ("server", "server.sqlite", ("server", "users")),
    ):
        path = Path(place.home(home)) / file
        for damaged in (b"this is no database at all" * 500, path.read_bytes()[:5000]):
            kept = path.read_bytes()
            path.write_bytes(damaged)
            told(place.callbox(*command, "--home", place.home(home)), 1, file, "backup")
            assert path.read_bytes() == damaged
            path.write_bytes(kept)


def test_a_key_that_is_damaged_or_gone(place: Place) -> None:
    place.start_server()
    box_of(place, KITCHEN)
    key = Path(place.home(KITCHEN)) / "key"
    kept = key.read_bytes()
    key.write_bytes(kept[:7])
    told(place.callbox("run", "--home", place.home(KITCHEN)), 1, "key")
    key.unlink()
    told(place.callbox("run", "--home", place.home(KITCHEN)), 1, "key")
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    told(place.callbox("run", "--home", place.home(KITCHEN)), 1, "another key")


def test_folders_without_a_box_and_a_folder_with_one_that_runs(place: Place) -> None:
    """All of these wait ten seconds for what may be about to come; so they wait together."""
    place.start_server()
    box_of(place, KITCHEN)
    place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    nowhere, empty = place.home("nowhere"), place.folder / "empty"
    empty.mkdir()
    waiting = [
        (place.begin("run", "--home", nowhere), "callbox join"),
        (place.begin("run", "--home", str(empty)), "callbox join"),
        (place.begin("status", "--home", nowhere), "callbox join"),
        (place.begin("contacts", "--home", str(empty)), "callbox join"),
        (place.begin("run", "--home", place.home(KITCHEN)), "already runs"),
        (place.begin("server", "invite", "x", "--home", place.home("no-server")), "callbox server run"),
        (place.begin("join", _invite_to_nobody(place), "--home", place.home("other")), "Nothing listens"),
    ]
    for begun, words in waiting:
        told(collect(begun), 1, words)
    assert list(empty.iterdir()) == []
    told(place.callbox("server", "users", "--home", nowhere), 1, "--home")


def _invite_to_nobody(place: Place) -> str:
    return place.must("server", "invite", "other", "--home", place.home("server"), "--public", "127.0.0.1:9").strip()


def test_folders_that_cannot_be_used(place: Place) -> None:
    place.start_server()
    invite = place.invite(KITCHEN)
    (place.folder / "file").write_text("")
    for home in (str(place.folder / "file" / "home"), "/proc/1/callbox", "/proc/1", str(place.folder / "file")):
        told(place.callbox("join", invite, "--home", home), 1, home, "--home")
        told(place.callbox("server", "run", "--home", home), 1, home, "--home")


def test_a_folder_too_deep_for_a_sockets_path(place: Place) -> None:
    place.start_server()
    deep = str(place.folder / ("d" * 70) / ("e" * 70))
    place.must("join", place.invite(KITCHEN), "--home", deep)
    (Path(deep) / "box.toml").write_text(QUIET_SOUND)
    box = place.start(KITCHEN, "run", "--home", deep)
    assert KITCHEN in place.must("status", "--home", deep)
    assert box.end() == 0
    assert not (Path(deep) / "control.sock").exists()


def test_a_settings_folder_that_a_killed_box_left(place: Place) -> None:
    """A socket file without a box behind it is nobody, and is in nobody's way."""
    place.start_server()
    box_of(place, KITCHEN)
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    box.end(signal.SIGKILL)
    assert (Path(place.home(KITCHEN)) / "control.sock").exists()
    assert "No contacts" in place.must("contacts", "--home", place.home(KITCHEN))
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting again")
    assert box.end(signal.SIGINT) == 0


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
    place.enrol(KITCHEN, WORKSHOP)
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
    box_of(place, KITCHEN, QUIET_SOUND.replace("simulated", "gpio"))
    mocked = place.folder / "mocked.py"
    mocked.write_text(MOCKED_PINS)
    box = place.start(KITCHEN, "run", "--home", place.home(KITCHEN), prefix=(sys.executable, str(mocked)))
    told(place.callbox("press", "talk", "--home", place.home(KITCHEN)), 1, "real", "simulated")
    assert box.end() == 0


def test_a_press_of_a_button_that_the_board_lacks(place: Place) -> None:
    place.start_server()
    box_of(place, KITCHEN)
    place.start_box(KITCHEN)
    told(place.callbox("press", "doorbell", "--home", place.home(KITCHEN)), 1, "doorbell", "talk")


def test_watching_tells_every_change_as_a_line_of_json(place: Place) -> None:
    place.start_server()
    box_of(place, KITCHEN)
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
    place.enrol(KITCHEN, WORKSHOP)
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
        place.begin("join", _invite_to_nobody(place), "--home", place.home("other")),
    ]
    time.sleep(1.5)
    for waiting in begun:
        waiting.send_signal(signal.SIGINT)
        done = collect(waiting)
        assert done.code == 130
        assert "Traceback" not in done.err


# --- sound ------------------------------------------------------------------------------------------------------------


def test_a_sound_device_that_is_missing_is_named_and_found_when_it_comes(place: Place) -> None:
    """With files for a card: no file, no microphone. The box runs all the same, calls and says what is missing."""
    place.start_server()
    place.enrol(KITCHEN, WORKSHOP)
    spoken = place.folder / "spoken.wav"
    (Path(place.home(KITCHEN)) / "box.toml").write_text(
        QUIET_SOUND.replace('input = ""', f"input = {json.dumps(str(spoken))}")
    )
    boxes = {name: place.start_box(name) for name in (KITCHEN, WORKSHOP)}
    wait_for(lambda: "spoken.wav" in str(place.status(KITCHEN)["fault"]), "the missing microphone in the status")
    assert "spoken.wav" in place.must("status", "--home", place.home(KITCHEN))
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    assert place.status(KITCHEN)["lights"]["status"] in (0.0, 1.0)
    place.must("call", WORKSHOP, "--home", place.home(KITCHEN))
    place.must("press", "talk", "--home", place.home(WORKSHOP))
    wait_for(lambda: place.state(KITCHEN) == place.state(WORKSHOP) == "talking", "talking without a microphone")
    assert place.status(KITCHEN)["lights"]["live"] == 0.0
    write_wav(spoken, silence(RATE_HZ))
    wait_for(lambda: place.status(KITCHEN)["fault"] is None, "the microphone being found", 5.0)
    wait_for(lambda: place.status(KITCHEN)["lights"]["live"] == 1.0, "the live light", 5.0)
    place.must("hangup", "--home", place.home(KITCHEN))
    assert [boxes[name].end() for name in boxes] == [0, 0]


def test_a_card_that_no_sound_system_knows(tmp_path: Path) -> None:
    """PortAudio on a machine without any card: the box runs, and the sentence says what to do."""
    with Place(tmp_path) as place:
        place.start_server()
        box_of(place, KITCHEN, '[panel]\nbackend = "simulated"\n\n[sound]\ninput = "Jabra"\noutput = "Jabra"\n')
        box = place.start_box(KITCHEN)
        wait_for(lambda: place.status(KITCHEN)["fault"], "the missing card in the status")
        assert "Jabra" in place.status(KITCHEN)["fault"]
        assert box.end() == 0
        place.no_traceback()
