"""USB sound cards without hardware: the kernel's gadget of one, plugged into the kernel's pretended USB ports.

    usb.plug("one", port=0); usb.pull("one")      both have the same maker, product and name, as two equal sticks have

The port carries no sound (dummy_hcd passes no isochronous packets); names, numbers, sockets and mixers are real.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

GADGETS = Path("/sys/kernel/config/usb_gadget")
PORTS = 2


def load() -> None:
    subprocess.run(["modprobe", "-a", "libcomposite", "usb_f_uac2"], check=True)
    subprocess.run(["modprobe", "dummy_hcd", f"num={PORTS}"], check=True)


def plug(serial: str, port: int) -> None:
    """Plug the stick with this serial number into a port; made at first."""
    gadget = GADGETS / serial
    if not gadget.exists():
        for folder in ("strings/0x409", "functions/uac2.0", "configs/c.1"):
            (gadget / folder).mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("idVendor", "0x0d8c"),
            ("idProduct", "0x0014"),
            ("strings/0x409/manufacturer", "C-Media"),
            ("strings/0x409/product", "USB Audio Device"),
            ("strings/0x409/serialnumber", serial),
            ("functions/uac2.0/c_chmask", "1"),
            ("functions/uac2.0/p_chmask", "1"),
            ("functions/uac2.0/c_srate", "48000"),
            ("functions/uac2.0/p_srate", "48000"),
            # What would need endpoints that the pretended port has not: feedback, and news of the mixer.
            ("functions/uac2.0/c_sync", "adaptive"),
            *((f"functions/uac2.0/{way}_{what}_present", "0") for way in "cp" for what in ("mute", "volume")),
        ):
            (gadget / name).write_text(text)
        (gadget / "configs/c.1/uac2.0").symlink_to(gadget / "functions/uac2.0")
    before = card_ids()
    (gadget / "UDC").write_text(f"dummy_udc.{port}")
    wait_for(lambda: serial in serials() and len(card_ids()) > len(before))
    subprocess.run(["udevadm", "settle"], check=True)


def pull(serial: str) -> None:
    (GADGETS / serial / "UDC").write_text("\n")
    wait_for(lambda: serial not in serials())


def serials() -> dict[str, str]:
    """Return serial number -> the number that its card has now."""
    return {
        (card / "device").resolve().parent.joinpath("serial").read_text().strip(): card.name.removeprefix("card")
        for card in Path("/sys/class/sound").glob("card*")
        if (card / "device").resolve().parent.joinpath("serial").exists()
    }


def card_ids() -> dict[str, str]:
    """Return number -> id of all cards."""
    return {path.parent.name[4:]: path.read_text().strip() for path in Path("/sys/class/sound").glob("card*/id")}


def wait_for(true: Callable[[], bool], within_s: float = 10.0) -> None:
    ends = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < ends, "no such card came or went"
        time.sleep(0.02)
