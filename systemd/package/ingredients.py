"""Writes down what is in the package: a list of ingredients (CycloneDX 1.6), and Debian's copyright file.

    ingredients.py copyright TREE FILE
    ingredients.py sbom TREE FILE FETCHED CONTROL

TREE is what the package holds, FETCHED what vendor.sh fetched, CONTROL the package's own control file. Both are made
from what the Python packages say of themselves, so nothing here knows a package by name.
"""

import hashlib
import json
import os
import re
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import HeaderParser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

LICENCE_FILES = re.compile(r"(licen[cs]e|copying|notice)", re.IGNORECASE)
CLASSIFIER = "License :: OSI Approved :: "


def packages(tree: Path) -> list[Distribution]:
    """Return the Python packages inside, by name."""
    (place,) = tree.glob("opt/callbox/lib/python*/site-packages")
    return sorted(distributions(path=[str(place)]), key=lambda found: plain(found.name))


def plain(name: str) -> str:
    """Return a Python package's name as the index spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def said(package: Distribution, *fields: str) -> str:
    """Return what a package says of itself in the first of these fields that it has."""
    for field in fields:
        for value in package.metadata.get_all(field) or ():
            if value.strip():
                return str(value).strip()
    return ""


def licence(package: Distribution) -> str:
    """Return the licence that a package names, in its own words."""
    classifiers = [each for each in package.metadata.get_all("Classifier") or () if each.startswith(CLASSIFIER)]
    short = ", ".join(each.removeprefix(CLASSIFIER) for each in classifiers)
    named = said(package, "License-Expression") or short or said(package, "License").partition("\n")[0]
    return named or title(package)


def title(package: Distribution) -> str:
    """Return the first line of the package's licence text."""
    lines = [line.strip() for file in licence_files(package) for line in file.read_text("utf-8").splitlines()]
    return next((line for line in lines if line), "not named")


def licence_files(package: Distribution) -> list[Path]:
    """Return the licence texts that the package brings."""
    found = [file for file in package.files or () if ".dist-info/" in str(file) and LICENCE_FILES.search(file.name)]
    return [place for file in found if (place := Path(str(package.locate_file(file)))).exists()]


def licences(package: Distribution) -> list[dict[str, Any]]:
    """Return the licence as CycloneDX says it; only newer packages speak SPDX."""
    expression = said(package, "License-Expression")
    return [{"expression": expression}] if expression else [{"license": {"name": licence(package)}}]


def hashes(fetched: Path) -> dict[str, str]:
    """Return the SHA-256 of each archive that was fetched, by package."""
    archives = [*fetched.glob("wheels/*.whl"), *fetched.glob("sources/*.tar.gz")]
    return {
        plain(re.split(r"-\d", archive.name)[0]): hashlib.sha256(archive.read_bytes()).hexdigest()
        for archive in archives
    }


def boms(package: Distribution) -> list[Path]:
    """Return the lists of ingredients that the package itself brings."""
    return [Path(str(package.locate_file(file))) for file in package.files or () if "/sboms/" in str(file)]


def components(tree: Path, fetched: Path, control: Path) -> Iterator[dict[str, Any]]:
    """Return every Python package inside and every Debian package asked for, as CycloneDX says it."""
    known = hashes(fetched)
    for package in packages(tree):
        name = plain(package.name)
        if name == "callbox":
            continue
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{package.version}",
            "name": name,
            "version": package.version,
            "purl": f"pkg:pypi/{name}@{package.version}",
            "hashes": [{"alg": "SHA-256", "content": known[name]}],
            "licenses": licences(package),
            # What was compiled into it, told by its own makers.
            "externalReferences": [{"type": "bom", "url": f"file:///{bom.relative_to(tree)}"} for bom in boms(package)],
        }
    depends = HeaderParser().parsestr(control.read_text())["Depends"]
    for wanted in sorted(depends.split(", ")):
        name = wanted.split()[0]
        component = {"type": "library", "bom-ref": f"pkg:deb/debian/{name}", "name": name, "scope": "required"}
        yield component | {"purl": f"pkg:deb/debian/{name}", "description": f"installed by apt: {wanted}"}


def sbom(tree: Path, fetched: Path, control: Path) -> str:
    """Return the list of ingredients."""
    fields = HeaderParser().parsestr(control.read_text())
    version, architecture = fields["Version"], fields["Architecture"]
    made = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    itself = f"pkg:deb/callbox@{version}?arch={architecture}"
    parts = list(components(tree, fetched, control))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, itself)}",
        "version": 1,
        "metadata": {
            "timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": itself,
                "name": "callbox",
                "version": version,
                "purl": itself,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            },
        },
        "components": parts,
        "dependencies": [{"ref": itself, "dependsOn": [part["bom-ref"] for part in parts]}],
    }
    return json.dumps(document, indent=1) + "\n"


def paragraph(package: Distribution, tree: Path) -> str:
    """Return what the copyright file says of one Python package."""
    folder = f"opt/callbox/lib/python*/site-packages/{package.name.replace('-', '_')}*"
    author = said(package, "Author", "Author-email", "Maintainer", "Maintainer-email") or "its authors"
    lines = [f" Licence, as the package names it: {licence(package)}", " Its text is in"]
    lines += [f"  /{place.relative_to(tree)}" for place in licence_files(package)] or [
        "  the package's metadata, METADATA in that folder"
    ]
    short = f"of-{plain(package.name)}"
    return f"Files: {folder}\nCopyright: {' '.join(author.split())}\nLicense: {short}\n" + "\n".join(lines) + "\n"


def copyright_file(tree: Path) -> str:
    """Return Debian's copyright file."""
    head = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: callbox

Files: *
Copyright: 2026 the Callbox contributors
License: Apache-2.0
 On Debian systems the text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0
"""
    others = [paragraph(package, tree) for package in packages(tree) if plain(package.name) != "callbox"]
    return "\n".join([head, *others])


def main(what: str, tree: str, file: str, *rest: str) -> None:
    """Write one of the two."""
    root = Path(tree).resolve()
    text = copyright_file(root) if what == "copyright" else sbom(root, *map(Path, rest))
    Path(file).write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
