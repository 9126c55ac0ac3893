"""What the doctor asks systemd, and what the answers come to."""

from pathlib import Path

import pytest

from app.made_up_machines import says
from callbox.app import doctor_service
from callbox.app.doctor_known import ServiceFacts
from callbox.app.doctor_machine import Machine
from callbox.app.doctor_service import look_at_service
from callbox.app.settings import BoxSettings, PanelSettings, SoundSettings

WELL = """LoadState=loaded
ActiveState=active
Result=success
UnitFileState=enabled
ExecMainStatus=0
NRestarts=0
User=callbox
SupplementaryGroups=audio gpio
DevicePolicy=closed
DeviceAllow=char-gpiochip rw
DeviceAllow=char-116 rw
PrivateDevices=no
"""
NO_SOUND = ServiceFacts(denied=("DeviceAllow=char-116 rw",))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (WELL, ServiceFacts()),
        (
            WELL.replace("active", "failed").replace("Status=0", "Status=2"),
            ServiceFacts(active="failed", exit_status=2),
        ),
        (WELL.replace("enabled", "disabled"), ServiceFacts(starts_by_itself=False)),
        (WELL.replace("NRestarts=0", "NRestarts=4"), ServiceFacts(restarts=4)),
        (WELL.replace("DeviceAllow=char-116 rw\n", ""), NO_SOUND),
        (WELL.replace("char-116", "char-alsa"), ServiceFacts()),
        (WELL.replace("char-gpiochip", "/dev/null"), ServiceFacts(denied=("DeviceAllow=char-gpiochip rw",))),
        (
            WELL.replace("closed", "auto").replace("DeviceAllow=char-116 rw\nDeviceAllow=char-gpiochip", "X="),
            ServiceFacts(),
        ),
        (
            WELL.replace("PrivateDevices=no", "PrivateDevices=yes"),
            ServiceFacts(denied=("PrivateDevices=no",)),
        ),
        (WELL.replace("audio gpio", "audio"), ServiceFacts(denied=("SupplementaryGroups=gpio",))),
        (
            "LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n",
            ServiceFacts(load="masked", active="inactive", result="", starts_by_itself=False),
        ),
    ],
)
def test_the_service_that_should_run_this_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, found: ServiceFacts
) -> None:
    monkeypatch.setattr(doctor_service, "_members", lambda group: ["root"])
    machine = Machine(tmp_path, says(systemctl=said))
    assert look_at_service(tmp_path / "var/lib/callbox", BoxSettings(), machine) == found
    assert look_at_service(tmp_path / "box", BoxSettings(), machine) is None
    assert look_at_service(tmp_path / "var/lib/callbox", BoxSettings(), Machine(tmp_path, says())) is None


def test_a_service_needs_only_the_rights_that_its_box_uses(tmp_path: Path) -> None:
    machine = Machine(tmp_path, says(systemctl=WELL.replace("DeviceAllow", "X").replace("audio gpio", "")))
    settings = BoxSettings(PanelSettings(backend="simulated"), SoundSettings(backend="wav"))
    for asked in (settings, None):
        facts = look_at_service(tmp_path / "var/lib/callbox", asked, machine)
        assert facts is not None
        assert facts.denied == ()


def test_a_member_of_the_group_needs_no_group_of_the_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_service, "_members", lambda group: ["callbox"])
    machine = Machine(tmp_path, says(systemctl=WELL.replace("audio gpio", "")))
    assert look_at_service(tmp_path / "var/lib/callbox", BoxSettings(), machine) == ServiceFacts()
