"""Linking, backup, restore and moves by command, with real processes; some of them killed at the worst moment."""

import json
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from real.processes import KITCHEN, QUIET_SOUND, WORKSHOP, Place, collect, told, wait_for

pytestmark = pytest.mark.real
PASSPHRASE = "eight words are better than one"


@pytest.fixture
def passphrase(place: Place) -> str:
    file = place.folder / "passphrase"
    file.write_text(PASSPHRASE + "\n")
    return str(file)


def boxes(place: Place) -> None:
    place.start_server()
    for name in (KITCHEN, WORKSHOP):
        place.start_box(name)
        wait_for(lambda name=name: place.connected(name), f"{name} connects")  # type: ignore[misc]


def texts(place: Place, name: str) -> list[str]:
    facts = json.loads(place.must("messages", "--json", "--home", place.home(name)))
    return [item["text"] for item in facts["items"] if item["kind"] == "text"]


@pytest.mark.soak
def test_a_box_is_linked_by_command_lists_its_devices_and_is_revoked(place: Place) -> None:
    boxes(place)
    linking = place.begin("link", "--home", place.home(KITCHEN))
    assert linking.stdout is not None
    invite = linking.stdout.readline().strip()
    joining = place.begin("join", invite, "--home", place.home("hall"))
    done = collect(linking)
    numbers = done.out.partition("same numbers:")[2].split("\n")[0].strip()
    assert len(numbers) == 14, done
    told(place.callbox("link", "--confirm", "1111 2222 3333", "--home", place.home(KITCHEN)), 1, "not the numbers")
    assert "Linked" in place.must("link", "--confirm", numbers, "--home", place.home(KITCHEN))
    joined = collect(joining)
    assert joined.code == 0, joined
    assert numbers in joined.out
    place.settings("hall", QUIET_SOUND)
    place.start_box("hall")
    wait_for(lambda: place.connected("hall"), "the hall connects")
    wait_for(lambda: "workshop" in place.must("contacts", "--home", place.home("hall")), "it knows the workshop")
    place.must("message", KITCHEN, "to both", "--home", place.home(WORKSHOP))
    wait_for(lambda: texts(place, "hall") == texts(place, KITCHEN) == ["to both"], "both have it")
    listed = json.loads(place.must("devices", "--json", "--home", place.home(KITCHEN)))["devices"]
    other = next(entry["device"] for entry in listed if not entry["this"])
    told(place.callbox("revoke", "zzzz", "--home", place.home(KITCHEN)), 1, "no device begins")
    assert "is removed" in place.must("revoke", other, "--home", place.home(KITCHEN))
    wait_for(lambda: not place.connected("hall"), "the hall is out")
    assert "removed" in place.must("devices", "--home", place.home(KITCHEN))
    place.no_traceback()


@pytest.mark.soak
def test_a_box_is_restored_from_its_backup_by_command(place: Place, passphrase: str) -> None:
    boxes(place)
    place.must("message", KITCHEN, "kept", "--home", place.home(WORKSHOP))
    wait_for(lambda: texts(place, KITCHEN) == ["kept"], "it came")
    file = place.folder / "kitchen.backup"
    words = ("--passphrase-file", passphrase, "--home")
    place.must("backup", str(file), "--with-messages", *words, place.home(KITCHEN))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"kept" not in file.read_bytes()
    told(place.callbox("backup", str(file), *words, place.home(KITCHEN)), 1, "is there already")
    assert place.running[KITCHEN].end(signal.SIGKILL)
    place.must("message", KITCHEN, "while lost", "--home", place.home(WORKSHOP))
    told(place.callbox("restore", str(file), *words, place.home(KITCHEN)), 1, "holds a box already")
    out = place.must("restore", str(file), *words, place.home("new"))
    assert "the box that made the backup is removed" in out
    assert "hears of it when" not in out
    place.settings("new", QUIET_SOUND)
    place.start_box("new")
    wait_for(lambda: texts(place, "new") == ["kept", "while lost"], "nothing is lost")
    place.start_box(KITCHEN)
    wait_for(lambda: "removed from its account" in place.running[KITCHEN].log, "the old one hears of it")
    place.no_traceback()


@pytest.mark.soak
def test_bad_passphrases_and_files_are_told(place: Place, passphrase: str) -> None:
    boxes(place)
    short, other = place.folder / "short", place.folder / "other"
    short.write_text("short\n")
    other.write_text("quite another passphrase\n")
    file, home = str(place.folder / "kitchen.backup"), place.home(KITCHEN)
    told(place.callbox("backup", file, "--passphrase-file", str(short), "--home", home), 2, "at least 8")
    told(place.callbox("backup", file, "--passphrase-file", str(place.folder / "no"), "--home", home), 1, "cannot be")
    told(
        place.callbox("backup", "/proc/no", "--passphrase-file", passphrase, "--home", home), 1, "could not be written"
    )
    told(place.callbox("backup", file, "--home", home), 2, "nobody to ask")
    place.must("backup", file, "--passphrase-file", passphrase, "--home", home)
    new = place.home("new")
    told(place.callbox("restore", file, "--passphrase-file", str(other), "--home", new), 1, "another passphrase")
    told(place.callbox("restore", str(short), "--passphrase-file", passphrase, "--home", new), 1, "cannot be opened")
    told(place.callbox("restore", "none", "--passphrase-file", passphrase, "--home", new), 1, "No such file")
    assert not Path(new, "box.sqlite").exists()


@pytest.mark.soak
@pytest.mark.parametrize("after_s", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.soak
def test_a_restore_that_is_killed_is_done_again(place: Place, passphrase: str, after_s: float) -> None:
    place.start_server()
    file = str(place.folder / "kitchen.backup")
    place.must("backup", file, "--passphrase-file", passphrase, "--home", place.home(KITCHEN))
    begun = place.begin("restore", file, "--passphrase-file", passphrase, "--home", place.home("new"))
    time.sleep(after_s)
    os.kill(begun.pid, signal.SIGKILL)
    begun.wait()
    again = place.callbox("restore", file, "--passphrase-file", passphrase, "--home", place.home("new"))
    assert again.code == 0 or "holds a box already" in again.err, again
    listed = json.loads(place.must("devices", "--json", "--home", place.home("new")))["devices"]
    assert sorted(entry["revoked"] for entry in listed) == [False, True]


@pytest.mark.soak
def test_a_server_moves_with_its_boxes(place: Place) -> None:
    boxes(place)
    place.must("message", KITCHEN, "before", "--home", place.home(WORKSHOP))
    wait_for(lambda: texts(place, KITCHEN) == ["before"], "it came")
    file, old, new = str(place.folder / "server.backup"), place.home("server"), place.home("new server")
    place.must("server", "backup", file, "--home", old)
    place.must("server", "restore", file, "--home", new)
    old_port, place.port = place.port, _free_port()
    place.start_server(name="new server")
    assert "told to go on" in place.must("server", "move", f"127.0.0.1:{place.port}", "--home", old)
    for name in (KITCHEN, WORKSHOP):
        wait_for(lambda name=name: place.status(name)["server"].endswith(str(place.port)), f"{name} follows")  # type: ignore[misc]
    place.running["server"].end(signal.SIGKILL)
    place.must("message", KITCHEN, "after", "--home", place.home(WORKSHOP))
    wait_for(lambda: texts(place, KITCHEN) == ["before", "after"], "it came by the new server")
    place.running[KITCHEN].end()
    place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "it finds the server again")
    assert place.port != old_port
    place.no_traceback()


@pytest.mark.soak
def test_a_server_is_restored_under_its_boxes(place: Place) -> None:
    boxes(place)
    file, home = str(place.folder / "server.backup"), place.home("server")
    place.must("server", "backup", file, "--home", home)
    told(place.callbox("server", "restore", file, "--force", "--home", home), 1, "running")
    place.running[WORKSHOP].end(signal.SIGKILL)
    place.must("message", WORKSHOP, "swallowed?", "--home", place.home(KITCHEN))
    place.must("allow", WORKSHOP, "--knock", "--home", place.home(KITCHEN))
    place.running["server"].end(signal.SIGKILL)
    place.must("server", "restore", file, "--force", "--home", home)
    place.start_server()
    wait_for(lambda: any("restored" in told["text"] for told in place.status(KITCHEN)["told"]), "the kitchen notices")
    place.start_box(WORKSHOP)
    wait_for(lambda: texts(place, WORKSHOP) == ["swallowed?"], "it comes")
    place.no_traceback()


@pytest.mark.soak
def test_a_box_joins_a_server_that_lost_it_once_more(place: Place) -> None:
    boxes(place)
    place.must("message", KITCHEN, "hello", "--home", place.home(WORKSHOP))
    wait_for(lambda: texts(place, KITCHEN) == ["hello"], "it came")
    number = json.loads(place.must("verify", WORKSHOP, "--json", "--home", place.home(KITCHEN)))["number"]
    for name in ("server", KITCHEN, WORKSHOP):
        place.running[name].end(signal.SIGKILL)
    place.start_server(name="other")
    for name in (KITCHEN, WORKSHOP):
        invite = place.must("server", "invite", name, "--home", place.home("other")).strip()
        assert f"This box is {name}" in place.must("join", invite, "--home", place.home(name))
    stranger = place.must("server", "invite", "stranger", "--home", place.home("other")).strip()
    told(place.callbox("join", stranger, "--home", place.home(KITCHEN)), 1, "holds a box already: kitchen")
    for name in (KITCHEN, WORKSHOP):
        place.start_box(name)
        wait_for(lambda name=name: place.connected(name), f"{name} connects")  # type: ignore[misc]
    place.must("message", KITCHEN, "again", "--home", place.home(WORKSHOP))
    wait_for(lambda: texts(place, KITCHEN) == ["hello", "again"], "it came")
    facts = json.loads(place.must("verify", WORKSHOP, "--json", "--home", place.home(KITCHEN)))
    assert facts["number"] == number
    assert not facts["changed"]


def _free_port() -> int:
    from callbox.app.demo_stage import free_port

    return free_port()
