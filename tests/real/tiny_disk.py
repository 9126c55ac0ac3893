"""A disk of a megabyte that can really be full or read-only: a tmpfs in a mount namespace of its own."""

import os
import subprocess
from pathlib import Path
from types import TracebackType

import pytest

KIB = 1024


class TinyDisk:
    """Mounted at `path` for whatever runs behind `prefix`; `seen` is where this process sees it."""

    def __init__(self, path: Path, kib: int = 1024) -> None:
        path.mkdir()
        self.path = path
        script = f'mount -t tmpfs -o size={kib}k tiny "{path}" && echo ready && exec sleep infinity'
        self._holder = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script], stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "ready\n":
            self._holder.kill()
            self._holder.wait()
            pytest.skip("a file system of its own needs root: sudo make test")
        self.prefix = ("nsenter", "-m", "-t", str(self._holder.pid), "--")
        self.seen = Path(f"/proc/{self._holder.pid}/root{path}")

    def __enter__(self) -> "TinyDisk":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.wait()

    def fill(self, leave_kib: int = 0) -> None:
        """Leave so much room, in steps of 4 KiB."""
        self.make_room()
        written = 0
        with open(self.seen / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    written += ballast.write(bytes(4 * KIB))
            except OSError:
                ballast.truncate(max(0, written - leave_kib * KIB))

    def make_room(self) -> None:
        (self.seen / "ballast").unlink(missing_ok=True)

    def set_read_only(self, on: bool) -> None:
        how = f"remount,{'ro' if on else 'rw'}"
        subprocess.run([*self.prefix, "mount", "-o", how, str(self.path)], check=True)

    @property
    def files(self) -> dict[str, int]:
        """What lies there, and how large it is."""
        found = (path for path in self.seen.rglob("*") if path.is_file() and path.name != "ballast")
        return {os.path.relpath(path, self.seen): path.stat().st_size for path in found}
