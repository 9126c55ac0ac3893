"""What can be told of a package without installing it."""

import json
import re
import struct
import subprocess
from email.parser import HeaderParser
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from package.built import Package
from package.test_package_lock import LOCK, locked

pytestmark = pytest.mark.package

ROOT = Path(__file__).parents[2]
UNITS = "usr/lib/systemd/system"
MACHINES = {"amd64": 62, "arm64": 183}  # e_machine of the ELF header
INSTALLED = {
    "callbox.service": f"{UNITS}/callbox.service",
    "callbox-signaling.service": f"{UNITS}/callbox-signaling.service",
    "callbox-light.service": f"{UNITS}/callbox-light.service",
    "restart-steps.conf": f"{UNITS}/callbox.service.d/restart-steps.conf",
    "callbox.sysusers.conf": "usr/lib/sysusers.d/callbox.conf",
    "callbox.tmpfiles.conf": "usr/lib/tmpfiles.d/callbox.conf",
    "callbox.journald.conf": "usr/lib/systemd/journald.conf.d/callbox.conf",
    "60-callbox.rules": "usr/lib/udev/rules.d/60-callbox.rules",
    "status-light": "usr/lib/callbox/status-light",
}


def control(package: Package) -> dict[str, str]:
    return dict(HeaderParser().parsestr((package.tree / "DEBIAN" / "control").read_text()).items())


def native(package: Package) -> list[Path]:
    return [file for file in package.tree.rglob("*.so*") if file.read_bytes()[:4] == b"\x7fELF"]


def names(package: Package) -> dict[str, str]:
    """Return name and version of each Python package inside."""
    found = distributions(path=[str(package.site_packages)])
    return {canonicalize_name(each.name): each.version for each in found}


def test_all_native_code_is_for_its_machine(package: Package) -> None:
    files = native(package)
    assert {"lgpio", "pyaudio", "numpy", "cryptography"} <= {
        file.relative_to(package.site_packages).parts[0].partition(".")[0].strip("_") for file in files
    }
    for file in files:
        (machine,) = struct.unpack_from("<H", file.read_bytes(), 18)
        assert machine == MACHINES[package.architecture], file


def test_what_is_built_here_is_hardened(package: Package) -> None:
    for file in (*package.site_packages.glob("_lgpio*.so"), *package.site_packages.glob("pyaudio/_portaudio*.so")):
        told = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True).stdout
        assert "BIND_NOW" in told, file
        sections = subprocess.run(["readelf", "-SW", file], check=True, capture_output=True, text=True).stdout
        assert ".debug_info" not in sections, file


def test_only_root_may_write_and_nothing_gains_rights(package: Package) -> None:
    for line in package.listing:
        rights, owner = line.split()[:2]
        assert owner == "root/root", line
        assert not set("sStT") & set(rights), line
        assert rights[0] == "l" or (rights[5] == "-" and rights[8] == "-"), line
        assert rights[7] == "r" or rights[0] == "l", f"not for everybody to read: {line}"


def test_our_files_are_those_of_the_source(package: Package) -> None:
    for source, place in INSTALLED.items():
        # Debian 12's debhelper puts units into /lib, which is /usr/lib there too once installed.
        there = [package.tree / folder for folder in (place, place.removeprefix("usr/"))]
        (installed,) = [file for file in there if file.exists()]
        assert installed.read_bytes() == (ROOT / "systemd" / source).read_bytes(), f"build anew: {place}"
    shipped = {path.name for path in (ROOT / "systemd").iterdir() if path.is_file()} - {"README.md"}
    assert shipped == set(INSTALLED), "a file of systemd/ that is in no package"


def test_there_are_no_settings_for_dpkg_to_ask_about(package: Package) -> None:
    assert not (package.tree / "DEBIAN" / "conffiles").exists()
    assert not (package.tree / "etc").exists()


def test_there_is_no_test_code(package: Package) -> None:
    inside = package.site_packages
    folders = {path for name in ("test", "tests", "testing") for path in inside.rglob(name) if path.is_dir()}
    assert folders <= {inside / "callbox" / "testing"}  # the simulated parts of the demo
    assert not [name for name in names(package) if name in {"pytest", "hypothesis", "pystoi", "pip", "setuptools"}]


def test_nothing_tells_where_it_was_built(package: Package) -> None:
    # Of the build root and of this clone; wheels say what they like of their own makers' machines.
    traces = (b"/build/debian", b"/build/systemd", b"/exchange/", str(ROOT).encode(), b"file:///build")
    ours = [*package.site_packages.glob("callbox/**/*"), *package.site_packages.glob("*.so")]
    ours += [*package.site_packages.glob("*.dist-info/*"), *package.site_packages.glob("**/*.pyc")]
    ours += [*(package.tree / "usr").rglob("*"), *(package.tree / "opt/callbox").glob("*")]
    for file in ours:
        if file.is_file() and not file.is_symlink():
            found = [trace for trace in traces if trace in file.read_bytes()]
            assert not found, (file, found)


def test_everything_is_compiled_for_good(package: Package) -> None:
    for source in package.site_packages.rglob("*.py"):
        compiled = list((source.parent / "__pycache__").glob(f"{source.stem}.cpython-3??.pyc"))
        assert compiled, f"{source} is not compiled"
        (flags,) = struct.unpack_from("<I", compiled[0].read_bytes(), 4)
        assert flags == 1, f"{compiled[0]} is compared with its source at every start"  # PEP 552


def test_the_environment_is_closed(package: Package) -> None:
    told = (package.tree / "opt/callbox/pyvenv.cfg").read_text()
    assert "include-system-site-packages = false" in told
    assert (package.tree / "opt/callbox/bin/python3").is_symlink()
    program = package.tree / "opt/callbox/bin/callbox"
    assert program.read_text().startswith("#!/opt/callbox/bin/python3\n")
    assert (package.tree / "usr/bin/callbox").readlink() == Path("/opt/callbox/bin/callbox")


def test_versions_are_those_that_were_locked(package: Package) -> None:
    lock = {name: {str(entry.specifier)[2:] for entry, _ in entries} for name, entries in locked().items()}
    found = names(package)
    found.pop("callbox")
    assert set(found) == set(lock)
    assert all(version in lock[name] for name, version in found.items()), found


def test_the_ingredients_are_told_with_hash_and_licence(package: Package) -> None:
    inside = json.loads((package.tree / "usr/share/doc/callbox/callbox.cdx.json").read_text())
    assert json.loads(package.file.with_suffix(".cdx.json").read_text()) == inside
    assert inside["bomFormat"] == "CycloneDX"
    assert inside["metadata"]["component"]["version"] == control(package)["Version"]
    python = {part["name"]: part for part in inside["components"] if part["purl"].startswith("pkg:pypi/")}
    found = names(package)
    found.pop("callbox")
    assert {name: part["version"] for name, part in python.items()} == found
    hashes = LOCK.read_text()
    for part in python.values():
        assert part["hashes"][0]["content"] in hashes, part
        assert part["licenses"] != [{"license": {"name": "not named"}}], part
    for part in inside["components"]:
        for reference in part.get("externalReferences", ()):
            assert (package.tree / reference["url"].removeprefix("file:///")).is_file(), reference
    debian = {part["name"] for part in inside["components"] if part["purl"].startswith("pkg:deb/")}
    assert {"libportaudio2", "libopus0", "libspeexdsp1", "espeak-ng"} <= debian
    assert len(python) + len(debian) == len(inside["components"])


def test_the_licences_are_there_to_read(package: Package) -> None:
    told = (package.tree / "usr/share/doc/callbox/copyright").read_text()
    for name in set(names(package)) - {"callbox"}:
        assert f"License: of-{name}\n" in told
    for place in re.findall(r"^  (/opt\S+)$", told, re.MULTILINE):
        assert (package.tree / place[1:]).is_file(), place


def test_manual_and_completion_know_the_commands(package: Package) -> None:
    for page, command in (("callbox", "doctor"), ("callbox-server", "invite")):
        packed = package.tree / f"usr/share/man/man1/{page}.1.gz"
        text = subprocess.run(["zcat", packed], check=True, capture_output=True, text=True).stdout
        assert command in text
        assert re.search(rf"^{page} \\- \w", text, re.MULTILINE), "apropos finds it by this line"
    assert "doctor" in (package.tree / "usr/share/bash-completion/completions/callbox").read_text()


def test_the_change_log_is_that_of_the_project(package: Package) -> None:
    packed = package.tree / "usr/share/doc/callbox/changelog.gz"
    text = subprocess.run(["zcat", packed], check=True, capture_output=True, text=True).stdout
    version = control(package)["Version"]
    assert text.startswith(f"callbox ({version}) ")
    assert "For people at the box" in text
    release = re.search(r"~deb(1[23])$", version)
    assert release
    assert control(package)["Depends"].count("python3.13" if release[1] == "13" else "python3.11") == 1
