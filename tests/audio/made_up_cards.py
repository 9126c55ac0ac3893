"""Sound cards in a made-up /sys."""

from pathlib import Path


def plug(root: Path, number: int, card_id: str, socket: str, model: str = "046d:0a44") -> None:
    """Put a USB card into a made-up /sys."""
    usb = root / "sys/devices/usb" / socket
    (usb / f"{socket}:1.0").mkdir(parents=True, exist_ok=True)
    for name, text in zip(("idVendor", "idProduct"), model.split(":"), strict=True):
        (usb / name).write_text(f"{text}\n")
    card = root / f"sys/class/sound/card{number}"
    card.mkdir(parents=True)
    (card / "id").write_text(f"{card_id}\n")
    (card / "device").symlink_to(usb / f"{socket}:1.0")
