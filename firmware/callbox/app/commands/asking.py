"""How the command line asks a box.

A running box is asked over its control socket. What only changes or reads what the box keeps (contacts, permissions,
threads) also works while it is off: the command then opens the box's folder itself for a moment.
"""

import time
from typing import Any

from callbox.app import client
from callbox.app.commands.words import Options, home_of


def ask(options: Options, what: str, **words: Any) -> dict[str, Any]:
    """Ask a box that must be running."""
    return client.ask_once(home_of(options), what, **words)


def ask_or_open(options: Options, what: str, then: str = "", **words: Any) -> dict[str, Any]:
    """Ask the running box; if none runs, open its folder for this one thing. A box being made or started is awaited."""
    from callbox.app.short import ask_folder

    home = home_of(options)
    give_up_at = time.monotonic() + client.PATIENCE_S
    while True:
        if home.holds_box and home.lock():
            return client.checked(ask_folder(home, what, words, then))
        try:
            return client.ask_once(home, what, patience_s=0.0, **words)
        except client.NotRunning:
            if time.monotonic() >= give_up_at:
                raise
        time.sleep(client.RETRY_S)
