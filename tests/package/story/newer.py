"""Makes a package of a later version out of another: `newer.py OLD.deb NEW.deb`. Its stores have a newer layout."""

import compileall
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from py_compile import PycInvalidationMode

LATER = "9.9.9"


def edit(file: Path, pattern: str, replacement: str) -> None:
    text, edits = re.subn(pattern, replacement, file.read_text(), flags=re.MULTILINE)
    assert edits == 1, (file, pattern)
    file.write_text(text)


def main(old: str, new: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        subprocess.run(["dpkg-deb", "--raw-extract", old, tree], check=True)
        edit(tree / "DEBIAN/control", "^Version: .*", f"Version: {LATER}")
        (program,) = tree.glob("opt/callbox/lib/python*/site-packages/callbox")
        edit(program / "__init__.py", '^__version__ = ".*"', f'__version__ = "{LATER}"')
        for stores, version, steps in (
            ("conversations/stores", "sqlite_schema.py", "sqlite_migrations.py"),
            ("server/stores", "sql_tables.py", "sql_migrations.py"),
        ):
            file = program / stores / version
            found = re.search(r"^SCHEMA_VERSION = (\d+)", file.read_text(), re.MULTILINE)
            assert found
            edit(file, r"^SCHEMA_VERSION = \d+", f"SCHEMA_VERSION = {int(found[1]) + 1}")
            with (program / stores / steps).open("a") as text:
                text.write(f"\nSTEPS = {{**STEPS, {found[1]}: lambda *_: None}}\n")
        compileall.compile_dir(program, quiet=1, force=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, new], check=True)


main(*sys.argv[1:])
