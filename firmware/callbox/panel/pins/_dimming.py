"""Lights that are dimmed: by the pulses of lgpio, which is opened for them alone.

From then on its threads wake up 50 times a second, for ever, and twice for each pulse of a light that is lit.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from callbox.panel.pins import PinsUnavailable


def work_folder() -> str:
    """Return where lgpio puts a pipe when it is imported; without LG_WD that is the current, maybe read-only folder.

    RUNTIME_DIRECTORY is systemd's; it may name several, the first is ours.
    """
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return os.environ.get("LG_WD") or runtime or tempfile.gettempdir()


def load_lgpio() -> Any:
    """Import lgpio, which makes a pipe in its folder, and that folder the current one. Raises PinsUnavailable."""
    folder = work_folder()
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PinsUnavailable(
            f"A light is dimmed: lgpio, which does that, needs a folder to write to, and may not write to {folder}.",
            "Let LG_WD name a folder of this user; the service has one by itself (Environment=LG_WD=%t/callbox).",
        )
    os.environ["LG_WD"] = folder
    try:
        import lgpio
    except (ImportError, OSError) as error:
        raise PinsUnavailable(
            f"A light is dimmed, and lgpio, which does that, cannot be loaded: {error}.",
            "Install it: pip install lgpio; or leave `brightness` out of the board.",
        ) from error
    return lgpio


def open_dimming(chip: Path) -> Any:
    """Open gpiozero's own pins over lgpio for the lines of `chip`. Raises PinsUnavailable."""
    load_lgpio()  # before gpiozero imports it
    from gpiozero.pins.lgpio import LGPIOFactory

    return LGPIOFactory(chip=int(chip.name.removeprefix("gpiochip")))
