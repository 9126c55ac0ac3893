"""`callbox doctor` on real boxes: well, and with each thing broken that can be broken here."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from callbox.app.doctor import judge
from callbox.app.doctor_facts import gather
from callbox.app.doctor_machine import Machine
from callbox.app.home import Home
from callbox.testing.virtual_card import VirtualCard
from real.processes import KITCHEN, QUIET_SOUND, Place, wait_for

pytestmark = pytest.mark.real


def examine(place: Place, name: str = KITCHEN) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run `callbox doctor --json`; return its exit code and the findings by area."""
    done = place.callbox("doctor", "--json", "--home", place.home(name))
    assert not done.err, done.err
    told = json.loads(done.out)
    assert told["ok"] is (done.code == 0)
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in told["findings"]:
        found.setdefault(finding["area"], []).append(finding)
    return done.code, found


def level(found: dict[str, list[dict[str, Any]]], area: str) -> str:
    (one,) = found[area]
    return str(one["level"])


def test_a_box_that_is_off_is_well_and_runs_afterwards(place: Place) -> None:
    place.start_server()
    for _ in range(2):  # the epoch that a login uses up is never used twice
        code, found = examine(place)
        assert {area: level(found, area) for area in ("folder", "settings", "store", "server", "clock", "codec")} == (
            dict.fromkeys(("folder", "settings", "store", "server", "clock", "codec"), "ok")
        )
        assert code == 0, found
    assert "takes the login" in found["server"][0]["what"]
    box = place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    assert "older than the server remembers" not in box.log


def test_a_running_box_is_asked_and_left_alone(place: Place) -> None:
    place.start_server()
    place.start_box(KITCHEN)
    wait_for(lambda: place.connected(KITCHEN), "connecting")
    code, found = examine(place)
    assert code == 0, found
    assert "Running, idle" in found["box"][0]["what"]
    assert "the running box is logged in" in found["server"][0]["what"]
    assert level(found, "store") == level(found, "sound") == "ok"
    assert place.connected(KITCHEN)
    place.running["server"].end()
    wait_for(lambda: not place.connected(KITCHEN), "noticing")
    code, found = examine(place)
    assert (code, level(found, "server")) == (1, "fault")


def test_a_server_that_is_down(place: Place) -> None:
    code, found = examine(place)
    assert code == 1
    (server,) = found["server"]
    assert "Nothing listens" in server["what"]
    assert "callbox server run" in server["cure"]
    assert level(found, "store") == "ok"


def test_a_server_that_was_set_up_anew(place: Place) -> None:
    place.start_server(name="another")
    code, found = examine(place)
    assert code == 1
    (server,) = found["server"]
    assert "not from the server that this box joined" in server["what"]


def test_a_box_that_the_server_has_lost(place: Place) -> None:
    for file in Path(place.home("server")).glob("*.sqlite*"):
        file.unlink()
    place.start_server()
    code, found = examine(place)
    assert code == 1
    (server,) = found["server"]
    assert "does not know this box" in server["what"]
    assert "join" in server["cure"]


def test_a_running_box_that_the_server_does_not_take(place: Place) -> None:
    for file in Path(place.home("server")).glob("*.sqlite*"):
        file.unlink()
    place.start_server()
    place.start_box(KITCHEN)
    wait_for(lambda: place.state(KITCHEN) == "idle" and "know" in place.status(KITCHEN)["link"], "being refused")
    code, found = examine(place)
    assert (code, level(found, "server")) == (1, "fault")
    assert "can be reached, but" in found["server"][0]["what"]
    assert "does not know this box" in found["server"][0]["what"]


def test_a_sound_card_that_is_not_there(place: Place) -> None:
    place.settings(KITCHEN, QUIET_SOUND.replace('"wav"', '"portaudio"').replace('input = ""', 'input = "Speakerbox"'))
    code, found = examine(place)
    assert code == 1
    (sound,) = found["sound"]
    assert sound["level"] == "fault"
    assert "'Speakerbox'" in sound["what"]
    assert sound["cure"]


def test_a_sound_card_that_gives_sound_and_one_that_the_running_box_misses(place: Place) -> None:
    place.start_server()
    with VirtualCard(["kitchen"]) as card:
        place.environment.update({name: text for name, text in card.environment.items() if name != "PATH"})
        right = '[panel]\nbackend = "simulated"\n[sound]\ninput = "kitchen"\noutput = "kitchen"\n'
        place.settings(KITCHEN, right)
        code, found = examine(place)
        assert "open and give sound" in found["sound"][0]["what"]
        assert code == 0, found
        place.settings(KITCHEN, right.replace('input = "kitchen"', 'input = "attic"'))
        place.start_box(KITCHEN)
        wait_for(lambda: place.connected(KITCHEN) and place.status(KITCHEN)["fault"], "missing the card")
        code, found = examine(place)
    assert code == 1
    assert "'attic'" in found["box"][0]["what"]
    assert "kitchen" in found["box"][0]["cure"]
    assert level(found, "sound") == "unknown"


def test_settings_that_are_wrong_are_told_with_their_lines(place: Place) -> None:
    place.settings(KITCHEN, '[panel]\nbackend = "simulatd"\n\n[sound]\nloudness = 3\n')
    code, found = examine(place)
    assert code == 1
    told = [finding["what"] for finding in found["settings"]]
    assert any("box.toml:2 " in one for one in told)
    assert any("box.toml:5 " in one and "loudness" in one for one in told)
    assert found["settings"][-1]["cure"]
    assert level(found, "sound") == level(found, "panel") == "unknown"


def test_a_store_that_is_damaged_stays_as_it_is(place: Place) -> None:
    store = Path(place.home(KITCHEN)) / "box.sqlite"
    store.write_bytes(b"not a database at all " * 200)
    before = store.read_bytes()
    code, found = examine(place)
    assert code == 1
    (told,) = found["store"]
    assert (told["level"], "damaged" in told["what"]) == ("fault", True)
    assert level(found, "server") == "unknown"
    assert store.read_bytes() == before


def test_a_key_that_is_lost_is_not_made_anew(place: Place) -> None:
    key = Path(place.home(KITCHEN)) / "key"
    key.unlink()
    code, found = examine(place)
    assert (code, level(found, "store")) == (1, "fault")
    assert "key" in found["store"][0]["what"]
    assert not key.exists()


def test_a_folder_that_others_may_read(place: Place) -> None:
    home = Path(place.home(KITCHEN))
    home.chmod(0o755)
    (home / "key").chmod(0o644)
    code, found = examine(place)
    assert code == 1
    assert [finding["level"] for finding in found["folder"]] == ["warning", "fault"]
    assert "chmod go-rwx" in found["folder"][1]["cure"]
    assert level(found, "store") == "fault"


def test_a_clock_in_1970(place: Place) -> None:
    place.start_server()
    facts = gather(Home(Path(place.home(KITCHEN))), Machine(wall_ms=lambda: 86_400_000))
    found = {finding.area: finding for finding in judge(facts)}
    assert found["clock"].level == "fault"
    assert "1970-01-02" in found["clock"].what
    assert "timedatectl" in found["clock"].cure
    assert found["server"].level == "ok", "a wrong clock keeps nobody from the server"


def test_a_clock_an_hour_behind_the_servers(place: Place) -> None:
    place.start_server()
    facts = gather(Home(Path(place.home(KITCHEN))), Machine(wall_ms=lambda: time.time_ns() // 1_000_000 - 3_600_000))
    found = {finding.area: finding for finding in judge(facts)}
    assert (found["clock"].level, found["server"].level) == ("warning", "ok")
    assert re.search(r"3(600|599|601) s behind the server's", found["clock"].what)


def test_a_clock_before_the_servers_certificate(place: Place) -> None:
    place.start_server()
    facts = gather(Home(Path(place.home(KITCHEN))), Machine(wall_ms=lambda: 1_767_300_000_000))
    clock = next(finding for finding in judge(facts) if finding.area == "clock")
    assert clock.level == "fault"
    assert "certificate begins" in clock.what


def test_a_person_reads_it_line_by_line(place: Place) -> None:
    done = place.callbox("doctor", "--home", place.home(KITCHEN))
    assert done.code == 1
    assert not done.err
    assert "\x1b" not in done.out
    lines = done.out.splitlines()
    server = next(number for number, line in enumerate(lines) if line.startswith("server    fault    Nothing listens"))
    assert lines[server + 1].strip().startswith("-> Start the server")
    assert lines[-1].startswith("Found: 1 fault.")
    assert max(map(len, lines)) <= 120


def test_no_box_at_all(place: Place) -> None:
    done = place.callbox("doctor", "--home", place.home("nowhere"))
    assert done.code == 1
    assert "callbox join" in done.out
    assert not Path(place.home("nowhere")).exists()
