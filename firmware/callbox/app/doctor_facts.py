"""What `callbox doctor` finds out about a box: Python, folder, settings, the running box, key and store; then the rest.

It changes nothing but one number: logging in uses up a connection epoch, which is stored first, as a box does it. A
running box is asked over its control socket, and what it holds is left alone. Nothing here needs a box that is well:
each part that fails leaves `NotLooked` or `Trouble`, and the next part goes on.
"""

import contextlib
import importlib.metadata
import os
import pwd
import re
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from callbox import __version__
from callbox.app import client, doctor_service, doctor_sound
from callbox.app import doctor_machine as machine_facts
from callbox.app.doctor_known import (
    BoxFacts,
    Facts,
    FolderFacts,
    Held,
    MixerFacts,
    NotLooked,
    Package,
    PythonFacts,
    ServerFacts,
    SettingsFacts,
    SoundFacts,
    StoreFacts,
    Trouble,
)
from callbox.app.doctor_machine import Machine, within
from callbox.app.home import Home
from callbox.app.settings import BoxSettings
from callbox.base.errors import CallboxError
from callbox.base.settings import BadSettings

if TYPE_CHECKING:
    from callbox.app.saved import Saved

Looked = TypeVar("Looked")
ANSWER_S = 5.0
IDLE = "idle"
PRIVATE = ("key", "key.sealed", "box.sqlite", "box.sqlite-wal", "box.sqlite-shm", "box.toml", "control.sock")
CREDENTIAL = "callbox-key"
CREDENTIAL_STORES = ("etc/credstore.encrypted", "run/credstore.encrypted", "usr/lib/credstore.encrypted")
_NEED = re.compile(r"^([\w.-]+)\s*>=\s*([\w.]+)$")  # those with a marker are not needed everywhere


def gather(home: Home, machine: Machine | None = None) -> Facts:
    """Find out everything that can be found out about the box in `home` and this machine."""
    machine = machine or Machine()
    folder = look_at_folder(home, machine)
    settings, read = look_at_settings(home, folder)
    box = look_at_box(home, folder)
    try:
        running = isinstance(box, BoxFacts) and box.running
        store, saved = _store(home, folder, box, machine)
        server = _server(box, saved, machine)
        not_read = NotLooked("box.toml, which says what the box uses, could not be read")
        return Facts(
            python=look_at_python(),
            folder=folder,
            box=box,
            service=doctor_service.look_at_service(home.folder, read, machine),
            settings=settings,
            disk=machine_facts.look_at_disk(home.folder),
            store=store,
            server=server,
            clock=machine_facts.look_at_clock(machine, server.ahead_s if isinstance(server, ServerFacts) else None),
            sound=_sound(box, read, machine),
            mixer=doctor_sound.look_at_mixer(read.sound, machine) if read else MixerFacts(),
            codec=without_package(machine_facts.look_at_codec),
            speech=without_package(lambda: doctor_sound.look_at_speech(read.speech)) if read else not_read,
            pins=without_package(lambda: machine_facts.look_at_pins(read.panel, running, machine))
            if read
            else not_read,
            wifi=machine_facts.look_at_wifi(machine),
            power=machine_facts.look_at_power(machine),
        )
    finally:
        home.unlock()


def without_package(look: Callable[[], Looked]) -> Looked | NotLooked:
    """Look; a Python package that is missing leaves NotLooked (the area `python` tells the cure)."""
    try:
        return look()
    except ImportError as error:
        return NotLooked(f"it needs a Python package that cannot be loaded ({error})")


def look_at_python(distribution: str = "callbox") -> PythonFacts | NotLooked:
    """Compare what this installation declares to need with what is installed."""
    try:
        needs = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return NotLooked("Callbox is not installed as a package, so nothing says what it needs")
    packages: list[Package] = []
    for name, needed in (match.groups() for match in map(_NEED.match, needs) if match):
        try:
            there = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            there = None
        packages.append(Package(name, needed, there))
    return PythonFacts(sys.version_info[:3], __version__, tuple(packages))


def look_at_folder(home: Home, machine: Machine) -> FolderFacts:
    """Look at the box's folder: whose it is, and who may look into it."""
    folder, user = home.folder, _user(os.geteuid())
    service = machine.root / doctor_service.SERVICE_FOLDER
    elsewhere = f"/{doctor_service.SERVICE_FOLDER}" if service.is_dir() and folder.absolute() != service else ""
    try:
        found = folder.stat()
    except PermissionError:
        return FolderFacts(str(folder), True, False, False, "another user", user, service_folder=elsewhere)
    except OSError:
        return FolderFacts(str(folder), False, False, False, "", user, service_folder=elsewhere)
    readable = folder.is_dir() and machine.may(folder, os.R_OK | os.X_OK)
    modes = [(".", stat.S_IMODE(found.st_mode))]
    for name in PRIVATE if readable else ():
        with contextlib.suppress(OSError):
            modes.append((name, stat.S_IMODE((folder / name).lstat().st_mode)))
    holds_box = readable and home.holds_box
    return FolderFacts(
        str(folder), True, readable, holds_box, _user(found.st_uid), user, tuple(modes), service_folder=elsewhere
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def look_at_settings(home: Home, folder: FolderFacts) -> tuple[SettingsFacts | NotLooked, BoxSettings | None]:
    """Read box.toml with all its problems; also return the settings, if they can be used."""
    if folder.there and not folder.readable:
        return NotLooked("the folder cannot be opened"), None
    file = str(home.settings_file)
    there = home.settings_file.exists()
    try:
        return SettingsFacts(file, there), home.settings()
    except BadSettings as error:
        return SettingsFacts(file, there, tuple(str(problem) for problem in error.problems)), None
    except CallboxError as error:
        if folder.owner != folder.user:
            return NotLooked(f"only its owner, {folder.owner}, may read it"), None
        return SettingsFacts(file, there, (error.what,)), None


def look_at_box(home: Home, folder: FolderFacts) -> BoxFacts | NotLooked:
    """Take the folder's lock, if no box has it; else ask the box that runs there."""
    if not folder.holds_box:
        return NotLooked("there is no box" if folder.readable or not folder.there else "the folder cannot be opened")
    try:
        if not (home.folder / "lock").exists() or home.lock():
            return BoxFacts(running=False)
    except CallboxError:
        return NotLooked("this user may not write to the folder, so nothing says whether a box runs there")
    try:
        status = within(ANSWER_S, lambda: client.ask_once(home, "status", patience_s=1.0))
    except client.NotRunning:
        return BoxFacts(running=True, trouble=Trouble("Something holds this folder, but does not listen."))
    except TimeoutError:
        return BoxFacts(running=True, trouble=Trouble("The box runs, but does not answer."))
    except CallboxError as error:
        return BoxFacts(running=True, trouble=Trouble(error.what, error.cure))
    return BoxFacts(
        running=True,
        state=str(status["state"]),
        link=str(status["link"]),
        server=str(status["server"]),
        fault=str(status["fault"] or ""),
    )


def look_at_store(home: Home, machine: Machine) -> "tuple[StoreFacts | NotLooked, Saved | None]":
    """Open the store with its key, read it, and write the next connection epoch. The key is never made here."""
    from callbox.app.assembly import open_store
    from callbox.app.saved import keep_epoch, load

    if home.sealed_key.exists():
        return NotLooked("its key is sealed with a passphrase, which only the box is given (`callbox unlock`)"), None
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    if not (given and (Path(given) / CREDENTIAL).exists()) and not (home.folder / "key").exists():
        if any(_may_be_there(machine.root / place / CREDENTIAL, home, machine) for place in CREDENTIAL_STORES):
            return NotLooked("its key is a credential of systemd, which only the service is given"), None
        what = f"The key {home.folder / 'key'} is missing: nothing that the box has stored can be opened."
        cure = "Put the key back from a backup; without one, move the folder away and join again with a new invite."
        return StoreFacts(trouble=Trouble(what, cure)), None
    try:
        with contextlib.closing(open_store(home)) as store:
            saved = load(store)
            store.commit([keep_epoch(saved.connection_epoch + 1)])
            return StoreFacts(saved.identity.account), saved
    except CallboxError as error:
        return StoreFacts(trouble=Trouble(error.what, error.cure)), None


def _may_be_there(credential: Path, home: Home, machine: Machine) -> bool:
    """Say whether systemd may hold the key. Debian 13 hides its folder from all but root, if there is one or not."""
    try:
        return machine.exists(credential)
    except PermissionError:
        return doctor_service.is_the_services(home.folder, machine)


def _store(
    home: Home, folder: FolderFacts, box: BoxFacts | NotLooked, machine: Machine
) -> "tuple[StoreFacts | Held | NotLooked, Saved | None]":
    if isinstance(box, NotLooked):
        return box, None
    if box.running:
        return Held(bool(box.fault or box.trouble)), None
    if folder.owner != folder.user:  # SQLite's files would be left with the wrong owner
        return NotLooked(f"only its owner, {folder.owner}, should open it"), None
    looked = without_package(lambda: look_at_store(home, machine))
    return (looked, None) if isinstance(looked, NotLooked) else looked


def _server(box: BoxFacts | NotLooked, saved: "Saved | None", machine: Machine) -> ServerFacts | NotLooked:
    def look() -> ServerFacts | NotLooked:
        from callbox.app import doctor_server

        if isinstance(box, BoxFacts) and box.server:
            return doctor_server.look_from_outside(box)
        if saved is not None:
            return doctor_server.look_as_the_box(saved, saved.connection_epoch + 1, machine)
        return box if isinstance(box, NotLooked) else NotLooked("the store says which server, and was not opened")

    return without_package(look)


def _sound(box: BoxFacts | NotLooked, read: BoxSettings | None, machine: Machine) -> SoundFacts | Held | NotLooked:
    """Open the card as the box would. A running box leaves it alone between calls, and then does not miss it either."""
    if isinstance(box, BoxFacts) and box.running and (box.state != IDLE or box.fault or box.trouble):
        return Held(bool(box.fault or box.trouble))
    if read is None:
        return NotLooked("box.toml, which says what the box uses, could not be read")
    return without_package(lambda: doctor_sound.look_at_sound(read.sound, machine))
