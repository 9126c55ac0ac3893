"""The packages under test: CALLBOX_DEB, or for each architecture and Debian the newest in dist/."""

import os
import subprocess
from pathlib import Path

import pytest

from package.built import Package

DIST = Path(__file__).parents[2] / "dist"
MISSING = Path("no-package-in-dist")


def packages() -> list[Path]:
    """Return the files of the packages under test."""
    if given := os.environ.get("CALLBOX_DEB"):
        return [Path(given)]
    newest: dict[str, Path] = {}
    for file in sorted(DIST.glob("callbox_*.deb"), key=lambda file: file.stat().st_mtime):
        newest[file.name[file.name.index("~deb") :]] = file  # ~deb13_amd64.deb
    return list(newest.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "package" in metafunc.fixturenames:
        found = packages() or [MISSING]
        ids = [file.name.partition("~deb")[2] or file.name for file in found]
        metafunc.parametrize("package", found, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def package(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Package:
    file: Path = request.param
    if file == MISSING:
        pytest.skip("there is no package in dist/: make deb")
    tree = tmp_path_factory.mktemp("package")
    subprocess.run(["dpkg-deb", "--raw-extract", file, tree], check=True)
    listed = subprocess.run(["dpkg-deb", "--contents", file], check=True, capture_output=True, text=True)
    return Package(file, tree, tuple(listed.stdout.splitlines()))
