"""The folder that holds everything of one box: settings, store, key, control socket. Nothing lies elsewhere."""

import errno
import fcntl
import os
from pathlib import Path

from callbox.app.settings import BoxSettings
from callbox.base.errors import CallboxError
from callbox.base.files import write_whole
from callbox.base.settings import load_settings, sample

SOCKET_PATH_LIMIT = 100  # bytes; the kernel allows 107


class Home:
    """Paths of one box's folder, and the lock that says whether a box runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings_file = folder / "box.toml"
        self.store_file = folder / "box.sqlite"
        self._lock_fd: int | None = None
        self._folder_fd: int | None = None

    @property
    def control_socket(self) -> Path:
        """Where a running box listens; a folder too deep for a socket's path is reached through an open descriptor."""
        path = self.folder.absolute() / "control.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT or not self.folder.is_dir():
            return path
        if self._folder_fd is None:
            self._folder_fd = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        return Path(f"/proc/self/fd/{self._folder_fd}/control.sock")

    @property
    def holds_box(self) -> bool:
        """Whether a box was made in this folder, or is just being made."""
        return self.store_file.exists()

    @property
    def key_file(self) -> Path:
        """Where the key of the store lies, unless it is a credential or sealed."""
        return self.folder / "key"

    @property
    def sealed_key(self) -> Path:
        """Where the key lies under a passphrase; while it is there, the box is locked at each start."""
        return self.folder / "key.sealed"

    @property
    def key_files(self) -> list[Path]:
        """Where the key of the store may lie in this folder, drafts included."""
        return sorted([*self.folder.glob("key*"), *self.folder.glob(".key-*")])

    @property
    def own_files(self) -> list[Path]:
        """Everything else that a box puts into its folder, the lock left out."""
        store = sorted(self.folder.glob(f"{self.store_file.name}*"))
        return [path for path in (*store, self.settings_file, self.folder / "control.sock") if path.exists()]

    @classmethod
    def named(cls, given: str | None) -> "Home":
        """Return the home of `--home`, else of CALLBOX_HOME, else `~/.callbox`; absolute, for lgpio changes folders."""
        return cls(Path(given or os.environ.get("CALLBOX_HOME") or Path.home() / ".callbox").expanduser().absolute())

    def prepare(self) -> None:
        """Make the folder, readable by its owner alone, and a settings file to edit."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.settings_file.exists():
                write_whole(self.settings_file, sample(BoxSettings).encode())
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> CallboxError:
        return CallboxError(
            f"The folder {self.folder} cannot be used: {error.strerror}.",
            "Is there room, and is it yours? Or name another one with --home.",
        )

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
            why, cure = getattr(error, "strerror", None) or error, "Is it a text file of yours, in UTF-8?"
            raise CallboxError(f"The settings file {path} cannot be read: {why}.", cure) from None
        return load_settings(text, str(path), BoxSettings)

    def lock(self) -> bool:
        """Take the folder for this process; False when another process has it. Freed when the process ends."""
        try:
            fd = self._open_lock()
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def _open_lock(self) -> int:
        file = self.folder / "lock"
        try:
            return os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
        return os.open(file if file.exists() else self.folder, os.O_RDONLY)  # a box makes calls on such a card, too

    def unlock(self) -> None:
        """Let another process have the folder."""
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None
