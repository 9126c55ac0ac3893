"""`callbox doctor`: find what is wrong or missing, name it, and say what to do."""

import contextlib
import os
import pwd
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from callbox.app.commands.shown import harmless
from callbox.app.commands.words import Adder, Options, add_json, home_of, print_facts
from callbox.app.home import Home

if TYPE_CHECKING:
    from callbox.app.doctor_finding import Finding

SERVICE_FOLDER = Path("/var/lib/callbox")
AREA, LEVEL = 10, 9
WIDTH = 110
SHOWN = {"ok": ("ok", ""), "unknown": ("-", "2"), "warning": ("warning", "33"), "fault": ("fault", "31")}


def add(adder: Adder) -> None:
    """Add this command."""
    doctor = adder.add(
        "doctor",
        "find what is wrong or missing, and say what to do about it",
        _doctor,
        "callbox doctor --home ~/kitchen",
    )
    doctor.description = (
        f"{doctor.description} Ends with 0 if all is well, with 1 at any fault or warning. Root looks as the owner of "
        "the folder does; without --home, at the box of this machine's service."
    )
    add_json(doctor)


def _doctor(options: Options) -> int:
    from callbox.app.doctor import judge
    from callbox.app.doctor_facts import CREDENTIAL, CREDENTIAL_STORES, gather
    from callbox.app.doctor_finding import is_well
    from callbox.app.doctor_machine import Machine

    machine = Machine()
    if os.geteuid() == 0:  # what root alone may see is looked at while this is root
        sealed = {path: path.exists() for path in (machine.root / store / CREDENTIAL for store in CREDENTIAL_STORES)}
        machine = Machine(exists=sealed.__getitem__)
    findings = judge(gather(_as_owner(home_of(options)), machine))
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    print_facts(options, as_facts(findings, is_well(findings)), report(findings, coloured))
    return 0 if is_well(findings) else 1


def _as_owner(home: Home) -> Home:
    """Have root look as the box's owner does: with that user's rights, and no file of root's left in the folder.

    Root that names no folder means the service's.
    """
    if os.geteuid() != 0:
        return home
    if not home.holds_box and SERVICE_FOLDER.is_dir() and home.folder == Home.named(None).folder:
        home = Home(SERVICE_FOLDER)
    with contextlib.suppress(OSError, KeyError):
        owner = pwd.getpwuid(home.folder.stat().st_uid)
        if owner.pw_uid:
            os.initgroups(owner.pw_name, owner.pw_gid)
            os.setgid(owner.pw_gid)
            os.setuid(owner.pw_uid)
    return home


def as_facts(findings: "Sequence[Finding]", well: bool) -> dict[str, Any]:
    """Return the findings for `--json`; `level` is ok, unknown (nobody could look), warning or fault."""
    return {
        "ok": well,
        "findings": [
            {"area": one.area, "level": one.level, "what": one.what, "cure": one.cure or None} for one in findings
        ],
    }


def report(findings: "Sequence[Finding]", coloured: bool) -> str:
    """Return the findings as text: a line each, the cure below it, and what they come to."""
    return "\n".join([*(_shown(finding, coloured) for finding in findings), "", summary(findings)])


def _shown(finding: "Finding", coloured: bool) -> str:
    word, colour = SHOWN[finding.level]
    level = word.ljust(LEVEL)
    if coloured and colour:
        level = f"\x1b[{colour}m{level}\x1b[0m"
    lines = _folded(finding.what, "") + (_folded(finding.cure, "-> ") if finding.cure else [])
    first, *others = lines
    margin = " " * (AREA + LEVEL)
    return "\n".join([f"{finding.area:<{AREA}}{level}{first}", *(margin + line for line in others)])


def _folded(text: str, mark: str) -> list[str]:
    """Return text in lines that fit; a command is not broken at its hyphens, nor a path."""
    return textwrap.wrap(
        harmless(text),
        WIDTH - AREA - LEVEL,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [mark]


def summary(findings: "Sequence[Finding]") -> str:
    """Return one sentence on everything."""
    count = {level: sum(finding.level == level for finding in findings) for level in SHOWN}
    parts = [
        f"{count[level]} {word}{'' if count[level] == 1 else 's'}"
        for level, word in (("fault", "fault"), ("warning", "warning"))
        if count[level]
    ]
    unseen = f" {count['unknown']} not looked at." if count["unknown"] else ""
    return (f"Found: {' and '.join(parts)}." if parts else "Nothing wrong was found.") + unseen
