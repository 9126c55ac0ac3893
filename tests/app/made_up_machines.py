"""Machines for the doctor: folders with files of /proc, /sys and /dev, and programs that print what they are told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def says(**answers: str) -> Any:
    """Return programs that print these things; all others are not there."""

    def run(command: Sequence[str]) -> str | None:
        return answers.get(command[0])

    return run


def nobody_may(path: Path, mode: int) -> bool:
    return False
