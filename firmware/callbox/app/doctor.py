"""The judgement of `callbox doctor`: from facts to findings. Pure; what gathers the facts is `doctor_facts`.

    files, sockets, sysfs -> doctor_facts, doctor_machine, doctor_server -> Facts -> judge -> findings

One function per area. A finding says what is there or what is wrong, and its cure; what nobody could look at is
`unknown` and says why, so that "ok" always means that somebody has looked.
"""

import re
from datetime import UTC, datetime

from callbox.app import doctor_hardware as hardware
from callbox.app.doctor_finding import Finding, Level, held, not_looked, sentence
from callbox.app.doctor_known import (
    BoxFacts,
    Certificate,
    ClockFacts,
    DiskFacts,
    Facts,
    FolderFacts,
    Held,
    NotLooked,
    PythonFacts,
    ServerFacts,
    ServiceFacts,
    SettingsFacts,
    StoreFacts,
)
from callbox.base.time import TRUSTED_AFTER_MS

PYTHONS = ((3, 11), (3, 13))
FULL_BYTES = 20_000_000
NEARLY_FULL_BYTES = 200_000_000
DAY_S = 86_400
EXPIRES_SOON_S = 14 * DAY_S
CLOCKS_APART_S = 120
_SET_CLOCK = "Set it: sudo timedatectl set-ntp true (by hand: sudo date -s 'YYYY-MM-DD HH:MM'); then look again."


def judge_python(facts: PythonFacts | NotLooked) -> list[Finding]:
    """Compare Python and the packages with what Callbox needs."""
    area = "python"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    found: list[Finding] = []
    spoken = ".".join(map(str, facts.version))
    lowest, highest = PYTHONS
    if not lowest <= facts.version[:2] <= highest:
        cure = "Make the virtual environment anew with one of those; on Debian 12 and 13, python3 is one."
        found.append(Finding(area, "fault", f"This is Python {spoken}; Callbox runs on 3.11 to 3.13.", cure))
    for package in facts.packages:
        if package.there is None:
            what = f"The package {package.name} is missing ({package.needed} or later is needed)."
        elif numbers(package.there) < numbers(package.needed):
            what = f"The package {package.name} is version {package.there}; {package.needed} or later is needed."
        else:
            continue
        found.append(Finding(area, "fault", what, f"Install it: pip install '{package.name}>={package.needed}'"))
    well = f"Python {spoken}, Callbox {facts.callbox}, and all {len(facts.packages)} packages that every box needs."
    return found or [Finding(area, "ok", well)]


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparing: "2.0.1.post3" is (2, 0, 1, 3)."""
    return tuple(int(number) for number in re.findall(r"\d+", version))


def judge_settings(facts: SettingsFacts | NotLooked) -> list[Finding]:
    """Tell every problem of box.toml."""
    area = "settings"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    if not facts.problems:
        return [Finding(area, "ok", f"{facts.file} is right." if facts.there else "No box.toml: all defaults.")]
    *others, last = facts.problems
    cure = "Mend what is named here, then start the box again: it does not start with such a file."
    return [*(Finding(area, "fault", problem) for problem in others), Finding(area, "fault", last, cure)]


def judge_folder(facts: FolderFacts) -> list[Finding]:
    """Judge whether there is a box, whose it is, and who else may look into it."""
    area = "folder"
    if not facts.there or (facts.readable and not facts.holds_box):
        cure = 'Make one: callbox join "INVITE"'
        if facts.service_folder:
            cure += "; or look at this machine's: sudo callbox doctor"
        return [Finding(area, "fault", f"There is no box in {facts.path}.", cure)]
    if facts.owner != facts.user:
        what = f"{facts.path} belongs to {facts.owner}, and you are {facts.user}: much of it was not looked at."
        level: Level = "warning" if facts.readable else "fault"
        return [Finding(area, level, what, f"Look as its owner: sudo callbox doctor --home {facts.path}")]
    if not facts.readable:
        return [Finding(area, "fault", f"{facts.path} cannot be opened by its owner.", f"Run: chmod 700 {facts.path}")]
    found: list[Finding] = []
    for name, mode in facts.modes:
        if mode & 0o077:
            path = facts.path if name == "." else f"{facts.path}/{name}"
            what = f"Other users of this machine may use {path} (mode {mode:04o})."
            found.append(Finding(area, "fault" if name == "key" else "warning", what, f"Run: chmod go-rwx {path}"))
    return found or [Finding(area, "ok", f"{facts.path}, for {facts.owner} alone.")]


def judge_disk(facts: DiskFacts | NotLooked) -> list[Finding]:
    """Judge whether what comes can be kept."""
    area = "disk"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    free = f"{facts.free_bytes / 1e6:,.0f} MB"
    if facts.read_only:
        cure = "`dmesg` says why; a card that turned read-only by itself is worn out: copy it to a new one."
        return [Finding(area, "fault", "The disk under the box's folder is read-only: nothing can be kept.", cure)]
    if facts.free_bytes < NEARLY_FULL_BYTES:
        level: Level = "fault" if facts.free_bytes < FULL_BYTES else "warning"
        cure = "Free some: sudo apt clean; sudo journalctl --vacuum-size=50M; du -xh / | sort -h | tail"
        return [Finding(area, level, f"Only {free} are free for what the box keeps.", cure)]
    return [Finding(area, "ok", f"{free} free.")]


def judge_box(facts: BoxFacts | NotLooked) -> list[Finding]:
    """Tell what a running box says of itself."""
    area = "box"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    if not facts.running:
        cure = "Start it: sudo systemctl start callbox; or by hand: callbox run"
        return [Finding(area, "ok", "No box runs in this folder at present, so all was looked at from here.", cure)]
    if facts.trouble is not None:
        cure = facts.trouble.cure or "Start it again (sudo systemctl restart callbox); its log says what it was doing."
        return [Finding(area, "fault", sentence(facts.trouble.what), cure)]
    if facts.fault:
        what, _, cure = facts.fault.partition("\n")
        return [Finding(area, "fault", f"The running box reports: {sentence(what)}", sentence(cure))]
    return [Finding(area, "ok", f"Running, {facts.state}; it reports no fault.")]


ENDED = {
    2: ("box.toml has a mistake", "Mend what the area `settings` names; then: sudo systemctl restart callbox"),
    203: ("its program cannot be started", "Install Callbox again: sudo apt install --reinstall callbox"),
    216: ("a group that it needs is missing", "Run: sudo systemd-sysusers && sudo systemctl restart callbox"),
    217: ("its user is missing", "Run: sudo systemd-sysusers && sudo systemctl restart callbox"),
}
"""Exit codes of the service that have one cause; those above 200 are systemd's own, given before the program runs."""
_LOG = "Its last words say why: journalctl -u callbox -n 30"
OFTEN = 3


def judge_service(facts: ServiceFacts | None) -> list[Finding]:
    """Judge whether systemd can run the box, by itself and with all that the box needs."""
    area = "service"
    if facts is None:
        return []
    if facts.load == "masked":
        cure = "Run: sudo systemctl unmask callbox && sudo systemctl enable --now callbox"
        return [Finding(area, "fault", "callbox.service is masked: it can not be started at all.", cure)]
    if facts.load != "loaded":
        cure = "Install Callbox again, or copy its unit; systemctl status callbox tells more."
        return [Finding(area, "fault", f"callbox.service cannot be loaded: {facts.load}.", cure)]
    found: list[Finding] = []
    if facts.active in ("failed", "activating"):
        ends = "has failed" if facts.active == "failed" else "ends again after each start"
        why, cure = ENDED.get(facts.exit_status, ("", _LOG))
        if facts.result == "watchdog":
            why = "it hung, and the watchdog ended it"
        found.append(Finding(area, "fault", f"callbox.service {ends}{why and ': '}{why}.", cure))
    elif facts.restarts >= OFTEN:
        found.append(Finding(area, "warning", f"callbox.service had to be started again {facts.restarts} times.", _LOG))
    if facts.denied:
        cure = "`systemctl cat callbox` shows where. To undo what was changed: sudo systemctl revert callbox && "
        cure += "sudo systemctl restart callbox"
        what = f"callbox.service lacks rights that this box needs: {', '.join(facts.denied)}."
        found.append(Finding(area, "fault", what, cure))
    if not facts.starts_by_itself:
        what = "callbox.service does not start with the machine."
        found.append(Finding(area, "warning", what, "Run: sudo systemctl enable callbox"))
    return found or [Finding(area, "ok", f"callbox.service is {facts.active}, and may use what this box needs.")]


def judge_store(facts: StoreFacts | Held | NotLooked) -> list[Finding]:
    """Judge the key and the store."""
    area = "store"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    if isinstance(facts, Held):
        return held(area, facts, "Open in the running box, which reports no fault.")
    if facts.trouble is not None:
        return [Finding(area, "fault", sentence(facts.trouble.what), facts.trouble.cure)]
    return [Finding(area, "ok", f"Opens with its key, reads and writes: the box of {facts.account}.")]


def judge_server(facts: ServerFacts | NotLooked, clock: ClockFacts) -> list[Finding]:
    """Judge the way to the server, its certificate and the login."""
    area = "server"
    if isinstance(facts, NotLooked):
        return not_looked(area, facts)
    if facts.trouble is not None:
        return [Finding(area, "fault", sentence(facts.trouble.what), facts.trouble.cure)]
    took = "" if facts.latency_ms is None else f" in {facts.latency_ms:.0f} ms"
    who = "the running box is logged in" if facts.proven_by_box else "it is the one joined, and takes the login"
    found = [Finding(area, "ok", f"{facts.address} answers{took}; {who}.")]
    if facts.certificate is not None and _trusted(clock):
        left_s = facts.certificate.ends_s - clock.wall_ms / 1000
        if left_s < EXPIRES_SOON_S:
            when = (
                f"expires in {left_s / DAY_S:.0f} days"
                if left_s > 0
                else f"expired on {_day(facts.certificate.ends_s)}"
            )
            cure = "If this clock is right, restart the server: it makes itself a fresh one. If not, set the clock."
            found.append(Finding(area, "warning", f"The certificate of {facts.address} {when}, by this clock.", cure))
    return found


def judge_clock(facts: ClockFacts, certificate: Certificate | None) -> list[Finding]:
    """Judge the clock by what it can be compared with: the firmware's own age, the server, the network's time."""
    area, wall_s = "clock", facts.wall_ms / 1000
    shown = datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if not _trusted(facts):
        what = f"The clock says {shown}, before this firmware was made: nobody has set it since the start."
        return [Finding(area, "fault", what, f"With a network it sets itself; calls work meanwhile. {_SET_CLOCK}")]
    if certificate is not None and wall_s < certificate.begins_s:
        what = f"The clock says {shown}; the server's certificate begins only on {_day(certificate.begins_s)}."
        return [Finding(area, "fault", what, _SET_CLOCK)]
    if facts.server_ahead_s is not None:
        apart = f"{abs(facts.server_ahead_s):.0f} s {'behind' if facts.server_ahead_s > 0 else 'ahead of'} the server's"
        if abs(facts.server_ahead_s) > CLOCKS_APART_S:
            return [
                Finding(area, "warning", f"The clock says {shown}: {apart}.", f"One of both is wrong. {_SET_CLOCK}")
            ]
        return [Finding(area, "ok", f"{shown}, {apart}.")]
    if facts.synchronised:
        return [Finding(area, "ok", f"{shown}, set from the network.")]
    if certificate is not None and wall_s <= certificate.ends_s:
        return [Finding(area, "ok", f"{shown}, within the time of the server's certificate.")]
    return not_looked(area, NotLooked(f"it says {shown}, and nothing here knows whether that is right"))


def _trusted(clock: ClockFacts) -> bool:
    return clock.wall_ms >= TRUSTED_AFTER_MS


def _day(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d")


def judge(facts: Facts) -> list[Finding]:
    """Return everything that was found, area by area, what others depend on first."""
    certificate = facts.server.certificate if isinstance(facts.server, ServerFacts) else None
    return [
        *judge_python(facts.python),
        *judge_folder(facts.folder),
        *judge_settings(facts.settings),
        *judge_disk(facts.disk),
        *judge_service(facts.service),
        *judge_box(facts.box),
        *judge_store(facts.store),
        *judge_clock(facts.clock, certificate),
        *judge_server(facts.server, facts.clock),
        *hardware.judge_sound(facts.sound),
        *hardware.judge_mixer(facts.mixer),
        *hardware.judge_codec(facts.codec),
        *hardware.judge_speech(facts.speech),
        *hardware.judge_pins(facts.pins),
        *hardware.judge_wifi(facts.wifi),
        *hardware.judge_power(facts.power),
    ]
