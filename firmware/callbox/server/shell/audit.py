"""The audit log: lines are only ever added; when the file is full, it becomes the older one of two."""

from collections.abc import Iterable
from pathlib import Path

MAX_BYTES = 1024 * 1024


class AuditLog:
    """At most two files of MAX_BYTES. A full disk loses lines, counted, and nothing else."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self.lost = 0

    def append(self, lines: Iterable[str]) -> None:
        text = "".join(line + "\n" for line in lines)
        if not text:
            return
        try:
            if self._path.exists() and self._path.stat().st_size > self._max_bytes:
                self._path.replace(self._path.with_suffix(".older"))
            with self._path.open("ab", buffering=0) as file:
                whole_at = file.tell()
                if file.write(data := text.encode()) < len(data):  # the disk is full: no line is left in two
                    file.truncate(whole_at)
                    self.lost += text.count("\n")
        except OSError:
            self.lost += text.count("\n")
