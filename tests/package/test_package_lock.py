"""The list of Python packages that go into the Debian packages covers what Callbox needs, each with its hashes."""

import configparser
import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "systemd" / "package" / "requirements.txt"
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
CURE = "run `make lock`"


def locked() -> dict[str, list[tuple[Requirement, int]]]:
    """Return every entry, with the number of its hashes, by name."""
    found: dict[str, list[tuple[Requirement, int]]] = {}
    for entry in re.split(r"\n(?=[a-z])", re.sub(r"(?m)^ *#.*\n?", "", LOCK.read_text()).strip()):
        requirement = Requirement(entry.partition("\\\n")[0].strip())
        found.setdefault(canonicalize_name(requirement.name), []).append((requirement, len(HASH.findall(entry))))
    return found


def wanted() -> list[Requirement]:
    """Return what setup.cfg and requirements.in ask for."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"] + config["options.extras_require"]["server"]
    lines += "\n" + (LOCK.parent / "requirements.in").read_text()
    return [Requirement(line) for line in lines.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_everything_that_callbox_needs_is_locked() -> None:
    lock = locked()
    for need in wanted():
        entries = lock.get(canonicalize_name(need.name))
        assert entries, f"{need.name} is not in {LOCK}: {CURE}"
        for entry, _ in entries:
            (version,) = [clause.version for clause in entry.specifier]
            assert need.specifier.contains(version), f"{LOCK} has {entry}, setup.cfg wants {need}: {CURE}"


def test_every_entry_is_one_version_with_hashes() -> None:
    for entries in locked().values():
        for entry, hashes in entries:
            assert [clause.operator for clause in entry.specifier] == ["=="], entry
            assert hashes, f"{entry} has no hash"
