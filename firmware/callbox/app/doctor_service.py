"""What `callbox doctor` finds out about the service that runs a box: how it is, and with what rights.

A program that works in a shell and not as a service differs in its rights: a group that only the person has, a device
that the unit does not allow, a folder that it may not write to. All of that systemd tells to anybody.
"""

import grp
from pathlib import Path

from callbox.app.doctor_known import ServiceFacts
from callbox.app.doctor_machine import Machine
from callbox.app.settings import BoxSettings

UNIT = "callbox.service"
SERVICE_FOLDER = "var/lib/callbox"
ASKED = (
    *("LoadState", "ActiveState", "Result", "UnitFileState", "ExecMainStatus", "NRestarts"),
    *("User", "SupplementaryGroups", "DevicePolicy", "DeviceAllow", "PrivateDevices"),
)
Need = tuple[tuple[str, ...], str]
# What a box needs of a unit that allows named devices only: any one of these, and the group of the files.
SOUND: Need = (("char-116", "char-alsa", "/dev/snd"), "audio")
PINS: Need = (("char-gpiochip", "/dev/gpiochip"), "gpio")


def is_the_services(folder: Path, machine: Machine) -> bool:
    """Say whether a folder is that of this machine's service."""
    return folder.absolute() == machine.root / SERVICE_FOLDER


def look_at_service(folder: Path, settings: BoxSettings | None, machine: Machine) -> ServiceFacts | None:
    """Ask systemd about the service, if `folder` is its own; None if not, or if there is no systemd."""
    if not is_the_services(folder, machine):
        return None
    said = machine.run(["systemctl", "show", *(f"--property={name}" for name in ASKED), UNIT])
    if not said:
        return None
    told: dict[str, str] = {}
    for name, _, value in (line.partition("=") for line in said.splitlines()):
        told[name] = f"{told[name]}\n{value}" if name in told else value  # DeviceAllow comes once for each device
    return ServiceFacts(
        load=told.get("LoadState", ""),
        active=told.get("ActiveState", ""),
        result=told.get("Result", ""),
        starts_by_itself=told.get("UnitFileState", "") not in ("disabled", "masked", "masked-runtime"),
        exit_status=int(told.get("ExecMainStatus") or 0),
        restarts=int(told.get("NRestarts") or 0),
        denied=_denied(told, settings),
    )


def _denied(told: dict[str, str], settings: BoxSettings | None) -> tuple[str, ...]:
    """Return what the box needs by its settings and the unit withholds."""
    if settings is None or told.get("LoadState") != "loaded":
        return ()
    needs = [PINS] if settings.panel.backend == "gpio" else []
    needs += [SOUND] if settings.sound.backend == "portaudio" else []
    denied: list[str] = []
    for devices, group in needs:
        allowed = told.get("DeviceAllow", "")
        closed = told.get("PrivateDevices") == "yes" or (
            told.get("DevicePolicy") in ("closed", "strict") or (told.get("DevicePolicy") == "auto" and allowed)
        )
        if closed and not any(device in allowed for device in devices):
            denied.append(f"DeviceAllow={devices[0]} rw")
        if told.get("PrivateDevices") == "yes":
            denied.append("PrivateDevices=no")
        if group not in told.get("SupplementaryGroups", "").split() and told.get("User", "") not in _members(group):
            denied.append(f"SupplementaryGroups={group}")
    return tuple(dict.fromkeys(denied))


def _members(group: str) -> list[str]:
    try:
        return [*grp.getgrnam(group).gr_mem, "root"]
    except KeyError:
        return ["root"]
