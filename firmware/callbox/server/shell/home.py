"""The folder that holds everything of one server: settings, authority, certificate, store, audit log."""

import contextlib
import datetime
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from callbox.base.errors import CallboxError
from callbox.base.files import write_whole
from callbox.base.settings import load_settings, sample
from callbox.base.time import TRUSTED_AFTER_MS
from callbox.server.authority import Issued, make_authority, make_leaf
from callbox.server.settings import ServerSettings
from callbox.wire.signals import Moved

STORE = "server.sqlite"
SETTINGS = "server.toml"
ADDRESS = "address"
AUTHORITY_FILES = ("authority.crt", "authority.key")
PENDING = "restored"
"""A restored backup on its way into the folder: when this folder is there, it is complete (see `backups`)."""
ASIDE = "before-restore"
MOVED = "moved.json"
_LOGS = ("-wal", "-shm")  # of SQLite: they belong to the file that they lie beside, never to another


class Home:
    """Paths of one server's folder, and how its lasting parts come to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings_file = folder / SETTINGS
        self.store_file = folder / STORE
        self.audit_file = folder / "audit.log"
        self._leaf_fds: tuple[int, ...] = ()
        self._authority_certificate = folder / AUTHORITY_FILES[0]
        self._authority_key = folder / AUTHORITY_FILES[1]
        self._address_file = folder / ADDRESS
        self._running_fd: int | None = None

    @classmethod
    def named(cls, given: str | None) -> "Home":
        """Return the home of `--home`, else of CALLBOX_HOME, else `~/.callbox-server`."""
        return cls(Path(given or os.environ.get("CALLBOX_HOME") or Path.home() / ".callbox-server").expanduser())

    def prepare(self) -> None:
        """Make the folder, a settings file to edit and the authority, whichever process comes first."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.finish_restore()
            with self._alone():
                if not self.settings_file.exists():
                    write_whole(self.settings_file, sample(ServerSettings).encode())
                if not self._authority_key.exists():
                    issued = make_authority(_today())
                    write_whole(self._authority_certificate, issued.certificate)
                    write_whole(self._authority_key, issued.key)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> CallboxError:
        return CallboxError(
            f"The folder {self.folder} cannot be used: {error.strerror}.",
            "Is there room, and is it yours? Or name another one with --home.",
        )

    def finish_restore(self) -> None:
        """Put a restored backup in the place of what lies here, which goes aside. Begins where it was cut off."""
        pending, aside = self.folder / PENDING, self.folder / ASIDE
        if not pending.is_dir():
            return
        with self._alone():
            if not pending.is_dir():
                return
            aside.mkdir(mode=0o700, exist_ok=True)
            for name in sorted(path.name for path in pending.iterdir()):
                for old in (*((MOVED, *(name + log for log in _LOGS)) if name == STORE else ()), name):
                    with contextlib.suppress(FileNotFoundError):
                        (self.folder / old).replace(aside / old)
                (pending / name).replace(self.folder / name)
            pending.rmdir()

    def settings(self) -> ServerSettings:
        """Read server.toml; every problem in it is told at once (BadSettings)."""
        try:
            text = self.settings_file.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return ServerSettings()
        except (OSError, UnicodeDecodeError) as error:
            why, cure = getattr(error, "strerror", None) or error, "Is it a text file of yours, and --home its folder?"
            raise CallboxError(f"The settings file {self.settings_file} cannot be read: {why}.", cure) from None
        return load_settings(text, str(self.settings_file), ServerSettings)

    def authority(self) -> Issued:
        try:
            return Issued(self._authority_certificate.read_bytes(), self._authority_key.read_bytes())
        except OSError as error:
            raise CallboxError(f"The server's authority cannot be read: {error}.", "Bring back a backup.") from None

    def issue_leaf(self, hosts: list[str]) -> None:
        """Make a fresh certificate for these names: at every start, and now and then while running.

        It lies in memory: a server starts on a full disk, too.
        """
        leaf = make_leaf(self.authority(), hosts, _today())
        for old in self._leaf_fds:
            os.close(old)
        self._leaf_fds = tuple(_in_memory(part) for part in (leaf.certificate, leaf.key))

    @property
    def leaf_certificate(self) -> Path:
        """Where the certificate lies that was issued last."""
        return Path(f"/proc/self/fd/{self._leaf_fds[0]}")

    @property
    def leaf_key(self) -> Path:
        """Where its key lies."""
        return Path(f"/proc/self/fd/{self._leaf_fds[1]}")

    def claim(self) -> None:
        """Take the folder for this process's server. Freed when the process ends, however it ends."""
        try:
            fd = os.open(self.folder / "running", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unusable(error) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise CallboxError(
                f"A server is running in {self.folder} already.", "Stop it first, or name another folder with --home."
            ) from None
        self._running_fd = fd

    def release(self) -> None:
        if self._running_fd is not None:
            os.close(self._running_fd)
            self._running_fd = None

    def write_address(self, public: str) -> None:
        """Note under which NAME:PORT boxes reach the server, for the invites that other processes print."""
        if public == self.read_address():
            return
        try:
            write_whole(self._address_file, public.encode())
        except OSError as error:
            raise self._unusable(error) from None

    def read_address(self) -> str:
        """Return that NAME:PORT, or "" before the first start."""
        try:
            return self._address_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    # --- a move ---

    def write_moved(self, moved: Moved | None) -> None:
        """Note where this server goes on; None: it stays."""
        if moved is None:
            (self.folder / MOVED).unlink(missing_ok=True)
        else:
            write_whole(self.folder / MOVED, msgspec.json.encode(moved))

    def moved(self) -> Moved | None:
        """Return where this server goes on, if it does. A damaged note is none."""
        try:
            return msgspec.json.decode((self.folder / MOVED).read_bytes(), type=Moved)
        except (OSError, msgspec.DecodeError):
            return None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes out for a moment."""
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _today() -> datetime.datetime:
    """Return the time for certificates: at the earliest when this program was made, as a Pi may begin in 1970."""
    return datetime.datetime.fromtimestamp(max(wall_ms(), TRUSTED_AFTER_MS) / 1000, datetime.UTC)


def _in_memory(data: bytes) -> int:
    """Return an open file that lies on no disk."""
    fd = os.memfd_create("callbox", os.MFD_CLOEXEC)
    os.write(fd, data)
    return fd
