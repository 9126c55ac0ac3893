"""The folder that holds everything of one box: settings, store, key, control socket. Nothing lies elsewhere."""

import fcntl
import os
from pathlib import Path

from callbox.app.settings import BoxSettings
from callbox.base.errors import CallboxError
from callbox.base.settings import load_settings, sample

SOCKET_PATH_LIMIT = 100  # bytes; the kernel allows 107


class Home:
    """Paths of one box's folder, and the lock that says whether a box runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings_file = folder / "box.toml"
        self.store_file = folder / "box.sqlite"
        self._lock_fd: int | None = None

    @property
    def control_socket(self) -> Path:
        """Where a running box listens; a deep folder is reached by a path relative to where we are."""
        path = self.folder / "control.sock"
        if len(os.fsencode(path.absolute())) <= SOCKET_PATH_LIMIT:
            return path.absolute()
        return Path(os.path.relpath(path))

    @classmethod
    def named(cls, given: str | None) -> "Home":
        """Return the home of `--home`, else of CALLBOX_HOME, else `~/.callbox`."""
        return cls(Path(given or os.environ.get("CALLBOX_HOME") or Path.home() / ".callbox").expanduser())

    def prepare(self) -> None:
        """Make the folder, readable by its owner alone, and a settings file to edit."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.settings_file.exists():
                self.settings_file.write_text(sample(BoxSettings), encoding="utf-8")
        except OSError as error:
            raise CallboxError(
                f"The folder {self.folder} cannot be used: {error.strerror}.", "Name another one with --home."
            ) from None

    def settings(self, file: Path | None = None) -> BoxSettings:
        """Read box.toml; every problem in it is told at once (BadSettings)."""
        path = file or self.settings_file
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            if file is not None:
                raise CallboxError(f"There is no settings file {file}.") from None
            return BoxSettings()
        except (OSError, UnicodeDecodeError) as error:
            raise CallboxError(f"The settings file {path} cannot be read: {error}.") from None
        return load_settings(text, str(path), BoxSettings)

    def lock(self) -> bool:
        """Take the folder for this process; False when another process has it. Freed when the process ends."""
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None
