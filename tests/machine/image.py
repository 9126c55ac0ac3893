"""The guest's disk image: made once for each package and kept, so that a run begins with a copy of it.

root.tar       Debian without Callbox              kept by what root.sh and packages.txt say
disk.raw       root, package, agent, hardware      kept by package and inside/, with
joined.qcow2   what came on top: snapshot `off`    both boxes joined, switched off properly
               and snapshot `ready`                both boxes connected
"""

import fcntl
import hashlib
import inspect
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from machine.guest import INSIDE, OFF, READY, Guest

HERE = Path(__file__).parent
ROOT = HERE / "root"
DIST = HERE.parents[1] / "dist"
JOINED = "joined.qcow2"
KEPT_IMAGES = 4
BUILD_S = 1200.0
BAKED = ("agent.py", "*.sh", "*.service")
"""What of inside/ is part of the image; stories are sent when they run."""

Say = Callable[[str], None]


class CannotBuild(Exception):
    """What this machine lacks to make an image, in words."""


def find_package() -> Path:
    """Return the package under test: CALLBOX_DEB, or the newest for amd64 in dist/."""
    given = os.environ.get("CALLBOX_DEB")
    found = [Path(given)] if given else sorted(DIST.glob("callbox_*_amd64.deb"), key=lambda path: path.stat().st_mtime)
    if not found or not found[-1].is_file():
        raise CannotBuild("there is no package for amd64 in dist/: make deb ARCH=amd64")
    return found[-1]


def cache_folder() -> Path:
    """Return where roots and images are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "callbox" / "machine"


def hash_of(files: list[Path], words: str = "") -> str:
    digest = hashlib.sha256(words.encode())
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


@contextmanager
def only_one(folder: Path, say: Say) -> Iterator[None]:
    """Have one process at a time build in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that builds an image")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ready_image(say: Say) -> Path:
    """Return the folder of the image for the present package; make it first if it is not there."""
    package, cache = find_package(), cache_folder()
    root_files = [ROOT / "root.sh", ROOT / "packages.txt"]
    baked = [file for pattern in BAKED for file in INSIDE.glob(pattern)]
    made_of = hash_of([package, *root_files, *baked, ROOT / "disk.sh"], inspect.getsource(Guest.options))
    image, root = cache / f"image-{made_of}", cache / f"root-{hash_of(root_files)}.tar"
    if not (image / JOINED).exists():
        if os.geteuid() != 0:
            raise CannotBuild("making the guest's disk needs root: sudo make test-machine")
        with only_one(cache, say):
            if not root.exists():
                _make_root(root, say)
            if not (image / JOINED).exists():
                _make_image(image, root, package, say)
            _forget_old(cache)
    os.utime(image)
    return image


def _make_root(root: Path, say: Say) -> None:
    say("making the guest's Debian (a minute or two)")
    part = root.with_suffix(".part.tar")
    _run(str(ROOT / "root.sh"), str(part), log=root.with_suffix(".log"))
    part.rename(root)


def _make_image(image: Path, root: Path, package: Path, say: Say) -> None:
    shutil.rmtree(image, ignore_errors=True)
    image.mkdir()
    say(f"installing {package.name} on the guest's disk")
    _run(str(ROOT / "disk.sh"), str(root), str(package), str(image), log=image / "disk.log")
    disk, log = image / "part.qcow2", image / "qemu-img.log"
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "disk.raw", str(disk), log=log)
    guest = Guest(image, disk, image)
    try:
        say("booting it for the first time, joining both boxes")
        guest.boot()
        guest.must("/opt/guest/join.sh", 120)
        _wait_until_connected(guest)
        guest.power_off()
        _run("qemu-img", "snapshot", "-c", OFF, str(disk), log=log)
        say("booting it again, and keeping it as it is then")
        guest.boot()
        _wait_until_connected(guest)
        guest.run("sleep 5")
        guest.save(READY)
    except BaseException:
        say(f"that failed; what was said is in {guest.console}")
        raise
    finally:
        guest.kill()
    disk.rename(image / JOINED)


def _wait_until_connected(guest: Guest) -> None:
    guest.story("wait_connected.py", timeout_s=60)


def copy_disk(image: Path, folder: Path) -> Path:
    """Return a copy of the image's changing part; the large part below it is shared."""
    disk = folder / "disk.qcow2"
    subprocess.run(["cp", "--sparse=always", str(image / JOINED), str(disk)], check=True)
    subprocess.run(
        ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", str(image / "disk.raw"), str(disk)], check=True
    )
    return disk


def _forget_old(cache: Path) -> None:
    for pattern in ("image-*", "root-*.tar"):
        for old in sorted(cache.glob(pattern), key=lambda path: path.stat().st_mtime)[:-KEPT_IMAGES]:
            if old.is_dir():
                shutil.rmtree(old)
            else:
                old.unlink()


def _run(*command: str, log: Path) -> None:
    with log.open("ab") as stream:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, timeout=BUILD_S, check=False
        )
    if done.returncode:
        said = log.read_text(errors="replace")[-3000:]
        raise CannotBuild(f"{' '.join(command)} failed; {log} ends with:\n{said}")


def started(say: Say) -> Callable[[str], None]:
    """Return a `say` that puts the seconds since now before what is said."""
    began = time.monotonic()
    return lambda what: say(f"[{time.monotonic() - began:4.0f} s] {what}")
