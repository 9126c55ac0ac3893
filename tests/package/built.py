"""A package as tests look at it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A package, and what it holds, unpacked."""

    file: Path
    tree: Path
    """With the maintainers' scripts in DEBIAN/."""
    listing: tuple[str, ...]
    """A line for each file, as tar tells them: rights, owner, size, date, name."""

    @property
    def architecture(self) -> str:
        return self.file.stem.rsplit("_", 1)[1]

    @property
    def site_packages(self) -> Path:
        (found,) = self.tree.glob("opt/callbox/lib/python*/site-packages")
        return found
