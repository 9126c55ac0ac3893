"""Each thing that the guest can spoil is spoiled: the doctor finds it, names it, tells a cure, and the cure heals it.

Where the cure is a command, that very command is run, as it was printed.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from machine.guest import Guest

pytestmark = pytest.mark.machine
HOME = "/var/lib/callbox"
UNIT = "/etc/systemd/system/callbox.service.d/spoiled.conf"
START = "systemctl restart callbox && sleep 4"
STOP = "systemctl stop callbox"


@dataclass(frozen=True, slots=True)
class Case:
    """`says`: area -> words of the finding and of its cure. `cure`: the area whose cure is run as printed.

    `both`: asked as the box's own user too. Root looks as that user, so that one case of each kind is enough.
    """

    spoil: list[str]
    says: dict[str, tuple[str, str]]
    cure: str = ""
    mend: list[str] = field(default_factory=list)
    both: bool = False


def drop_in(*lines: str) -> str:
    return f"printf '%s\\n' '[Service]' {' '.join(map(repr, lines))} >{UNIT}; systemctl daemon-reload"


CASES = {
    "server down": Case(
        ["systemctl stop callbox-signaling; sleep 1"],
        {"server": ("Nothing listens", "callbox server run")},
        mend=["systemctl start callbox-signaling; sleep 20"],
        both=True,
    ),
    "server set up anew": Case(
        [
            "systemctl stop callbox callbox-signaling; cp -a /var/lib/callbox-signaling /run/kept",
            "cd /var/lib/callbox-signaling && find . -type f ! -name server.toml -delete",
            "systemctl start callbox-signaling",
        ],
        {"server": ("not from the server that this box joined", "join")},
        mend=[
            "systemctl stop callbox-signaling; cp -a /run/kept/. /var/lib/callbox-signaling/",
            f"systemctl start callbox-signaling; {START}",
        ],
    ),
    "no sound card": Case(
        ["modprobe -r snd-aloop"],
        {"sound": ("no sound input is called 'kitchen'", "plug one in")},
        mend=["modprobe snd-aloop enable=1,1 index=0,1 id=kitchen,workshop pcm_substreams=1,1; sleep 6"],
    ),
    "wrong card name": Case(
        [f'sed -i \'s/input = "kitchen"/input = "attic"/\' {HOME}/box.toml; {START}'],
        {"box": ("no sound input is called 'attic'", "kitchen")},
        mend=[f'sed -i \'s/input = "attic"/input = "kitchen"/\' {HOME}/box.toml; {START}'],
    ),
    "wrong card name, box off": Case(
        [STOP, f'sed -i \'s/output = "kitchen"/output = "attic"/\' {HOME}/box.toml'],
        {"sound": ("'attic'", "kitchen")},
        mend=[f'sed -i \'s/output = "attic"/output = "kitchen"/\' {HOME}/box.toml; {START}'],
        both=True,
    ),
    "card in use by a program": Case(
        ["(arecord -q -f S16_LE -r 48000 -c 1 -D hw:kitchen,0 /dev/null </dev/null >/dev/null 2>&1 &) ; sleep 1"],
        {"sound": ("holds it", "close that")},
        mend=["kill $(pidof arecord); sleep 1"],
    ),
    "muted card": Case(
        ["callbox sound list >/dev/null; amixer -q -c kitchen sset PCM 0%"],
        {"sound": ("speaker of kitchen is muted", "alsactl store")},
        cure="sound",
    ),
    "pin held by another program": Case(
        [STOP, "gpioset --daemonize --consumer doorbell --chip /dev/gpiochip0 17=1"],
        {"panel": ("[button.talk] GPIO17 is in use by `doorbell`", "another pin")},
        mend=["kill $(pidof gpioset)", START],
    ),
    "user not in the group of the pins": Case(
        [STOP, "gpasswd -d callbox gpio"],
        {"panel": ("the user callbox, who is not in the group gpio", "usermod -aG gpio callbox")},
        cure="panel",
        mend=[START],
        both=True,
    ),
    "user not in the group of the sound cards": Case(
        [STOP, "gpasswd -d callbox audio"],
        {"sound": ("may not use", "usermod -aG audio")},
        mend=["usermod -aG audio callbox", START],
    ),
    "pins that were given to no group": Case(
        [STOP, "chown root:root /dev/gpiochip*; chmod 600 /dev/gpiochip*"],
        {"panel": ("given to no group", "udevadm trigger")},
        mend=["udevadm trigger; udevadm settle", START],
    ),
    "works in a shell and not as a service": Case(
        [drop_in("DeviceAllow=", "DeviceAllow=char-gpiochip rw"), START],
        {"service": ("lacks rights that this box needs: DeviceAllow=char-116 rw", "systemctl revert callbox")},
        mend=[f"rm {UNIT}; systemctl daemon-reload", START],
    ),
    "mistake in box.toml": Case(
        [f"echo '[sonud]' >>{HOME}/box.toml; systemctl restart callbox; sleep 4"],
        {"settings": ("sonud", ""), "service": ("box.toml has a mistake", "systemctl restart callbox")},
        mend=[f"sed -i '/sonud/d' {HOME}/box.toml", START],
        both=True,
    ),
    "service masked": Case(
        [STOP, "systemctl mask callbox"],
        {"service": ("masked", "systemctl unmask callbox")},
        cure="service",
        mend=["sleep 4"],
    ),
    "service not enabled": Case(
        ["systemctl disable callbox"],
        {"service": ("does not start with the machine", "systemctl enable callbox")},
        cure="service",
    ),
    "folder open to others": Case(
        [f"chmod 755 {HOME}"], {"folder": ("Other users", f"chmod go-rwx {HOME}")}, cure="folder"
    ),
    "key lost": Case(
        [STOP, f"mv {HOME}/key /run/key"],
        {"store": ("The key", "backup")},
        mend=[f"mv /run/key {HOME}/key", START],
    ),
    "clock never set": Case(
        ["date -s @86400"],
        {"clock": ("before this firmware was made", "timedatectl set-ntp true")},
        mend=['hwclock -s 2>/dev/null || date -s "$(cat /run/before)"'],
    ),
    "disk nearly full": Case(
        ["fallocate -l $(( $(df --output=avail -B1 / | tail -1) - 10000000 )) /filler"],
        {"disk": ("are free", "apt clean")},
        mend=["rm /filler"],
    ),
    "disk read-only": Case(
        [STOP, f"mount --bind {HOME} {HOME} && mount -o remount,ro,bind {HOME}"],
        {"disk": ("read-only", "dmesg")},
        mend=[f"umount {HOME}", START],
    ),
}


def ask(guest: Guest, case: Case) -> dict[str, Any]:
    users = ["root", "user"] if case.both else ["root"]
    words = {"spoil": ["date >/run/before", *case.spoil], "cure": case.cure, "mend": case.mend, "users": users}
    facts: dict[str, Any] = guest.story("doctor.py", json.dumps(words), timeout_s=180)
    return facts


def test_a_healthy_box_has_nothing(guest: Guest) -> None:
    facts = ask(guest, Case([], {}, both=True))
    for user in ("root", "user"):
        assert facts["found"][user] == {"ok": True, "findings": []}
    assert facts["after"]["ok"]


@pytest.mark.parametrize("name", CASES)
def test_what_is_spoiled_is_found_named_and_cured(guest: Guest, name: str) -> None:
    case = CASES[name]
    facts = ask(guest, case)
    for user, found in facts["found"].items():
        findings = found["findings"]
        for area, (words, cure) in case.says.items():
            fitting = [one for one in findings if one["area"] == area and words.lower() in one["what"].lower()]
            assert fitting, (user, findings)
            assert cure.lower() in (fitting[-1]["cure"] or "").lower(), (user, findings)
    assert facts["after"] == {"ok": True, "findings": []}, facts["ran"]


def test_a_folder_that_lgpio_may_not_write_to_matters_where_a_light_is_dimmed(guest: Guest) -> None:
    board = "[button.talk]\\npin = 17\\n[light.live]\\npin = 5\\n"
    guest.must(STOP)
    guest.must(f"printf '\\n[panel]\\nboard = \"{HOME}/board.toml\"\\n' >>{HOME}/box.toml")
    found = []
    for dimmed in ("", "brightness = 0.5\\n"):
        guest.must(f"printf '{board}{dimmed}' >{HOME}/board.toml")
        ran = guest.run(f"runuser -u callbox -- env LG_WD=/proc callbox doctor --json --home {HOME}", 60)
        found += [one for one in json.loads(ran.out)["findings"] if one["area"] == "panel"]
    assert [one["level"] for one in found] == ["ok", "fault"], found
    assert "may not write to /proc" in found[1]["what"]
    assert "LG_WD" in found[1]["cure"]
