"""What goes wrong around real processes: each time a sentence that says what to do, and never a traceback."""

import json
import signal
import time
from pathlib import Path

import pytest

from callbox.audio.devices.wav import write_wav
from callbox.base.frames import RATE_HZ, silence
from real.processes import KITCHEN, QUIET_SOUND, WORKSHOP, Place, collect, told, wait_for

pytestmark = pytest.mark.real
CELLAR = "cellar"


# --- settings --------------------------------------------------------------------------------------------------------


def test_everything_wrong_in_box_toml_is_told_at_once(place: Place) -> None:
    wrong = '[panel]\nbackend = "simulatd"\n\n[sounds]\ninput = "x"\n\n[calls]\nring_s = 3\nrings = 1\n'
    place.settings(KITCHEN, wrong)
    done = place.callbox("run", "--home", place.home(KITCHEN))
    told(done, 2, "box.toml:2", "simulated", "box.toml:4", "`sound`", "box.toml:8", "5", "box.toml:9", "`ring_s`")
    told(place.callbox("run", "--home", place.home(KITCHEN), "--config", "no.toml"), 1, "no.toml")


def test_everything_wrong_in_server_toml_is_told_at_once(place: Place) -> None:
    home = Path(place.home("server"))
    (home / "server.toml").write_text("[server]\nlisten = 8443\n\n[mail]\nitem = 5\n\n[calls]\nburst = 0\n")
    done = place.callbox("server", "run", "--home", str(home))
    told(done, 2, "server.toml:2", "server.toml:5", "`items`", "server.toml:8")


def test_a_file_that_is_no_toml_and_a_board_that_is_none(place: Place) -> None:
    place.settings(KITCHEN, "[panel\n")
    told(place.callbox("run", "--home", place.home(KITCHEN)), 2, "box.toml:1", "TOML")
    place.settings(KITCHEN, '[panel]\nbackend = "simulated"\nboard = "breadbord"\n')
    told(place.callbox("run", "--home", place.home(KITCHEN)), 2, "breadboard")


def test_pins_that_this_machine_lacks(place: Place) -> None:
    place.settings(KITCHEN, "")
    done = place.callbox("run", "--home", place.home(KITCHEN))
    told(done, 1, "pin")


# --- server, invite, certificate -------------------------------------------------------------------------------------


def test_a_box_waits_for_its_server_and_finds_it(place: Place) -> None:
    box = place.start_box(KITCHEN)
    wait_for(lambda: "Nothing listens" in place.status(KITCHEN)["link"], "the box saying why it is not connected")
    assert place.must("status", "--home", place.home(KITCHEN)).count("Nothing listens") == 1
    told(place.callbox("call", CELLAR, "--home", place.home(KITCHEN)), 1, "contact")
    assert box.process.poll() is None
    place.start_server()
    wait_for(lambda: place.connected(KITCHEN), "connecting", 35.0)
    assert box.end() == 0


def test_another_server_at_the_same_address(place: Place) -> None:
    """A server set up anew, or an impostor: the box says so and tells it nothing; old invites are refused."""
    old_invite = place.invite(CELLAR)
    place.start_server(name="impostor")
    told(place.callbox("join", old_invite, "--home", place.home(CELLAR)), 1, "server", "invite")
    box = place.start_box(KITCHEN)
    wait_for(lambda: "not from the server that this box joined" in place.status(KITCHEN)["link"], "the box's warning")
    assert "join again" in place.status(KITCHEN)["link"]
    place.must("message", WORKSHOP, "for the true one only", "--home", place.home(KITCHEN))
    time.sleep(1.0)
    users = json.loads(place.must("server", "users", "--json", "--home", place.home("impostor")))
    assert users["accounts"] == []
    assert not place.connected(KITCHEN)
    assert box.end() == 0


@pytest.mark.soak
def test_an_invite_is_good_once_and_for_a_time(place: Place) -> None:
    place.start_server("[accounts]\ninvite_days = 0.00002\n")
    late = place.invite("attic")
    time.sleep(2.0)
    told(place.callbox("join", late, "--home", place.home("attic")), 1, "expired", "callbox server invite")
    (Path(place.home("server")) / "server.toml").write_text("")
    invite = place.invite(CELLAR)
    place.must("join", invite, "--home", place.home(CELLAR))
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
@pytest.mark.parametrize(("who", "year"), [("box", 1970), ("box", 2049), ("server", 1970), ("server", 2049)])
def test_a_wrong_clock_at_either_end_locks_no_box_out(place: Place, who: str, year: int) -> None:
    faked = ("env", f"LD_PRELOAD={FAKED_TIME[0]}", f"FAKETIME=@{year}-01-01 00:02:00", "FAKETIME_DONT_FAKE_MONOTONIC=1")
    if who == "server":
        address = f"127.0.0.1:{place.port}"
        place.start("server", "server", "run", "--home", place.home("server"), "--listen", address, prefix=faked)
    else:
        place.start_server()
    box = place.start(KITCHEN, "run", "--home", place.home(KITCHEN), prefix=faked if who == "box" else ())
    wait_for(lambda: place.connected(KITCHEN), f"connecting, the {who} in {year}")
    assert box.end() == 0


# --- folders and stores ----------------------------------------------------------------------------------------------


def test_a_damaged_store_is_told_and_left_as_it_is(place: Place) -> None:
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
    key = Path(place.home(KITCHEN)) / "key"
    kept = key.read_bytes()
    key.write_bytes(kept[:7])
    told(place.callbox("run", "--home", place.home(KITCHEN)), 1, "key")
    key.unlink()
    told(place.callbox("run", "--home", place.home(KITCHEN)), 1, "key")
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    told(place.callbox("run", "--home", place.home(KITCHEN)), 1, "another key")


@pytest.mark.soak
def test_folders_without_a_box_and_a_folder_with_one_that_runs(place: Place) -> None:
    """All of these wait ten seconds for what may be about to come; so they wait together."""
    place.start_server()
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
        (place.begin("join", place.invite_to_nobody(), "--home", place.home("other")), "Nothing listens"),
    ]
    for begun, words in waiting:
        told(collect(begun), 1, words)
    assert list(empty.iterdir()) == []
    told(place.callbox("server", "users", "--home", nowhere), 1, "--home")


def test_folders_that_cannot_be_used(place: Place) -> None:
    invite = place.invite(CELLAR)
    (place.folder / "file").write_text("")
    for home in (str(place.folder / "file" / "home"), "/proc/1/callbox", "/proc/1", str(place.folder / "file")):
        told(place.callbox("join", invite, "--home", home), 1, home, "--home")
        told(place.callbox("server", "run", "--home", home), 1, home, "--home")


def test_a_folder_too_deep_for_a_sockets_path(place: Place) -> None:
    place.start_server()
    deep = str(place.folder / ("d" * 70) / ("e" * 70))
    place.must("join", place.invite(CELLAR), "--home", deep)
    (Path(deep) / "box.toml").write_text(QUIET_SOUND)
    box = place.start(CELLAR, "run", "--home", deep)
    assert CELLAR in place.must("status", "--home", deep)
    assert box.end() == 0
    assert not (Path(deep) / "control.sock").exists()


def test_a_settings_folder_that_a_killed_box_left(place: Place) -> None:
    """A socket file without a box behind it is nobody, and is in nobody's way."""
    place.start_server()
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    box.end(signal.SIGKILL)
    assert (Path(place.home(KITCHEN)) / "control.sock").exists()
    assert WORKSHOP in place.must("contacts", "--home", place.home(KITCHEN))
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting again")
    assert box.end(signal.SIGINT) == 0


# --- sound ------------------------------------------------------------------------------------------------------------


def test_a_sound_device_that_is_missing_is_named_and_found_when_it_comes(place: Place) -> None:
    """With files for a card: no file, no microphone. The box runs all the same, calls and says what is missing."""
    place.start_server()
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


def test_a_card_that_no_sound_system_knows(place: Place) -> None:
    """The box runs without it, and the sentence names it."""
    place.settings(KITCHEN, '[panel]\nbackend = "simulated"\n\n[sound]\ninput = "Jabra"\noutput = "Jabra"\n')
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.status(KITCHEN)["fault"], "the missing card in the status")
    assert "Jabra" in place.status(KITCHEN)["fault"]
    assert box.end() == 0
